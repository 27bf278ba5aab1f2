"""Training runs: they learn, repeat, go on after a kill, and refuse what is not theirs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch
from click.testing import CliRunner
from stable_baselines3.common.vec_env import DummyVecEnv

from optsched.agents import PROBLEMS
from optsched.agents.export import export_run
from optsched.agents.folder import Folder
from optsched.agents.hyperparameters import read, schedule
from optsched.agents.network import MigrationNetwork
from optsched.agents.subject import subject
from optsched.agents.training import Step, Training, _only_critic, train
from optsched.agents.validation import Validation
from optsched.agents.vector import BatchedVecEnv
from optsched.agents.weights import weights
from optsched.cli import group
from optsched.envs.pod_batch import make_batch as pod_batch
from optsched.envs.pod_packing import PodPacking
from optsched.envs.vm_batch import VMReschedulingBatch
from optsched.envs.vm_rescheduling import VMRescheduling
from optsched.envs.vm_tables import Settings
from optsched.errors import FormatError, InputError
from optsched.generate.vm import snapshot
from optsched.snapshot import encode_snapshot
from optsched.solvers import agent_file
from optsched.solvers.policy_agent import load

TRAIN = [
    sys.executable, "-c", "from optsched.cli import main; main()", "train", "vm-rescheduling",
    "--workers", "1", "--device", "cpu",
]  # fmt: skip
SMALLEST = {
    "env_kwargs.pms": 8, "env_kwargs.moves": 3, "clone.jobs_per_round": 2,
    "clone.updates_per_round": 1, "clone.batch_size": 8, "n_timesteps": 0, "tilt.rounds": 0,
    "correct.rounds": 0, "validate.every": 1, "validate.instances": 1, "validate.patience": 100000,
}  # fmt: skip


def test_a_run_is_whole(tmp_path: Path, small: dict[str, Any]) -> None:
    """It clones, goes on with PPO, and leaves all that another person needs."""
    steps: list[Step] = []
    run = train("vm-rescheduling", tmp_path / "run", small, 3, device="cpu", on_step=steps.append)
    best = run.run()
    assert [step.stage for step in steps][:3] == ["clone"] * 3
    assert [step.stage for step in steps][-3:] == ["tilt", "correct", "correct"]
    ppo = [step for step in steps if step.stage == "ppo"][-1]
    assert ppo.done >= ppo.total == 64
    folder = tmp_path / "run"
    starts = (folder / "starts.jsonl").read_text().splitlines()
    assert len(starts) == 1
    began = json.loads(starts[0])
    assert {"python", "torch", "git", "git_changes"} <= set(began)
    assert (began["device"], began["threads"], began["workers"]) == ("cpu", 1, 1)
    assert Folder.old(folder).config() == {
        "problem": "vm-rescheduling", "seed": 3, "hyperparameters": small,
    }  # fmt: skip
    lines = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    assert min(line["gap"] for line in lines) == best
    assert list((folder / "tensorboard").iterdir())
    assert sum(step.validated for step in steps) == len(lines), "each validation is told once"
    about = export_run(folder, tmp_path / "agent.onnx")
    assert load(tmp_path / "agent.onnx").about["gap"] == about["gap"] == best
    measured = [
        CliRunner().invoke(
            group,
            ["evaluate", str(source), "--against", "greedy,patterns", "--instances", "heldout",
             "--count", "2", "--pms", "16", "--moves", "6", "--output", "json"],
        )
        for source in (folder, tmp_path / "agent.onnx")
    ]  # fmt: skip
    own = [json.loads(one.stdout)["arms"]["agent"] for one in measured]
    assert [run["gap"] for run in own[0]] == [run["gap"] for run in own[1]]
    again = Training(Folder.old(folder), device="cpu")
    assert again.run() == best
    with pytest.raises(InputError, match="holds a run"):
        train("vm-rescheduling", folder, small, 3)


def test_same_seed_same_weights(tmp_path: Path, small: dict[str, Any]) -> None:
    """Two runs with one seed end with the same weights, another seed with others."""
    ends = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run = train("vm-rescheduling", tmp_path / name, small | {"n_timesteps": 0}, seed,
                    device="cpu")  # fmt: skip
        run.run()
        ends.append(torch.cat([part.flatten() for part in run.network.parameters()]))
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_a_run_is_repeated_from_its_folder(tmp_path: Path, small: dict[str, Any]) -> None:
    """Another run with the configuration and the seed of the first ends with the same weights."""
    small |= {"n_timesteps": 0, "tilt": small["tilt"] | {"rounds": 0}}
    small["clone"] |= {"rounds": 2}
    small["correct"] |= {"rounds": 0}
    first = train("vm-rescheduling", tmp_path / "a", small, 4, device="cpu")
    first.run()
    kept = first.folder.path / "config.yml"
    values = read("vm-rescheduling", kept, {})
    assert values == small
    again = train("vm-rescheduling", tmp_path / "b", values, 4, device="cpu")
    again.run()
    ends = [list(run.network.parameters()) for run in (first, again)]
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))
    with pytest.raises(InputError, match=r"has nothing for 'optsched/PodPacking-v0'"):
        read("pod-packing", kept, {})


def test_a_run_that_gets_no_better_ends_early(tmp_path: Path, small: dict[str, Any]) -> None:
    """After as many validations without a better one as patience says, each stage is over."""
    small |= {"n_timesteps": 0, "validate": {"every": 1, "instances": 2, "patience": 2}}
    small["clone"] |= {"rounds": 50, "learning_rate": 0.0}
    small["correct"] |= {"rounds": 50, "learning_rate": 0.0, "episodes": 2}
    small["tilt"] |= {"rounds": 0}
    steps: list[Step] = []
    train("vm-rescheduling", tmp_path / "run", small, 0, device="cpu", on_step=steps.append).run()
    stages = [step.stage for step in steps]
    assert stages == ["clone"] * 3 + ["correct"] * 2


def test_a_real_snapshot_can_be_trained_on(tmp_path: Path, small: dict[str, Any]) -> None:
    """With `base` among env_kwargs all instances are days of that cluster, in every stage."""
    path = tmp_path / "real.json"
    path.write_bytes(encode_snapshot(snapshot(7, pms=9, memory="mixed")))
    small["env_kwargs"] |= {"base": str(path)}
    small["clone"] |= {"rounds": 2, "smaller": 0.5, "mixed": 0.5}
    run = train("vm-rescheduling", tmp_path / "run", small, 0, device="cpu")
    assert {len(begun.problem.hosts) for begun, _ in run.validation.cases} == {9}
    drawn = run.validation.cases[0][0].problem
    assert drawn.digest() != run.validation.cases[1][0].problem.digest()
    assert run.run() <= 1
    assert run.learner is not None
    assert run.learner.num_timesteps >= 64
    bad = small | {"env_kwargs": small["env_kwargs"] | {"base": str(tmp_path / "none.json")}}
    with pytest.raises(InputError, match=r"none\.json"):
        train("vm-rescheduling", tmp_path / "other", bad, 0, device="cpu")
    assert not (tmp_path / "other").exists()


def test_it_learns(tmp_path: Path, small: dict[str, Any]) -> None:
    """In a minute a small environment is learned: the gap falls to less than half."""
    small["clone"] |= {"rounds": 14, "jobs_per_round": 12, "updates_per_round": 16}
    small["validate"] |= {"every": 4, "instances": 10}
    small |= {"n_timesteps": 0, "tilt": small["tilt"] | {"rounds": 0}}
    run = train("vm-rescheduling", tmp_path / "run", small, 0, device="cpu")
    torch.manual_seed(0)
    before = run.validation.gap(MigrationNetwork())
    after = run.run()
    assert before > 0.6
    assert after < before / 2


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    """After kill -9 in the middle, --resume goes on from the last round and ends."""
    out = tmp_path / "run"
    command = [*TRAIN, "--out", str(out)]
    sets = SMALLEST | {"clone.rounds": 100000}
    changes = [part for name, value in sets.items() for part in ("--set", f"{name}={value}")]
    process = subprocess.Popen(command + changes, stderr=subprocess.DEVNULL)
    progress = out / "progress.jsonl"
    while not progress.exists() or len(progress.read_text().splitlines()) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    folder = Folder.old(out)
    done = folder.load(folder.checkpoint)["cloning"]["round"]
    assert done >= 2
    config = folder.config()
    config["hyperparameters"]["clone"]["rounds"] = done + 2
    import yaml

    (out / "config.yml").write_text(yaml.safe_dump(config))
    subprocess.run([*command, "--resume"], check=True, stderr=subprocess.DEVNULL)
    assert folder.load(folder.checkpoint)["cloning"]["round"] == done + 2


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


def test_a_run_begins_with_given_weights(tmp_path: Path, small: dict[str, Any]) -> None:
    """From a run or its exported file: the same weights, kept in the folder and told."""
    small |= {"n_timesteps": 0, "tilt": small["tilt"] | {"rounds": 0}}
    small["correct"] |= {"rounds": 0}
    first = train("vm-rescheduling", tmp_path / "first", small, 0, device="cpu")
    gap = first.run()
    export_run(tmp_path / "first", tmp_path / "agent.onnx")
    best = first.folder.load(first.folder.best)["network"]
    small["clone"] |= {"rounds": 0}
    for name in ("first", "agent.onnx"):
        steps: list[Step] = []
        later = train(
            "vm-rescheduling", tmp_path / f"from-{name}", small, 0, tmp_path / name,
            device="cpu", on_step=steps.append,
        )  # fmt: skip
        state = later.network.state_dict()
        assert all(torch.equal(part, best[key]) for key, part in state.items())
        assert later.run() == pytest.approx(gap)
        assert [step.stage for step in steps] == ["init"]
        told = later.folder.config()["init"]
        assert told["file"] in ("best.pt", "agent.onnx")
        assert len(told["sha256"]) == 64
        kept = later.folder.load(later.folder.init)["network"]
        assert all(torch.equal(part, best[key]) for key, part in kept.items())
        again = Training(later.folder, device="cpu")
        assert again.run() == pytest.approx(gap), "it goes on from there"


def test_weights_to_begin_with_are_checked(tmp_path: Path, small: dict[str, Any]) -> None:
    """Those of another problem, damaged ones and none at all are refused, and nothing is left."""
    pods = agent_file.shipped("pod-packing.onnx")
    assert pods is not None
    (tmp_path / "noise.onnx").write_bytes(b"noise")
    (tmp_path / "empty").mkdir()
    for init, error, word in (
        (pods, InputError, "is for optsched/PodPacking-v0, not for optsched/VMRescheduling-v0"),
        (tmp_path / "noise.onnx", FormatError, "no ONNX file"),
        (tmp_path / "none.onnx", FormatError, "cannot be read"),
        (tmp_path / "empty", InputError, "holds no run"),
    ):
        with pytest.raises(error, match=word):
            train("vm-rescheduling", tmp_path / "run", small, 0, init, device="cpu")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_shipped_agents_can_be_trained_on(problem: str) -> None:
    """The weights of every file that ships can be read again, and score as the file does."""
    kind = subject(problem)
    path = agent_file.shipped(f"{problem}.onnx")
    assert path is not None
    network = kind.network()
    network.load_state_dict(weights(path, kind).state)
    graph = kind.graph()
    session, _ = agent_file.read(path, kind.environment, graph.tables)
    given = {name: table.numpy() for name, table in graph.inputs.items()}
    expected = session.run(graph.outputs, given)
    found = network.eval()(*graph.inputs.values())
    for one, other in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
        assert np.allclose(one.detach().numpy(), other, atol=1e-4)


def test_full_disks_leave_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a checkpoint cannot be written, the one before is still whole."""
    folder = Folder.new(tmp_path / "run", {"problem": "vm-rescheduling"})
    folder.save(folder.checkpoint, {"round": 1})

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(InputError, match="No space left"):
        folder.save(folder.checkpoint, {"round": 2})
    assert folder.load(folder.checkpoint)["round"] == 1


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    """Checkpoints that are damaged, of another version or missing are told apart."""
    folder = Folder.new(tmp_path / "run", {"problem": "vm-rescheduling"})
    with pytest.raises(InputError, match="has the run validated"):
        folder.load(folder.best)
    folder.best.write_bytes(b"PK nothing")
    with pytest.raises(FormatError, match="damaged"):
        folder.load(folder.best)
    torch.save({"format": 99}, folder.best)
    with pytest.raises(FormatError, match="another version"):
        folder.load(folder.best)
    with pytest.raises(InputError, match="holds no run"):
        Folder.old(tmp_path)


