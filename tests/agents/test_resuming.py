"""Runs that were killed or stopped go on from where they were."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch
from click.testing import CliRunner
from torch import nn

from optsched.agents import training
from optsched.agents.folder import Folder
from optsched.agents.hyperparameters import read
from optsched.agents.ppo import anew
from optsched.agents.training import Step, Training, train
from optsched.cli import group
from optsched.errors import FormatError

TRAIN = [
    sys.executable, "-c", "from optsched.cli import main; main()", "train", "vm-rescheduling",
    "--device", "cpu",
]  # fmt: skip
SMALLEST = {
    "env_kwargs.pms": 8, "env_kwargs.moves": 3, "clone.jobs_per_round": 2,
    "clone.updates_per_round": 1, "clone.batch_size": 8, "n_timesteps": 0, "tilt.rounds": 0,
    "correct.rounds": 0, "validate.every": 1, "validate.instances": 1, "validate.patience": 100000,
}  # fmt: skip


NURSERY = """
import json, os, sys
import optsched.agents.training  # once: what comes of it is forked
from optsched.cli import group

for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(2, 1)  # what it prints is not for those who ask
        try:
            group(json.loads(line))
        except SystemExit as end:
            os._exit(end.code or 0)
        os._exit(70)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
ROLLOUT = {"n_envs": 2, "n_steps": 8, "batch_size": 8, "n_epochs": 1}
VMS = SMALLEST | ROLLOUT | {
    "tilt.population": 2, "tilt.instances": 1, "correct.episodes": 4, "correct.kept": 4,
    "correct.updates": 1,
}  # fmt: skip
PODS = ROLLOUT | {
    "env_kwargs.nodes": 4, "env_kwargs.ppn": 4, "clone.jobs_per_round": 1,
    "clone.updates_per_round": 1, "clone.batch_size": 8, "branch.instances": 2, "branch.states": 2,
    "branch.updates": 1, "branch.batch_size": 4, "validate.every": 1, "validate.instances": 2,
    "validate.patience": 100000,
}  # fmt: skip


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported everything, and runs commands in children of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        yield process
        assert process.stdin is not None
        process.stdin.close()


def began(nursery: subprocess.Popen[str], words: list[str]) -> int:
    """The process of a command."""
    assert nursery.stdin is not None
    nursery.stdin.write(json.dumps(words) + "\n")
    nursery.stdin.flush()
    return answer(nursery)


def answer(nursery: subprocess.Popen[str]) -> int:
    """What the nursery says next: a process that began, or the exit code with which it ended."""
    assert nursery.stdout is not None
    return int(nursery.stdout.readline())


def far(folder: Folder, stage: str) -> int:
    """How much of a stage the checkpoint has."""
    if not folder.checkpoint.exists():
        return 0
    found = folder.load(folder.checkpoint)
    known = {"clone": found["cloning"], "ppo": {"round": found.get("timesteps", 0)}}
    return int((known | found["stages"]).get(stage, {"round": 0})["round"])


@pytest.mark.parametrize(
    ("problem", "sets", "stages"),
    [
        ("vm-rescheduling", VMS, ("clone", "ppo", "tilt", "correct")),
        ("pod-packing", PODS, ("clone", "ppo", "branch")),
    ],
)
def test_a_run_that_is_killed_in_every_stage_goes_on(
    tmp_path: Path,
    nursery: subprocess.Popen[str],
    problem: str,
    sets: dict[str, int],
    stages: tuple[str, ...],
) -> None:
    """After kill -9 amid a stage, --resume does the next round of it, then the next stages."""
    folder, progress = Folder(tmp_path / "run"), tmp_path / "run" / "progress.jsonl"
    words = ["train", problem, "--out", str(folder.path), "--workers", "1", "--device", "cpu"]
    sets = sets | {"n_timesteps" if one == "ppo" else f"{one}.rounds": 100000 for one in stages}
    more = [part for name, value in sets.items() for part in ("--set", f"{name}={value}")]
    after: list[tuple[int, str, int]] = []
    for stage in stages:
        child = began(nursery, words + more)
        while not far(folder, stage):
            os.kill(child, 0)  # it is still there
            time.sleep(0.02)
        os.kill(child, signal.SIGKILL)
        assert answer(nursery) == -signal.SIGKILL
        # One round more, and the stage is over.
        config, end = folder.config(), far(folder, stage) + (16 if stage == "ppo" else 1)
        values = config["hyperparameters"]
        if stage == "ppo":
            values["n_timesteps"] = end
        else:
            values[stage]["rounds"] = end
        (folder.path / "config.yml").write_text(yaml.safe_dump(config))
        after.append((len(progress.read_text().splitlines()), stage, end))
        more = ["--resume"]
    began(nursery, words + more)
    assert answer(nursery) == 0
    lines = [json.loads(line) for line in progress.read_text().splitlines()]
    for at, stage, end in after:
        assert (lines[at]["stage"], lines[at]["done"]) == (stage, end)
        assert max(one["done"] for one in lines if one["stage"] == stage) == end
    assert folder.load(folder.best)["gap"] == lines[-1]["best"] == min(one["gap"] for one in lines)


