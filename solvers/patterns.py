"""`patterns`: column generation over host patterns, with annealing for a start."""

from __future__ import annotations

import time

from optsched.budget import Budget
from optsched.plan import Order, Plan
from optsched.problem import PlacementProblem
from optsched.result import Result, conclude
from optsched.solvers.annealing import Annealing
from optsched.solvers.column_generation import ColumnGeneration
from optsched.solvers.ladder import Ladder, Step
from optsched.solvers.perfect import PerfectPacking

# Above this many (class, host) pairs the LP of the first round takes longer than people wait.
LARGEST = 60_000


class Patterns:
    """Bounds by patterns of hosts, placements from whole combinations of them."""

    name = "patterns"

    def supports(self, problem: PlacementProblem) -> str | None:
        """None, or why not: no cells yet, and not too many classes times hosts."""
        if problem.items.cells_needed.any():
            return "patterns does not choose cells (NUMA nodes, GPUs) yet"
        pairs = len(Ladder(problem).classes) * len(problem.hosts)
        if pairs > LARGEST:
            return f"patterns would need {pairs} class-host pairs; use local or portfolio"
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
        """Climb the levels by patterns."""
        started = time.monotonic()
        ladder = Ladder(problem, start.placement(problem) if start is not None else None)
        steps = pattern_steps(seed)
        while not ladder.done() and not budget.over():
            before = ladder.values, ladder.bounds[:]
            ladder.climb(steps, budget)
            if before == (ladder.values, ladder.bounds):
                break
        return conclude(
            problem, ladder.placement, ladder.bounds, solver=self.name, started=started, order=order
        )


def pattern_steps(seed: int, anneal: int = 800) -> list[Step]:
    """A short search, patterns of host kinds (cheap), then patterns that know who stays."""
    return [
        Step(Annealing(seed, longest=anneal), 0.25),
        Step(PerfectPacking(), 0.25),
        Step(ColumnGeneration(stays=False), 0.4),
        Step(ColumnGeneration(stays=True), 0.7),
    ]