def test_bytes_that_resemble_a_checkpoint_are_damaged(tmp_path: Path) -> None:
    """Whatever a file holds, reading it ends in one sentence, for weights and configuration."""
    folder = Folder.new(tmp_path / "run", {"problem": "vm-rescheduling"})
    for content in (b"hello\n", b"", b"\x80\x02}q\x00.", b"PK\x03\x04"):
        folder.best.write_bytes(content)
        with pytest.raises(FormatError, match=r"best\.pt' is (damaged|of another version)"):
            folder.load(folder.best)
    for text in (": : [", "a list", "problem: vm-rescheduling\n", "problem: 1\nseed: a\n"):
        (folder.path / "config.yml").write_text(text)
        with pytest.raises(FormatError, match="damaged"):
            folder.config()
    Folder.old(folder.path).discard()
    assert folder.best.exists(), "what is not of the beginning stays"


def test_a_run_that_cannot_begin_leaves_nothing(tmp_path: Path, small: dict[str, Any]) -> None:
    """Instances that cannot be drawn are refused, and the folder can be used for the next try."""
    for options in ({"pms": -3}, {"foo": 3}, {"pms": "many"}):
        bad = small | {"env_kwargs": small["env_kwargs"] | options}
        with pytest.raises(InputError, match=r"PMs; give|env_kwargs make no instances"):
            train("vm-rescheduling", tmp_path / "run", bad, 0, device="cpu")
        assert not (tmp_path / "run").exists()


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


