"""Fragments against the limit of moves: one master for all limits, as prices bound them all.

A plan for fewer moves is one for more: no value is above that of a lower limit. Prices found for
one limit bound all the others, so bounds are told at the end, by all prices that were tried.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from optsched.budget import Budget
from optsched.plan import Order
from optsched.problem import PlacementProblem
from optsched.result import conclude
from optsched.solvers.fragments.building import build
from optsched.solvers.fragments.decode import decode
from optsched.solvers.fragments.exchange import in_time
from optsched.solvers.fragments.goals import goals_of
from optsched.solvers.fragments.integer import Chosen, choose
from optsched.solvers.fragments.master import Master
from optsched.solvers.fragments.model import Model
from optsched.solvers.fragments.trim import keep_allowed

# Limit of moves, value of the fragments of a checked plan, a bound of it, and whether there was
# time to look for a plan; else that of a lower limit stands.
Row = tuple[int, int, int, bool]


def curve(
    problem: PlacementProblem,
    moves: Sequence[int],
    budget: Budget,
    seed: int = 0,
    order: Order = Order.SAFE,
) -> list[Row]:
    """For each limit of moves: the value of the fragments of a checked plan, and a bound of it.

    Both are for plans of the order. Empty if exchanges cannot express the problem; where time is
    up, the last plan found stands for all larger limits.
    """
    goals = goals_of(problem)
    limits = sorted(set(moves))
    if isinstance(goals, str) or goals.drained >= 0 or not limits:
        return []
    level = problem.objective[goals.fragments]
    models: list[Model] = []
    for safe in (True,) if order is Order.SAFE else (True, False):
        model = build(problem.replace(max_moves=limits[-1]), level, safe=safe)
        if isinstance(model, str):
            return []
        models.append(model)
    run = _Frontier(problem, models, order, seed)
    found: list[tuple[int, int, bool]] = []
    for done, limit in enumerate(limits):
        looked = not budget.over()
        if looked:
            run.look(limit, in_time(problem, budget.share(1 / (len(limits) - done)), order))
        found.append((limit, run.value, looked))
    return [(limit, value, run.bound(limit, value), looked) for limit, value, looked in found]


class _Frontier:
    """A master for each reading of the order, and the best plan so far.

    Attributes
    ----------
    value
        Of the fragments, of the best checked plan for the limits so far.
    """

    def __init__(
        self, problem: PlacementProblem, models: Sequence[Model], order: Order, seed: int
    ) -> None:
        self.problem, self.order, self.seed = problem, order, seed
        self.masters = [Master(model) for model in models]
        self.goal = problem.objective[0].goal
        self.value = max(models[0].value - self.goal, 0)

    def look(self, limit: int, budget: Budget) -> None:
        """Look for a better plan now that so many moves may be made."""
        for at, master in enumerate(self.masters):
            if not limit or not len(master.model.shapes) or budget.over():
                return
            if at and not master.tried:
                master.follow(self.masters[0])
            master.allow(limit)
            gained = (master.model.value - self.goal - self.value) // master.model.step
            master.generate(budget, gained)
            target = master.bound - (master.model.grain - 1)
            if np.isfinite(target) and np.floor(target) > gained:
                found = choose(master, budget, int(np.floor(target)), self.seed)
                if found.gain > gained:
                    self.value = min(self.value, self._checked(limit, master.model, found))

    def _checked(self, limit: int, model: Model, chosen: Chosen) -> int:
        """Value of the level for the plan that leads to the exchanges chosen."""
        problem = self.problem.replace(max_moves=limit)
        result = conclude(
            problem,
            keep_allowed(problem, decode(model, chosen)),
            [None] * len(problem.objective),
            solver="fragments",
            started=time.monotonic(),
            order=self.order,
        )
        return result.levels[0].value

    def bound(self, limit: int, value: int) -> int:
        """No plan for the limit has fewer fragments; `value` is what a checked plan has."""
        master = self.masters[-1]
        if not limit or not len(master.model.shapes):
            return value
        most = master.bound_at(limit, 0)
        if not np.isfinite(most):
            return 0
        least = max(master.model.value - master.model.step * int(np.floor(most)) - self.goal, 0)
        return least if least <= value else 0  # no bound is above what a checked plan reaches
