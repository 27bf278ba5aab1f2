"""Level by level: the incumbent, its bounds, and who may improve them.

Every exact solver climbs the same ladder: levels in the objective's order, each with the values of
the earlier ones locked. An incumbent is a complete, allowed placement at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.budget import Budget
from optsched.classes import ItemClasses, item_classes, pinned_use
from optsched.counters import Counters
from optsched.levels import TermKind
from optsched.objective import evaluate
from optsched.plan import Placement
from optsched.problem import Evict, PlacementProblem
from optsched.result import Bound
from optsched.state import State


@dataclass(frozen=True)
class Step:
    """What an improver found at one level."""

    placement: Placement | None
    bound: Bound | None


Improver = Callable[["Ladder", int, Budget], Step]


class Ladder:
    """An incumbent with a bound per level.

    Attributes
    ----------
    problem, classes, counters
        The problem and what is derived from it once.
    placement, values
        The incumbent and its value at every level.
    bounds
        Per level, the best known bound given the incumbent's values at all earlier levels.
    """

    def __init__(self, problem: PlacementProblem, start: Placement | None = None) -> None:
        self.problem = problem
        self.classes: ItemClasses = item_classes(problem)
        self.counters = Counters.of(problem)
        self.placement = Placement.current(problem)
        self.values = evaluate(problem, self.placement)
        self.bounds: list[Bound] = [Bound(0, "counts are not negative")] * len(problem.objective)
        if start is not None:
            self.offer(start)

    def offer(self, placement: Placement) -> bool:
        """Take `placement` as the incumbent if it is allowed and lexicographically better."""
        values = evaluate(self.problem, placement)
        if values >= self.values:
            return False
        if State(self.problem, placement, self.counters).violations():
            return False
        first = next(k for k, v in enumerate(values) if v != self.values[k])
        # Later bounds were conditional on values that have just changed.
        for k in range(first + 1, len(values)):
            self.bounds[k] = Bound(0, "counts are not negative")
        self.placement, self.values = placement, values
        return True

    def prove(self, level: int, bound: Bound | None) -> None:
        """Raise the bound of a level, given the incumbent's values at all earlier ones."""
        if bound is not None and bound.value > self.bounds[level].value:
            self.bounds[level] = bound

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
        whole = (
            self.problem.evict is not Evict.ANY
            or not free
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

    def complete(self, host: Ints, play: Bools) -> Placement:
        """A whole placement in which the items of the classes in play sit as `host` (I,) says.

        The others keep their place in the incumbent where there is room, highest tier first; those
        that lost it are put where they fit best, or left out. For `in_play` that is not everything.
        """
        if play.all():
            return Placement.of(self.problem, host)
        problem, items = self.problem, self.problem.items
        of_item = self.classes.of_item
        fixed = (of_item < 0) | play[np.maximum(of_item, 0)]
        result = np.where(fixed, host, NONE)
        room = problem.hosts.capacity - pinned_use(problem, self.classes)
        seated = np.flatnonzero(fixed & (of_item >= 0) & (result >= 0))
        np.subtract.at(room, result[seated], items.demand[seated])
        rest = np.flatnonzero(~fixed)
        size = (items.demand[rest] / np.maximum(problem.hosts.capacity.max(axis=0), 1)).sum(axis=1)
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

    def climb(self, improvers: list[Improver], budget: Budget) -> None:
        """Work through the levels, each with a fair share of the time that is left."""
        for level, spec in enumerate(self.problem.objective):
            for improve in improvers:
                if self.proven(level) or budget.over():
                    break
                open_levels = len(self.problem.objective) - level
                share = budget if open_levels == 1 else budget.share(0.6)
                budget.report(spec.name, value=self.values[level], bound=self.bounds[level].value)
                before = self.values[:level]
                step = improve(self, level, share)
                if step.placement is not None:
                    self.offer(step.placement)
                if self.values[:level] == before:
                    self.prove(level, step.bound)
