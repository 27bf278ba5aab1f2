"""Column generation over host patterns: the bound of a level, and good placements on the way.

Formulation: solvers.md's stay stage and tier stages, generalised to every level of the objective.
Rules that patterns do not know (limits, gangs, who may evict whom) are left out, which can only
lower the bound: it stays valid, and placements are checked before they are taken.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.budget import Budget
from optsched.classes import count, eligible, pinned_use
from optsched.kernels.jit import COMPILED
from optsched.kernels.pricing import best_pattern
from optsched.levels import Level, TermKind
from optsched.plan import Placement
from optsched.result import Bound
from optsched.solvers.closing import Closing
from optsched.solvers.ladder import Found, Ladder
from optsched.solvers.master import PENALTY, SCALE, Duals, Group, Lock, Master
from optsched.solvers.programs import interrupting
from optsched.solvers.relaxation import first_duals

NAMES = {
    TermKind.UNPLACED: "unplaced",
    TermKind.EVICTED: "evicted",
    TermKind.MOVED: "moved",
}  # of a lock's fields
# Nodes of one pricing search: few while columns still come easily, more when they do not. A search
# that is cut short bounds its host by the root's bound.
NODES = (2_000, 30_000, 1_000_000, 10_000_000)
PER_SECOND = 10_000_000  # nodes, so that a search is cut short before time is far over
GENERATE = 0.65  # share of the time for columns; the rest is for whole combinations
KEPT = 4  # patterns that one pricing may add
LARGEST_WEIGHT = 1 << 16  # of an item; beyond, prices could outgrow 64 bits
LARGEST_COST = 1 << 10  # of one item in a level
LARGEST_PRICE = 1 << 45  # beyond, floating point loses whole units of pattern values
# Width of the box of duals: at the start, for an average item, in units of the goal; when the best
# duals lie on its border; after so many rounds that found no better duals.
WIDTH, WIDER, NARROWER, PATIENCE = 0.2, 2.0, 0.5, 4
TIGHT = 0.02  # between bound and LP


class ColumnGeneration:
    """Bounds one level, and may improve it, by patterns.

    Parameters
    ----------
    stays
        Whether patterns know who was there before. Without, hosts of one kind share all patterns,
        which is fast, but then only levels that count placements are bounded.
    integer
        Whether to look for a whole solution over the columns at the end.

    Without numba pricing would take minutes, so nothing is found then.
    """

    def __init__(self, *, stays: bool, integer: bool = True) -> None:
        self.stays, self.integer = stays, integer
        self._last: Closing | None = None

    def __call__(self, ladder: Ladder, level: int, budget: Budget) -> Found:
        """Generate columns until the bound is met, nothing improves, or time is up."""
        locks = _locks(ladder, level, self.stays)
        if not COMPILED or locks is None or (self.stays and not _stays_matter(ladder, locks)):
            return Found()
        closing = self._resume(ladder, level, locks)
        run = closing.run
        run.budget = budget.share(GENERATE) if self.integer else budget
        with (
            interrupting(budget.stop) as run.master.lp.interrupter,
            ThreadPoolExecutor(max_workers=budget.workers) as pool,
        ):
            bound = run.generate(pool)
            if not run.started:
                return Found()
            run.budget = budget
            if self.integer:
                bound = closing.close()
        return Found(bound=Bound(bound, "patterns (column generation)"))

    def _resume(self, ladder: Ladder, level: int, locks: list[Lock]) -> Closing:
        """The run that was left off, if it was for the same question."""
        last, asked = self._last, (ladder, level, ladder.values[:level])
        if last is None or (last.run.ladder, last.run.level, last.run.given) != asked:
            last = self._last = Closing(Generation(ladder, level, locks, self.stays))
        return last


def _locks(ladder: Ladder, level: int, stays: bool) -> list[Lock] | None:
    """The levels up to `level` as locks, the last one being the goal; None: not expressible."""
    items = ladder.problem.items
    if items.weight.max(initial=1) > LARGEST_WEIGHT:
        return None
    tier = items.tier[ladder.classes.first]
    locks = []
    for k, spec in enumerate(ladder.problem.objective[: level + 1]):
        known = _known(spec) and (stays or all(t.kind is not TermKind.MOVED for t in spec.terms))
        if known:
            first = spec.terms[0]
            each = {NAMES[term.kind]: term.weight for term in spec.terms}
            mask = (tier == first.tier) | (first.tier < 0)
            locks.append(Lock(mask, ladder.values[k], **each))
        elif k == level:
            return None
    return locks


def _known(spec: Level) -> bool:
    """Whether a level counts, once each and for the same items, what patterns know."""
    kinds = [term.kind for term in spec.terms]
    alike = len({term.tier for term in spec.terms}) == 1 and len(set(kinds)) == len(kinds)
    most = max((term.weight for term in spec.terms), default=0)
    return alike and set(kinds) <= NAMES.keys() and not spec.goal and most <= LARGEST_COST


def _stays_matter(ladder: Ladder, locks: list[Lock]) -> bool:
    """Whether any of the levels counts moves of items that could move."""
    running = ladder.classes.running > 0
    return any(lock.moved and (lock.mask & running).any() for lock in locks)


class Generation:
    """Columns for one level, given the values of the earlier ones."""

    budget: Budget

    def __init__(self, ladder: Ladder, level: int, locks: list[Lock], stays: bool) -> None:
        self.ladder, self.level = ladder, level
        problem, classes = ladder.problem, ladder.classes
        play = ladder.in_play(level)
        self.play = play
        self.integers = problem.items.demand[classes.first]
        self.demand = self.integers.astype(np.float64)
        now = count(problem, classes, Placement.current(problem)) * play[:, None]
        self.groups = _groups(ladder, play, now, stays)
        self.master = Master(problem, classes, self.groups, locks[:-1], locks[-1])
        self.best_duals: Duals | None = None
        mean = np.maximum(self.demand.mean(axis=0), 1e-9)
        self.scale = (self.demand / mean).mean(axis=1)
        self.given = ladder.values[:level]
        self.scaled, self.shown = -(1 << 80), 0
        self.effort = 0
        self.started = False
        self.tops: list[int] = []
        self.now = now
        self.limits = [np.minimum(g.most, classes.size) for g in self.groups]

    def generate(self, pool: ThreadPoolExecutor, *, tight: bool = False) -> int:
        """The best bound of the level that was reached.

        It ends when no whole value lies between the bound and the LP; `tight`: when they are next
        to equal, so that fewer patterns matter.
        """
        if self.budget.over():
            return 0
        master = self.master
        if not self.started:
            first = first_duals(master, self.integers, self.budget.remaining())
            if first is not None:
                self._price(first, pool, first)
            self.started = True
        self.add_present()
        width, nulls = WIDTH, 0
        self._recentre(width)
        while not self.budget.over() and self.bound < self.ladder.values[self.level]:
            if self.ladder.values[: self.level] != self.given:
                break  # another thread improved an earlier level: this bound is of no use
            solved = master.solve(self.budget.remaining())
            if solved is None:
                break
            closed = self.bound >= math.ceil(solved.value - 1e-6)
            closed &= not tight or self.scaled >= (solved.value - TIGHT) * SCALE
            if closed and (not solved.strained or width >= PENALTY):
                break
            before = self.scaled
            new = not closed and self._price(solved.duals, pool, solved.duals)
            if closed or self.scaled > before:
                nulls = 0
                if solved.strained:
                    width = min(width * WIDER, PENALTY)
                self._recentre(width)
            elif new:
                nulls += 1
                if nulls % PATIENCE == 0:
                    width *= NARROWER
                    self._recentre(width)
            elif self.effort + 1 < len(NODES):
                self.effort += 1
            elif solved.strained and width < PENALTY:
                width *= WIDER
                self._recentre(width)
            else:
                break
        return self.bound

    def _recentre(self, width: float) -> None:
        """Search for better duals around the best ones so far."""
        master, best = self.master, self.best_duals
        if best is None:
            master.unbox()
            return
        row = np.full(master.rows - len(master.groups), width)
        row[: len(self.scale)] = width * self.scale
        kept = master.keep
        row[master.keep_row[kept] - len(master.groups)] = width * self.scale[kept]
        master.box(best, row)

    @property
    def bound(self) -> int:
        """The best bound as a whole number: by prices, or shown otherwise, here or elsewhere."""
        known = 0
        if self.ladder.values[: self.level] == self.given:
            known = self.ladder.bounds[self.level].value
        return max(known, self.shown, -((-self.scaled) // SCALE))

    def add_present(self) -> None:
        """Patterns of the incumbent, so that the LP is feasible, and of others seen on the way."""
        ladder = self.ladder
        known = [self.now]
        for placement in (ladder.placement, *ladder.best.seen):
            known.append(count(ladder.problem, ladder.classes, placement) * self.play[:, None])
        for g, group in enumerate(self.groups):
            for h in group.hosts.tolist():
                for counts in known:
                    if (counts[:, h] <= self.limits[g]).all():
                        self.master.add(g, counts[:, h], np.minimum(counts[:, h], group.now))

    def _price(self, duals: Duals, pool: ThreadPoolExecutor, true: Duals) -> bool:
        """Price every group at `duals`; whether a pattern came that lowers the LP at `true`."""
        answers = self.answers(duals, pool, self.limits)
        if not answers:
            return False
        bound = self.master.bound(duals, [top for top, _ in answers])
        if bound > self.scaled:
            self.scaled, self.best_duals = bound, duals
            self.tops = [top for top, _ in answers]
        return self.take(answers, true)

    def answers(
        self, duals: Duals, pool: ThreadPoolExecutor, limits: list[Ints]
    ) -> list[tuple[int, list[Ints]]]:
        """Per group, an upper bound of the best pattern's value at `duals`, and patterns.

        Nothing if prices are out of range or time is up.
        """
        copy, stay = self.master.prices(duals)
        if max(np.abs(copy).max(initial=0), np.abs(stay).max(initial=0)) > LARGEST_PRICE:
            return []

        def one(g: int) -> tuple[int, list[Ints]] | None:
            return None if self.budget.over() else self._best(g, copy, stay, limits[g])

        answers = [one for one in pool.map(one, range(len(self.groups))) if one is not None]
        return answers if len(answers) == len(self.groups) else []

    def take(self, answers: list[tuple[int, list[Ints]]], true: Duals) -> bool:
        """Add the patterns that lower the LP at its duals `true`; whether there were any."""
        true_copy, true_stay = self.master.prices(true)
        useful = False
        for g, (_, patterns) in enumerate(answers):
            known = self.master.best_known(g, true_copy, true_stay)
            for counts in patterns:
                stays = np.minimum(counts, self.groups[g].now)
                if int(counts @ true_copy + stays @ true_stay) > known:
                    useful |= self.master.add(g, counts, stays)
        return useful

    def _best(self, g: int, copy: Ints, stay: Ints, most: Ints) -> tuple[int, list[Ints]]:
        """An upper bound of the best pattern's value in a group, and the patterns found."""
        group = self.groups[g]
        here = np.minimum(group.now, most)
        first = np.flatnonzero((here > 0) & (copy + stay > 0) & (stay > 0))
        rest_copies = np.where(stay > 0, most - here, most)
        rest = np.flatnonzero((rest_copies > 0) & (copy > 0))
        which = np.concatenate([first, rest])
        value = np.concatenate([(copy + stay)[first], copy[rest]])
        copies = np.concatenate([here[first], rest_copies[rest]])
        found = np.zeros((KEPT, len(which)), np.int64)
        known = self.master.best_known(g, copy, stay)
        _, top, number = best_pattern(
            group.room.astype(np.float64),
            self.demand[which],
            value,
            copies,
            known,
            min(NODES[self.effort], 1 + int(PER_SECOND * self.budget.remaining())),
            found,
        )
        patterns = []
        for row in found[:number]:
            counts = np.zeros(len(copy), np.int64)
            np.add.at(counts, which, row)
            patterns.append(counts)
        return int(top), patterns


def _groups(ladder: Ladder, play: Bools, now: Ints, stays: bool) -> list[Group]:
    """Hosts that patterns cannot tell apart, together."""
    problem, classes = ladder.problem, ladder.classes
    demand = problem.items.demand[classes.first]
    room = problem.hosts.capacity - pinned_use(problem, classes)
    # Overcommitted hosts may keep what they hold; allowing them more only lowers the bound.
    room = np.maximum(room, now.T @ demand)
    may_enter = eligible(problem, classes) & play[:, None]
    most = np.where(may_enter, classes.size[:, None], now)
    wants = demand > 0
    for k in range(len(classes)):
        if wants[k].any():
            fit = (room[:, wants[k]] // demand[k, wants[k]]).min(axis=1)
            most[k] = np.minimum(most[k], np.maximum(fit, now[k]))
    key = np.vstack([room.T, most] + ([now] if stays else []))
    _, first, which = np.unique(key, axis=1, return_index=True, return_inverse=True)
    seen = now if stays else np.zeros_like(now)
    return [
        Group(np.flatnonzero(which.ravel() == g), room[h], seen[:, h], most[:, h])
        for g, h in enumerate(first.tolist())
    ]
