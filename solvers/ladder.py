"""Level by level: the incumbent, its bounds, and who may improve them.

Every exact solver climbs the same ladder: levels in the objective's order, each with the values of
the earlier ones locked. An incumbent is a complete, allowed placement at any time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.budget import Budget
from optsched.classes import ItemClasses, item_classes, pinned_use
from optsched.counters import Counters
from optsched.levels import TermKind
from optsched.objective import evaluate
from optsched.plan import Placement
from optsched.problem import Evict, PlacementProblem, When
from optsched.result import Bound
from optsched.solvers.search import loose_items
from optsched.state import State


@dataclass(frozen=True)
class Found:
    """What an improver found at one level; None: nothing."""

    placement: Placement | None = None
    bound: Bound | None = None


Improver = Callable[["Ladder", int, Budget], Found]


@dataclass(frozen=True)
class Step:
    """An improver, and the share of the remaining time that it may take."""

    improve: Improver
    share: float = 1.0


LAST = 0.7  # least share of the time for a step at the last open level
SEEN = 12  # placements that an incumbent remembers


class Incumbent:
    """The best placement so far, its values, and a bound per level; safe to share by threads.

    Attributes
    ----------
    placement, values
        The placement and its value at every level.
    bounds
        Per level, the best known bound given the values at all earlier levels.
    seen
        The last placements that were offered, good ones or not: a source of patterns.
    """

    def __init__(self, problem: PlacementProblem, counters: Counters) -> None:
        self._problem, self._counters = problem, counters
        self._lock = threading.Lock()
        self.placement = Placement.current(problem)
        self.values = evaluate(problem, self.placement)
        self.bounds: list[Bound] = [Bound(0, "counts are not negative")] * len(problem.objective)
        self.seen: deque[Placement] = deque(maxlen=SEEN)

    def offer(self, placement: Placement) -> bool:
        """Take `placement` if it is allowed and lexicographically better."""
        self.seen.append(placement)
        values = evaluate(self._problem, placement)
        if values >= self.values:
            return False
        if State(self._problem, placement, self._counters).violations():
            return False
        with self._lock:
            if values >= self.values:
                return False
            first = next(k for k, v in enumerate(values) if v != self.values[k])
            # Later bounds were conditional on values that have just changed.
            for k in range(first + 1, len(values)):
                self.bounds[k] = Bound(0, "counts are not negative")
            self.placement, self.values = placement, values
        return True

    def prove(self, level: int, bound: Bound, given: tuple[int, ...]) -> None:
        """Raise the bound of a level, if the values at all earlier ones still are `given`."""
        with self._lock:
            if self.values[:level] == given and bound.value > self.bounds[level].value:
                self.bounds[level] = bound


class Ladder:
    """A problem, what is derived from it once, and the incumbent with its bounds.

    Parameters
    ----------
    problem, start
        The problem, and a placement to start from.
    best
        An incumbent to share; by default a new one.
    """

    def __init__(
        self,
        problem: PlacementProblem,
        start: Placement | None = None,
        counters: Counters | None = None,
        best: Incumbent | None = None,
    ) -> None:
        self.problem = problem
        self.classes: ItemClasses = item_classes(problem)
        self.counters = counters if counters is not None else Counters.of(problem)
        self.best = best if best is not None else Incumbent(problem, self.counters)
        self._last_view: tuple[bytes, Ladder] | None = None
        self._loose = loose_items(problem)
        if start is not None:
            self.offer(start)
        if best is None and not (len(self.classes) and len(problem.hosts)):
            for level, value in enumerate(self.values):
                self.best.prove(level, Bound(value, "nothing can change"), self.values[:level])

    @property
    def placement(self) -> Placement:
        """The incumbent."""
        return self.best.placement

    @property
    def values(self) -> tuple[int, ...]:
        """The incumbent's value at every level."""
        return self.best.values

    @property
    def bounds(self) -> list[Bound]:
        """Per level, the best bound given the incumbent's values at all earlier levels."""
        return self.best.bounds

    def offer(self, placement: Placement) -> bool:
        """Take `placement` as the incumbent if it is allowed and lexicographically better."""
        return self.best.offer(placement)

    def proven(self, level: int) -> bool:
        """Whether the incumbent meets the bound of the level."""
        return self.values[level] <= self.bounds[level].value

    def in_play(self, level: int) -> Bools:
        """(K,) the classes that can matter up to `level`.

        Where anything may be evicted for an item of a higher tier, lower tiers do not bind: what
        is in the way is evicted, at no cost in the levels up to this one.
        """
        tiers = [t.tier for lv in self.problem.objective[: level + 1] for t in lv.terms]
        item_terms = all(
            t.kind in (TermKind.UNPLACED, TermKind.EVICTED, TermKind.MOVED)
            for lv in self.problem.objective[: level + 1]
            for t in lv.terms
        )
        items = self.problem.items
        running = items.movable & (items.host0 >= 0)
        free = bool(items.evictable[running].all()) and (items.gang < 0).all()
        lets_go = items.lets_go_first[running].all() or (self.problem.when == When.AFTER).all()
        whole = (
            self.problem.evict is not Evict.ANY
            or not (free and lets_go)
            or -1 in tiers
            or not item_terms
            or self.problem.protect_higher
            or len(self.problem.budgets.groups.values)
            or self.problem.max_moves >= 0
            or len(self.problem.limits)
            or items.cells_needed.any()
        )
        if whole:
            return np.ones(len(self.classes), bool)
        return np.asarray(items.tier[self.classes.first] <= max(tiers))

    def items_of(self, play: Bools) -> Bools:
        """(I,) the items of the classes in `play`; pinned items are in no class."""
        return np.asarray(np.append(play, False)[self.classes.of_item])

    def complete(self, host: Ints, play: Bools) -> Placement:
        """A whole placement in which the items of the classes in play sit as `host` (I,) says.

        The others keep their place in the incumbent where there is room, highest tier first; those
        that lost it are put where they fit best, or left out. For `in_play` that is not everything.
        """
        if play.all():
            return Placement.of(self.problem, host)
        problem, items = self.problem, self.problem.items
        of_item = self.classes.of_item
        fixed = (of_item < 0) | self.items_of(play)
        result = np.where(fixed, host, NONE)
        room = problem.hosts.capacity - pinned_use(problem, self.classes)
        seated = np.flatnonzero(fixed & (of_item >= 0) & (result >= 0))
        np.subtract.at(room, result[seated], items.demand[seated])
        rest = np.flatnonzero(~fixed)
        largest = np.maximum(problem.hosts.capacity.max(axis=0, initial=1), 1)
        size = (items.demand[rest] / largest).sum(axis=1)
        homeless = []
        for item in rest[np.lexsort((size, items.tier[rest]))].tolist():
            home = int(self.placement.host[item])
            if home >= 0 and (items.demand[item] <= room[home]).all():
                result[item] = home
                room[home] -= items.demand[item]
            else:
                homeless.append(item)
        for item in homeless:
            open_to = problem.where.excluded[problem.where.item_eligible[item]] == 0
            fits = (items.demand[item] <= room).all(axis=1) & open_to & ~problem.hosts.drain
            if fits.any():
                target = int(np.where(fits, room.sum(axis=1), np.iinfo(np.int64).max).argmin())
                result[item] = target
                room[target] -= items.demand[item]
        return Placement.of(problem, result)

    def climb(self, steps: Sequence[Step], budget: Budget) -> None:
        """Go through the levels once, each with the improvers that may still help.

        A step's share is of the time that is left when it starts, so that later levels, and later
        rounds, always get some. At the last level that is open only later steps and rounds are to
        come: there every step gets at least the share `LAST`.
        """
        for level, spec in enumerate(self.problem.objective):
            for step in steps:
                if self.proven(level):
                    break
                if budget.over():
                    return
                budget.report(spec.name, value=self.values[level], bound=self.bounds[level].value)
                last = all(map(self.proven, range(level + 1, len(self.values))))
                share = max(step.share, LAST) if last else step.share
                self.take(step.improve, level, budget.share(share))

    def take(self, improve: Improver, level: int, budget: Budget) -> None:
        """Let one improver work on a level, and keep what it found."""
        given = self.values[:level]
        found = improve(self.view(level), level, budget)
        if found.placement is not None:
            self.offer(found.placement)
        if found.bound is not None:
            self.best.prove(level, found.bound, given)

    def frozen(self, level: int) -> Bools:
        """(I,) items that no plan as good on the levels before `level` can move or evict.

        Where the items of a tier are neither moved nor evicted, and the levels that say so are
        locked, all that run stay. So do those that no wave may disturb.
        """
        items = self.problem.items
        still = {TermKind.EVICTED: set[int](), TermKind.MOVED: set[int]()}
        if self.problem.evict is Evict.NEVER:
            still[TermKind.EVICTED] |= {*range(len(self.problem.tiers))}
        for value, spec in zip(self.values[:level], self.problem.objective, strict=False):
            for term in spec.terms if value == 0 else ():
                if term.kind in still:
                    tiers = range(len(self.problem.tiers)) if term.tier < 0 else (term.tier,)
                    still[term.kind] |= set(tiers)
        quiet = sorted(still[TermKind.EVICTED] & still[TermKind.MOVED])
        still_there = np.isin(items.tier, quiet) | ~self._loose
        return np.asarray(still_there & items.movable & (items.host0 >= 0))

    def view(self, level: int) -> Ladder:
        """The same incumbent over a problem in which frozen items are pinned."""
        frozen = self.frozen(level)
        if not frozen.any():
            return self
        key, last = frozen.tobytes(), self._last_view
        if last is None or last[0] != key:
            movable = self.problem.items.movable & ~frozen
            movable.setflags(write=False)
            problem = self.problem.replace(items=replace(self.problem.items, movable=movable))
            last = key, Ladder(problem, counters=self.counters, best=self.best)
            self._last_view = last
        return last[1]

    def done(self) -> bool:
        """Whether every level is proven."""
        return all(self.proven(level) for level in range(len(self.values)))
