"""Ejections: whom to move, how many, and for whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from optsched.budget import Budget
from optsched.problem import PlacementProblem
from optsched.solvers.ejection import Ejection
from optsched.solvers.fitting import Fitting
from optsched.solvers.search import Search

Make = Callable[..., PlacementProblem]


def ejection(search: Search) -> Ejection:
    """Ejections with plenty of time."""
    return Ejection(search, Fitting(search), Budget.of(60))


@pytest.mark.parametrize("leavers", [2, 3, 4])
def test_a_few_leave_together(on: Make, leavers: int) -> None:
    """As many as are needed leave one host, each for another that has just the room for it."""
    demand = [[2]] * leavers + [[1]] * leavers + [[2 * leavers]]
    host0 = [0] * leavers + list(range(1, leavers + 1)) + [-1]
    problem = on(host0, [2 * leavers] + [3] * leavers, demand=demand)
    search = Search(problem)
    assert ejection(search).insert(len(host0) - 1, depth=2)
    assert search.value.tolist() == [0, 0, leavers]
    assert search.state.violations() == []


def test_more_than_one_departure_needs_depth(on: Make) -> None:
    """With depth 1 one item leaves; where that is not enough, nothing changes."""
    problem = on([0, 0, 1, 2, -1], [4, 3, 3], demand=[[2], [2], [1], [1], [4]])
    search = Search(problem)
    assert not ejection(search).insert(4, depth=1)
    assert search.state.host.tolist() == [0, 0, 1, 2, -1]
    assert ejection(search).insert(4, depth=2)


def test_lower_tiers_make_room_first(on: Make) -> None:
    """Of two items that could leave, the one leaves whose level comes later."""
    problem = on(
        [0, 1, 2, -1], [2, 2, 3], demand=[[2], [2], [1], [2]], tier=[0, 1, 1, 0],
        excluded=[[0, 0, 1], [0, 0, 0]], item_eligible=[1, 1, 1, 0],
    )  # fmt: skip
    search = Search(problem)
    assert ejection(search).insert(3)
    assert search.state.host.tolist() == [0, 2, 2, 1]


def test_higher_tiers_are_not_moved_for_lower_ones(on: Make) -> None:
    """Where moves of the higher tier come before what waits, it waits."""
    problem = on([0, 1, -1], [2, 3], demand=[[2], [1], [2]], tier=[0, 0, 1], tiers=["a", "b"])
    search = Search(problem)
    assert ejection(search).insert(2)  # there is room beside the small one
    crowded = on([0, 0, 1, -1], [3, 2], demand=[[2], [1], [1], [2]], tier=[0, 0, 0, 1])
    search = Search(crowded)
    assert not ejection(search).insert(3)
    assert search.state.host.tolist() == [0, 0, 1, -1]


def test_others_leave_room_to_what_waits(on: Make) -> None:
    """What leaves goes to the host that nothing that waits may enter, though both have room."""
    problem = on(
        [0, 0, 1, 2, -1], [4, 3, 3], demand=[[2], [1], [1], [1], [3]],
        excluded=[[0, 0, 1], [0, 0, 0]], item_eligible=[1, 1, 1, 1, 0],
    )  # fmt: skip
    search = Search(problem)
    assert ejection(search).insert(4)
    assert search.state.host.tolist() == [0, 0, 2, 2, 1]  # host 0 has just the room, too
