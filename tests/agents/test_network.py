"""The network: any order, any size, any padding, and what is exported is what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch

from optsched.agents import experts
from optsched.agents.attention import NEVER
from optsched.agents.cloning import cross_entropy
from optsched.agents.experts import rest, whole
from optsched.agents.export import export
from optsched.agents.hyperparameters import read
from optsched.agents.network import MigrationNetwork
from optsched.agents.vm import VMRescheduling
from optsched.agents.vm_lessons import (
    Example,
    Job,
    Teaching,
    collate,
    examples,
)
from optsched.check import check
from optsched.envs.seeds import seeds
from optsched.generate.vm import snapshot
from optsched.kernels import layout
from optsched.plan import Order
from optsched.simulate.migration import start
from optsched.simulate.walks import Looks, Walk
from optsched.solvers.policy_agent import load


def tables(cells: int, groups: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Random inputs."""
    draw = torch.Generator().manual_seed(seed)
    return (
        torch.rand(2, cells, layout.CELL_WIDE, generator=draw),
        torch.zeros(2, cells),
        torch.rand(2, groups, layout.GROUP_WIDE, generator=draw),
        torch.rand(2, layout.TASK_WIDE, generator=draw),
    )


def network() -> MigrationNetwork:
    """An untrained one."""
    torch.manual_seed(1)
    return MigrationNetwork().eval()


