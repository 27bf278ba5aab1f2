"""Prices of what enters and leaves, and the number of moves they prove: see `move_bounds`.

Where all patterns of what may enter can be listed, the best prices are found by cutting planes;
else equal prices are tried, with what enters divisible.
"""

from __future__ import annotations

import math

import numpy as np

from optsched.arrays import Ints, row_numbers
from optsched.budget import Budget
from optsched.solvers.lp import Floats, minimize
from optsched.solvers.move_rooms import MOST_WAITING, Entering, Rooms, Waiting

MOST_PATTERNS = 3000  # sets of what may enter; beyond, what enters is divisible
MOST_WORK = 10_000_000  # rooms tried for patterns, for the same reason
SCALES = (1.0, 0.75, 0.5, 0.33, 0.25)  # of the prices then
ROUNDS = 60
ROWS_AT_ONCE = 2  # per host and round
HIGHEST, DEAREST = 6.0, 50.0  # price and charge
SLACK = 1e-6


class Patterns:
    """What may enter: multisets of classes, and into which rooms each of them fits.

    Attributes
    ----------
    enters
        (P, D) how many of each class.
    pattern, room
        (M,) pairs of indices: the pattern fits the room. Of rooms of one host with equal leavers
        only one is kept.
    complete
        Whether these are all patterns that fit anywhere.
    """

    def __init__(self, entering: Entering, rooms: Rooms, budget: Budget) -> None:
        self.entering, self.rooms, self._budget = entering, rooms, budget
        self._enters: list[Ints] = []
        self._fits: list[Ints] = []
        self.complete, self._work = entering.waiting <= MOST_WAITING, 0
        self._kind = row_numbers(np.column_stack([rooms.host, rooms.cost, rooms.leave]))
        self._last = np.zeros(int(self._kind.max(initial=-1)) + 1, np.int64)
        nothing = np.zeros(len(entering.number), np.int64)
        if self.complete:
            self._extend(0, nothing, np.arange(len(rooms.host)), rooms.room)
        self.enters = np.array(self._enters, dtype=np.int64).reshape(-1, len(nothing))
        sizes = [len(rows) for rows in self._fits]
        self.pattern = np.repeat(np.arange(len(sizes)), sizes)
        self.room = np.concatenate([*self._fits, np.zeros(0, np.int64)]).astype(np.int64)

    def _extend(self, first: int, enters: Ints, rows: Ints, room: Ints) -> None:
        """All patterns that add items of classes from `first` on to `enters`, which fit `rows`."""
        for c in range(first, len(enters)):
            if enters[c] == self.entering.number[c]:
                continue
            self._work += len(rows)
            too_many = len(self._enters) >= MOST_PATTERNS or self._work > MOST_WORK
            if too_many or self._budget.over():
                self.complete = False
            if not self.complete:
                return
            left = room - self.entering.demand[c]
            fits = ((left >= 0) | (self.entering.demand[c] == 0)).all(axis=1)
            fits &= self.entering.open_to[c, self.rooms.host[rows]]
            if not fits.any():
                continue
            more = enters.copy()
            more[c] += 1
            self._enters.append(more)
            fitting = rows[fits]
            kind, number = self._kind[fitting], np.arange(len(fitting))
            self._last[kind] = number
            self._fits.append(fitting[self._last[kind] == number])
            self._extend(c, more, fitting, left[fits])


