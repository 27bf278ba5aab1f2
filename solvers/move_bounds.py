"""How few moves can make room for what is placed: a lower bound by prices per pending class.

For every host and every small set of items that could leave it, the room that would then be free
says what could enter at most. Let q be a price per class of pending items, and let a host be worth
s(h) = max over (who leaves, who enters) of (prices of who enters) - (moves of who leaves), at least
0. Then all that is placed together takes at least (its prices) - (sum of s) moves: the dual of
covering what is placed by (leave, enter) patterns of the hosts. Good prices are found by cutting
planes; any prices give a valid bound.

Where leavers go, and all limits, are left out, which only lowers the bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.budget import Budget
from optsched.problem import When
from optsched.solvers.fitting import row_numbers
from optsched.solvers.lp import Floats, minimize
from optsched.solvers.relaxed import Lock, Relaxed

MOST_ROOMS = 200_000  # sets of leavers looked at one by one; larger sets are relaxed
LARGEST_SET = 3
MOST_PATTERNS = 4000  # sets of what may enter; beyond, what enters is divisible
ROUNDS = 60
ROWS_AT_ONCE = 2  # per group of hosts and round
FORBIDDEN = np.iinfo(np.int64).max
NEVER = 1 << 30
SLACK = 1e-6


@dataclass(frozen=True)
class Rooms:
    """Room that hosts would have if some items left.

    Attributes
    ----------
    host
        (N,) which host.
    cost
        (N,) moves of those that leave.
    room
        (N, R') what would be free.
    """

    host: Ints
    cost: Ints
    room: Ints

    def __getitem__(self, rows: Bools | Ints) -> Rooms:
        return Rooms(self.host[rows], self.cost[rows], self.room[rows])


def least_moves(relaxed: Relaxed, cost: Ints, locks: Sequence[Lock], budget: Budget) -> int:
    """A lower bound of the total `cost` of the moves of any placement that keeps `locks`.

    Parameters
    ----------
    cost
        (I,) what it costs that an item leaves its host; 0: nothing, FORBIDDEN: it cannot.
    locks
        Levels that say how much weight of which tiers may be left unplaced.
    """
    pending = _Pending(relaxed, locks)
    if not pending.needs.size:
        return 0
    rooms = _rooms(relaxed, cost, pending)
    return _Pricing(relaxed, pending, rooms, budget).bound()


class _Pending:
    """Classes of pending items that locks ask for.

    Attributes
    ----------
    classes, number
        (C,) classes of `relaxed`, and how many pending items each has.
    gain
        (T, C) weight that one item of a class adds to each lock.
    needs
        (T,) weight that each lock asks of pending items.
    demand
        (C, R') of one item.
    """

    def __init__(self, relaxed: Relaxed, locks: Sequence[Lock]) -> None:
        items = relaxed.problem.items
        waiting = relaxed.of_item[np.flatnonzero(items.host0 < 0)]
        number = np.bincount(waiting, minlength=len(relaxed.first))
        self.classes = np.flatnonzero(number)
        self.number = number[self.classes]
        first = relaxed.first[self.classes]
        gain = [lock.factor[items.tier[first]] * items.weight[first] for lock in locks]
        needs = [
            int((g * self.number).sum()) - lock.value for g, lock in zip(gain, locks, strict=True)
        ]
        asked = [k for k, need in enumerate(needs) if need > 0]
        self.gain = np.array([gain[k] for k in asked]).reshape(len(asked), len(self.classes))
        self.needs = np.array([needs[k] for k in asked], dtype=np.int64)
        useful = self.gain.any(axis=0)
        self.classes, self.number = self.classes[useful], self.number[useful]
        self.gain = self.gain[:, useful]
        self.demand = relaxed.demand[relaxed.first[self.classes]]
        row = relaxed.problem.where.item_eligible[relaxed.first[self.classes]]
        self.open_to = relaxed.open_to[row]


def _rooms(relaxed: Relaxed, cost: Ints, pending: _Pending) -> Rooms:
    """All (host, leavers) that could let some pending item in."""
    hosts = np.flatnonzero(pending.open_to.any(axis=0))
    base, leavers = _leavers(relaxed, cost)
    count = np.array([len(leavers.get(h, ())) for h in hosts.tolist()], dtype=np.int64)
    exact = LARGEST_SET
    while exact > 1 and sum(_subsets(int(n), exact) for n in count) > MOST_ROOMS:
        exact -= 1
    given = _given(relaxed)
    parts = [Rooms(hosts, np.zeros(len(hosts), np.int64), base[hosts])]
    for n in np.unique(count[count > 0]).tolist():
        some = hosts[count == n]
        who = np.array([leavers[h] for h in some.tolist()])  # (n hosts, n leavers)
        parts += _sets(some, base[some], given[who], cost[who], exact)
    least = pending.demand.min(axis=0)
    all_rooms = Rooms(
        *(np.concatenate([getattr(p, a) for p in parts]) for a in ("host", "cost", "room"))
    )
    return all_rooms[(all_rooms.room >= least)[:, least > 0].all(axis=1)]


def _subsets(n: int, largest: int) -> int:
    return sum(math.comb(n, size) for size in range(1, min(n, largest) + 1))


def _leavers(relaxed: Relaxed, cost: Ints) -> tuple[Ints, dict[int, list[int]]]:
    """(H, R') room once all have left that do so for nothing; per host, those with a cost."""
    items = relaxed.problem.items
    hosts, cells = relaxed.problem.hosts, relaxed.problem.cells
    room = hosts.capacity - hosts.fixed_use
    inflight = relaxed.problem.inflight
    np.subtract.at(room, inflight.source, items.demand[inflight.item])
    runs = np.flatnonzero(items.host0 >= 0)
    np.subtract.at(room, items.host0[runs], items.demand[runs])
    of_cells = np.zeros((len(hosts), cells.capacity.shape[1]), np.int64)
    np.add.at(of_cells, cells.host, np.maximum(cells.capacity - relaxed.cell_used, 0))
    base = np.hstack([room, of_cells])
    given = _given(relaxed)
    leave = runs[relaxed.free[runs] & (cost[runs] != FORBIDDEN)]
    for_free = leave[cost[leave] == 0]
    np.add.at(base, items.host0[for_free], given[for_free])
    leavers: dict[int, list[int]] = {}
    for item in leave[cost[leave] > 0].tolist():
        leavers.setdefault(int(items.host0[item]), []).append(item)
    return base, leavers


def _given(relaxed: Relaxed) -> Ints:
    """(I, R') room that an item gives back when it leaves."""
    problem = relaxed.problem
    held = (problem.when == When.DURING) & ~problem.items.lets_go_first[:, None]
    given = relaxed.demand.copy()
    given[:, : held.shape[1]][held] = 0
    return given


def _sets(hosts: Ints, base: Ints, given: Ints, cost: Ints, exact: int) -> list[Rooms]:
    """Rooms of hosts with n leavers each: every set up to `exact`, larger ones relaxed.

    Of a larger set, every resource takes the leavers that give most of it.
    """
    n = cost.shape[1]
    parts = []
    for size in range(1, min(n, exact) + 1):
        index = np.array(list(combinations(range(n), size)))
        room = base[:, None] + given[:, index].sum(axis=2)
        price = cost[:, index].sum(axis=2)
        host = np.repeat(hosts, len(index))
        parts.append(Rooms(host, price.ravel(), room.reshape(len(host), -1)))
    most = np.cumsum(-np.sort(-given, axis=1), axis=1)
    least = np.cumsum(np.sort(cost, axis=1), axis=1)
    parts += [Rooms(hosts, least[:, m - 1], base + most[:, m - 1]) for m in range(exact + 1, n + 1)]
    return parts


class _Patterns:
    """What may enter: multisets of pending items, and the fewest moves each takes on each host.

    Attributes
    ----------
    enters
        (P, C) how many of each class.
    moves
        (H, P) fewest moves after which all of it fits; NEVER if it never does.
    complete
        Whether these are all patterns that fit anywhere.
    """

    def __init__(self, pending: _Pending, rooms: Rooms, hosts: int, budget: Budget) -> None:
        self.pending, self.rooms, self.hosts = pending, rooms, hosts
        self._enters: list[Ints] = []
        self._moves: list[Ints] = []
        self._budget = budget
        self.complete = True
        nothing = np.zeros(len(pending.classes), np.int64)
        self._extend(0, nothing, np.arange(len(rooms.host)), rooms.room)
        self.enters = np.array(self._enters).reshape(-1, len(nothing))
        self.moves = np.array(self._moves).reshape(-1, hosts).T

    def _extend(self, first: int, enters: Ints, rows: Ints, room: Ints) -> None:
        """All patterns that add items of classes from `first` on to `enters`, which fit `rows`."""
        for c in range(first, len(enters)):
            if enters[c] == self.pending.number[c]:
                continue
            if len(self._enters) >= MOST_PATTERNS or self._budget.over():
                self.complete = False
                return
            left = room - self.pending.demand[c]
            fits = ((left >= 0) | (self.pending.demand[c] == 0)).all(axis=1)
            fits &= self.pending.open_to[c, self.rooms.host[rows]]
            if not fits.any():
                continue
            more = enters.copy()
            more[c] += 1
            fewest = np.full(self.hosts, NEVER)
            np.minimum.at(fewest, self.rooms.host[rows[fits]], self.rooms.cost[rows[fits]])
            self._enters.append(more)
            self._moves.append(fewest)
            self._extend(c, more, rows[fits], left[fits])


class _Pricing:
    """Prices of the pending classes, and what they prove."""

    def __init__(self, relaxed: Relaxed, pending: _Pending, rooms: Rooms, budget: Budget) -> None:
        self.pending, self.rooms, self.budget = pending, rooms, budget
        self.hosts = len(relaxed.problem.hosts)
        self.patterns = _Patterns(pending, rooms, self.hosts, budget.share(0.3))
        # Hosts of equal moves for every pattern are one group, and share their rows.
        self.group = row_numbers(self.patterns.moves)
        self.first = np.unique(self.group, return_index=True)[1]
        self.rows: list[tuple[int, int]] = []  # (group, pattern)

    def bound(self) -> int:
        """The best bound found."""
        best = 0.0
        for _ in range(ROUNDS):
            solution = self._prices()
            if solution is None:
                break
            value, price, claimed = solution
            worth = self._worth(price)
            size = np.bincount(self.group, minlength=len(claimed))
            if self.patterns.complete:
                excess = float((np.maximum(worth - claimed, 0.0) * size).sum())
            else:
                total = self._divisible_worth(price).sum()
                excess = float(total - (claimed * size).sum())
            best = max(best, value - excess)
            grew = self._add_rows(price, claimed)
            if not grew or math.ceil(value - SLACK) <= math.ceil(best - SLACK):
                break
            if self.budget.over():
                break
        return math.ceil(best - SLACK)

    def _prices(self) -> tuple[float, Floats, Floats] | None:
        """Best prices for the rows so far: LP value, (C,) prices, (G,) what groups are worth."""
        pending = self.pending
        locks, classes = pending.gain.shape
        groups = sorted({g for g, _ in self.rows})
        worth_at = {g: locks + classes + j for j, g in enumerate(groups)}
        size = np.bincount(self.group)[groups] if groups else np.zeros(0)
        # Variables: price of each lock, discount of each class, worth of the groups with rows.
        cost = np.concatenate([-pending.needs, pending.number, size]).astype(float)
        highest = float(self.rooms.cost.max(initial=0) + 1)
        entries: list[tuple[Ints, Ints, Floats]] = []
        for c in range(classes):
            self._add_price(entries, c, np.eye(classes)[c])
        low, high = [0.0] * classes, [highest] * classes
        for group, pattern in self.rows:
            at, row = np.array([worth_at[group]]), np.array([len(low)])
            self._add_price(entries, len(low), self.patterns.enters[pattern].astype(float))
            entries.append((row, at, np.array([-1.0])))
            low.append(-math.inf)
            high.append(float(self.patterns.moves[self.first[group], pattern]))
        upper = np.full(len(cost), math.inf)
        found = minimize(cost, upper, low, high, entries, self.budget.remaining())
        if found is None:
            return None
        price = found.x[:locks] @ pending.gain - found.x[locks : locks + classes]
        claimed = np.zeros(len(self.first))
        claimed[groups] = found.x[locks + classes :]
        return -found.value, np.maximum(price, 0.0), claimed

    def _add_price(
        self, entries: list[tuple[Ints, Ints, Floats]], row: int, enters: Floats
    ) -> None:
        """The price of `enters` (C,) items as coefficients: lock prices less discounts."""
        value = np.concatenate([self.pending.gain @ enters, -enters])
        column = np.flatnonzero(value)
        entries.append((np.full(len(column), row), column, value[column]))

    def _gains(self, price: Floats) -> Floats:
        """(G, P) prices of what enters less the moves it takes."""
        gain: Floats = self.patterns.enters @ price - self.patterns.moves[self.first]
        return gain

    def _worth(self, price: Floats) -> Floats:
        """(G,) what a host of each group is worth at `price`, over the patterns."""
        return np.maximum(self._gains(price).max(axis=1, initial=0.0), 0.0)

    def _add_rows(self, price: Floats, claimed: Floats) -> bool:
        """Add the most violated patterns of every group; whether there were any."""
        gains = self._gains(price) - claimed[:, None]
        if not gains.size:
            return False
        known = set(self.rows)
        for _ in range(ROWS_AT_ONCE):
            best = gains.argmax(axis=1)
            for group in np.flatnonzero(gains.max(axis=1) > SLACK).tolist():
                row = (group, int(best[group]))
                if row not in known:
                    self.rows.append(row)
            gains[np.arange(len(gains)), best] = 0.0
        return len(self.rows) > len(known)

    def _divisible_worth(self, price: Floats) -> Floats:
        """(H,) what hosts are worth at most: per resource, as if what enters were divisible."""
        pending, rooms = self.pending, self.rooms
        total = pending.number * price
        best = np.full(len(rooms.host), total.sum())
        for r in range(pending.demand.shape[1]):
            demand = pending.demand[:, r]
            asks = np.flatnonzero((demand > 0) & (price > 0))
            if not asks.size:
                continue
            free = float(total.sum() - total[asks].sum())
            order = asks[np.argsort(-price[asks] / demand[asks], kind="stable")]
            size = np.concatenate([[0], np.cumsum(pending.number[order] * demand[order])])
            value = np.concatenate([[0.0], np.cumsum(total[order])])
            best = np.minimum(best, free + np.interp(rooms.room[:, r], size, value))
        worth = np.zeros(self.hosts)
        np.maximum.at(worth, rooms.host, best - rooms.cost)
        return worth
