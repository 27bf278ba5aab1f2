"""Compiled annealing as an improver: the fastest way to good placements of hundreds of items."""

from __future__ import annotations

import numpy as np

from optsched.arrays import Bools
from optsched.budget import Budget
from optsched.classes import pinned_use
from optsched.kernels.annealing import anneal
from optsched.kernels.jit import COMPILED
from optsched.levels import TermKind
from optsched.plan import Placement
from optsched.problem import Evict, PlacementProblem
from optsched.solvers.ladder import Found, Ladder
from optsched.solvers.loosening import tied_items

SLICE = 40  # batches between two looks at the clock (about 5 ms compiled)
FIRST = 200  # batches of the first run
POLISH = 50  # batches of a run that mends a placement
# Weights of the level in work and of those after it; of locked levels, which must not get worse; of
# what is not allowed at all; and of overload by one average item, over the level in work.
NEXT = (16.0, 4.0, 1.0, 0.25)
LOCKED, NEVER, OVERLOAD = 60.0, 1e9, 2.0
CHARGE = 1.5  # of each overloaded resource of a host, so that none is left in the end
HOT, COLD = 2.0, 0.04  # temperatures at the start and the end of a run


class Annealing:
    """Improves all levels up to the one asked for at once; proves nothing.

    Parameters
    ----------
    seed
        Of the random stream.
    longest
        Batches of the longest run; runs double in length up to it.
    """

    def __init__(self, seed: int = 0, *, longest: int = 6400) -> None:
        self.seed, self.longest = seed, longest

    def __call__(self, ladder: Ladder, level: int, budget: Budget) -> Found:
        """Anneal until the level meets its bound or a round of runs is over."""
        search = _Search(ladder, level, self.seed)
        batches = FIRST
        while COMPILED and search.possible and batches <= self.longest:
            for hot in (1.0, 0.3):
                if ladder.proven(level) or budget.over():
                    return Found()
                placement = search.run(batches, hot, budget)
                if placement is not None:
                    ladder.offer(placement)
            batches *= 2
        return Found()

    def roam(self, ladder: Ladder, budget: Budget) -> None:
        """Work on the first level that is not proven, whichever that is, until the budget ends."""
        length = FIRST
        while not budget.over() and not ladder.done():
            open_levels = [k for k in range(len(ladder.values)) if not ladder.proven(k)]
            if not open_levels:
                return  # proven by another thread since we looked
            level = open_levels[0]
            search = _Search(ladder.view(level), level, self.seed)
            if not search.possible or not COMPILED:
                return
            for hot in (1.0, 0.3):
                placement = search.run(length, hot, budget)
                if placement is not None:
                    ladder.offer(placement)
            self.seed += 1
            length = min(2 * length, self.longest)


def polish(
    ladder: Ladder, level: int, placement: Placement, budget: Budget, *, seed: int = 0
) -> None:
    """Offer what a cool run makes of a placement that may leave out what it must not."""
    search = _Search(ladder, level, seed)
    if COMPILED and search.possible:
        better = search.run(POLISH, 0.3, budget, placement)
        if better is not None:
            ladder.offer(better)


class _Search:
    """The problem as arrays for the kernel: movable and pending items of the tiers in play."""

    def __init__(self, ladder: Ladder, level: int, seed: int) -> None:
        self.ladder, self.level = ladder, level
        problem, items = ladder.problem, ladder.problem.items
        self.play = play = ladder.in_play(level)
        free = ladder.items_of(play) & ~tied_items(problem) & (items.cells_needed == 0)
        self.items = np.flatnonzero(free)
        self.possible = self._possible(problem)
        if not self.possible:
            return
        self.home = items.host0[self.items]
        self.state = np.array([(seed * 2 + 88172645463325253) % (1 << 64)], dtype=np.uint64)
        self.demand = items.demand[self.items].astype(np.float64)
        self.room = (problem.hosts.capacity - self._held(ladder, play)).astype(np.float64)
        self.row = problem.where.item_eligible[self.items]
        self.open_to = (problem.where.excluded == 0) & ~problem.hosts.drain
        self._close_crowded()
        self._weigh(problem)

    def _close_crowded(self) -> None:
        """Let overcommitted hosts keep what they hold and receive nothing."""
        load, runs = np.zeros_like(self.room), self.home >= 0
        np.add.at(load, self.home[runs], self.demand[runs])
        crowded = (load > self.room).any(axis=1)
        self.room[crowded] = np.maximum(self.room, load)[crowded]
        self.open_to = self.open_to & ~crowded

    def _possible(self, problem: PlacementProblem) -> bool:
        return bool(
            len(self.items)
            and len(problem.hosts)
            and problem.evict in (Evict.NEVER, Evict.ANY)
            and not problem.protect_higher
            and problem.max_moves < 0
        )

    def _held(self, ladder: Ladder, play: Bools) -> np.ndarray:
        """(H, R) use by everything that the search does not move, in the incumbent."""
        problem, items = ladder.problem, ladder.problem.items
        use = pinned_use(problem, ladder.classes)
        fixed = ladder.items_of(play) & (ladder.placement.host >= 0)
        fixed[self.items] = False
        np.add.at(use, ladder.placement.host[fixed], items.demand[fixed])
        return use

    def _weigh(self, problem: PlacementProblem) -> None:
        items = problem.items
        self.out, self.move = np.zeros(len(self.items)), np.zeros(len(self.items))
        tier, runs = items.tier[self.items], self.home >= 0
        for at, level in enumerate(problem.objective):
            weight = LOCKED if at < self.level else NEXT[min(at - self.level, len(NEXT) - 1)]
            for term in level.terms:
                mine = (tier == term.tier) | (term.tier < 0)
                if term.kind is TermKind.UNPLACED:
                    self.out += np.where(mine, weight * items.weight[self.items], 0)
                elif term.kind is TermKind.EVICTED:
                    self.out += np.where(mine & runs, weight, 0)
                elif term.kind is TermKind.MOVED:
                    self.move += np.where(mine & runs, weight, 0)
        bound = runs & ((problem.evict is Evict.NEVER) | ~items.evictable[self.items])
        self.out[bound] = NEVER
        mean = np.maximum(self.demand.mean(axis=0), 1e-9)
        self.price = OVERLOAD * NEXT[0] / mean / len(mean)

    def run(
        self, batches: int, hot: float, budget: Budget, start: Placement | None = None
    ) -> Placement | None:
        """One run from `start` or the incumbent; the best placement it saw, if it saw one."""
        host = (self.ladder.placement if start is None else start).host[self.items].copy()
        load = np.zeros_like(self.room)
        placed = np.flatnonzero(host >= 0)
        np.add.at(load, host[placed], self.demand[placed])
        best, cost = host.copy(), np.inf
        temperature = HOT * hot
        cooling = float((COLD / temperature) ** (1.0 / batches))
        done = 0
        while done < batches and not budget.over():
            some = min(SLICE, batches - done)
            cost, temperature = anneal(
                self.demand, self.room, self.row, self.open_to, self.home, host, self.out,
                self.move, self.price, CHARGE, load, best, cost, temperature, cooling, some,
                self.state,
            )  # fmt: skip
            done += some
        if not np.isfinite(cost):
            return None
        whole = self.ladder.placement.host.copy()
        whole[self.items] = best
        return self.ladder.complete(whole, self.play)
