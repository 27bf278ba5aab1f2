"""The class x group relaxation: hosts that let the same items in as one, items divisible.

What may not be disturbed is subtracted from the hosts first. Whole items enter only through the
limits: a host holds at most floor(room / demand) items of a class. The LP's value, rounded up,
bounds the items that no placement can place; `DESIGN.md` idea 2, `Relaxed.least_unplaced`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optsched.arrays import Bools, Ints, row_numbers
from optsched.objective import cell_use
from optsched.plan import Placement
from optsched.problem import Evict, LimitKind, PlacementProblem
from optsched.solvers.lp import ROUNDING, Floats, minimize
from optsched.solvers.search import closed_hosts, loose_items

MOST_GROUPS = 200  # groups of hosts told apart; the rest are one group
MOST_PAIRS = 60_000  # (class, group) pairs with a variable each; beyond, running items are fluid
PROBES = 64  # hosts per group tried before all of them are


@dataclass(frozen=True)
class Lock:
    """An earlier level: the weight left unplaced, with a factor per tier, is at most `value`."""

    factor: Ints
    value: int


class Relaxed:
    """Tables of the relaxation.

    Attributes
    ----------
    free
        (I,) items that a plan may place or disturb.
    demand, room
        (I, R') and (H, R'), host resources and then cell resources summed over the cells. `room`
        is what pinned things leave; on an overcommitted host, what is used now beyond them.
    of_item, first, size, running
        Class of each free item (-1: pinned), and per class one item, the number of items, and how
        many of them have a host.
    group
        (H,) the group of each host.
    cell_room, cell_used
        (C, S) what pinned things leave of the cells, as `room`; what is used now.
    most
        (K, G) how many items of a class the hosts of a group can hold.
    """

    def __init__(self, problem: PlacementProblem) -> None:
        self.problem = problem
        items = problem.items
        loose = loose_items(problem)
        self.free = loose | (items.host0 < 0)
        self.closed = closed_hosts(problem)
        self.demand = np.hstack([items.demand, items.cells_needed[:, None] * items.cell_demand])
        self._room_of_cells()
        self.room = np.hstack([self._room_of_hosts(), self._sum_over_cells(self.cell_room)])
        self._group_items()
        self._group_hosts()
        self.most = self._limits()

    # -- tables ----------------------------------------------------------------------------------

    def _room_of_hosts(self) -> Ints:
        problem, items = self.problem, self.problem.items
        pinned = problem.hosts.fixed_use.copy()
        np.add.at(pinned, problem.inflight.source, items.demand[problem.inflight.item])
        kept = np.flatnonzero(~self.free)
        np.add.at(pinned, items.host0[kept], items.demand[kept])
        used = pinned.copy()
        runs = np.flatnonzero(self.free & (items.host0 >= 0))
        np.add.at(used, items.host0[runs], items.demand[runs])
        return np.maximum(np.maximum(problem.hosts.capacity, used) - pinned, 0)

    def _room_of_cells(self) -> None:
        problem = self.problem
        self.cell_used = used = cell_use(problem, Placement.current(problem))
        kept = problem.cells.fixed_use.copy()
        item, column = np.nonzero((problem.items.cells0 >= 0) & ~self.free[:, None])
        np.add.at(kept, problem.items.cells0[item, column], problem.items.cell_demand[item])
        self.cell_room = np.maximum(np.maximum(problem.cells.capacity, used) - kept, 0)

    def _sum_over_cells(self, table: Ints) -> Ints:
        total = np.zeros((len(self.problem.hosts), table.shape[1]), np.int64)
        np.add.at(total, self.problem.cells.host, table)
        return total

    def _group_items(self) -> None:
        problem, items = self.problem, self.problem.items
        rows = np.flatnonzero(self.free)
        must_stay = (items.host0 >= 0) & self._keeps()
        table: list[Ints | Bools]
        table = [items.demand, items.cell_demand, items.cells_needed, items.cell_kind, items.tier]
        crowd = self._crowd_limits()
        table += [items.weight, problem.where.item_eligible, crowd, must_stay]
        table += [items.occupies]
        number = row_numbers(np.column_stack(table)[rows].astype(np.int64))
        self.of_item = np.full(len(items), -1, np.int64)
        self.of_item[rows] = number
        count = int(number.max(initial=-1)) + 1
        self.first = np.zeros(count, np.int64)
        self.first[number[::-1]] = rows[::-1]
        self.size = np.bincount(number, minlength=count)
        self.running = np.bincount(number[items.host0[rows] >= 0], minlength=count)
        self.keeps, self._crowd = must_stay[self.first], crowd[self.first]

    def _keeps(self) -> Bools:
        """(I,) items that must have a host in any plan if they have one now."""
        if self.problem.evict is Evict.NEVER:
            return np.ones(len(self.problem.items), bool)
        return ~self.problem.items.evictable

    def _crowd_limits(self) -> Ints:
        """(I,) how many of its like each item allows on a host, by limits alone."""
        problem, limits = self.problem, self.problem.limits
        most = np.full(len(problem.items), np.iinfo(np.int64).max)
        single = [len(np.unique(one[one >= 0])) == len(one) for one in problem.where.domain]
        for row in range(len(limits)):
            if limits.key[row] < 0 or not single[limits.key[row]]:
                continue  # not about single hosts
            members = problem.where.groups[limits.counted[row]]
            if limits.kind[row] == LimitKind.MAX:
                most[members] = np.minimum(most[members], limits.bound[row])
            elif (
                limits.kind[row] == LimitKind.CONFLICT
                and limits.subject[row] == limits.counted[row]
            ):
                most[members] = np.minimum(most[members], 1)
        return most

    def _group_hosts(self) -> None:
        problem = self.problem
        rows = np.unique(problem.where.item_eligible[self.free])
        self.open_to = (problem.where.excluded == 0) & ~self.closed
        self.group = row_numbers(self.open_to[rows].T.astype(np.int64))
        if self.group.max(initial=0) >= MOST_GROUPS:
            large = np.argsort(-np.bincount(self.group), kind="stable")[: MOST_GROUPS - 1]
            renumbered = np.full(int(self.group.max()) + 1, MOST_GROUPS - 1)
            renumbered[large] = np.arange(len(large))
            self.group = renumbered[self.group]

    def fits(self, klass: int, hosts: Ints) -> Ints:
        """(n,) how many items of a class each of `hosts` can hold, by room and crowd limits."""
        items, cells = self.problem.items, self.problem.cells
        item = int(self.first[klass])
        asked = np.flatnonzero(items.demand[item])
        fit = np.full(len(hosts), self.size[klass])
        for r in asked.tolist():
            fit = np.minimum(fit, self.room[hosts, r] // items.demand[item, r])
        needed = int(items.cells_needed[item])
        if needed:
            slots = np.full(len(cells), self.size[klass])
            for s in np.flatnonzero(items.cell_demand[item]).tolist():
                slots = np.minimum(slots, self.cell_room[:, s] // items.cell_demand[item, s])
            if items.cell_kind[item] >= 0:
                slots = np.where(cells.kind == items.cell_kind[item], slots, 0)
            total = np.bincount(cells.host, slots, minlength=len(self.problem.hosts))
            fit = np.minimum(fit, total[hosts].astype(np.int64) // needed)
        return np.minimum(fit, self._crowd[klass])

    def _limits(self) -> Ints:
        """(K, G) see the class; what is more than there are items is cut to that."""
        groups = int(self.group.max(initial=-1)) + 1
        most = np.zeros((len(self.first), groups), np.int64)
        row = self.problem.where.item_eligible[self.first]
        share = (self.room / np.maximum(self.room.max(axis=0, initial=1), 1)).min(axis=1, initial=1)
        roomy = np.argsort(-share, kind="stable")
        members = [roomy[self.group[roomy] == g] for g in range(groups)]
        for k in range(len(self.first)):
            for g, hosts in enumerate(members):
                for some in (hosts[:PROBES], hosts[PROBES:]):
                    if most[k, g] >= self.size[k] or not some.size:
                        break
                    open_hosts = some[self.open_to[row[k], some]]
                    if open_hosts.size:
                        most[k, g] += self.fits(k, open_hosts).sum()
        self._add_present(most)
        return np.minimum(most, self.size[:, None])

    def _add_present(self, most: Ints) -> None:
        """What sits on a host may stay, whether it would be let in or not."""
        items = self.problem.items
        runs = np.flatnonzero(self.free & (items.host0 >= 0))
        hosts = len(self.problem.hosts)
        pair, number = np.unique(self.of_item[runs] * hosts + items.host0[runs], return_counts=True)
        misfits = runs[self._on_wrong_cells()[runs]]
        strange = Counter((self.of_item[misfits] * hosts + items.host0[misfits]).tolist())
        for one, present in zip(pair.tolist(), number.tolist(), strict=True):
            klass, host = divmod(one, hosts)
            if most[klass, self.group[host]] >= self.size[klass]:
                continue
            row = self.problem.where.item_eligible[self.first[klass]]
            let_in = int(self.fits(klass, np.array([host]))[0]) if self.open_to[row, host] else 0
            most[klass, self.group[host]] += max(present - let_in, strange[one])

    def _on_wrong_cells(self) -> Bools:
        """(I,) bool: sits on cells of a kind that it may not enter."""
        items, cells = self.problem.items, self.problem.cells
        if not len(cells):
            return np.zeros(len(items), bool)
        wrong = (items.cells0 >= 0) & (cells.kind[items.cells0] != items.cell_kind[:, None])
        return np.asarray(wrong.any(axis=1) & (items.cell_kind >= 0))

    # -- the LP ----------------------------------------------------------------------------------

    def hopeless(self) -> Ints:
        """(K,) items of each class that no host can hold."""
        return np.maximum(self.size - self.most.sum(axis=1), 0)

    def least_unplaced(
        self, factor: Ints, locks: Sequence[Lock], seconds: float, *, whole: bool = False
    ) -> int:
        """A lower bound of the weight left unplaced, with a factor per tier.

        Parameters
        ----------
        factor
            (T,) factor of each tier.
        locks
            Earlier levels; the bound is conditional on them.
        seconds
            Time limit of the LP; if it is hit, the bound is that of `hopeless`.
        whole
            Also give every running class variables of its own, however many that makes.
        """
        items = self.problem.items
        weight = items.weight[self.first] * factor[items.tier[self.first]]
        trivial = int((weight * self.hopeless()).sum())
        table = _Table(self, fluid=not whole and self._pairs() > MOST_PAIRS)
        value = table.least(weight, locks, seconds)
        return max(trivial, math.ceil(value)) if value is not None else trivial

    def _pairs(self) -> int:
        return int((self.most > 0).sum())


class _Table:
    """The LP as sparse arrays: p[k, g] items of class k in group g; fluid demand of the rest."""

    def __init__(self, relaxed: Relaxed, *, fluid: bool) -> None:
        self.relaxed = relaxed
        held = relaxed.keeps & (relaxed.running == relaxed.size)
        explicit = ~held if fluid else np.ones(len(relaxed.first), bool)
        self.k, self.g = np.nonzero((relaxed.most > 0) & explicit[:, None])
        self.upper: list[Floats] = [relaxed.most[self.k, self.g].astype(float)]
        self.low: list[float] = []
        self.high: list[float] = []
        self.entries: list[tuple[Ints, Ints, Floats]] = []
        self.columns = len(self.k)
        self._scale = np.maximum(relaxed.room.max(axis=0, initial=1), 1).astype(float)
        self._add_sizes(explicit)
        first = self._add_rooms()
        self._add_fluid(np.flatnonzero(~explicit), first)

    def _rows(self, low: Floats, high: Floats) -> Ints:
        start = len(self.low)
        self.low += low.tolist()
        self.high += high.tolist()
        return start + np.arange(len(low))

    def _add_sizes(self, explicit: Bools) -> None:
        relaxed = self.relaxed
        classes = np.flatnonzero(explicit)
        row = np.full(len(explicit), -1)
        least = np.where(relaxed.keeps, relaxed.running, 0)[classes]
        row[classes] = self._rows(least.astype(float), relaxed.size[classes].astype(float))
        self.entries.append((row[self.k], np.arange(len(self.k)), np.ones(len(self.k))))

    def _add_rooms(self) -> int:
        relaxed = self.relaxed
        groups, resources = relaxed.most.shape[1], relaxed.room.shape[1]
        room = np.zeros((groups, resources))
        np.add.at(room, relaxed.group, relaxed.room / self._scale)
        rows = self._rows(np.full(room.size, -math.inf), room.ravel())
        first = int(rows[0]) if len(rows) else 0
        demand = relaxed.demand[relaxed.first[self.k]] / self._scale
        for r in range(resources):
            some = np.flatnonzero(demand[:, r])
            self.entries.append((first + self.g[some] * resources + r, some, demand[some, r]))
        return first

    def _add_fluid(self, classes: Ints, first: int) -> None:
        """Running classes by the groups open to them, each resource divisible on its own."""
        relaxed = self.relaxed
        resources = relaxed.room.shape[1]
        open_to = relaxed.most[classes] > 0
        kind = row_numbers(open_to.astype(np.int64))
        for one in range(int(kind.max(initial=-1)) + 1):
            mine = classes[kind == one]
            groups = np.flatnonzero(relaxed.most[mine[0]] > 0)
            demand = relaxed.demand[relaxed.first[mine]] * relaxed.size[mine][:, None]
            total = demand.sum(axis=0) / self._scale
            for r in np.flatnonzero(total).tolist():
                column = self.columns + np.arange(len(groups))
                self.columns += len(groups)
                self.upper.append(np.full(len(groups), total[r]))
                row = self._rows(total[[r]], np.array([math.inf]))
                self.entries.append((np.repeat(row, len(groups)), column, np.ones(len(groups))))
                self.entries.append((first + groups * resources + r, column, np.ones(len(groups))))

    def least(self, weight: Ints, locks: Sequence[Lock], seconds: float) -> float | None:
        """What is left unplaced weighs at least this by `weight` (K,); None: not known in time."""
        relaxed = self.relaxed
        items = relaxed.problem.items
        low, high, entries = list(self.low), list(self.high), list(self.entries)
        plain = items.weight[relaxed.first]
        for lock in locks:
            gain = plain * lock.factor[items.tier[relaxed.first]]
            some = np.flatnonzero(gain[self.k])
            entries.append((np.full(len(some), len(low)), some, gain[self.k[some]].astype(float)))
            low.append(float((gain * relaxed.size).sum() - lock.value))
            high.append(math.inf)
        total = float((weight * relaxed.size).sum())
        cost = np.zeros(self.columns)
        cost[: len(self.k)] = -weight[self.k]
        found = minimize(cost, np.concatenate(self.upper), low, high, entries, seconds)
        return None if found is None else total + found.sure - ROUNDING * max(1.0, total)
