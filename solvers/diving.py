"""Diving: round the LP of a level up step by step, take back what was wrong, price what is left."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from optsched.arrays import Ints
from optsched.solvers.master import Floats, Relaxed

if TYPE_CHECKING:
    from optsched.solvers.column_generation import Generation

SURE = 0.8  # share of a column from which it is rounded up at once
NOISE = 0.5  # largest factor, below 1, by which a randomised dive shrinks a share
BANS = 8  # steps that are taken back before a dive is given up
WHOLE = 1e-6


class Dive:
    """One dive.

    Parameters
    ----------
    run
        The columns, and how to price more.
    random
        Shrinks shares at random; None: the largest share comes first.
    """

    def __init__(self, run: Generation, random: np.random.Generator | None) -> None:
        self.run, self.random = run, random
        # A dive that leaves out a little more than it may can often be mended, one that moves more
        # than it may hardly ever.
        self.strict = run.master.goal.follows
        self.fixed: dict[int, int] = {}
        self.banned: list[int] = []
        self._steps: list[tuple[dict[int, int], list[int]]] = []  # values before, columns raised

    def take(self, pool: ThreadPoolExecutor) -> list[int] | None:
        """How often each column is taken; None if the dive was given up."""
        run = self.run
        effort, run.effort = run.effort, min(run.effort, 1)
        run.master.unbox()
        try:
            return self._down(pool)
        finally:
            run.effort = effort
            for column in self.fixed:
                run.master.fix(column, 0)
            for column in self.banned:
                run.master.ban(column, math.inf)

    def _down(self, pool: ThreadPoolExecutor) -> list[int] | None:
        run, level, fresh = self.run, self.run.level, False
        while not run.budget.over():
            solved = run.master.solve(run.budget.remaining())
            if solved is None:
                return None
            hopeless = math.ceil(solved.value - WHOLE) >= run.ladder.values[level]
            whole = np.floor(solved.shares + WHOLE)
            part = solved.shares - whole
            if hopeless and self._steps and self.strict:
                if len(self.banned) == BANS:
                    return None
                # New patterns for what is left may help, but only once in a row.
                if not (fresh := not fresh and self._price(pool, solved, whole)):
                    self._back()
                continue
            fresh = False
            if part.max(initial=0.0) < WHOLE:
                return [int(n) for n in whole]
            raised, left = self._round_up(whole, part)
            moved = self._fix(whole, raised)
            new = self._price(pool, solved, whole, left)
            if not moved and not new:
                return [int(n) for n in whole]  # what is left fits nowhere
        return None

    def _fix(self, whole: Floats, raised: list[int]) -> bool:
        """Hold the LP to `whole`; whether that is more than before."""
        before = {}
        for column in np.flatnonzero(whole).tolist():
            if self.fixed.get(column, 0) != int(whole[column]):
                before[column] = self.fixed.get(column, 0)
                self.fixed[column] = int(whole[column])
                self.run.master.fix(column, self.fixed[column])
        if before:
            self._steps.append((before, raised))
        return bool(before)

    def _back(self) -> None:
        """Take the last step back, and do not raise again what it raised first."""
        before, raised = self._steps.pop()
        for column, value in before.items():
            self.fixed[column] = value
            self.run.master.fix(column, value)
        for column in raised[:1]:
            self.banned.append(column)
            self.run.master.ban(column, self.fixed.get(column, 0))

    def _left(self, whole: Floats) -> tuple[Ints, Ints]:
        """(K,) items and (G,) hosts that `whole` leaves."""
        master = self.run.master
        left = master.classes.size.copy()
        hosts = np.array([len(group.hosts) for group in master.groups])
        for column in np.flatnonzero(whole).tolist():
            left -= int(whole[column]) * master.columns[column][1]
            hosts[master.columns[column][0]] -= int(whole[column])
        return left, hosts

    def _price(
        self, pool: ThreadPoolExecutor, solved: Relaxed, whole: Floats, left: Ints | None = None
    ) -> bool:
        """Add patterns of what is left; whether there were any."""
        run = self.run
        some = self._left(whole)[0] if left is None else left
        limits = [np.clip(some, 0, most) for most in run.limits]
        return run.take(run.answers(solved.duals, pool, limits), solved.duals)

    def _round_up(self, whole: Floats, part: Floats) -> tuple[list[int], Ints]:
        """Raise `whole` by the largest shares that there is room for; these, and what is left."""
        columns = self.run.master.columns
        left, hosts = self._left(whole)
        noise = 0.0 if self.random is None else NOISE * self.random.random(len(part))
        raised: list[int] = []
        for column in np.argsort(-part * (1.0 - noise)).tolist():
            if part[column] < WHOLE or (raised and part[column] < SURE):
                break
            g, counts, _ = columns[column]
            if hosts[g] and (counts <= left).all():
                whole[column] += 1
                hosts[g] -= 1
                left -= counts
                raised.append(column)
        return raised, left
