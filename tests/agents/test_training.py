"""Training runs: they learn, repeat, end early, and take all kinds of environments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch
from click.testing import CliRunner
from stable_baselines3.common.vec_env import DummyVecEnv

from optsched.agents.export import export_run
from optsched.agents.folder import Folder
from optsched.agents.hyperparameters import read
from optsched.agents.network import MigrationNetwork
from optsched.agents.subject import subject
from optsched.agents.training import Step, Training, _only_critic, train
from optsched.agents.validation import Validation
from optsched.agents.vector import BatchedVecEnv
from optsched.cli import group
from optsched.envs.pod_batch import make_batch as pod_batch
from optsched.envs.pod_packing import PodPacking
from optsched.envs.vm_batch import VMReschedulingBatch
from optsched.envs.vm_rescheduling import VMRescheduling
from optsched.envs.vm_tables import Settings
from optsched.errors import InputError
from optsched.generate.vm import snapshot
from optsched.snapshot import encode_snapshot
from optsched.solvers.policy_agent import load


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


@pytest.mark.parametrize("stage", ["clone", "ppo", "correct"])
def test_a_network_that_diverges_ends_the_run(
    tmp_path: Path, small: dict[str, Any], stage: str
) -> None:
    """With a rate beyond all measure it is told in one sentence, and no such weights are kept."""
    small |= {"n_timesteps": 64 if stage == "ppo" else 0}
    small["tilt"] |= {"rounds": 0}
    if stage == "ppo":
        small["learning_rate"] = 1e30
    else:
        small[stage]["learning_rate"] = 1e30
    run = train("vm-rescheduling", tmp_path / "run", small, 0, device="cpu")
    with pytest.raises(InputError, match=f"{stage}: the weights have grown beyond all measure"):
        run.run()
    for path in (run.folder.best, run.folder.checkpoint):
        if path.exists():
            kept = run.folder.load(path)["network"]
            assert all(bool(torch.isfinite(part).all()) for part in kept.values())
    assert run.folder.best.exists() == (stage != "clone")


def test_at_first_only_the_value_learns() -> None:
    """While the critic is alone nothing else has gradients, and afterwards all has."""
    network = subject("pod-packing").network()
    _only_critic(network, True)
    free = {name for name, part in network.named_parameters() if part.requires_grad}
    assert free
    assert all(name.startswith("worth.") for name in free)
    _only_critic(network, False)
    assert all(part.requires_grad for part in network.parameters())


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
