"""Who could leave a host, and the room that would then be free: the tables of `move_bounds`.

Small sets of leavers are looked at one by one. Of larger ones only the numbers count: a set is
replaced by one that gives at least as much room for at most as many moves, so a bound over these
rooms stays a bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from optsched.arrays import NONE, Bools, Ints, row_numbers
from optsched.problem import When
from optsched.solvers.relaxed import Lock, Relaxed

MOST_ROOMS = 200_000  # sets of leavers looked at one by one; larger sets are relaxed
LARGEST_SET = 3
STEPS = (1, 2, 3, 4, 6, 9, 14, 21, 32, 64, 128)  # in the size of a larger set
MOST_WAITING = 30  # classes of pending items for which pairs and larger sets pay
FORBIDDEN = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Ceiling:
    """An earlier level: the moves, counted with (I,) `cost` each, are at most `value`."""

    cost: Ints
    value: int


class Waiting:
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


class Entering:
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

    def __init__(self, relaxed: Relaxed, waiting: Waiting, cost: Ints, priced: Ints) -> None:
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


def room_now(relaxed: Relaxed) -> Ints:
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


def possible_rooms(
    relaxed: Relaxed, cost: Ints, entering: Entering, ceilings: Sequence[Ceiling]
) -> Rooms:
    """All (host, leavers) that could let something in."""
    items = relaxed.problem.items
    base, given = room_now(relaxed), given_back(relaxed)
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


def given_back(relaxed: Relaxed) -> Ints:
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
