"""Episodes of migrations as policies see them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from optsched.generate.vm import snapshot
from optsched.kernels import layout, sight
from optsched.kernels.jit import plain
from optsched.simulate.migration import start
from optsched.simulate.walks import Walk, Walks


@pytest.mark.parametrize("number_of", [sight.distinct, plain(sight.distinct)])
def test_equal_rows_get_one_number(number_of: object) -> None:
    """Rows are numbered by their first appearance; marks keep equal rows apart."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        table = rng.integers(0, 3, (60, 4)).astype(np.float32) / 2
        mark = rng.integers(-1, 2, 60)
        number, first = np.empty(60, np.int64), np.empty(60, np.int64)
        many = number_of(table, mark, number, first)  # type: ignore[operator]
        seen: dict[bytes, int] = {}
        expected = [
            seen.setdefault(row.tobytes() + bytes([one]), len(seen)) if one >= 0 else -1
            for row, one in zip(table, mark.tolist(), strict=True)
        ]
        assert number.tolist() == expected
        assert many == len(seen)
        assert first[:many].tolist() == [expected.index(n) for n in range(many)]


def test_every_allowed_action_is_equal_to_one_choice() -> None:
    """Choices stand for the allowed actions and no others, with rows that look alike."""
    walk, rng = Walk(start(snapshot(1, pms=12), 6)), np.random.default_rng(0)
    many = walk.begun.groups
    while not walk.over:
        look = walk.look()
        alike, actions, lines = look.alike[0], look.actions[0], look.groups.shape[1]
        assert ((alike >= 0) == walk.mask).all()
        assert (np.sort(np.unique(alike[alike >= 0])) == np.flatnonzero(actions >= 0)).all()
        assert walk.mask[actions[actions >= 0]].all()
        assert np.isclose(np.exp(look.bias).sum(), walk.begun.cells)
        for action in np.flatnonzero(walk.mask[:-1]).tolist():
            choice = int(alike[action])
            if walk.chosen < 0:
                shown, own = look.groups[0, choice].copy(), walk.groups[action].copy()
                times = np.log((alike == choice).sum()) / 7
                assert np.isclose(shown[layout.GROUP_TIMES], times)
                shown[layout.GROUP_TIMES] = own[layout.GROUP_TIMES]
            else:
                shown, own = (
                    look.cells[0, choice - lines - 1].copy(),
                    walk.cells[action - many].copy(),
                )
                assert np.isclose(shown[layout.CELL_TIMES], look.bias[0, choice - lines - 1] / 7)
                shown[layout.CELL_TIMES] = own[layout.CELL_TIMES]
                if walk.row[walk.row[layout.GROUP_OTHER] + walk.chosen] < 0:
                    own[layout.CELL_TWIN] = 0.0
            assert (shown == own).all()
        walk.step(int(rng.choice(np.flatnonzero(walk.mask[:-1]))))


def test_episodes_side_by_side() -> None:
    """Walks of several starts of different sizes go as each goes alone, whatever pads them."""
    starts = [start(snapshot(seed, pms=4 + 3 * seed), 3) for seed in range(3)]
    walks, alone = Walks(starts), [Walk(begun) for begun in starts]
    rng = np.random.default_rng(0)
    while not walks.over.all():
        looks = walks.looks()
        actions = looks.best(rng.random(looks.actions.shape).astype(np.float32))
        for n, walk in enumerate(alone):
            if walk.over:
                assert (looks.actions[n] < 0).all()
                continue
            look = walk.look()
            assert (looks.actions[n] >= 0).sum() == (look.actions >= 0).sum()
            assert (looks.tasks[n] == look.tasks[0]).all()
            cells, lines = look.cells.shape[1], look.groups.shape[1]
            assert (looks.cells[n, :cells] == look.cells[0]).all()
            assert (looks.groups[n, :lines] == look.groups[0]).all()
            action = int(actions[n])
            if action >= walks.many:
                action -= walks.many - walk.begun.groups
            walk.step(walk.stop if actions[n] == walks.masks.shape[1] - 1 else action)
        walks.step(actions)
        assert [walk.value for walk in alone] == walks.values.tolist()
        assert [walk.moves for walk in alone] == walks.moves


def test_the_excess_is_the_least_of_all_pairs() -> None:
    """By how little one or two items that leave exceed a block, counted from the problem."""
    for seed in range(4):
        begun = start(snapshot(seed, pms=6, load="middle"), 3)
        items, cells = begun.problem.items, begun.problem.cells
        use = np.zeros(begun.cells, np.int64)
        inside: list[list[int]] = [[] for _ in range(begun.cells)]
        for item in range(len(items)):
            for cell in items.cells0[item][items.cells0[item] >= 0].tolist():
                use[cell] += items.cell_demand[item, 0]
                inside[cell].append(int(items.cell_demand[item, 0]) % 16)
        rest = (cells.capacity[:, 0] - use) % 16
        for cell in range(begun.cells):
            parts = [part for part in inside[cell] if part]
            for count in (1, 2):
                overs = [
                    int(rest[cell]) + sum(some) - 16
                    for some in itertools.combinations(parts, count)
                    if rest[cell] + sum(some) >= 16
                ]
                expected = min(min(overs), 15) if overs else -1
                assert sight.excess(begun.row, cell, count) == expected


def test_refused_actions_are_told() -> None:
    """What the mask forbids raises and changes nothing; a walk can begin anew."""
    walk = Walk(start(snapshot(1, pms=4), 3))
    begun = walk.row.copy()
    with pytest.raises(ValueError, match="not allowed"):
        walk.step(walk.begun.groups)
    assert (walk.row == begun).all()
    walk.step(int(np.flatnonzero(walk.mask)[0]))
    walk.step(int(np.flatnonzero(walk.mask)[0]))
    assert len(walk.plan().moves()) == 1
    assert not walk.plan(0).moves()
    walk.reset()
    assert (walk.row == begun).all()
