"""What every solver promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from optsched import registry
from optsched.budget import Budget
from optsched.check import check
from optsched.errors import PlanError
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import Evict, PlacementProblem
from optsched.result import Result, Status

Make = Callable[..., PlacementProblem]


# These serve no such levels; their promises are in tests/solvers/fragments and test_policy.py.
SOLVERS = sorted(name for name in registry.SOLVERS if not name.startswith(("fragments", "policy")))


@pytest.fixture(params=SOLVERS)
def solve(request: pytest.FixtureRequest) -> Callable[..., Result]:
    """Solves a problem with one of the solvers; the plan is checked."""

    def run(problem: PlacementProblem, seconds: float = 60, **options: Any) -> Result:
        solver = registry.solver(request.param)
        budget = Budget.of(seconds, stop=options.pop("stop", lambda: False))
        result: Result = solver.solve(problem, budget, **options)
        assert check(problem, result.plan).violations == ()
        assert result.solver == solver.name
        assert len(result.levels) == len(problem.objective)
        return result

    return run


Solve = Callable[..., Result]


def values(result: Result) -> list[int]:
    """The value of every level."""
    return [level.value for level in result.levels]


def test_what_has_room_is_placed(solve: Solve, on: Make) -> None:
    """A pending item goes to the host that is free, and that is known to be best."""
    result = solve(on([0, -1], [1, 1]))
    assert [(move.item, move.target) for move in result.plan.moves()] == [(1, 1)]
    assert result.status is Status.OPTIMAL


def test_what_has_no_room_is_left(solve: Solve, on: Make) -> None:
    """Nothing can be done, and nothing is."""
    result = solve(on([0, 1, -1], [1, 1]))
    assert result.plan.waves == ()
    assert values(result) == [1, 0, 0]


@pytest.mark.parametrize("hosts", [0, 2])
@pytest.mark.parametrize("items", [0, 2])
@pytest.mark.parametrize("evict", [Evict.NEVER, Evict.ANY])
def test_nothing_is_a_problem_too(
    solve: Solve, on: Make, hosts: int, items: int, evict: Evict
) -> None:
    """No hosts, no items, or neither: an answer, with a proof."""
    result = solve(on([-1] * items, [1] * hosts, tiers=("a", "b"), evict=evict))
    assert sum(values(result)) == (items if not hosts else 0)
    assert result.status is Status.OPTIMAL


def test_any_seed_will_do(solve: Solve, on: Make) -> None:
    """However large a seed, it is a seed."""
    result = solve(on([0, -1, -1], [3, 2], demand=[[1], [2], [2]]), seed=1 << 70)
    assert values(result) == [0, 0, 0]


def test_a_start_is_kept_if_there_is_no_time(solve: Solve, on: Make) -> None:
    """With the deadline over, the plan is that which was given."""
    problem = on([0, -1], [1, 1])
    start = Plan(problem.digest(), waves=(Wave((Move(1, -1, 1),)),))
    assert solve(problem, 0, start=start).plan.moves() == start.moves()


def test_a_start_that_breaks_rules_is_ignored(solve: Solve, on: Make) -> None:
    """An old plan that no longer fits does no harm; one for another problem is an error."""
    problem = on([0, -1, -1], [1, 1])
    crowded = Plan(problem.digest(), waves=(Wave((Move(1, -1, 0), Move(2, -1, 0))),))
    result = solve(problem, start=crowded)
    assert values(result) == [1, 0, 0]
    assert result.notes == ()
    with pytest.raises(PlanError):
        solve(problem, start=Plan("other", waves=(Wave((Move(9, -1, 0),)),)))


def test_a_worse_start_is_ignored(solve: Solve, on: Make) -> None:
    """A plan that moves for nothing is not taken up."""
    problem = on([0, -1], [1, 1, 1])
    start = Plan(problem.digest(), waves=(Wave((Move(0, 0, 1),)),))
    assert values(solve(problem, start=start)) == [0, 0, 0]


def test_who_wants_to_stop_gets_an_answer(solve: Solve, on: Make) -> None:
    """Asked to stop at once, a solver still gives a checked plan."""
    problem = on([0, -1, -1], [2, 2], demand=[[1], [2], [1]])
    assert values(solve(problem, stop=lambda: True)) <= [2, 0, 0]


@pytest.mark.parametrize("order", list(Order))
def test_the_order_asked_for_is_kept(solve: Solve, on: Make, order: Order) -> None:
    """The plan and its certificate say which freedom of order they use."""
    result = solve(on([0, 1, -1], [2, 2], demand=[[1], [1], [2]]), order=order)
    assert result.plan.order is order
    assert result.certificate.semantics == order.value
    assert len(result.plan.waves) <= (1 if order is Order.SAFE else 2)
