"""How few moves can make room for what is placed: a lower bound by prices.

For every host and every small set of items that could leave it, the room that would then be free
says what could enter at most. Let q be a price per class of pending items and m >= 0 one per class
of running items, and let a host be worth s(h), the maximum over (who leaves, who enters) of

    (prices of who enters) - (moves of who leaves) - (prices of those that leave),

at least 0. What leaves one host enters another, so its price cancels out; therefore all that is
placed together takes at least (its prices) - (sum of s) moves. Moves that earlier levels count have
a charge each, and cost it on top; what those levels allow is charged back. This is the dual of
covering what is placed by (leave, enter) patterns of the hosts. Any prices and charges give a valid
bound; good ones are found by cutting planes. Running classes that find room in many places keep the
price 0.

Limits are left out, and so are evictions that earlier levels allow (they cost nothing here); both
only lower the bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from optsched.arrays import NONE, Bools, Ints, row_numbers
from optsched.budget import Budget
from optsched.problem import When
from optsched.solvers.lp import Floats, minimize
from optsched.solvers.relaxed import Lock, Relaxed

MOST_ROOMS = 200_000  # sets of leavers looked at one by one; larger sets are relaxed
LARGEST_SET = 3
STEPS = (1, 2, 3, 4, 6, 9, 14, 21, 32, 64, 128)  # in the size of a larger set
MOST_PATTERNS = 3000  # sets of what may enter; beyond, what enters is divisible
ATTEMPTS, PRICED_AT_ONCE = 5, 4  # rounds of giving running classes a price
PLENTY = 4  # places per item of a running class that make it worth no price
MOST_WORK = 10_000_000  # rooms tried for patterns, for the same reason
MOST_WAITING = 30  # classes of pending items, for the same reason
SCALES = (1.0, 0.75, 0.5, 0.33, 0.25)  # of their prices then
ROUNDS = 60
ROWS_AT_ONCE = 2  # per host and round
HIGHEST, DEAREST = 6.0, 50.0  # price and charge
FORBIDDEN = np.iinfo(np.int64).max
SLACK = 1e-6


@dataclass(frozen=True)
class Ceiling:
    """An earlier level: the moves, counted with (I,) `cost` each, are at most `value`."""

    cost: Ints
    value: int


def least_moves(
    relaxed: Relaxed,
    cost: Ints,
    may_go: Bools,
    locks: Sequence[Lock],
    ceilings: Sequence[Ceiling],
    target: int,
    budget: Budget,
) -> int:
    """A lower bound of the total `cost` of the moves of any placement that keeps earlier levels.

    Parameters
    ----------
    cost
        (I,) what it costs that an item leaves its host; 0: nothing, FORBIDDEN: it cannot.
    may_go
        (I,) bool: it may be left without a host, so it need not enter another.
    locks
        Levels that say how much weight of which tiers may be left unplaced.
    ceilings
        Levels that say how many moves there may be.
    target
        A bound this high is good enough.
    """
    waiting = _Waiting(relaxed, locks)
    if not waiting.needs.size:
        return 0
    best, priced = 0, np.zeros(0, np.int64)
    for _ in range(ATTEMPTS):
        entering = _Entering(relaxed, waiting, cost, priced)
        rooms = _rooms(relaxed, cost, entering, ceilings)
        patterns = _Patterns(entering, rooms, budget.share(0.3))
        if not patterns.complete and len(priced):
            break
        allowed = np.array([one.value for one in ceilings], dtype=np.int64)
        pricing = _Pricing(waiting, entering, rooms, patterns, allowed, budget)
        best = max(best, pricing.bound())
        more = _worth_a_price(relaxed, cost, may_go, pricing, entering)
        if best >= target or budget.over() or not more.size:
            break
        priced = np.concatenate([priced, more])
    return best


def _worth_a_price(
    relaxed: Relaxed, cost: Ints, may_go: Bools, pricing: _Pricing, entering: _Entering
) -> Ints:
    """Running classes that leave hosts in the LP's solution, and find room in few places.

    Only those that must have a host: the price of what is evicted would not cancel out.
    """
    items, room = relaxed.problem.items, _room_now(relaxed)
    runs = relaxed.free & (items.host0 >= 0) & (cost != FORBIDDEN) & (entering.priced < 0)
    runs &= ~may_go
    leaving = pricing.leaving()
    weight = np.zeros(len(relaxed.first))
    np.add.at(weight, relaxed.of_item[list(leaving)], list(leaving.values()))
    # What leaves for nothing is not told apart: take what alone lets something in.
    silent = np.flatnonzero(runs & (cost == 0) & np.isin(items.host0, pricing.active))
    after = room[items.host0[silent]] + _given(relaxed)[silent]
    lets_in = np.zeros(len(silent), bool)
    for demand in entering.demand:
        lets_in |= ((after >= demand) | (demand == 0)).all(axis=1)
    weight += 0.1 * np.bincount(relaxed.of_item[silent[lets_in]], minlength=len(weight))
    classes = np.flatnonzero(weight)
    number = np.bincount(relaxed.of_item[runs], minlength=len(weight))
    places = np.array([_places(relaxed, room, int(k)) for k in classes], dtype=np.int64)
    scarce = np.flatnonzero((places < PLENTY * number[classes]) & (number[classes] > 0))
    order = np.lexsort((-weight[classes[scarce]], places[scarce]))
    return classes[scarce[order]][:PRICED_AT_ONCE]


def _places(relaxed: Relaxed, room: Ints, klass: int) -> int:
    """How many hosts have room for one item of a class as things are."""
    item = relaxed.first[klass]
    demand = relaxed.demand[item]
    fits = ((room >= demand) | (demand == 0)).all(axis=1)
    return int((fits & relaxed.open_to[relaxed.problem.where.item_eligible[item]]).sum())


class _Waiting:
    """Classes of pending items that locks ask for.

    Attributes
    ----------
    classes, number
        (C,) classes of `relaxed`, and how many pending items each has.
    gain
        (T, C) weight that one item of a class adds to each lock.
    needs
        (T,) weight that each lock asks of pending items.
    """

    def __init__(self, relaxed: Relaxed, locks: Sequence[Lock]) -> None:
        items = relaxed.problem.items
        pending = relaxed.of_item[np.flatnonzero(items.host0 < 0)]
        number = np.bincount(pending, minlength=len(relaxed.first))
        classes = np.flatnonzero(number)
        first = relaxed.first[classes]
        gains, needs = [], []
        for lock in locks:
            gain = lock.factor[items.tier[first]] * items.weight[first]
            need = int((gain * number[classes]).sum()) - lock.value
            if need > 0:
                gains.append(gain)
                needs.append(need)
        table = np.array(gains, dtype=np.int64).reshape(len(gains), len(classes))
        useful = table.any(axis=0)
        self.classes, self.number = classes[useful], number[classes[useful]]
        self.gain, self.needs = table[:, useful], np.array(needs, dtype=np.int64)


class _Entering:
    """What may enter: the waiting classes, then the running classes that have a price.

    Attributes
    ----------
    waiting
        How many of the classes are waiting ones.
    number, demand, open_to
        (D,), (D, R') and (D, H) of each class.
    priced
        (I,) index among the priced running classes; -1: the item's class has no price.
    """

    def __init__(self, relaxed: Relaxed, waiting: _Waiting, cost: Ints, priced: Ints) -> None:
        items = relaxed.problem.items
        runs = relaxed.free & (items.host0 >= 0) & (cost != FORBIDDEN)
        number = np.bincount(relaxed.of_item[runs], minlength=len(relaxed.first))
        self.waiting = len(waiting.classes)
        classes = np.concatenate([waiting.classes, priced])
        self.number = np.concatenate([waiting.number, number[priced]])
        self.demand = relaxed.demand[relaxed.first[classes]]
        row = relaxed.problem.where.item_eligible[relaxed.first[classes]]
        self.open_to = relaxed.open_to[row]
        index = np.full(len(relaxed.first), -1)
        index[priced] = np.arange(len(priced))
        self.priced = np.where(runs, index[relaxed.of_item], -1)


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
    leave
        (N, B + J) how many of each priced running class leave, and what each ceiling counts.
    who
        (N, LARGEST_SET) the leavers of a small set, padded with -1.
    """

    host: Ints
    cost: Ints
    room: Ints
    leave: Ints
    who: Ints

    @classmethod
    def of(cls, host: Ints, cost: Ints, room: Ints, leave: Ints, who: Ints | None = None) -> Rooms:
        """`who` (N, n) with n up to LARGEST_SET, or not told."""
        padded = np.full((len(host), LARGEST_SET), NONE)
        if who is not None:
            padded[:, : who.shape[1]] = who
        return cls(host, cost, room, leave, padded)

    def __getitem__(self, rows: Bools | Ints) -> Rooms:
        return Rooms(
            self.host[rows], self.cost[rows], self.room[rows], self.leave[rows], self.who[rows]
        )

    @classmethod
    def joined(cls, parts: Sequence[Rooms]) -> Rooms:
        """All of `parts`."""
        return cls(
            np.concatenate([part.host for part in parts]),
            np.concatenate([part.cost for part in parts]),
            np.concatenate([part.room for part in parts]),
            np.concatenate([part.leave for part in parts]),
            np.concatenate([part.who for part in parts]),
        )


def _room_now(relaxed: Relaxed) -> Ints:
    """(H, R') free room as things are; negative where a host is overcommitted."""
    items = relaxed.problem.items
    hosts, cells = relaxed.problem.hosts, relaxed.problem.cells
    room = hosts.capacity - hosts.fixed_use
    inflight = relaxed.problem.inflight
    np.subtract.at(room, inflight.source, items.demand[inflight.item])
    runs = np.flatnonzero(items.host0 >= 0)
    np.subtract.at(room, items.host0[runs], items.demand[runs])
    of_cells = np.zeros((len(hosts), cells.capacity.shape[1]), np.int64)
    np.add.at(of_cells, cells.host, np.maximum(cells.capacity - relaxed.cell_used, 0))
    return np.hstack([room, of_cells])


def _rooms(relaxed: Relaxed, cost: Ints, entering: _Entering, ceilings: Sequence[Ceiling]) -> Rooms:
    """All (host, leavers) that could let something in."""
    items = relaxed.problem.items
    base, given = _room_now(relaxed), _given(relaxed)
    prices = int(entering.priced.max(initial=-1)) + 1
    one = np.eye(prices + 1, prices, dtype=np.int64)[entering.priced]
    one = np.column_stack([one, *(ceiling.cost for ceiling in ceilings)])
    leave = np.flatnonzero((items.host0 >= 0) & relaxed.free & (cost != FORBIDDEN))
    counts = (cost > 0) | one.any(axis=1)
    for_nothing = leave[~counts[leave]]
    np.add.at(base, items.host0[for_nothing], given[for_nothing])
    leave = leave[counts[leave]]
    leave = leave[np.argsort(items.host0[leave], kind="stable")]
    hosts = np.flatnonzero(entering.open_to.any(axis=0))
    start = np.searchsorted(items.host0[leave], hosts)
    count = np.searchsorted(items.host0[leave], hosts, side="right") - start
    exact = LARGEST_SET if entering.waiting <= MOST_WAITING else 1
    while exact > 1 and sum(_subsets(int(n), exact) for n in count) > MOST_ROOMS:
        exact -= 1
    none = np.zeros(len(hosts), np.int64)
    parts = [Rooms.of(hosts, none, base[hosts], np.zeros((len(hosts), one.shape[1]), np.int64))]
    for n in np.unique(count[count > 0]).tolist():
        some = np.flatnonzero(count == n)
        who = leave[start[some][:, None] + np.arange(n)]  # (hosts, n)
        tables = hosts[some], base[hosts[some]], given[who], cost[who], one[who]
        parts += _small_sets(*tables, exact, who)
        if n > exact:
            parts += _large_sets(*tables, exact, prices)
    rooms = Rooms.joined(parts)
    least = entering.demand.min(axis=0)
    return rooms[(rooms.room >= least)[:, least > 0].all(axis=1)]


def _subsets(n: int, largest: int) -> int:
    return sum(math.comb(n, size) for size in range(1, min(n, largest) + 1))


def _given(relaxed: Relaxed) -> Ints:
    """(I, R') room that an item gives back when it leaves."""
    problem = relaxed.problem
    held = (problem.when == When.DURING) & ~problem.items.lets_go_first[:, None]
    given = relaxed.demand.copy()
    given[:, : held.shape[1]][held] = 0
    return given


def _small_sets(
    hosts: Ints, base: Ints, given: Ints, cost: Ints, leave: Ints, largest: int, who: Ints
) -> list[Rooms]:
    """Rooms of hosts with n leavers each, for every set of up to `largest` of them."""
    n, kinds = cost.shape[1], leave.shape[2]
    parts = []
    for size in range(1, min(n, largest) + 1):
        index = np.array(list(combinations(range(n), size)))
        host = np.repeat(hosts, len(index))
        room = (base[:, None] + given[:, index].sum(axis=2)).reshape(len(host), -1)
        left = leave[:, index].sum(axis=2).reshape(len(host), kinds)
        price = cost[:, index].sum(axis=2).ravel()
        parts.append(Rooms.of(host, price, room, left, who[:, index].reshape(len(host), size)))
    return parts


def _large_sets(
    hosts: Ints, base: Ints, given: Ints, cost: Ints, leave: Ints, exact: int, prices: int
) -> list[Rooms]:
    """Rooms of hosts with n leavers each, for the sets of more than `exact`, relaxed.

    Of the leavers with equal cost and charges only the number counts, in steps: every resource
    takes those that give most of it, as many as the step reaches; as many are counted as it starts
    from; and their prices (the first `prices` columns of `leave`) are left out.
    """
    n = cost.shape[1]
    table = np.column_stack([cost.ravel(), leave[:, :, prices:].reshape(cost.size, -1)])
    number = row_numbers(table).reshape(cost.shape)
    charge = table[np.unique(number, return_index=True)[1]]
    every = STEPS if len(charge) == 1 else STEPS[:1] + STEPS[1::2]
    steps = [0, *(step for step in every if step < n), n]
    most, has = [], []
    for k in range(len(charge)):
        mine = np.where((number == k)[:, :, None], given, 0)
        total = np.cumsum(-np.sort(-mine, axis=1), axis=1)
        most.append(np.concatenate([np.zeros_like(total[:, :1]), total], axis=1))
        has.append((number == k).sum(axis=1))
    parts = []
    for reach in product(range(len(steps)), repeat=len(charge)):
        fewest = np.array([steps[i - 1] + 1 if i else 0 for i in reach])
        some = np.flatnonzero(np.all([h >= f for h, f in zip(has, fewest, strict=True)], axis=0))
        if sum(steps[i] for i in reach) <= exact or not some.size:
            continue
        room = base[some] + sum(most[k][some, steps[i]] for k, i in enumerate(reach))
        counted = np.zeros((len(some), leave.shape[2]), np.int64)
        counted[:, prices:] = fewest @ charge[:, 1:]
        price = np.full(len(some), fewest @ charge[:, 0])
        parts.append(Rooms.of(hosts[some], price, room, counted))
    return parts


class _Patterns:
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

    def __init__(self, entering: _Entering, rooms: Rooms, budget: Budget) -> None:
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


class _Pricing:
    """Prices of the classes, and what they prove."""

    def __init__(
        self,
        waiting: _Waiting,
        entering: _Entering,
        rooms: Rooms,
        patterns: _Patterns,
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
            value, price, claimed = solution
            gains = self._gains(price)
            worth = np.zeros(self.hosts)
            np.maximum.at(worth, self.host, gains)
            best = max(best, value + claimed.sum() - worth.sum())
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
            value, price, _ = solution
            best = max(best, value - self._divisible_worth(price).sum())
        return best

    def _prices(self, highest: Floats | None = None) -> tuple[float, Floats, Floats] | None:
        """Best prices for the rows so far: LP value, (D + J,) prices, (H,) what hosts are worth.

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
        discount = found.x[locks : locks + classes]
        asked = np.maximum(found.x[:locks] @ waiting.gain - discount, 0.0)
        claimed = np.zeros(self.hosts)
        claimed[hosts] = found.x[first:]
        return -found.value, np.concatenate([asked, found.x[locks + classes : first]]), claimed

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