def test_order_does_not_matter() -> None:
    """Scores follow rows that change places, and the value stays."""
    net, (cells, bias, groups, task) = network(), tables(9, 14)
    group, stop, cell, value = net(cells, bias, groups, task)
    a, b = torch.randperm(9), torch.randperm(14)
    found = net(cells[:, a], bias[:, a], groups[:, b], task)
    for one, other in zip(found, (group[:, b], stop, cell[:, a], value), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_padding_and_numbers_do_not_matter() -> None:
    """Padded rows are not seen; a row given twice is the same as one with the logarithm of two."""
    net, (cells, bias, groups, task) = network(), tables(9, 14)
    group, stop, cell, value = net(cells, bias, groups, task)
    noise = torch.rand(2, 5, layout.CELL_WIDE)
    padded = net(
        torch.cat([cells, noise], 1),
        torch.cat([bias, torch.full((2, 5), NEVER)], 1),
        torch.cat([groups, groups], 1),
        task,
    )
    assert torch.allclose(padded[0][:, :14], group, atol=1e-5)
    assert torch.allclose(padded[1], stop, atol=1e-5)
    assert torch.allclose(padded[2][:, :9], cell, atol=1e-5)
    assert torch.allclose(padded[3], value, atol=1e-5)
    twice = net(torch.cat([cells, cells[:, :1]], 1), torch.zeros(2, 10), groups, task)
    once = bias.clone()
    once[:, 0] = float(np.log(2))
    merged = net(cells, once, groups, task)
    assert torch.allclose(twice[0], merged[0], atol=1e-5)
    assert not torch.allclose(group, merged[0], atol=1e-5)


def test_sizes_from_one_to_thousands() -> None:
    """The same weights take 4 to 1,000 hosts; all scores are finite."""
    net = network()
    for cells, groups in ((1, 1), (8, 20), (2000, 5000)):
        assert all(torch.isfinite(one).all() for one in net(*tables(cells, groups)))


def looks() -> list[Looks]:
    """The states of an episode of the teacher."""
    return [one.look for one in examples(whole(start(snapshot(1, pms=20), 5)), _rng())]


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_exported_file_scores_alike(tmp_path: Path) -> None:
    """onnxruntime gives torch's scores, in both phases."""
    net = network()
    export(net, tmp_path / "agent.onnx", {}, VMRescheduling())
    agent = load(tmp_path / "agent.onnx")
    for look in looks():
        expected = torch.cat(net(*collate([look]))[:3], dim=1).detach().numpy()
        legal = look.actions >= 0
        assert np.allclose(agent.scores(look)[legal], expected[legal], atol=1e-4)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher that takes its time: how busy the machine is changes no plan."""
    monkeypatch.setattr(experts, "SECONDS", 60.0)


@pytest.mark.usefixtures("patient")
def test_the_teacher_goes_on_from_anywhere() -> None:
    """Its rest of an episode is legal and, from the start, as good as its plan for the whole."""
    for seed in range(4):
        begun = start(snapshot(seed, pms=30), 8)
        walk, rng = Walk(begun), np.random.default_rng(seed)
        first = rest(begun, walk.row, walk.moves)
        assert first is not None
        ends = []
        for lesson in (first, whole(begun)):
            replayed = Walk(begun)
            for group, cell in lesson.moves:
                replayed.step(group)
                replayed.step(begun.groups + cell)
            ends.append(replayed.value)
        assert ends[0] == ends[1] < Walk(begun).value
        for _ in range(2 * int(rng.integers(1, 7))):
            walk.step(int(rng.choice(np.flatnonzero(walk.mask[:-1]))))
        later = rest(begun, walk.row, walk.moves)
        assert later is not None
        again = Walk(later.begun)
        again.moves.extend(walk.moves)
        for group, cell in later.moves:
            again.step(group)
            again.step(begun.groups + cell)
        assert again.value <= walk.value
        assert len(again.moves) <= 8
        plan = begun.plan(again.moves)
        assert plan.order is Order.SAFE
        assert not check(begun.problem, plan).violations


@pytest.mark.usefixtures("patient")
def test_where_memory_binds_the_rest_is_carried_out_or_not_told() -> None:
    """With mixed memory every plan that is told is legal to its end, and ends where it says."""
    told = 0
    for seed in range(6):
        begun = start(snapshot(seed, pms=30, memory="mixed"), 8)
        walk, rng = Walk(begun), np.random.default_rng(seed)
        for _ in range(2 * (seed % 3)):
            walk.step(int(rng.choice(np.flatnonzero(walk.mask[:-1]))))
        lesson = rest(begun, walk.row, walk.moves)
        if lesson is None:
            continue
        told += 1
        again = Walk(lesson.begun)
        for group, cell in lesson.moves:
            assert again.mask[group]
            again.step(group)
            assert again.mask[begun.groups + cell]
            again.step(begun.groups + cell)
        assert begun.levels(again.row)[0] == lesson.best
    assert told >= 3


def test_some_instances_have_mixed_memory() -> None:
    """As many as the hyperparameter says, of all kinds."""
    for share, least, most in ((0.0, 0, 0), (0.5, 20, 80), (1.0, 100, 100)):
        jobs = teaching(mixed=share, jobs_per_round=100).jobs(np.random.default_rng(0), 100)
        mixed = sum(dict(job.options).get("memory") == "mixed" for job in jobs)
        assert least <= mixed <= most


def teaching(**changes: Any) -> Teaching:
    """With the hyperparameters that ship, but for some."""
    config = read("vm-rescheduling", None, {})
    return Teaching(config["clone"] | changes, {"pms": 12, "moves": 4})


def taught(count: int = 2) -> list[Example]:
    """All examples of some whole plans."""
    starts = [start(snapshot(seed, pms=12), 4) for seed in range(count)]
    return [one for begun in starts for one in examples(whole(begun), _rng())]


def test_the_loss_is_least_for_what_is_wanted() -> None:
    """Scores that give each choice its share cost nothing, others more."""
    _, legal, wanted = teaching().collate(taught())
    assert torch.allclose(wanted.sum(dim=1), torch.ones(len(wanted)))
    assert not (wanted[~legal] > 0).any()
    right = cross_entropy(torch.log(wanted.clamp_min(1e-12)), legal, wanted)
    flat = cross_entropy(torch.zeros(wanted.shape), legal, wanted)
    assert abs(float(right)) < 1e-4 < float(flat)


def test_padding_keeps_choices_in_their_places() -> None:
    """In a batch of states of different sizes every share stays at the choice it is of."""
    some = taught(3)
    tables, legal, wanted = teaching().collate(some)
    groups = tables[2].shape[1]
    for n, one in enumerate(some):
        own = one.look.groups.shape[1]
        back = torch.cat([wanted[n, :own], wanted[n, groups:]])[: len(one.wanted)]
        assert (back.numpy() == one.wanted).all()
        assert int(legal[n].sum()) == int((one.look.actions >= 0).sum())


def test_jobs_change_with_the_rounds() -> None:
    """Whole plans first, then episodes of the clone too; all of training seeds."""
    plan = teaching(follow_from=3, whole=0.25, jobs_per_round=8)
    kinds = []
    for done in (0, 3):
        jobs = plan.jobs(_rng(), done)
        assert all(job.seed in seeds("train") for job in jobs)
        kinds.append([job.kind for job in jobs])
    assert kinds[0] == ["whole"] * 8
    assert kinds[1] == ["whole"] * 2 + ["follow"] * 6


def test_a_clone_is_asked_where_it_gets() -> None:
    """Examples of whole plans and of its own episodes give shares to what is allowed alone."""
    weights = {name: part.detach().numpy() for name, part in network().state_dict().items()}
    for kind in ("whole", "follow"):
        found = teaching().study(Job(3, (("pms", 12),), 4, kind, 0), weights)
        assert found
        for one in found:
            assert one.wanted.sum() == pytest.approx(1, abs=1e-5)
            assert (one.look.actions[0][one.wanted > 0] >= 0).all()
