"""Short ways to ask the checker which rules a placement or plan breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from optsched.check import check, check_placement
from optsched.plan import Move, Order, Placement, Plan, Wave
from optsched.problem import PlacementProblem


@pytest.fixture
def after() -> Callable[..., set[str]]:
    """Rules that a placement, given as hosts (and cells), breaks."""

    def ask(problem: PlacementProblem, host: Sequence[int], cells: object = None) -> set[str]:
        placement = Placement.of(problem, host, cells)
        return {violation.rule for violation in check_placement(problem, placement)}

    return ask


@pytest.fixture
def along() -> Callable[..., set[tuple[str, int]]]:
    """Rules that waves of moves break, with the wave (-1: after the plan).

    A move is written (item, source, target, cell, cell, ...).
    """

    def ask(
        problem: PlacementProblem, *waves: Sequence[tuple[int, ...]], order: Order = Order.WAVES
    ) -> set[tuple[str, int]]:
        plan = Plan(
            problem.digest(),
            order,
            tuple(
                Wave(tuple(Move(one[0], one[1], one[2], one[3:]) for one in wave)) for wave in waves
            ),
        )
        report = check(problem, plan)
        return {(violation.rule, violation.wave) for violation in report.violations}

    return ask
