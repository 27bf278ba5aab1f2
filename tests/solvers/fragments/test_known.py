"""Snapshots whose optimum is known by construction."""

from __future__ import annotations

import pytest

from optsched.budget import Budget
from optsched.generate.known_fragments import KnownFragments, known_fragments
from optsched.plan import Order
from optsched.registry import solver
from optsched.result import Result, Status
from optsched.solvers.fragment_bounds import least_fragments

ORDERS = [Order.SAFE, Order.WAVES]


def proven(known: KnownFragments, name: str, order: Order) -> Result:
    """The result of a patient solve: proven, with the value that is known."""
    result = solver(name).solve(known.problem, Budget.of(20), order=order)
    assert result.status is Status.OPTIMAL
    assert result.levels[0].value == known.value
    return result


@pytest.mark.parametrize("name", ["fragments", "portfolio"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("moves", [3, 8, 20])
def test_the_known_optimum_is_found_and_proven(name: str, order: Order, moves: int) -> None:
    """With few moves, some, or more than there is to gain; no move is made for nothing."""
    known = known_fragments(7, pms=20, gains=12, moves=moves)
    assert len(proven(known, name, order).plan.moves()) == min(moves, 12)


@pytest.mark.parametrize("name", ["fragments", "portfolio"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("each", "moves"), [(2, 7), (2, 11), (3, 8), (3, 17)])
def test_what_single_moves_could_gain_is_not_the_bound(
    name: str, order: Order, each: int, moves: int
) -> None:
    """Where a block takes several moves, the bound without search is below what can be."""
    known = known_fragments(3, pms=24, gains=8, moves=moves, each=each)
    free = least_fragments(known.problem, known.problem.objective[0])
    assert (free.value if free else 0) < known.value
    result = proven(known, name, order)
    assert len(result.plan.moves()) <= moves
    if name == "fragments":
        assert result.levels[0].source == "exchange prices"


@pytest.mark.parametrize("order", ORDERS)
def test_counts_prove_what_the_free_bound_says(order: Order) -> None:
    """CP-SAT takes that bound for a row, and finds the moves."""
    known = known_fragments(7, pms=20, gains=12, moves=8)
    assert len(proven(known, "counts", order).plan.moves()) == 8


def test_greedy_is_no_better_and_allowed() -> None:
    """One move at a time is not above what is possible, and gains something."""
    known = known_fragments(7, pms=20, gains=12, moves=8)
    result = solver("fragments-greedy").solve(known.problem, Budget.of(20), order=Order.SAFE)
    assert known.value <= result.levels[0].value < result.levels[0].stay
