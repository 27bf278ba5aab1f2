"""The master problem of column generation: which patterns the hosts take, as an LP (GLOP).

A *pattern* says how many items of each class a host holds and how many of those were there before.
Hosts in the same state form a *group* and share their patterns. Rows and signs as in
`Master.__init__`; all duals are rounded to whole multiples of 1 / SCALE, so that the Lagrangian
bound is computed in exact integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from optsched.arrays import Bools, Ints
from optsched.classes import ItemClasses
from optsched.problem import Evict, PlacementProblem
from optsched.solvers.programs import LinearProgram

Floats = npt.NDArray[np.float64]

SCALE = 1 << 24
PENALTY = 64.0  # of breaking a row by one item, in units of the goal
TIGHT = 1e-7  # slack up to this is rounding


@dataclass(frozen=True)
class Group:
    """Hosts that the level in work cannot tell apart.

    Attributes
    ----------
    hosts
        Their indices.
    room
        (R,) what pinned items leave, at least what movable ones use now.
    now
        (K,) items of each class on each of them; all zero where stays do not matter.
    most
        (K,) how many items of each class may sit there.
    """

    hosts: Ints
    room: Ints
    now: Ints
    most: Ints


@dataclass(frozen=True)
class Lock:
    """A level as a row: the classes it counts, with the value it must keep, and what of them.

    `unplaced`, `evicted` and `moved` say what one such item costs (the first times its weight).
    """

    mask: Bools
    value: int
    unplaced: int = 0
    evicted: int = 0
    moved: int = 0

    @property
    def follows(self) -> bool:
        """Whether it asks what becomes of items that have a host."""
        return bool(self.evicted or self.moved)


@dataclass(frozen=True)
class Duals:
    """Prices of the rows as whole multiples of 1 / SCALE; sign as of a minimisation.

    `size` (K,) <= 0 unless all items of the class must be placed, `keep` (K,) >= 0 (evict rows),
    `lock` one per lock, >= 0.
    """

    size: Ints
    keep: Ints
    lock: Ints


@dataclass(frozen=True)
class Relaxed:
    """The LP within its box: value with the offset, rounded duals, share of each column.

    `strained`: whether the box binds, so that the value is not that of the whole LP.
    """

    value: float
    duals: Duals
    shares: Floats
    strained: bool


class Master:
    """Columns, rows and the incremental LP.

    Rows that say the same twice make the LP degenerate: where a lock leaves nothing unplaced, the
    classes it counts have one equation each (`must`) instead, and where it leaves nothing evicted,
    nothing is.
    """

    def __init__(
        self,
        problem: PlacementProblem,
        classes: ItemClasses,
        groups: list[Group],
        locks: list[Lock],
        goal: Lock,
    ) -> None:
        self.classes, self.groups, self.locks, self.goal = classes, groups, locks, goal
        items = problem.items
        self.weight = items.weight[classes.first]
        evictable = items.evictable[classes.first] & (problem.evict is not Evict.NEVER)
        self.must, kept = np.zeros(len(classes), bool), np.zeros(len(classes), bool)
        for lock in locks:
            if lock.value == 0 and lock.unplaced:
                self.must |= lock.mask
            if lock.value == 0 and lock.evicted:
                kept |= lock.mask
        evictable &= ~(self.must | kept)
        self.most_evicted = np.where(evictable, classes.running, 0)
        tracked = np.zeros(len(classes), bool)
        for lock in (*locks, goal):
            if lock.follows:
                tracked |= lock.mask
        self.tracked = (tracked | ~evictable) & (classes.running > 0)
        self.columns: list[tuple[int, Ints, Ints]] = []
        self._table: list[list[Ints]] = [[] for _ in groups]
        self._seen: set[bytes] = set()
        self._number_rows()
        self.lp = LinearProgram(*self._sides())
        self.ev = {k: self._add_evicted(k) for k in np.flatnonzero(self.most_evicted).tolist()}
        self._slack = self._add_slack()
        self._z: list[int] = []

    def _number_rows(self) -> None:
        """Rows: hosts of each group, size of each class, kept items, active locks."""
        first = len(self.groups) + len(self.classes)
        self.keep = np.flatnonzero(self.tracked & ~self.must)
        self.keep_row = np.full(len(self.classes), -1)
        self.keep_row[self.keep] = first + np.arange(len(self.keep))
        first += len(self.keep)
        active = [bool(lock.value or lock.moved) for lock in self.locks]
        self.lock_row = np.where(active, first + np.cumsum(active) - 1, -1).astype(np.int64)
        self.rows = first + sum(active)

    def _sides(self) -> tuple[Floats, Floats]:
        low, high = np.full(self.rows, -math.inf), np.full(self.rows, math.inf)
        groups, classes = len(self.groups), self.classes
        high[:groups] = [len(group.hosts) for group in self.groups]
        high[groups : groups + len(classes)] = classes.size
        low[groups : groups + len(classes)] = np.where(self.must, classes.size, -math.inf)
        low[self.keep_row[self.keep]] = classes.running[self.keep]
        for row, lock in zip(self.lock_row.tolist(), self.locks, strict=True):
            if row >= 0:
                low[row] = self.floor(lock)
        return low, high

    def _add_evicted(self, k: int) -> int:
        """A column that counts the evicted items of class k."""
        rows, values = [len(self.groups) + k], [1.0]
        if self.keep_row[k] >= 0:
            rows.append(int(self.keep_row[k]))
            values.append(1.0)
        for row, lock in zip(self.lock_row.tolist(), self.locks, strict=True):
            if row >= 0 and lock.mask[k] and lock.follows:
                rows.append(row)
                values.append(float(lock.moved - lock.evicted))
        cost = float(self.goal.evicted - self.goal.moved) if self.goal.mask[k] else 0.0
        return self.lp.add(cost, np.array(rows, int), np.array(values), self.most_evicted[k])

    def _add_slack(self) -> Ints:
        """(rows that are not of groups, 2) columns that fill up and drain each row."""
        rows = np.arange(len(self.groups), self.rows)
        return np.array(
            [[self.lp.add(0.0, rows[i : i + 1], np.array([s])) for s in (1.0, -1.0)]
             for i in range(len(rows))]
        ).reshape(-1, 2)  # fmt: skip

    def floor(self, lock: Lock) -> int:
        """Right-hand side of a lock as a >= row.

        What is neither placed, evicted nor stays costs: unplaced = size - placed, and moved =
        running - evicted - stays; so placed, stays and (moved - evicted) ev make up the row.
        """
        return self._most(lock) - lock.value

    def _most(self, lock: Lock) -> int:
        """What a lock would cost if nothing were placed, stayed or counted as evicted."""
        one = lock.unplaced * self.weight * self.classes.size + lock.moved * self.classes.running
        return int(one[lock.mask].sum())

    # ----------------------------------------------------------------- columns

    def add(self, group: int, counts: Ints, stays: Ints) -> bool:
        """Add a pattern of a group; whether it is new."""
        key = group.to_bytes(4, "little") + counts.tobytes()
        if key in self._seen:
            return False
        self._seen.add(key)
        used = np.flatnonzero(counts)
        kept = used[self.keep_row[used] >= 0]
        worth = np.array([self._worth(lock, counts, stays) for lock in self.locks], dtype=np.int64)
        locked = (self.lock_row >= 0) & (worth != 0)
        rows = [[group], len(self.groups) + used, self.keep_row[kept], self.lock_row[locked]]
        values = [[1], counts[used], counts[kept], worth[locked]]
        cost = -self._worth(self.goal, counts, stays)
        self._z.append(self.lp.add(cost, np.concatenate(rows), np.concatenate(values)))
        self.columns.append((group, counts, stays))
        self._table[group].append(np.concatenate([counts, stays]))
        return True

    def _worth(self, lock: Lock, counts: Ints, stays: Ints) -> int:
        """What a pattern adds to a lock's row (and takes off the goal)."""
        one = lock.unplaced * self.weight * counts + lock.moved * stays
        return int(one[lock.mask].sum())

    def offset(self) -> int:
        """The constant part of the goal."""
        return self._most(self.goal)

    # ---------------------------------------------------------------------- LP

    def box(self, centre: Duals, width: Floats) -> None:
        """Let the duals of all rows but those of groups differ from `centre` by at most `width`.

        Without, the duals of the first LPs swing wildly and dozens of rounds of pricing are of no
        use (Marsten, Hogan and Blankenship 1975, the boxstep method). `width` is (rows,).
        """
        dual = np.zeros(self.rows - len(self.groups))
        dual[: len(self.classes)] = centre.size
        dual[self.keep_row[self.keep] - len(self.groups)] = centre.keep[self.keep]
        active = self.lock_row >= 0
        dual[self.lock_row[active] - len(self.groups)] = centre.lock[active]
        self._charge(width + dual / SCALE, width - dual / SCALE)

    def _charge(self, fill: Floats, drain: Floats) -> None:
        """Costs of the slack columns."""
        for (plus, minus), up, down in zip(
            self._slack.tolist(), fill.tolist(), drain.tolist(), strict=True
        ):
            self.lp.change("cost", plus, up)
            self.lp.change("cost", minus, down)

    def unbox(self) -> None:
        """Let the rows be broken only at a high price."""
        much = np.full(len(self._slack), PENALTY)
        self._charge(much, much)

    def solve(self, seconds: float) -> Relaxed | None:
        """The LP within the box of duals; None if it was not solved."""
        solution = self.lp.solve(seconds)
        if solution is None:
            return None
        return Relaxed(
            solution.value + self.offset(),
            self._duals(solution.dual),
            solution.x[self._z],
            bool(solution.x[self._slack].max(initial=0.0) > TIGHT),
        )

    def fix(self, column: int, least: int) -> None:
        """Make the LP take a column at least so many times (0: as it likes)."""
        self.lp.change("lower", self._z[column], least)

    def ban(self, column: int, most: float) -> None:
        """Make the LP take a column at most so often (infinity: as it likes)."""
        self.lp.change("upper", self._z[column], most)

    def _duals(self, dual: Floats) -> Duals:
        whole = np.rint(dual[len(self.groups) :] * SCALE).astype(np.int64)
        size = whole[: len(self.classes)]
        keep, lock = np.zeros(len(self.classes), np.int64), np.zeros(len(self.locks), np.int64)
        keep[self.keep] = whole[self.keep_row[self.keep] - len(self.groups)]
        active = self.lock_row >= 0
        lock[active] = whole[self.lock_row[active] - len(self.groups)]
        return self.signed(size, keep, lock)

    def signed(self, size: Ints, keep: Ints, lock: Ints) -> Duals:
        """Duals with the signs they must have."""
        free = np.where(self.must, size, np.minimum(size, 0))
        return Duals(free, np.maximum(keep, 0), np.maximum(lock, 0))

    def fold(self, size: Ints, keep: Ints, lock: Ints) -> Duals:
        """Duals of a model that has all rows, for the rows that there are here."""
        size, keep, lock = size.copy(), keep.copy(), lock.copy()
        for k, (row, one) in enumerate(zip(self.lock_row, self.locks, strict=True)):
            if row < 0:
                size += np.where(one.mask, lock[k] * one.unplaced * self.weight, 0)
                lock[k] = 0
        size += np.where(self.must, keep, 0)
        return self.signed(size, np.where(self.keep_row >= 0, keep, 0), lock)

    def prices(self, duals: Duals) -> tuple[Ints, Ints]:
        """(K,) worth of one more copy in a pattern, and of a copy that was there before."""
        copy = duals.size + duals.keep
        stay = np.zeros(len(self.classes), np.int64)
        for price, lock in zip(
            (*duals.lock.tolist(), SCALE), (*self.locks, self.goal), strict=True
        ):
            copy = copy + np.where(lock.mask, price * lock.unplaced * self.weight, 0)
            stay = stay + np.where(lock.mask, price * lock.moved, 0)
        return copy, stay

    def best_known(self, group: int, copy: Ints, stay: Ints) -> int:
        """The most that a known pattern of the group is worth at these prices, at least 0."""
        rows = self._table[group]
        if not rows:
            return 0
        return max(0, int((np.stack(rows) @ np.concatenate([copy, stay])).max()))

    def bound(self, duals: Duals, best: list[int]) -> int:
        """The Lagrangian bound, times SCALE, given the best (or more) pattern value per group."""
        total = SCALE * self.offset()
        total += sum(int(d) * int(n) for d, n in zip(duals.size, self.classes.size, strict=True))
        total += sum(int(duals.keep[k]) * int(self.classes.running[k]) for k in self.keep.tolist())
        prices = duals.lock.tolist()
        total += sum(p * self.floor(lock) for p, lock in zip(prices, self.locks, strict=True))
        for group, value in zip(self.groups, best, strict=True):
            total -= len(group.hosts) * max(0, value)
        for k in self.ev:
            reduced = -int(duals.keep[k] + duals.size[k])
            for price, lock in zip((*prices, SCALE), (*self.locks, self.goal), strict=True):
                if lock.mask[k]:
                    reduced -= (lock.moved - lock.evicted) * price
            total += min(0, reduced) * int(self.most_evicted[k])
        return total
