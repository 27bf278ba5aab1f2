"""`portfolio`: free bounds first, then the cheapest solver that can still help."""

from __future__ import annotations

import time

from optsched.budget import Budget
from optsched.plan import Order, Plan
from optsched.problem import PlacementProblem
from optsched.result import Result, conclude
from optsched.solvers.annealing import Annealing
from optsched.solvers.counts import CpSat
from optsched.solvers.ladder import Ladder, Step
from optsched.solvers.patterns import LARGEST, pattern_steps

# Up to this many (class, host) pairs CP-SAT alone proves faster than columns are generated.
TINY = 64


class Portfolio:
    """The default solver."""

    name = "portfolio"

    def supports(self, problem: PlacementProblem) -> str | None:
        """Every placement problem."""
        del problem
        return None

    def solve(
        self,
        problem: PlacementProblem,
        budget: Budget,
        *,
        seed: int = 0,
        start: Plan | None = None,
        order: Order = Order.WAVES,
    ) -> Result:
        """Climb the levels until everything is proven or time is up."""
        started = time.monotonic()
        ladder = Ladder(problem, start.placement(problem) if start is not None else None)
        pairs = len(ladder.classes) * len(problem.hosts)
        if pairs <= LARGEST and not problem.items.cells_needed.any():
            exact(ladder, budget, seed, pairs)
        return conclude(
            problem, ladder.placement, ladder.bounds, solver=self.name, started=started, order=order
        )


def exact(ladder: Ladder, budget: Budget, seed: int, pairs: int) -> None:
    """For problems small enough to be proven: rounds over the levels with growing patience."""
    first = pattern_steps(seed)
    if pairs <= TINY:
        first.insert(1, Step(CpSat(seed), 0.5))
    ladder.climb(first, budget)
    patience = 1
    while not ladder.done() and not budget.over():
        steps = [
            Step(Annealing(seed + patience, longest=800 << patience), 0.3),
            *pattern_steps(seed + patience)[1:],
            Step(CpSat(seed + patience), 0.5),
        ]
        ladder.climb(steps, budget)
        patience += 1
