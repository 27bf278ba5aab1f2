"""Perfect packings: where all must be placed and next to no room is left, each host must be full.

The waste of any one host is at most what the whole cluster has to spare. If no host can hold an
item of some class under that condition, not everything can be placed. LP bounds never see this: a
full host costs them nothing. The loads of all patterns with that item are looked up in two halves
(Horowitz and Sahni 1974): sums over every other class, sorted, meet sums over the rest.
"""

from __future__ import annotations

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.budget import Budget
from optsched.classes import count, pinned_use
from optsched.levels import TermKind
from optsched.plan import Placement
from optsched.result import Bound
from optsched.solvers.ladder import Found, Ladder

SPARE = 0.002  # of the largest host: with more to spare there are too many ways to fill one
# Sums of two resources in one half, at most, and for each second left.
ROWS, PER_SECOND = 3_000_000, 1_000_000
MORE = 2  # times the sums that were allowed before make it worth to ask again
MATCHES = 1_000_000  # pairs of halves that agree in one resource
CLASSES, TYPES = 3, 4  # classes to try, the largest first; kinds of hosts


class PerfectPacking:
    """Proves that a level cannot be 0 because not everything it counts can be placed.

    A question that was answered is not asked again, unless with far more sums than before; one that
    was cut short by the clock is.
    """

    def __init__(self) -> None:
        self._tried: dict[tuple[int, ...], int] = {}  # questions, and the sums allowed then

    def __call__(self, ladder: Ladder, level: int, budget: Budget) -> Found:
        """A bound of 1, or nothing."""
        must = _must(ladder, level)
        key = (level, *ladder.values[:level])
        if must is None or ladder.bounds[level].value:
            return Found()
        wide = max(2, ladder.problem.items.demand.shape[1])
        rows = int(min(ROWS, PER_SECOND * budget.remaining())) * 2 // wide
        if rows < MORE * self._tried.get(key, 0):
            return Found()
        found = self._ask(ladder, must, rows, budget)
        if not budget.over():
            self._tried[key] = rows
        return found

    def _ask(self, ladder: Ladder, must: Bools, rows: int, budget: Budget) -> Found:
        """A bound of 1 if not all of the classes in `must` (K,) can be placed."""
        problem, classes = ladder.problem, ladder.classes
        demand = problem.items.demand[classes.first]
        now = count(problem, classes, Placement.current(problem))
        # Overcommitted hosts may keep what they hold.
        room = np.maximum(problem.hosts.capacity - pinned_use(problem, classes), now.T @ demand)
        demand, size = demand[must], classes.size[must]
        if room.sum(axis=0, dtype=np.float64).max() >= 2.0**62:
            return Found()  # the sums below would not fit 64 bits
        spare = room.sum(axis=0) - size @ demand
        if (spare < 0).any():
            return Found(bound=Bound(1, "more than there is room for"))
        kinds, largest = np.unique(room, axis=0), np.maximum(room.max(axis=0), 1)
        asked = demand.any(axis=0)  # what nobody asks for is not wasted where there is none of it
        if (spare / largest)[asked].min() > SPARE or len(kinds) > TYPES:
            return Found()
        for k in np.argsort(-(demand / largest).sum(axis=1), kind="stable")[:CLASSES].tolist():
            if not any(_fills(demand, size, one, spare, k, rows, budget) for one in kinds):
                return Found(bound=Bound(1, "no host can be filled as all have to be"))
        return Found()


def _must(ladder: Ladder, level: int) -> Bools | None:
    """(K,) the classes of which all items are placed where the level is 0; None: it says nothing.

    Those that no resource limits are left out.
    """
    problem, classes = ladder.problem, ladder.classes
    if any(term.kind is not TermKind.UNPLACED for term in problem.objective[level].terms):
        return None
    tier = problem.items.tier[classes.first]
    must = np.zeros(len(classes), bool)
    for k, spec in enumerate(problem.objective[: level + 1]):
        for term in spec.terms if k == level or ladder.values[k] == 0 else ():
            if term.kind is TermKind.UNPLACED and term.weight > 0:
                must |= (tier == term.tier) | (term.tier < 0)
    must &= problem.items.weight[classes.first] > 0
    must &= problem.items.demand[classes.first].any(axis=1)
    return must if must.any() else None


def _fills(
    demand: Ints, size: Ints, room: Ints, spare: Ints, k: int, rows: int, budget: Budget
) -> bool:
    """Whether a host with `room` can hold an item of class k and leave at most `spare` free.

    True as well where that would take too long to tell.
    """
    left = room - demand[k]
    if (left < 0).any():
        return False
    if budget.over():
        return True
    copies = size.copy()
    copies[k] -= 1
    fit = np.where(demand > 0, left // np.maximum(demand, 1), size[:, None]).min(axis=1)
    copies = np.minimum(copies, fit)
    order = np.flatnonzero(copies)
    # The halves meet in the resource of which least can be spared, of those that tell them apart.
    told = demand[order].any(axis=0)
    r = int(np.argmin(np.where(told, spare / np.maximum(room, 1), np.inf)))
    order = order[np.argsort(-demand[order, r], kind="stable")]
    halves = []
    for part in (order[::2], order[1::2]):
        sums = _sums(demand[part], copies[part], left, rows)
        if sums is None:
            return True
        halves.append(sums)
    one, other = halves
    other = other[np.argsort(other[:, r], kind="stable")]
    first = np.searchsorted(other[:, r], left[r] - spare[r] - one[:, r])
    after = np.searchsorted(other[:, r], left[r] - one[:, r], side="right")
    if (after - first).sum() > MATCHES:
        return True
    for tried, i in enumerate(np.flatnonzero(after > first).tolist()):
        if tried % 1024 == 0 and budget.over():
            return True
        rest = left - one[i] - other[first[i] : after[i]]
        if ((rest >= 0) & (rest <= spare)).all(axis=1).any():
            return True
    return False


def _sums(demand: Ints, copies: Ints, room: Ints, rows: int) -> Ints | None:
    """(N, R) loads of all ways to take copies that fit `room`; None: they are more than `rows`."""
    sums = np.zeros((1, len(room)), np.int64)
    for each, most in zip(demand, copies.tolist(), strict=True):
        parts, found = [sums], len(sums)
        for _ in range(most):
            more = parts[-1] + each
            parts.append(more[(more <= room).all(axis=1)])
            found += len(parts[-1])
            if found > rows:
                return None
        sums = np.concatenate(parts)
    return sums
