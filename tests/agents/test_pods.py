"""Pods that arrive one by one: lessons with hindsight, and a run that learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch

from optsched.agents.attention import NEVER
from optsched.agents.export import export_run
from optsched.agents.hyperparameters import read
from optsched.agents.pod_lessons import Teaching
from optsched.agents.pod_network import PodNetwork
from optsched.agents.training import train
from optsched.envs.seeds import seeds
from optsched.simulate.pod_sight import HOST_WIDE, TASK_WIDE
from optsched.solvers.policy_pods import load

CHANGES = {
    "env_kwargs.nodes": "4", "env_kwargs.ppn": "4", "clone.rounds": "6",
    "clone.jobs_per_round": "8", "clone.batch_size": "64", "n_timesteps": "1024", "n_envs": "8",
    "n_steps": "32", "batch_size": "128", "n_epochs": "2", "validate.every": "2",
    "validate.instances": "60", "branch.rounds": "1", "branch.instances": "4",
    "branch.updates": "2",
}  # fmt: skip


def test_it_learns_and_is_exported(tmp_path: Path) -> None:
    """A short run leaves less pending than the untrained network, and serves what it learned."""
    run = train("pod-packing", tmp_path / "run", read("pod-packing", None, CHANGES), 0,
                device="cpu")  # fmt: skip
    torch.manual_seed(0)
    before = np.mean([run.validation.gap(PodNetwork()) for _ in range(3)])
    after = run.run()
    assert after < 0.9 * before
    about = export_run(tmp_path / "run", tmp_path / "agent.onnx")
    agent = load(tmp_path / "agent.onnx")
    assert agent.about["gap"] == about["gap"] == after
    hosts = np.random.default_rng(0).random((2, 5, HOST_WIDE)).astype(np.float32)
    task = np.random.default_rng(1).random((2, TASK_WIDE)).astype(np.float32)
    run.network.load_state_dict(run.folder.load(run.folder.best)["network"])
    score, leave, _ = run.network.cpu().eval()(torch.from_numpy(hosts), torch.from_numpy(task))
    expected = torch.cat([score, leave], dim=1).detach().numpy()
    assert np.allclose(agent.scores(hosts, task), expected, atol=1e-3)


def test_nodes_in_any_order_and_number() -> None:
    """Scores follow nodes that change places, and rows of zeros are not seen."""
    torch.manual_seed(0)
    net, draw = PodNetwork().eval(), torch.Generator().manual_seed(0)
    hosts, task = torch.rand(2, 6, HOST_WIDE, generator=draw), torch.rand(2, TASK_WIDE)
    hosts[..., 6:] = 1
    scores, leave, value = net(hosts, task)
    order = torch.randperm(6)
    mixed = net(hosts[:, order], task)
    padded = net(torch.cat([hosts, torch.zeros(2, 3, HOST_WIDE)], 1), task)
    for one, other in (
        (mixed[0], scores[:, order]), (mixed[1], leave), (mixed[2], value),
        (padded[0][:, :6], scores), (padded[1], leave), (padded[2], value),
    ):  # fmt: skip
        assert torch.allclose(one, other, atol=1e-5)
    assert NEVER < -1e7


def test_lessons_follow_a_plan_with_hindsight() -> None:
    """Every pod of an instance is a state; shares are of allowed choices, and alike nodes equal."""
    config = read("pod-packing", None, CHANGES)
    teaching = Teaching(config["clone"], config["env_kwargs"])
    jobs = teaching.jobs(np.random.default_rng(0), 0)
    assert all(seed in seeds("train") for seed in jobs)
    found = teaching.study(jobs[0], {})
    assert found
    for one in found:
        assert one.wanted.sum() == pytest.approx(1)
        assert one.legal[one.wanted > 0].all()
    first = found[0]
    there = first.hosts[:, 7] == 1
    assert first.wanted[:-1][there] == pytest.approx(1 / there.sum())
    (hosts, task), legal, wanted = teaching.collate(found)
    assert len(hosts) == len(task) == len(legal) == len(wanted) == len(found)
