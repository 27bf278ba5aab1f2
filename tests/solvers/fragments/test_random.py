"""Random small problems with everything that they can have, against all their plans."""

from __future__ import annotations

from itertools import count

import pytest
from vm_worlds import OBJECTIVES, Blocks, Truth, draw

from optsched.budget import Budget
from optsched.check import check
from optsched.generate.vm import snapshot
from optsched.levels import TermKind
from optsched.plan import Order
from optsched.problem import PlacementProblem
from optsched.rates import fragment_level, with_objective
from optsched.registry import solver
from optsched.result import Result, Status
from optsched.solvers.fragment_bounds import fewest_left, least_fragments

ORDERS = [Order.SAFE, Order.WAVES]


def judged(problem: PlacementProblem, name: str, order: Order, seconds: float) -> Result:
    """A result whose plan keeps the rules, and whose every bound holds for all plans."""
    result = solver(name).solve(problem, Budget.of(seconds, workers=1), order=order)
    truth = Truth(problem, order is Order.SAFE)
    values = tuple(level.value for level in result.levels)
    report = check(problem, result.plan)
    assert not report.violations
    assert report.levels == values
    assert not result.notes
    assert values in truth.values
    for k, level in enumerate(result.levels):
        assert level.bound <= truth.least(k, values)
    if result.status is Status.OPTIMAL:
        assert values == truth.values[0]
    return result


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(50))
def test_no_bound_of_exchanges_is_false(seed: int, order: Order) -> None:
    """Whatever is drawn; order-safe and without conflicts all is proven."""
    drawn = map(draw, count(100 * seed))
    problem = next(one for one in drawn if solver("fragments").supports(one) is None)
    result = judged(problem, "fragments", order, 20)
    assert result.status is Status.OPTIMAL or order is not Order.SAFE or len(problem.limits)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(12))
def test_no_bound_of_the_portfolio_is_false(seed: int, order: Order) -> None:
    """Also where local search alone can serve."""
    judged(draw(seed + 1000, zeros=0.4), "portfolio", order, 0.2)


@pytest.mark.parametrize("seed", range(60))
def test_bounds_without_search_hold(seed: int) -> None:
    """Of the fragments for any order, and of what stays on hosts to be emptied for order-safe."""
    problem = draw(seed + 2000, drain=True)
    at = fragment_level(problem)
    assert at is not None
    bound = least_fragments(problem, problem.objective[at])
    if bound is not None:
        assert bound.value <= min(values[at] for values in Truth(problem, safe=False).values)
    assert problem.objective[0].terms[0].kind is TermKind.DRAINED
    assert fewest_left(problem) <= Truth(problem, safe=True).values[0][0]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(30))
def test_counts_prove_whatever_is_drawn(seed: int, order: Order) -> None:
    """VMs without units, conflicts, pins, drains and several resources at once; all is proven.

    In waves the best placement may be one that no waves lead to; then its bound still holds.
    """
    result = judged(draw(seed + 3000, zeros=0.3), "counts", order, 20)
    assert result.status is Status.OPTIMAL or result.dropped


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(25))
def test_conflicts_are_kept_in_any_order(seed: int, order: Order) -> None:
    """Exchanges bound them, and count them where leavers are in the way; counts are exact."""
    drawn = (draw(n, conflicts=2) for n in count(9000 + 50 * seed))
    problem = next(one for one in drawn if solver("fragments").supports(one) is None)
    bounded = judged(problem, "fragments", order, 20)
    exact = judged(problem, "counts", order, 20)
    assert exact.status is Status.OPTIMAL or exact.dropped
    assert exact.levels[0].value <= bounded.levels[0].value or exact.dropped


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("terms", [OBJECTIVES[5], OBJECTIVES[6]])
@pytest.mark.parametrize("seed", range(12))
def test_cores_and_memory_in_one_ratio_are_proven_together(
    seed: int, terms: Blocks, order: Order
) -> None:
    """Where all VMs take them so, exchanges price a weighted sum of both."""
    drawn = (draw(n, terms=terms, ratio=2, zeros=0.0) for n in count(20_000 + 50 * seed))
    problem = next(one for one in drawn if solver("fragments").supports(one) is None)
    result = judged(problem, "fragments", order, 20)
    assert result.status is Status.OPTIMAL or order is not Order.SAFE or len(problem.limits)


@pytest.mark.parametrize("order", ORDERS)
def test_tiny_steps_leave_a_small_gap(order: Order) -> None:
    """Weights that make FR16 and MEM64 comparable: bounds hold, and are near what is found."""
    problem = with_objective(snapshot(0, pms=20).replace(max_moves=5), "fr16:2,mem64")
    exact = solver("counts").solve(problem, Budget.of(60), order=order)
    priced = solver("fragments").solve(problem, Budget.of(20), order=order)
    assert exact.status is Status.OPTIMAL
    assert priced.levels[0].bound <= exact.levels[0].value <= priced.levels[0].value
    assert priced.levels[0].gap < 0.1


@pytest.mark.parametrize("seed", [409, 414, 425, 446, 480])
def test_counts_prove_what_exchanges_leave_open(seed: int) -> None:
    """In waves prices take more room for granted than there is; the portfolio asks both."""
    problem = draw(seed)
    assert judged(problem, "fragments", Order.WAVES, 5).status is Status.FEASIBLE
    assert judged(problem, "portfolio", Order.WAVES, 20).status is Status.OPTIMAL
