"""The end of a solve: what sequencing and checking take is kept back from the search.

How long that is depends on the plan and on the machine, so it is measured on the way, on
incumbents. Where the last of them is the answer, nothing is done twice.
"""

from __future__ import annotations

import time
from dataclasses import replace

from optsched.budget import Budget
from optsched.plan import Order, Placement
from optsched.problem import PlacementProblem
from optsched.result import Way, way

# Seconds that are kept back before anything is measured, and seconds per item; after that, so many
# times what was measured; never more than this share of all time.
LEAST, EACH, MARGIN, MOST = 0.02, 1e-5, 1.5, 0.6
# For whoever prints the answer: so many seconds, at most this share of all time.
PRINT, PRINTED = 0.04, 0.004


class Ending:
    """What is kept back of a budget, and the ways found when it was measured.

    Parameters
    ----------
    problem, order, solver
        As for `result.way`.
    budget
        Of the whole solve.

    Attributes
    ----------
    ways
        One per placement that was measured, oldest first.
    least
        Seconds that are kept back in any case.
    """

    def __init__(
        self, problem: PlacementProblem, order: Order, budget: Budget, solver: str
    ) -> None:
        self.problem, self.order, self.budget, self.solver = problem, order, budget, solver
        self.ways: list[Way] = []
        self._most = MOST * budget.remaining()
        self.least = LEAST + min(PRINT, PRINTED * budget.remaining())
        self._kept = min(self._most, self.least + EACH * len(problem.items))

    def search(self) -> Budget:
        """The budget for the search: it is over once only what is kept back remains."""
        own = replace(self.budget, deadline=self.budget.deadline - self._kept)
        return replace(own, stop=lambda: self.budget.stop() or self._late())

    def proofs(self, placement: Placement) -> Budget:
        """The budget for bounds of a placement: nothing more is kept back once it has a way."""
        if not any(one.placement is placement for one in self.ways):
            return self.search()
        return replace(self.budget, deadline=self.budget.deadline - min(self._most, self.least))

    def way(self, placement: Placement) -> Way:
        """The plan towards a placement, made once; keeps back as long as that took."""
        for one in self.ways:
            if one.placement is placement:
                return one
        started = time.monotonic()
        self.ways.append(way(self.problem, placement, self.order, self.solver))
        took = MARGIN * (time.monotonic() - started)
        self._kept = min(self._most, max(self._kept, self.least + took))
        return self.ways[-1]

    def _late(self) -> bool:
        return time.monotonic() >= self.budget.deadline - self._kept
