"""Fragments against the limit of moves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from vm_worlds import Truth
from vm_worlds import draw as draw_any

from optsched.budget import Budget
from optsched.plan import Order
from optsched.problem import PlacementProblem
from optsched.solvers.fragments import curve, frontier

LIMITS = [3, 0, 2, 1]
CORES = ((0, 4, 1, 1),)


@pytest.mark.parametrize("seed", range(5))
def test_every_point_is_the_optimum(
    draw: Callable[..., PlacementProblem], best: Callable[..., tuple[int, ...]], seed: int
) -> None:
    """For each limit, in the order of size, value and bound are what trying everything finds."""
    problem = draw(seed)
    rows = curve(problem, LIMITS, Budget.of(20))
    truth = [best(problem.replace(max_moves=moves))[0] for moves in range(4)]
    assert rows == [(moves, value, value, True) for moves, value in enumerate(truth)]


@pytest.mark.parametrize("order", [Order.SAFE, Order.WAVES])
@pytest.mark.parametrize("seed", range(12))
def test_more_moves_are_never_worse(seed: int, order: Order) -> None:
    """With conflicts, in any order: values fall, bounds hold for all plans and fall too."""
    problem = draw_any(seed, conflicts=2, drain=False, zeros=0.0, terms=CORES)
    rows = curve(problem, LIMITS, Budget.of(20), order=order)
    assert [row[0] for row in rows] == [0, 1, 2, 3]
    for one, two in pairwise(rows):
        assert one[1] >= two[1]
        assert one[2] >= two[2]
    for moves, value, bound, looked in rows:
        truth = Truth(problem.replace(max_moves=moves), order is Order.SAFE)
        assert bound <= truth.values[0][0] <= value
        assert looked


def test_later_prices_bound_earlier_limits(
    draw: Callable[..., PlacementProblem], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there was no time for a limit, the prices of others bound it, and it says so."""
    problem = draw(27)
    full = curve(problem, [1, 2, 3], Budget.of(20))
    asked: list[int] = []
    look = frontier._Frontier.look

    def late(self: Any, limit: int, budget: Budget) -> None:
        asked.append(limit)
        look(self, limit, budget if limit == 3 else Budget.of(0))

    monkeypatch.setattr(frontier._Frontier, "look", late)
    rows = curve(problem, [1, 2, 3], Budget.of(20))
    assert asked == [1, 2, 3]
    assert rows[2] == full[2]
    assert rows[0][1] > full[0][1]
    assert full[0][2] >= rows[0][2] >= rows[2][2] > 0


def test_out_of_time_bounds_still_hold(draw: Callable[..., PlacementProblem]) -> None:
    """Without time nothing moves, no bound is above that, and the answer says that none looked."""
    problem = draw(2)
    rows = curve(problem, [0, 3], Budget.of(0))
    assert [row[0] for row in rows] == [0, 3]
    assert all(bound <= value for _, value, bound, _ in rows)
    assert rows[0][1] == rows[1][1]
    assert not any(row[3] for row in rows)


def test_no_curve_where_exchanges_say_nothing(draw: Callable[..., PlacementProblem]) -> None:
    """Drains come first; what is left of fragments then is no curve."""
    assert curve(draw(1, drain=(1,)), [1, 2], Budget.of(5)) == []
