"""The class x group LP: the hosts of a group as one, items divisible. A first set of duals.

Its bound is what any solver here must at least reach; started from its duals, column generation
needs a fraction of the rounds.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from optsched.arrays import Ints
from optsched.solvers.master import SCALE, Duals, Lock, Master
from optsched.solvers.programs import LinearProgram

Floats = npt.NDArray[np.float64]


def first_duals(master: Master, demand: Ints, seconds: float) -> Duals | None:
    """Duals of the class x group LP for the rows of `master`; None if time ran out.

    Parameters
    ----------
    master
        Gives the rows, groups and goal.
    demand
        (K, R) demand of one item of each class.
    seconds
        Time limit.
    """
    lp = _Relaxation(master, demand)
    solution = lp.program().solve(seconds)
    if solution is None:
        return None
    dual = solution.dual
    keep = np.zeros(lp.classes)
    keep[lp.tracked] = dual[lp.keep_row[lp.tracked]]
    return master.fold(_whole(dual[: lp.classes]), _whole(keep), _whole(dual[lp.lock_row]))


def _whole(dual: Floats) -> Ints:
    return np.rint(dual * SCALE).astype(np.int64)


class _Relaxation:
    """Rows: size (K), keep (tracked classes), locks, room (G x R), stays under totals."""

    def __init__(self, master: Master, demand: Ints) -> None:
        self.master, self.demand = master, demand
        self.classes = len(master.classes)
        self.tracked = np.flatnonzero(master.tracked)
        self.keep_row = np.full(self.classes, -1)
        self.keep_row[self.tracked] = self.classes + np.arange(len(self.tracked))
        first = self.classes + len(self.tracked)
        self.lock_row = first + np.arange(len(master.locks))
        self.room_row = first + len(master.locks)
        many = np.array([len(g.hosts) for g in master.groups])[:, None]
        most = np.array([g.most for g in master.groups]) * many  # (G, K)
        now = np.array([g.now for g in master.groups]) * many
        self.xg, self.xk = np.nonzero(most)
        self.sg, self.sk = np.nonzero(now)
        self.ek = np.flatnonzero(master.tracked & (master.most_evicted > 0))
        self.upper = np.concatenate(
            [most[self.xg, self.xk], now[self.sg, self.sk], master.most_evicted[self.ek]]
        ).astype(np.float64)
        self.entries: list[tuple[Ints, Ints, Floats]] = []

    def program(self) -> LinearProgram:
        """The LP."""
        lp = LinearProgram(*self._rows())
        self._fill()
        row, column, value = (np.concatenate(part) for part in zip(*self.entries, strict=True))
        lp.fill(self._cost(), self.upper, row, column, value)
        lp.interrupter = self.master.lp.interrupter
        return lp

    def _rows(self) -> tuple[Floats, Floats]:
        master = self.master
        classes = master.classes
        room = np.array([g.room * len(g.hosts) for g in master.groups], dtype=np.float64).ravel()
        floors = np.array([master.floor(lock) for lock in master.locks], dtype=np.float64)
        low = np.concatenate(
            [
                np.full(self.classes, -math.inf),
                classes.running[self.tracked],
                floors,
                np.full(len(room), -math.inf),
                np.zeros(len(self.sk)),
            ]
        )
        free = np.full(len(self.tracked) + len(floors), math.inf)
        high = np.concatenate([classes.size, free, room, np.full(len(self.sk), math.inf)])
        return low.astype(np.float64), high.astype(np.float64)

    def _put(self, row: Ints, column: Ints, value: Floats | float) -> None:
        self.entries.append((row, column, np.broadcast_to(value, row.shape).astype(np.float64)))

    def _fill(self) -> None:
        x = np.arange(len(self.xk))
        s = len(x) + np.arange(len(self.sk))
        e = len(x) + len(s) + np.arange(len(self.ek))
        self._put(self.xk, x, 1.0)
        kept = self.keep_row[self.xk] >= 0
        self._put(self.keep_row[self.xk[kept]], x[kept], 1.0)
        self._put(self.ek, e, 1.0)
        self._put(self.keep_row[self.ek], e, 1.0)
        for row, lock in zip(self.lock_row, self.master.locks, strict=True):
            for column, value in ((x, self._x(lock)), (s, self._s(lock)), (e, self._e(lock))):
                some = np.flatnonzero(value)
                self._put(np.full(len(some), row), column[some], value[some])
        resources = self.demand.shape[1]
        for r in range(resources):
            wants = np.flatnonzero(self.demand[self.xk, r])
            row = self.room_row + self.xg[wants] * resources + r
            self._put(row, x[wants], self.demand[self.xk[wants], r].astype(np.float64))
        under = self.room_row + len(self.master.groups) * resources + np.arange(len(self.sk))
        index = np.full((len(self.master.groups), self.classes), -1)
        index[self.xg, self.xk] = x
        self._put(under, index[self.sg, self.sk], 1.0)
        self._put(under, s, -1.0)

    def _x(self, lock: Lock) -> Floats:
        one = np.where(lock.mask, lock.unplaced * self.master.weight, 0)
        return one.astype(np.float64)[self.xk]

    def _s(self, lock: Lock) -> Floats:
        return np.where(lock.mask, lock.moved, 0).astype(np.float64)[self.sk]

    def _e(self, lock: Lock) -> Floats:
        return np.where(lock.mask, lock.moved - lock.evicted, 0).astype(np.float64)[self.ek]

    def _cost(self) -> Floats:
        goal = self.master.goal
        return np.concatenate([-self._x(goal), -self._s(goal), -self._e(goal)])
