"""Fragments against the limit of moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from optsched.budget import Budget
from optsched.problem import PlacementProblem
from optsched.solvers.fragments import curve


@pytest.mark.parametrize("seed", range(5))
def test_every_point_is_the_optimum(
    draw: Callable[..., PlacementProblem], best: Callable[..., tuple[int, ...]], seed: int
) -> None:
    """For each limit, in the order of size, value and bound are what trying everything finds."""
    problem = draw(seed)
    rows = curve(problem, [3, 0, 2, 1], Budget.of(20))
    truth = [best(problem.replace(max_moves=moves))[0] for moves in range(4)]
    assert rows == [(moves, value, value) for moves, value in enumerate(truth)]


def test_out_of_time_bounds_still_hold(draw: Callable[..., PlacementProblem]) -> None:
    """Without time nothing moves, and no bound is above that."""
    problem = draw(2)
    rows = curve(problem, [0, 3], Budget.of(0))
    assert [row[0] for row in rows] == [0, 3]
    assert all(bound <= value for _, value, bound in rows)
    assert rows[0][1] == rows[1][1]


def test_no_curve_where_exchanges_say_nothing(draw: Callable[..., PlacementProblem]) -> None:
    """Drains come first; what is left of fragments then is no curve."""
    assert curve(draw(1, drain=(1,)), [1, 2], Budget.of(5)) == []
