"""The least number of moves that make room, on clusters small enough to count by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.problem import PlacementProblem
from optsched.solvers import move_prices, move_rooms
from optsched.solvers.move_bounds import least_moves
from optsched.solvers.move_rooms import FORBIDDEN, Ceiling
from optsched.solvers.relaxed import Lock, Relaxed

Make = Callable[..., PlacementProblem]


def bound(
    problem: PlacementProblem,
    waiting: int = 0,
    cost: Sequence[int] | None = None,
    ceilings: Sequence[Ceiling] = (),
    may_go: Sequence[bool] | None = None,
    seconds: float = 60.0,
) -> int:
    """The bound where at most `waiting` items of any tier may wait, all moves costing 1."""
    count = len(problem.items)
    return least_moves(
        Relaxed(problem),
        np.array(cost if cost is not None else [1] * count, dtype=np.int64),
        np.array(may_go if may_go is not None else [False] * count),
        [Lock(np.ones(max(len(problem.tiers), 1), np.int64), waiting)],
        ceilings,
        1000,
        Budget.of(seconds),
    )


def crowded(on: Make, hosts: int, pending: int, **options: object) -> PlacementProblem:
    """Hosts of size 4 that hold a 2 and a 1 each, and items of size 2 that wait."""
    demand = [[2]] * hosts + [[1]] * hosts + [[2]] * pending
    host0 = [*range(hosts), *range(hosts), *[-1] * pending]
    return on(host0, [4] * hosts, demand=demand, **options)


@pytest.mark.parametrize("pending", [1, 2, 3])
def test_one_departure_for_each(on: Make, pending: int) -> None:
    """No host has room for any that waits, and one move lets one of them in."""
    assert bound(crowded(on, 8, pending)) == pending


def test_no_moves_where_there_is_room_or_no_need(on: Make) -> None:
    """What fits as it is needs no move; nor does what may wait."""
    assert bound(on([0, -1], [1, 1])) == 0
    assert bound(crowded(on, 4, 2), waiting=2) == 0
    assert bound(crowded(on, 4, 2), waiting=1) == 1
    assert bound(on([0, 0], [2])) == 0  # nothing waits


def test_several_departures_for_one(on: Make) -> None:
    """A host full of small items lets a large one in when enough of them leave."""
    for number in (3, 4, 5):
        host0 = [*[0] * 6, *range(1, 7), -1]
        demand = [[1]] * 6 + [[1]] * 6 + [[number]]
        assert bound(on(host0, [6] + [2] * 6, demand=demand)) == number


def test_what_may_not_leave_does_not(on: Make) -> None:
    """Items whose moves are forbidden make no room; those that leave for nothing cost nothing."""
    problem = crowded(on, 3, 1)
    small = [FORBIDDEN] * 3 + [0, 1, 1] + [1]
    assert bound(problem, cost=small) == 0
    assert bound(problem, cost=[FORBIDDEN] * 3 + [FORBIDDEN, 5, 7] + [1]) == 5


def test_ceilings_make_cheap_moves_dear(on: Make) -> None:
    """Where an earlier level allows one more move, the second must be one that it does not count.

    The moves of the first four hosts are counted by the earlier level, and free in this one.
    """
    problem = crowded(on, 8, 2)
    counted = np.array([1] * 4 + [0] * 4 + [1] * 4 + [0] * 4 + [0] * 2, dtype=np.int64)
    cost = (1 - counted).tolist()
    assert bound(problem, cost=cost, ceilings=[Ceiling(counted, 2)]) == 0
    assert bound(problem, cost=cost, ceilings=[Ceiling(counted, 1)]) == 1
    assert bound(problem, cost=cost, ceilings=[Ceiling(counted, 0)]) == 2


def test_a_move_that_needs_a_move(on: Make) -> None:
    """What leaves must enter another host, and there another must leave first."""
    # A 3 waits; only the 2 on host 0 (size 3) can let it in, and it fits on host 1 (size 4, a 2
    # and a 1) only once the 1 has gone to host 2.
    problem = on(
        [0, 1, 1, 2, -1], [3, 4, 3], demand=[[2], [2], [1], [2], [3]],
        excluded=[[0, 1, 1], [0, 0, 0]], item_eligible=[1, 1, 1, 1, 0],
    )  # fmt: skip
    assert bound(problem) == 2
    # Evicted instead, at no cost here, it needs no host at all.
    assert bound(problem, cost=[0, 1, 1, 1, 1], may_go=[True] + [False] * 4) == 0


COARSER = [
    (move_rooms, "MOST_ROOMS", 0),
    (move_prices, "MOST_PATTERNS", 0),
    (move_prices, "MOST_WORK", 0),
]


@pytest.mark.parametrize(("module", "name", "value"), COARSER)
def test_coarser_tables_only_lower_the_bound(
    on: Make, monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: int
) -> None:
    """Where not everything is looked at, the bound stays one, and some of it is left."""
    monkeypatch.setattr(module, name, value)
    assert 1 <= bound(crowded(on, 8, 3)) <= 3


def test_no_time(on: Make) -> None:
    """Without time there is a bound all the same."""
    assert 0 <= bound(crowded(on, 8, 3), seconds=0.0) <= 3