def test_a_run_that_is_stopped_in_its_last_stage_ends_alike(
    tmp_path: Path, small: dict[str, Any]
) -> None:
    """Stopped after each of its rounds and resumed, the stages do what is left of them, no more."""
    small |= {"n_timesteps": 0}
    small["clone"] |= {"rounds": 1}
    small["correct"] |= {"rounds": 3}
    whole: list[Step] = []
    train("vm-rescheduling", tmp_path / "a", small, 1, device="cpu", on_step=whole.append).run()
    steps: list[Step] = []
    before = -1

    def stop() -> bool:
        return len(steps) > before

    run = train(
        "vm-rescheduling", tmp_path / "b", small, 1, device="cpu", on_step=steps.append, stop=stop
    )
    for at in range(5):
        before = at
        run.run()
        assert len(steps) == at + 1, "one round each time"
        run = Training(run.folder, device="cpu", on_step=steps.append, stop=stop)
    assert [(one.stage, one.done) for one in steps] == [(one.stage, one.done) for one in whole]
    before = 99
    run.run()
    assert len(steps) == 5, "nothing is left"


def test_runs_go_on_with_their_own_problem(tmp_path: Path, small: dict[str, Any]) -> None:
    """--resume does not train VMs where pods were asked for, nor with the values of pods."""
    config = {"problem": "vm-rescheduling", "seed": 0, "hyperparameters": small}
    Folder.new(tmp_path / "run", config)
    given = ["train", "pod-packing", "--out", str(tmp_path / "run"), "--resume"]
    told = CliRunner().invoke(group, given)
    assert told.exit_code == 2
    assert "holds a run of vm-rescheduling" in told.output
    folder = Folder.new(tmp_path / "other", config | {"problem": "pod-packing"})
    with pytest.raises(FormatError, match="lacks branch, critic_rollouts for pod-packing"):
        folder.config()
    given = ["train", "vm-rescheduling", "--out", str(tmp_path / "run"), "--resume"]
    for more, word in (
        (["--seed", "1"], "its own seed"),
        (["--init", "x.onnx"], "its own weights"),
        (["--set", "n_timesteps=0"], "leave out hyperparameters"),
    ):
        told = CliRunner().invoke(group, given + more)
        assert told.exit_code == 2
        assert word in told.output


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, 130, "stopping after this round"), (signal.SIGTERM, 143, "clone loss")],
)
def test_signals_end_a_run(tmp_path: Path, number: signal.Signals, code: int, words: str) -> None:
    """Ctrl-C, which on a terminal reaches teachers too, after the round; SIGTERM at once.

    The checkpoint stays, no process does, and nothing is said that is not ours.
    """
    out = tmp_path / "run"
    sets = SMALLEST | {"clone.rounds": 100000}
    changes = [part for name, value in sets.items() for part in ("--set", f"{name}={value}")]
    process = subprocess.Popen(
        [*TRAIN, "--workers", "2", "--out", str(out), *changes], stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while not (out / "checkpoint.pt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    if number is signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    told, said = process.communicate(timeout=120)  # until the last of its processes has ended
    assert process.returncode == code
    assert words in said
    assert "Traceback" not in said
    assert "resource_tracker" not in said
    assert ("best gap on validation" in told) == (number is signal.SIGINT)
    assert Folder.old(out).load(out / "checkpoint.pt")["stage"] == "clone"


def test_the_critic_stays_alone_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the first rollouts teach the value alone, a resumed run counts those before."""
    sets = {name: str(value) for name, value in PODS.items()}
    sets |= {"clone.rounds": "0", "branch.rounds": "0"}
    sets |= {"critic_rollouts": "3", "n_timesteps": "80"}
    values, steps = read("pod-packing", None, sets), list[Step]()
    alone: list[bool] = []
    only = training._only_critic

    def told(network: nn.Module, flag: bool) -> None:
        alone.append(flag)
        only(network, flag)

    monkeypatch.setattr(training, "_only_critic", told)
    run = train(
        "pod-packing", tmp_path / "run", values, 0, device="cpu", on_step=steps.append,
        stop=lambda: len(steps) == 2,
    )  # fmt: skip
    run.run()
    assert [step.done for step in steps] == [16, 32]
    assert alone == [True]
    before = {name: part.clone() for name, part in run.network.named_parameters()}
    rest = Training(run.folder, device="cpu", on_step=steps.append, stop=lambda: len(steps) == 3)
    rest.run()
    assert [step.done for step in steps] == [16, 32, 48]
    assert alone == [True, True, False]
    for name, part in rest.network.named_parameters():
        assert name.startswith("worth.") or torch.equal(part, before[name])
    Training(run.folder, device="cpu", on_step=steps.append).run()
    assert [step.done for step in steps] == [16, 32, 48, 64, 80]
    assert alone == [True, True, False, False]


def test_a_better_agent_is_not_lost_by_a_kill(tmp_path: Path, small: dict[str, Any]) -> None:
    """Where a kill came between the best weights and the checkpoint, a worse one replaces none."""
    small |= {"n_timesteps": 0, "tilt": small["tilt"] | {"rounds": 0}}
    small["correct"] |= {"rounds": 1}
    run = train("vm-rescheduling", tmp_path / "run", small, 0, device="cpu",
                stop=lambda: run.cloning.round == 3)  # fmt: skip
    run.run()
    kept = run.folder.load(run.folder.best)
    run.folder.save(run.folder.best, kept | {"gap": 0.0})
    assert Training(run.folder, device="cpu").run() == 0.0
    assert run.folder.load(run.folder.best)["gap"] == 0.0


TASKS = {
    "env_kwargs.nodes": "[3, 4]", "env_kwargs.count": "[4, 6]", "clone.rounds": "0",
    "n_timesteps": "60", "n_worlds": "2", "n_rollouts": "2", "batch_size": "16", "n_epochs": "1",
    "validate.every": "1", "validate.instances": "1", "ants.rounds": "2", "ants.worlds": "1",
    "ants.ants": "2", "ants.steps": "1", "ants.every": "1",
}  # fmt: skip


class Killed(BaseException):
    """Nothing catches it."""


def test_a_kill_between_any_two_files_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing that is drawn is lost, weights, gaps and patience are those of a whole run."""
    values, written, last = read("task-placement", None, TASKS), 0, 0

    def dying(method: Any) -> Any:
        def write(*args: Any, **known: Any) -> None:
            nonlocal written
            written += 1
            if written == last:
                raise Killed
            method(*args, **known)

        return write

    def gap(network: nn.Module) -> float:
        return (
            float(sum(part.detach().double().abs().sum() for part in network.parameters()))
            * 100
            % 1
        )

    for name in ("save", "note"):
        monkeypatch.setattr(Folder, name, dying(getattr(Folder, name)))

    def ended(folder: Path, seed: int) -> tuple[Any, ...]:
        run = train("task-placement", folder, values, seed, device="cpu")
        run.validation.gap = gap  # type: ignore[attr-defined]
        with contextlib.suppress(Killed):
            run.run()
        run = Training(run.folder, device="cpu")
        run.validation.gap = gap  # type: ignore[attr-defined]
        best = run.run()
        kept = run.folder.load(run.folder.best)
        weights = [part.clone() for part in run.network.state_dict().values()]
        return best, kept["gap"], run.waited, weights, list(kept["network"].values())

    whole, many = ended(tmp_path / "whole", 2), written
    assert many >= 10
    assert whole[0] == whole[1]
    for last in range(1, many + 1):
        written = 0
        best, kept, waited, weights, chosen = ended(tmp_path / str(last), 2)
        assert (best, kept, waited) == whole[:3], last
        for one, other in zip([*weights, *chosen], [*whole[3], *whole[4]], strict=True):
            assert torch.equal(one, other), last


def test_a_resumed_learner_does_not_begin_at_its_first_instances() -> None:
    """Stable-Baselines3 draws by a seed; that of the run stands for its beginning alone."""
    found = [anew(7, done) for done in (0, 64, 128)]
    assert found[0] == 7
    assert len(set(found)) == 3
    assert found == [anew(7, done) for done in (0, 64, 128)]
