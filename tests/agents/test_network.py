"""The network: any order, any size, any padding, and what is exported is what was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch

from optsched.agents.examples import collate, examples, loss
from optsched.agents.experts import rest, whole
from optsched.agents.export import export
from optsched.agents.network import NEVER, MigrationNetwork
from optsched.agents.vm import VMRescheduling
from optsched.check import check
from optsched.generate.vm import snapshot
from optsched.kernels import migration as kernel
from optsched.plan import Order
from optsched.simulate.migration import start
from optsched.simulate.walks import Look, Walk
from optsched.solvers.policy_agent import load


def tables(cells: int, groups: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Random inputs."""
    draw = torch.Generator().manual_seed(seed)
    return (
        torch.rand(2, cells, kernel.CELL_WIDE, generator=draw),
        torch.zeros(2, cells),
        torch.rand(2, groups, kernel.GROUP_WIDE, generator=draw),
        torch.rand(2, kernel.TASK_WIDE, generator=draw),
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
    noise = torch.rand(2, 5, kernel.CELL_WIDE)
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


def looks() -> list[Look]:
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
        group, stop, cell, _ = net(*collate([look]))
        if look.at is None:
            expected = np.append(group[0].detach().numpy(), stop[0].detach().numpy())
        else:
            expected = cell[0].detach().numpy()[look.at]
        assert np.allclose(agent.scores([look])[0], expected, atol=1e-4)


def test_the_teacher_goes_on_from_anywhere() -> None:
    """Its rest of an episode is legal and, from the start, as good as its plan for the whole."""
    for seed in range(4):
        begun = start(snapshot(seed, pms=30), 8)
        walk, rng = Walk(begun), np.random.default_rng(seed)
        first = rest(walk)
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
        later = rest(walk)
        assert later is not None
        made = list(walk.moves)
        again = Walk(later.begun)
        again.moves = made
        for group, cell in later.moves:
            again.step(group)
            again.step(begun.groups + cell)
        assert again.value <= walk.value
        assert len(again.moves) <= 8
        plan = begun.plan(again.moves)
        assert plan.order is Order.SAFE
        assert not check(begun.problem, plan).violations


def test_the_loss_is_least_for_what_is_wanted() -> None:
    """Scores that give each choice its share cost nothing, others more."""
    batch = list(examples(whole(start(snapshot(2, pms=12), 4)), _rng()))
    width = max(len(one.look.groups) for one in batch)
    cells = max(len(one.look.cells) for one in batch)
    group = torch.full((len(batch), width), -50.0)
    stop, cell = torch.full((len(batch), 1), -50.0), torch.full((len(batch), cells), -50.0)
    for n, one in enumerate(batch):
        shares = torch.from_numpy(np.log(np.maximum(one.wanted, 1e-20)) - one.look.choices_log)
        if one.look.at is None:
            group[n, : len(shares) - 1], stop[n, 0] = shares[:-1], shares[-1]
        else:
            cell[n, torch.from_numpy(one.look.at)] = shares
    right = loss((group, stop, cell, torch.zeros(len(batch))), batch)
    flat = loss((group * 0, stop * 0, cell * 0, torch.zeros(len(batch))), batch)
    assert abs(float(right)) < 1e-4 < float(flat)
