"""From columns to placements: rounding, combining, and deciding what the LP leaves open."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.classes import count, deal
from optsched.plan import Placement
from optsched.solvers.annealing import polish
from optsched.solvers.diving import Dive
from optsched.solvers.enumeration import Pool, choose, columns_within, patterns_within
from optsched.solvers.master import SCALE

if TYPE_CHECKING:
    from optsched.solvers.column_generation import Generation

BRIEF, LONG = 0.3, 0.6  # shares of the time to decide whether a level can take a value
PART = 0.5  # share of that for each model with some of the patterns
FAR = 3  # from the bound; values farther away are left to dives
NONE, ALL = Fraction(0), Fraction(1)
SHARES = *(Fraction(n, 16) for n in (2, 3, 4, 6, 8, 12)), ALL  # of the gap
HALVINGS = 4  # of the first share that allows too many patterns
DIVING = 0.5  # share of the time for dives after the first; these are randomised
REPEATS = 3  # dives that end as an earlier one did, before they are given up
# Patterns in one model: so many at first, and at most; after a failure four times more.
FEW, MOST, MORE = 1_000, 64_000, 4
PER_SECOND = 8_000  # patterns in a model that is built and presolved within a second, at least


class Closing:
    """Improves the incumbent, or the bound, of one level with the columns of a generation."""

    def __init__(self, run: Generation) -> None:
        self.run, self.models = run, 0
        self.random = np.random.default_rng(run.level)
        self.dives, self.until = 0, 0.0
        self.barren: dict[tuple[int, int], Fraction] = {}  # of the gap, by target and bound
        self.ends: set[bytes | None] = set()
        self.repeats = 0

    def close(self) -> int:
        """Improve the incumbent or the bound until they meet; the bound of the level."""
        run, level, ladder = self.run, self.run.level, self.run.ladder
        if run.best_duals is None:
            return run.bound
        run.add_present()
        self.until = (1 - DIVING) * run.budget.remaining()
        few, dives = (self._tighten, self._meet), (self._dive_on, self._combine)
        # Where moves count, prices leave few patterns; where they do not, dives are often enough.
        then = (*few, *dives) if run.master.goal.follows else (*dives, *few)
        for way in (self._dive, self._combine, *then, self._better, self._rise):
            if self._over():
                break
            if way():
                return ladder.values[level]
        return run.bound

    def _over(self) -> bool:
        """Whether the bound is met, time is up, or another thread improved an earlier level."""
        run, values = self.run, self.run.ladder.values
        met = run.bound >= values[run.level]
        return met or run.budget.over() or values[: run.level] != run.given

    # ------------------------------------------------------------------- dives

    def _dive(self) -> bool:
        """A placement by rounding the LP step by step, with new patterns for what is left."""
        run = self.run
        with ThreadPoolExecutor(max_workers=run.budget.workers) as pool:
            taken = Dive(run, self.random if self.dives else None).take(pool)
        self.dives += 1
        key = None if taken is None else np.array(taken).tobytes().rstrip(b"\0")
        self.repeats += key in self.ends
        self.ends.add(key)
        for placement in [] if taken is None else self._deal(run.master.columns, taken):
            if not run.ladder.offer(placement):
                polish(run.ladder, run.level, placement, run.budget, seed=self.dives)
        return False

    def _dive_on(self) -> bool:
        """Many dives, each with other shares first."""
        self.repeats = 0
        while not self._over() and self.run.budget.remaining() > self.until:
            self._dive()
            if self.repeats == REPEATS:
                break
        return False

    # --------------------------------------------------------- whole solutions

    def _combine(self) -> bool:
        """A placement as good as the bound, of whole multiples of the columns."""
        return self._of_columns(self.run.bound)

    def _better(self) -> bool:
        """A placement that is better at all, of whole multiples of the columns."""
        return self._of_columns(self.run.ladder.values[self.run.level] - 1)

    def _of_columns(self, target: int) -> bool:
        run = self.run
        pool = columns_within(run.master, self._prices(), self._least(target), FEW)
        self._offer(pool, target, run.budget.share(BRIEF))
        return False

    def _tighten(self) -> bool:
        """Better prices, at which fewer patterns matter."""
        run, budget = self.run, self.run.budget
        run.budget = budget.share(BRIEF)
        with ThreadPoolExecutor(max_workers=budget.workers) as pool:
            run.generate(pool, tight=True)
        run.budget = budget
        return False

    def _meet(self) -> bool:
        """From the bound upwards, as long as it can be decided whether the level can take it."""
        run = self.run
        while not self._over():
            if self._reach(run.bound, BRIEF, MORE * FEW) is None:
                return False
        return run.bound >= run.ladder.values[run.level]

    def _rise(self) -> bool:
        """As `_meet` with more patience; then values that are next to the bound."""
        run, step = self.run, 0
        while not self._over() and step <= FAR:
            most = run.ladder.values[run.level] - 1
            target = min(run.bound + step, most)
            if self._reach(target, LONG, MOST) is None:
                if target == most:
                    break
                step = 2 * step + 1
        return run.bound >= run.ladder.values[run.level]

    def _reach(self, target: int, patience: float, most: int) -> bool | None:
        """Whether the level can take `target`: then the incumbent does, else the bound rises.

        Placements that good mostly take patterns that are worth next to as much as the best, so
        that few of them are often enough. None: not known in a share `patience` of the time, with
        at most `most` patterns.
        """
        run = self.run
        budget, key = run.budget.share(patience), (target, run.scaled)
        for pool, share in self._pools(target, budget, self.barren.get(key, NONE), most):
            own = budget if share == ALL else budget.share(PART)
            reached = self._offer(pool, target, own)
            if reached:
                return True
            if reached is False:
                self.barren[key] = share
                if share == ALL:
                    run.shown = max(run.shown, target + 1)
                    return False
        return None

    def _pools(
        self, target: int, budget: Budget, low: Fraction, most: int
    ) -> Iterator[tuple[Pool, Fraction]]:
        """Patterns within growing shares of the gap, above `low`, as long as at most `most`."""
        run, size, limit = self.run, 0, FEW

        def within(share: Fraction) -> Pool | None:
            least = self._least(target, share)
            many = min(limit, int(budget.remaining() * PER_SECOND))
            return patterns_within(run.master, run.integers, self._prices(), least, many, budget)

        while not budget.over():
            high = ALL
            for share in SHARES:
                if share <= low:
                    continue
                pool = within(share)
                if pool is None:
                    high = share
                    break
                if len(pool.group) > size or share == ALL:
                    yield pool, share
                low, size = share, len(pool.group)
            largest = None
            for _ in range(HALVINGS if low < ALL else 0):
                pool = within(middle := (low + high) / 2)
                if pool is None:
                    high = middle
                else:
                    low, largest = middle, pool
            if largest is not None and len(largest.group) > size:
                size = len(largest.group)
                yield largest, low
            if low == ALL or limit >= most:
                return
            limit *= MORE

    def _prices(self) -> tuple[Ints, Ints]:
        duals = self.run.best_duals
        assert duals is not None
        return self.run.master.prices(duals)

    def _least(self, target: int, share: Fraction = ALL) -> list[int]:
        """Per group, what a pattern is worth at least that a placement worth `target` takes.

        With less than the whole of the gap, what most of its patterns are worth.
        """
        gap = int(share * (target * SCALE - self.run.scaled))
        return [top - gap for top in self.run.tops]

    def _offer(self, pool: Pool, target: int, budget: Budget) -> bool | None:
        """Offer a placement worth `target` of patterns in the pool; False: there is none."""
        run = self.run
        self.models += 1
        verdict = choose(run.master, pool, target, budget, seed=self.models)
        if verdict.taken is None:
            return False if verdict.none_better else None
        used = np.flatnonzero(verdict.taken).tolist()
        patterns = [(int(pool.group[p]), pool.counts[p], pool.stays[p]) for p in used]
        for placement in self._deal(patterns, verdict.taken[used].tolist()):
            run.ladder.offer(placement)
        return True if run.ladder.values[run.level] <= target else None

    def _deal(self, patterns: list[tuple[int, Ints, Ints]], taken: list[int]) -> list[Placement]:
        """The placement that takes each pattern so many times; none if rounding spoilt it."""
        run = self.run
        problem, classes = run.ladder.problem, run.ladder.classes
        counts = count(problem, classes, run.ladder.placement)
        counts[run.play] = 0
        free = [group.hosts.tolist() for group in run.groups]
        for times, (g, pattern, _) in zip(taken, patterns, strict=True):
            for _ in range(times):
                counts[:, free[g].pop()] += pattern
        try:
            placement = deal(problem, classes, counts)
        except ValueError:
            return []
        return [run.ladder.complete(placement.host, run.play)]
