"""`patterns`: known optima, found and proven without CP-SAT on counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from optsched.budget import Budget
from optsched.check import check
from optsched.generate.known_optimum import known_optimum
from optsched.problem import Cells, Hosts, Items, Limit, LimitKind, PlacementProblem
from optsched.result import Status
from optsched.solvers import patterns as module
from optsched.solvers.patterns import Patterns

Make = Callable[..., PlacementProblem]


@pytest.mark.parametrize("unit", [1, 250])
@pytest.mark.parametrize("size", [(2, 2, 1, 1), (8, 6, 2, 2), (12, 6, 4, 3)], ids=str)
def test_known_optima_are_proven(size: tuple[int, int, int, int], unit: int) -> None:
    """Everything is placed with the fewest moves, and that is proven."""
    hosts, items, moves, tiers = size
    known = known_optimum(7, hosts=hosts, items_per_host=items, moves=moves, tiers=tiers, unit=unit)
    result = Patterns().solve(known.problem, Budget.of(60))
    assert check(known.problem, result.plan).violations == ()
    assert tuple(level.value for level in result.levels) == known.values
    assert result.status is Status.OPTIMAL


def test_cells_and_sizes_that_are_not_served(on: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is one sentence."""
    monkeypatch.setattr(module, "LARGEST", 1)
    assert "2 class-host pairs" in str(Patterns().supports(on([-1], [1, 1])))
    items = Items.of([[1]], cells_needed=1, cell_demand=[[1]])
    numa = PlacementProblem.of(Hosts.of([[1]]), items, cells=Cells.of([0], [[1]]))
    assert "does not choose cells" in str(Patterns().supports(numa))


def test_out_of_time_is_an_answer(on: Make) -> None:
    """Without any time the plan is to stay."""
    result = Patterns().solve(on([0, -1], [1, 1]), Budget.of(0))
    assert (result.status, result.plan.waves) == (Status.FEASIBLE, ())


def test_it_ends_where_nothing_can_be_proven(on: Make) -> None:
    """Levels that patterns cannot express stay open, and the search does not go on for ever."""
    alone = Limit(LimitKind.CONFLICT, key=0, subject=0, counted=0)
    problem = on([-1, -1], [2], groups=[[0, 1]], limits=[alone])
    result = Patterns().solve(problem, Budget.of(600))
    assert (result.levels[0].value, result.levels[0].bound) in [(1, 0), (2, 0)]
    assert result.status is Status.FEASIBLE