class Pricing:
    """Prices of the classes, and what they prove."""

    def __init__(
        self,
        waiting: Waiting,
        entering: Entering,
        rooms: Rooms,
        patterns: Patterns,
        allowed: Ints,
        budget: Budget,
    ) -> None:
        self.waiting, self.entering, self.rooms, self.allowed = waiting, entering, rooms, allowed
        self.patterns, self.budget = patterns, budget
        self.hosts = entering.open_to.shape[1]
        self.host = rooms.host[patterns.room]
        self.moves = rooms.cost[patterns.room].astype(float)
        self.rows: list[int] = []  # pairs of `patterns`
        self.active = np.zeros(0, np.int64)  # hosts whose patterns hold the bound down
        self._tight: dict[int, float] = {}  # such pairs, and how much of them the LP takes

    def bound(self) -> int:
        """The best bound found."""
        best = self._by_cutting_planes() if self.patterns.complete else self._by_scaling()
        return max(0, math.ceil(best - SLACK))

    def _by_cutting_planes(self) -> float:
        best = 0.0
        for _ in range(ROUNDS):
            solution = self._prices()
            if solution is None:
                break
            value, asked, price, claimed = solution
            gains = self._gains(price)
            worth = np.zeros(self.hosts)
            np.maximum.at(worth, self.host, gains)
            best = max(best, asked - worth.sum())
            grew = self._add_rows(gains - claimed[self.host])
            settled = math.ceil(value - SLACK) <= math.ceil(best - SLACK)
            if not grew or settled or self.budget.over():
                break
        return best

    def _by_scaling(self) -> float:
        """Equal prices for all that fits nowhere as things are, as high as pays."""
        best, still = 0.0, self.rooms[self.rooms.cost == 0]
        fits = np.zeros(self.entering.waiting, bool)
        for c, demand in enumerate(self.entering.demand[: len(fits)]):
            inside = ((still.room >= demand) | (demand == 0)).all(axis=1)
            fits[c] = (inside & self.entering.open_to[c, still.host]).any()
        for scale in SCALES:
            solution = self._prices(np.where(fits, 0.0, scale))
            if solution is None or self.budget.over():
                break
            _, asked, price, _ = solution
            best = max(best, asked - self._divisible_worth(price).sum())
        return best

    def _prices(self, highest: Floats | None = None) -> tuple[float, float, Floats, Floats] | None:
        """Best prices for the rows so far, and what all that is asked is worth at these.

        In all: LP value, that worth, (D + J,) prices, (H,) what the LP takes hosts to be worth.
        The worth is exactly that of the prices: a bound may rest on it, as on no LP's value.
        `highest` (C,) limits the prices of the waiting classes.
        """
        waiting, patterns = self.waiting, self.patterns
        locks, classes = waiting.gain.shape
        priced = len(self.entering.number) - classes
        hosts = np.unique(self.host[self.rows])
        # Variables: price of each lock, discount of each waiting class, price of each priced
        # running class, charge of each ceiling, worth of the hosts with rows.
        charges = locks + classes + priced
        first = charges + len(self.allowed)
        cost = np.zeros(first + len(hosts))
        cost[:locks], cost[locks : locks + classes] = -waiting.needs, waiting.number
        cost[charges:first] = self.allowed
        cost[first:] = 1.0
        upper = np.full(len(cost), math.inf)
        upper[locks + classes : charges] = HIGHEST
        upper[charges:first] = DEAREST
        enters = patterns.enters[patterns.pattern[self.rows]].astype(float)
        net = -self.rooms.leave[patterns.room[self.rows]].astype(float)
        net[:, :priced] += enters[:, classes:]
        by_class = np.vstack([np.eye(classes), enters[:, :classes]])
        table = np.zeros((classes + len(self.rows), first))
        table[:, :locks] = by_class @ waiting.gain.T
        table[:, locks : locks + classes] = -by_class
        table[classes:, locks + classes :] = net
        row, column = np.nonzero(table)
        at = classes + np.arange(len(self.rows))
        worth_at = first + np.searchsorted(hosts, self.host[self.rows])
        entries = [(row, column, table[row, column]), (at, worth_at, -np.ones(len(at)))]
        low = [0.0] * classes + [-math.inf] * len(at)
        limit = np.full(classes, HIGHEST) if highest is None else highest
        high = [*limit.tolist(), *self.moves[self.rows].tolist()]
        found = minimize(cost, upper, low, high, entries, self.budget.remaining())
        if found is None:
            return None
        taken = np.abs(found.dual[classes:])
        self._tight = {self.rows[k]: float(taken[k]) for k in np.flatnonzero(taken > SLACK)}
        self.active = np.unique(self.host[list(self._tight)])
        x = np.maximum(found.x, 0.0)  # the LP may be off by a little
        entering = np.maximum(x[:locks] @ waiting.gain - x[locks : locks + classes], 0.0)
        claimed = np.zeros(self.hosts)
        claimed[hosts] = x[first:]
        price = np.concatenate([entering, x[locks + classes : first]])
        return -found.value, float(-cost[:first] @ x[:first]), price, claimed

    def leaving(self) -> dict[int, float]:
        """Items that leave hosts in the LP's solution, and how much of each."""
        found: dict[int, float] = {}
        for pair, amount in self._tight.items():
            for item in self.rooms.who[self.patterns.room[pair]].tolist():
                if item >= 0:
                    found[item] = found.get(item, 0.0) + amount
        return found

    def _gains(self, price: Floats) -> Floats:
        """(M,) of every pair: prices of what enters, less moves and prices of what leaves."""
        enters = self.patterns.enters @ price[: len(self.entering.number)]
        leaves = self.rooms.leave @ price[self.entering.waiting :]
        gain: Floats = enters[self.patterns.pattern] - self.moves - leaves[self.patterns.room]
        return gain

    def _add_rows(self, excess: Floats) -> bool:
        """Add the most violated pairs of every host; whether there were any."""
        over = np.flatnonzero(excess > SLACK)
        over = over[np.lexsort((-excess[over], self.host[over]))]
        first = np.searchsorted(self.host[over], self.host[over])
        chosen = over[np.arange(len(over)) - first < ROWS_AT_ONCE]
        new = np.setdiff1d(chosen, np.array(self.rows, dtype=np.int64))
        self.rows += new.tolist()
        return bool(new.size)

    def _divisible_worth(self, price: Floats) -> Floats:
        """(H,) what hosts are worth at most: per resource, as if what enters were divisible."""
        entering, rooms = self.entering, self.rooms
        enter = price[: len(entering.number)]
        total = entering.number * enter
        best = np.full(len(rooms.host), total.sum())
        for r in range(entering.demand.shape[1]):
            demand = entering.demand[:, r]
            asks = np.flatnonzero((demand > 0) & (enter > 0))
            if not asks.size:
                continue
            free = float(total.sum() - total[asks].sum())
            order = asks[np.argsort(-enter[asks] / demand[asks], kind="stable")]
            size = np.concatenate([[0], np.cumsum(entering.number[order] * demand[order])])
            value = np.concatenate([[0.0], np.cumsum(total[order])])
            best = np.minimum(best, free + np.interp(rooms.room[:, r], size, value))
        leaves = rooms.leave @ price[entering.waiting :]
        worth = np.zeros(self.hosts)
        np.maximum.at(worth, rooms.host, best - rooms.cost - leaves)
        return worth
