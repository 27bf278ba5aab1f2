"""Snapshots whose optimum is known by construction."""

from __future__ import annotations

import pytest

from optsched.budget import Budget
from optsched.generate.known_fragments import known_fragments
from optsched.plan import Order
from optsched.registry import solver
from optsched.result import Status


@pytest.mark.parametrize("name", ["fragments", "portfolio"])
@pytest.mark.parametrize("order", [Order.SAFE, Order.WAVES])
@pytest.mark.parametrize("moves", [3, 8, 20])
def test_the_known_optimum_is_found_and_proven(name: str, order: Order, moves: int) -> None:
    """With few moves, some, or more than there is to gain; no move is made for nothing."""
    known = known_fragments(7, pms=20, gains=12, moves=moves)
    result = solver(name).solve(known.problem, Budget.of(20), order=order)
    assert result.status is Status.OPTIMAL
    assert result.levels[0].value == known.value
    assert len(result.plan.moves()) == min(moves, 12)


def test_greedy_is_no_better_and_allowed() -> None:
    """One move at a time is not above what is possible, and gains something."""
    known = known_fragments(7, pms=20, gains=12, moves=8)
    result = solver("fragments-greedy").solve(known.problem, Budget.of(20), order=Order.SAFE)
    assert known.value <= result.levels[0].value < result.levels[0].stay
