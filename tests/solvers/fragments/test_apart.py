"""Exchanges planned without the limits, of which what keeps them is taken."""

from __future__ import annotations

import pytest
from vm_worlds import Truth, draw

from optsched.budget import Budget
from optsched.check import check
from optsched.generate.vm import snapshot
from optsched.objective import evaluate
from optsched.plan import Order
from optsched.registry import solver
from optsched.result import Status
from optsched.sequence import sequence
from optsched.solvers.fragments.apart import merged, without_limits
from optsched.solvers.fragments.exchange import Outcome, reschedule


@pytest.mark.parametrize("order", [Order.SAFE, Order.WAVES])
@pytest.mark.parametrize("seed", range(40))
def test_bounds_without_limits_hold_with_them(seed: int, order: Order) -> None:
    """No plan of the order is below them, and what is called proven is the optimum."""
    problem = draw(seed + 5000, conflicts=2, zeros=0)
    outcome = without_limits(problem, Budget.of(10, workers=1), 0, order)
    if isinstance(outcome, str):
        assert isinstance(reschedule(problem, Budget.of(10, workers=1), 0, order), str)
        return
    truth = Truth(problem, order is Order.SAFE)
    made = sequence(problem, outcome.placement, order)
    assert not made.dropped
    assert not check(problem, made.plan).violations
    values = evaluate(problem, outcome.placement)
    assert values in truth.values
    for k, bound in enumerate(outcome.bounds):
        assert bound is None or bound.value <= truth.least(k, values)
    if outcome.proven:
        assert values == truth.values[0]


@pytest.mark.parametrize("order", [Order.SAFE, Order.WAVES])
@pytest.mark.parametrize("seed", range(40))
def test_bounds_of_both_ways_hold_together(seed: int, order: Order) -> None:
    """Whichever placement is better, the bounds that are kept are bounds of it."""
    problem = draw(seed + 6000, conflicts=2, zeros=0)
    asked = (
        without_limits(problem, Budget.of(10, workers=1), 0, order),
        reschedule(problem, Budget.of(10, workers=1), 0, order),
    )
    ways = [way for way in asked if isinstance(way, Outcome)]
    if len(ways) < 2:
        return
    truth = Truth(problem, order is Order.SAFE)
    for one, other in (ways, ways[::-1]):
        both = merged(problem, one, other)
        values = evaluate(problem, both.placement)
        assert values == min(evaluate(problem, way.placement) for way in ways)
        for k, bound in enumerate(both.bounds):
            assert bound is None or bound.value <= truth.least(k, values)
        if both.proven and not sequence(problem, both.placement, order).dropped:
            assert values == truth.values[0]


@pytest.mark.parametrize("order", [Order.SAFE, Order.WAVES])
def test_many_groups_are_proven_where_plans_need_not_break_them(order: Order) -> None:
    """More classes than can be priced, and yet the bound is met."""
    problem = snapshot(3, pms=200, apart=200).replace(max_moves=20)
    assert "too many to price" in str(reschedule(problem, Budget.of(10, workers=1), 0, order))
    result = solver("portfolio").solve(problem, Budget.of(20, workers=1), order=order)
    assert result.status is Status.OPTIMAL
    assert result.levels[0].value < result.levels[0].stay
    assert not check(problem, result.plan).violations
