"""Goals of fragment rates that a plan does not reach."""

from __future__ import annotations

from collections.abc import Sequence

from optsched.plan import Order, Plan
from optsched.problem import PlacementProblem
from optsched.rates import ABOVE, fragment_level, share
from optsched.result import LevelValue

from .units import plural


def unmet_goal(
    problem: PlacementProblem, plan: Plan, levels: Sequence[LevelValue]
) -> tuple[str, ...]:
    """A sentence on how near to the goal the plan gets, and whether another could reach it."""
    at = fragment_level(problem)
    if at is None or not levels[at].value:
        return ()
    level = problem.objective[at]
    if not level.name.startswith(ABOVE):
        return ()
    goal = level.name.removeprefix(ABOVE)
    rate = share(problem, level, levels[at].value + level.goal)
    told = f"the goal {goal} is not reached, the rate is {rate:.4f}; "
    if not levels[at].bound:
        return (f"{told}it is not proven that it cannot be",)
    kind = "order-safe plan" if plan.order is Order.SAFE else "plan"
    most = f" of at most {plural(problem.max_moves, 'move')}" if problem.max_moves >= 0 else ""
    return (f"{told}proven: no {kind}{most} reaches it",)
