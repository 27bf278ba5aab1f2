"""`portfolio`: free bounds first, then the cheapest solver that can still help."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from optsched.budget import Budget
from optsched.kernels.jit import COMPILED
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
    """For problems small enough to be proven: rounds over the levels with growing patience.

    With more than one worker, one of them anneals all the time, while the others prove.
    """
    with Roaming(ladder, budget, seed) as prover:
        alone = prover.workers == budget.workers
        search, *patterns = pattern_steps(seed, anneal=800 if alone else 200)
        early = pairs <= TINY or _bound_by_more_than_room(ladder.problem)
        first = [Step(CpSat(seed), 0.5)] if early else []
        ladder.climb([search, *first, *patterns], prover)
        patience = 1
        while not ladder.done() and not budget.over():
            search = Step(Annealing(seed + patience, longest=800 << patience), 0.3)
            proof = Step(CpSat(seed + patience), 0.5)
            ladder.climb([*([search] if alone else []), *patterns, proof], prover)
            patience += 1


def _bound_by_more_than_room(problem: PlacementProblem) -> bool:
    """Whether rules bind that neither annealing nor patterns know, but CP-SAT does."""
    return bool(len(problem.limits) or (problem.items.gang >= 0).any())


class Roaming:
    """A thread that anneals while its context lasts; gives the budget that is left for others."""

    def __init__(self, ladder: Ladder, budget: Budget, seed: int) -> None:
        self._ladder, self._budget, self._seed = ladder, budget, seed
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Budget:
        if self._budget.workers < 2 or not COMPILED:
            return self._budget
        own = replace(self._budget, stop=lambda: self._stop.is_set() or self._budget.stop())
        search = Annealing(self._seed + 1000)
        self._thread = threading.Thread(target=search.roam, args=(self._ladder, own), daemon=True)
        self._thread.start()
        return replace(self._budget, workers=self._budget.workers - 1)

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
