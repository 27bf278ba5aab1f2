"""From columns to placements: rounding, combining, and deciding what the LP leaves open."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from optsched.arrays import Ints
from optsched.classes import count, deal
from optsched.plan import Placement
from optsched.solvers.annealing import polish
from optsched.solvers.diving import Dive
from optsched.solvers.enumeration import choose, patterns_within
from optsched.solvers.master import SCALE

if TYPE_CHECKING:
    from optsched.solvers.column_generation import Generation

REACH = 0.25  # share of the time for one value between bound and incumbent
DIVING = 0.5  # share of the time for dives after the first; these are randomised
REPEATS = 3  # dives that end as an earlier one did, before they are given up
# Patterns that matter: as many as are enumerated at first, and at most; after a failure four times
# more, as long as time is spent in vain on too many of them.
FEW, MOST, MORE = 4_000, 64_000, 4
PER_SECOND = 8_000  # patterns in a model that is built and presolved within a second, at least


class Closing:
    """Improves the incumbent, or the bound, of one level with the columns of a generation."""

    def __init__(self, run: Generation) -> None:
        self.run, self.few = run, FEW
        self.random = np.random.default_rng(run.level)
        self.dives, self.given_up, self.until = 0, -1, 0.0
        self.ends: set[bytes | None] = set()
        self.repeats = 0

    def close(self) -> int:
        """Improve the incumbent or the bound until they meet; the bound of the level."""
        run, level, ladder = self.run, self.run.level, self.run.ladder
        run.add_present()
        self.until = (1 - DIVING) * run.budget.remaining()
        for way in (self._dive, self._rise, self._dive_on, self._combine, self._decide):
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
        """A placement from whole multiples of the columns, if one is found."""
        run = self.run
        taken = run.master.integer(run.budget.share(0.5).remaining())
        if taken is not None:
            for placement in self._deal(run.master.columns, taken):
                run.ladder.offer(placement)
        return False

    def _rise(self) -> bool:
        """From the bound upwards: values that the level may take, until one of them is open."""
        run, step = self.run, 1
        while not self._over():
            target = min(run.bound + step, run.ladder.values[run.level]) - 1
            reached = self._reach(target, REACH)
            if reached is None:
                return False
            step = 1 if reached else 2 * step
        return run.bound >= run.ladder.values[run.level]

    def _decide(self) -> bool:
        """Whether anything below the incumbent exists, which only few classes make possible."""
        run = self.run
        return self._reach(run.ladder.values[run.level] - 1, 0.5) is False

    def _reach(self, target: int, share: float) -> bool | None:
        """Whether the level can take `target`: then the incumbent does, else the bound rises.

        None: not known, for want of time or because too many patterns matter.
        """
        run = self.run
        gap = target * SCALE - run.scaled
        if run.best_duals is None or target == self.given_up:
            return None
        prices = run.master.prices(run.best_duals)
        least = [top - gap for top in run.tops]
        limit = min(self.few, int(run.budget.remaining() * PER_SECOND))
        pool = patterns_within(run.master, run.integers, prices, least, limit, run.budget)
        if run.budget.over():
            return None
        if pool is None:
            self.few *= MORE
            self.given_up = target if self.few > MOST else self.given_up
            return None
        verdict = choose(run.master, pool, target, run.budget.share(share))
        if verdict.none_better:
            run.shown = max(run.shown, target + 1)
            return False
        if verdict.taken is None:
            return None
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