def test_ctrl_c_ends_after_the_round(tmp_path: Path) -> None:
    """The command says what happens, keeps the checkpoint, and ends with the code of Ctrl-C."""
    out = tmp_path / "run"
    sets = SMALLEST | {"clone.rounds": 100000}
    changes = [part for name, value in sets.items() for part in ("--set", f"{name}={value}")]
    process = subprocess.Popen(
        [*TRAIN, "--out", str(out), *changes], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    while not (out / "checkpoint.pt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopping after this round" in said
    assert "Traceback" not in said
    assert "best gap on validation" in told
    assert Folder.old(out).load(out / "checkpoint.pt")["stage"] == "clone"


def test_no_room_for_curves_ends_no_run(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk may take TensorBoard's curves; a run that can still be saved goes on."""
    from torch.utils.tensorboard import SummaryWriter

    def full(*given: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    run = train("vm-rescheduling", tmp_path / "run", small | {"n_timesteps": 0}, 0, device="cpu")
    assert run.run() <= 1
    assert run.folder.checkpoint.exists()


def test_weights_of_another_problem_are_refused(tmp_path: Path, small: dict[str, Any]) -> None:
    """Neither a run that goes on nor an export takes the weights of another network."""
    folder = Folder.new(
        tmp_path / "run", {"problem": "vm-rescheduling", "seed": 0, "hyperparameters": small}
    )
    other = subject("pod-packing").network().state_dict()
    folder.save(folder.best, {"network": other, "gap": 0.5, "stage": "clone"})
    with pytest.raises(FormatError, match="weights of another network"):
        export_run(folder.path, tmp_path / "agent.onnx")
    assert not (tmp_path / "agent.onnx").exists()
    folder.save(folder.checkpoint, {"network": other})
    with pytest.raises(FormatError, match="weights of another network"):
        Training(folder, device="cpu")
    with pytest.raises(InputError, match="there are vm-rescheduling, pod-packing"):
        subject("vms")


def test_at_first_only_the_value_learns() -> None:
    """While the critic is alone nothing else has gradients, and afterwards all has."""
    network = subject("pod-packing").network()
    _only_critic(network, True)
    free = {name for name, part in network.named_parameters() if part.requires_grad}
    assert free
    assert all(name.startswith("worth.") for name in free)
    _only_critic(network, False)
    assert all(part.requires_grad for part in network.parameters())


def test_hyperparameters_are_checked(tmp_path: Path) -> None:
    """Unknown names, wrong values and files that are none are refused."""
    for changes, word in (
        ({"clone.round": "3"}, "no hyperparameter 'clone.round'"),
        ({"clone.rounds": "-1"}, "clone.rounds cannot be -1"),
        ({"clone.rounds": "many"}, "clone.rounds cannot be 'many'"),
        ({"clone.learning_rate": "lin_fast"}, "no number"),
        ({"validate.every": "0"}, "at least 1"),
        ({"n_steps": "0"}, "at least 1"),
        ({"n_epochs": "2.5"}, "n_epochs cannot be 2.5"),
        ({"gamma": "high"}, "gamma cannot be 'high'"),
        ({"clip_range": ".nan"}, "clip_range cannot be nan"),
    ):
        with pytest.raises(InputError, match=word):
            read("vm-rescheduling", None, changes)
    with pytest.raises(InputError, match="there are vm-rescheduling"):
        read("vms", None, {})
    with pytest.raises(InputError, match="cannot be read"):
        read("vm-rescheduling", tmp_path / "none.yml", {})
    (tmp_path / "bad.yml").write_text("a: [")
    with pytest.raises(InputError, match="no YAML"):
        read("vm-rescheduling", tmp_path / "bad.yml", {})
    (tmp_path / "other.yml").write_text("CartPole-v1: {}")
    with pytest.raises(InputError, match="has nothing for"):
        read("vm-rescheduling", tmp_path / "other.yml", {})
    assert schedule("lin_0.5")(0.5) == 0.25
    assert schedule(0.5)(0.1) == 0.5


def test_stable_baselines_runs_the_environments() -> None:
    """Its own vector environment takes the single ones, ours the batches; all offer masks."""
    options: dict[str, Any] = {"pms": 4, "moves": 2}
    plain = DummyVecEnv([lambda: VMRescheduling(**options)] * 2)
    ours = BatchedVecEnv(VMReschedulingBatch(2, Settings(moves=2, options={"pms": 4})))
    pods = DummyVecEnv([lambda: PodPacking(nodes=2)] * 2)
    many = BatchedVecEnv(pod_batch(2, nodes=2))
    for env, steps in ((plain, 8), (ours, 8), (pods, 20), (many, 20)):
        env.seed(0)
        env.reset()
        ends = 0
        for _ in range(steps):
            masks = np.stack(env.env_method("action_masks"))
            actions = np.array([int(np.flatnonzero(mask)[0]) for mask in masks])
            _, rewards, done, infos = env.step(actions)
            assert rewards.shape == (2,)
            for n in np.flatnonzero(done).tolist():
                assert "terminal_observation" in infos[n]
                ends += 1
        assert ends >= 2


def test_validation_knows_the_optimum() -> None:
    """The teacher's own plans have no gap; an untrained network has one."""
    cases = Validation({"pms": 16, "moves": 5}, 3)
    assert all(bound <= begun.levels(begun.row)[0] for begun, bound in cases.cases)
    torch.manual_seed(0)
    assert 0 < cases.gap(MigrationNetwork()) <= 1
