"""Find a host for an item, moving others out of its way where that is needed.

An *ejection* takes an item off a host so that another may enter; the ejected item goes where there
is room, or ejects in its turn. Fewest moves first: no ejection, one, several from one host, chains,
and evictions last, where the problem allows them at all.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from optsched.arrays import Bools, Ints
from optsched.budget import Budget
from optsched.problem import Evict, When
from optsched.rules import limit_blocks
from optsched.solvers.fitting import Fitting, frontier_rows
from optsched.solvers.search import Mark, Search

TRIES = 24  # ejections tried per item and depth before it is given up
HOSTS = 24  # hosts looked at for ejections of several items
BLUR = 0.4  # of sizes, either way
TOGETHER = 4  # most items ejected from one host
LEAVERS = 16  # items on a host of which some are chosen to leave together

Floats: TypeAlias = npt.NDArray[np.float64]


class Ejection:
    """Places one item at a time, at the cost of few moves.

    Parameters
    ----------
    search
        The placement in the making.
    fitting
        Rows of hosts with room; its `allowed` hosts are the only ones entered.
    budget
        Looked at between tries.
    rng
        Blurs the sizes by which it chooses whom to eject; None: it chooses the same each time.
    """

    def __init__(
        self,
        search: Search,
        fitting: Fitting,
        budget: Budget,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.search, self.fitting, self.budget, self._rng = search, fitting, budget, rng
        problem = search.problem
        # A move off a level that comes early is dearer than any number of later ones.
        order = {row: k for k, row in enumerate(sorted({*map(tuple, search.worth.moved.tolist())}))}
        self._price = np.array([order[tuple(row)] for row in search.worth.moved.tolist()])
        self._affordable = np.ones(len(self._price), bool)  # tiers that may be moved
        self._partial = False  # a gang is being placed, member by member
        # Other items that wait: a departure that lets two of them in is worth two.
        self.guests: list[int] = []
        self._free = search.loose | (problem.items.host0 < 0)
        self._roams = self._keep_room()
        budgets = problem.budgets
        self._tight = np.zeros(len(problem.items), np.int64)
        for row in range(len(budgets)):
            self._tight[budgets.groups[row]] += 1

    def _keep_room(self) -> Bools:
        """Leave hosts to what waits as far as others have a choice; (I,) bool: who has one."""
        where, fitting = self.search.problem.where, self.fitting
        waiting = np.unique(where.item_eligible[self.search.state.host < 0])
        fitting.sought = (where.excluded[waiting] == 0).any(axis=0)
        others = (where.excluded == 0) & (fitting.allowed & ~fitting.sought)
        return np.asarray(others.any(axis=1)[where.item_eligible])

    # -- one item --------------------------------------------------------------------------------

    def insert(self, item: int, depth: int = 2, *, evict: bool = True) -> bool:
        """Give `item` a host so that the value improves; whether that worked.

        Parameters
        ----------
        item
            It may be pending, or sit on a host that it should leave.
        depth
            Longest chain of ejections; 0: only where there is room now.
        evict
            Whether to evict, as far as the problem allows it, when all else fails.
        """
        start = self.search.mark()
        self._affordable = self._tiers_worth_moving(item)
        if self.direct(item, start) or (depth and self._eject(item, start, depth)):
            return True
        return evict and self.search.problem.evict is not Evict.NEVER and self._evict(item, start)

    def insert_all(self, items: tuple[int, ...], depth: int = 2, *, evict: bool = True) -> bool:
        """Give every one of `items`, a gang, a host, or none of them; whether that worked."""
        start = self.search.mark()
        self._partial = True
        placed = all(self.insert(item, depth, evict=evict) for item in items)
        self._partial = False
        if placed and self._accept(start):
            return True
        self.search.undo(start)
        return False

    def _tiers_worth_moving(self, item: int) -> Bools:
        """(T,) tiers of which one move costs less than a host for `item` is worth."""
        worth, state = self.search.worth, self.search.state
        now = worth.of_item(item, int(state.host[item]), state.cells[item])
        return np.array([tuple(row) < tuple(now.tolist()) for row in worth.moved.tolist()])

    def direct(self, item: int, start: Mark) -> bool:
        """Put `item` where there is room."""
        for host in self.fitting.best(item, self.fitting.hosts(item)):
            mark = self.search.mark()
            if self.search.enter(item, host) and self._accept(start):
                return True
            self.search.undo(mark)
        return False

    def _accept(self, start: Mark) -> bool:
        return self.search.better_than(start) and self.search.holds(start, gangs=not self._partial)

    # -- one ejection ----------------------------------------------------------------------------

    def _eject(self, item: int, start: Mark, depth: int) -> bool:
        if self._single(item, start) or self._make_peace(item, start):
            return True
        if depth >= 2 and not self.budget.over():
            return self._several(item, start) or self._chain(item, start, depth)
        return False

    def _in_the_way(self, item: int) -> Ints:
        """Items of which one must go so that `item` fits, cheapest first."""
        search, demand = self.search, self.search.problem.items.demand
        movers = self._movers()
        movers = movers[movers != item]
        at = search.state.host[movers]
        open_hosts = self.fitting.eligible(item)
        if search.state.host[item] >= 0:
            open_hosts[search.state.host[item]] = False
        helps = open_hosts[at]
        need, given = demand[item] - search.free(), self._given(movers)
        for r in np.flatnonzero(demand[item]).tolist():
            helps &= need[at, r] <= given[:, r]
        if search.problem.items.cells_needed[item]:
            helps &= search.problem.items.cells_needed[movers] > 0
        helps &= self._may_unblock(item, movers, at)
        movers = movers[helps]
        return movers[self._cheapest(movers, self._shares(item, movers))]

    def _shares(self, item: int, movers: Ints) -> Bools:
        """(n,) whether `item` and another guest would fit where each of `movers` is."""
        state, demand = self.search.state, self.search.problem.items.demand
        at = state.host[movers]
        left = self.search.free()[at] + self._given(movers) - demand[item]
        shares = np.zeros(len(movers), bool)
        for guest in self._smallest_guests(item):
            fits = ((left >= demand[guest]) | (demand[guest] == 0)).all(axis=1)
            shares |= fits & self.fitting.eligible(guest)[at]
        return shares

    def _smallest_guests(self, item: int) -> list[int]:
        """Guests other than `item` that still wait, without those that need more than another."""
        demand = self.search.problem.items.demand
        waiting = [g for g in self.guests if g != item and self.search.state.host[g] < 0]
        rows = self.search.problem.where.item_eligible[waiting]
        chosen: list[int] = []
        for row in np.unique(rows).tolist():
            mine = [g for g, r in zip(waiting, rows.tolist(), strict=True) if r == row]
            chosen += [mine[k] for k in frontier_rows(-demand[mine])]
        return chosen

    def _movers(self) -> Ints:
        """Items that have a host now and may leave it, at a price that can be paid."""
        state, items = self.search.state, self.search.problem.items
        paid = (state.host != items.host0) | self._affordable[items.tier]
        return np.flatnonzero(self._free & (state.host >= 0) & paid)

    def _given(self, movers: Ints) -> Ints:
        """(n, R) room that a host gains when each of `movers` leaves it."""
        problem, state = self.search.problem, self.search.state
        given = problem.items.demand[movers]
        if (problem.when == When.DURING).any():
            held = ~problem.items.lets_go_first[movers]
            held &= state.host[movers] == problem.items.host0[movers]
            given = np.where(held[:, None] & (problem.when == When.DURING), 0, given)
        return given

    def _may_unblock(self, item: int, movers: Ints, at: Ints) -> Bools:
        """(n,) whether limits let `item` enter where each of `movers` is, once that has gone."""
        state, counters = self.search.state, self.search.state.counters
        free = np.ones(len(movers), bool)
        for row in counters.rows_of_item[item].tolist():
            blocked = limit_blocks(state, item, row)
            if blocked is None or not blocked.any():
                continue
            members = counters.in_counted[row] | counters.in_subject[row]
            free &= ~blocked[at] | np.isin(movers, np.fromiter(members, np.int64))
        return free

    def _cheapest(self, movers: Ints, shares: Bools | None = None) -> Ints:
        """Order of `movers`: those that have moved anyway, then by level, budgets and size.

        With `shares`, those that make room for more come before others of their level.
        """
        alone = np.zeros(len(movers), bool) if shares is None else ~shares
        rooted, tight = ~self._roams[movers], self._tight[movers] > 0
        return np.lexsort((self._blurred(movers), tight, rooted, alone, self._at(movers)))

    def _at(self, movers: Ints) -> Ints:
        """(n,) rank of the level that a move of each of `movers` costs; 0: none."""
        items, state = self.search.problem.items, self.search.state
        at_home = (state.host[movers] == items.host0[movers]) & (items.host0[movers] >= 0)
        return np.where(at_home, 1 + self._price[items.tier[movers]], 0)

    def _blurred(self, movers: Ints) -> Floats:
        """(n,) sizes, blurred if choices are drawn."""
        size = self.fitting.sizes(movers)
        if self._rng is not None:
            size = size * self._rng.uniform(1 - BLUR, 1 + BLUR, len(size))
        return size

    def _single(self, item: int, start: Mark) -> bool:
        """Move one item away and put `item` in its place."""
        search, tries = self.search, 0
        dead: set[int] = set()
        for other in self.fitting.with_room(self._in_the_way(item)):
            kind = int(self.fitting.kind[other])
            if kind in dead:
                continue
            targets = self.fitting.hosts(other)
            if not targets.any():
                if not search.state.counters.rows_of_item[other].size:
                    dead.add(kind)
                continue
            if self._swap_in(item, other, targets) and self._accept(start):
                return True
            search.undo(start)
            tries += 1
            if tries >= TRIES or self.budget.over():
                break
        return False

    def _make_peace(self, item: int, start: Mark) -> bool:
        """Move away one item whose presence, somewhere in a domain, keeps `item` out."""
        search, counters = self.search, self.search.state.counters
        rows = counters.rows_of_item[item].tolist()
        members = {other for row in rows for other in counters.in_counted[row]} - {item}
        movers = np.array([i for i in sorted(members) if self._free[i]], dtype=np.int64)
        movers = movers[search.state.host[movers] >= 0]
        for other in movers[self._cheapest(movers)][:TRIES].tolist():
            targets = self.fitting.hosts(other)
            if targets.any() and self._send(other, targets) and self.direct(item, start):
                return True
            search.undo(start)
        return False

    def _swap_in(self, item: int, other: int, targets: Bools) -> bool:
        """Send `other` to the best of `targets` and put `item` where it was."""
        search = self.search
        host = int(search.state.host[other])
        if not self._send(other, targets):
            return False
        return search.enter(item, host)

    def _send(self, item: int, targets: Bools) -> bool:
        """Home if there is room, else to the best of `targets`."""
        home = int(self.search.problem.items.host0[item])
        if home >= 0 and targets[home]:
            return self.search.enter(item, home)
        return any(self.search.enter(item, h) for h in self.fitting.best(item, targets)[:1])

    # -- several from one host, and chains -------------------------------------------------------

    def _near_hosts(self, item: int) -> Ints:
        """Hosts that lack least for `item` and could make the room, nearest first."""
        search, problem = self.search, self.search.problem
        state, demand = search.state, problem.items.demand[item]
        movers = self._movers()
        give = np.zeros(problem.hosts.capacity.shape, np.int64)
        np.add.at(give, state.host[movers], self._given(movers))
        asked = demand > 0
        need = np.maximum(demand - search.free(), 0)[:, asked]
        could = self.fitting.eligible(item) & (give[:, asked] >= need).all(axis=1)
        if state.host[item] >= 0:
            could[state.host[item]] = False
        hosts = np.flatnonzero(could)
        scale = np.maximum(problem.hosts.capacity.max(axis=0, initial=1), 1)[asked]
        lack = (need[hosts] / scale).sum(axis=1)
        return hosts[np.argsort(lack, kind="stable")[:HOSTS]]

    def _several(self, item: int, start: Mark) -> bool:
        """Move a few items off one host and put `item` there."""
        tries, sendable = 0, dict[int, bool]()
        for host in self._near_hosts(item).tolist():
            for chosen in self._sets(item, host, sendable):
                tries += 1
                if all(self._leave(other, host) for other in chosen) and (
                    self.search.enter(item, host) and self._accept(start)
                ):
                    return True
                self.search.undo(start)
            if tries >= TRIES or self.budget.over():
                return False
        return False

    def _leave(self, item: int, host: int) -> bool:
        targets = self.fitting.hosts(item)
        targets[host] = False
        return bool(targets.any()) and self._send(item, targets)

    def _sets(self, item: int, host: int, sendable: dict[int, bool]) -> list[tuple[int, ...]]:
        """A few sets of items on `host`, cheapest first, that give the room `item` lacks.

        `sendable` remembers the kinds for which some host has room.
        """
        movers = self._leavers(host, sendable)
        given = self._given(movers)
        asked = self.search.problem.items.demand[item] > 0
        need = (self.search.problem.items.demand[item] - self.search.free()[host])[asked]
        price, size = self._at(movers), self._blurred(movers)
        for number in range(2, min(TOGETHER, len(movers)) + 1):
            index = _choices(len(movers), number)
            enough = index[(given[:, asked][index].sum(axis=1) >= need).all(axis=1)]
            if enough.size:
                order = np.lexsort((size[enough].sum(axis=1), price[enough].sum(axis=1)))
                return [tuple(movers[row].tolist()) for row in enough[order[:3]]]
        return []

    def _leavers(self, host: int, sendable: dict[int, bool]) -> Ints:
        """Items on `host` that another has room for: cheap ones first, then large ones."""
        rows = self.search.state.counters.rows_of_item
        movers = self._movers()
        movers = movers[self.search.state.host[movers] == host]
        rooted, tight = ~self._roams[movers], self._tight[movers] > 0
        order = np.lexsort((-self._blurred(movers), tight, rooted, self._at(movers)))
        chosen: list[int] = []
        for other in movers[order].tolist():
            kind = int(self.fitting.kind[other])
            if kind not in sendable or rows[other].size:
                sendable[kind] = bool(self.fitting.hosts(other).any())
            if sendable[kind]:
                chosen.append(other)
            if len(chosen) == LEAVERS:
                break
        return np.array(chosen, dtype=np.int64)

    def _chain(self, item: int, start: Mark, depth: int) -> bool:
        """Put `item` where another item is, which then ejects in its turn."""
        search, tried = self.search, set()
        for other in self._in_the_way(item).tolist():
            kind = int(self.fitting.kind[other])
            if kind in tried:
                continue
            tried.add(kind)
            host = int(search.state.host[other])
            search.put(other, -1)
            if (
                search.enter(item, host)
                and self._single(other, search.mark())
                and self._accept(start)
            ):
                return True
            search.undo(start)
            if len(tried) >= TRIES // 2 or self.budget.over():
                return False
        return False

    # -- evictions -------------------------------------------------------------------------------

    def _evict(self, item: int, start: Mark) -> bool:
        """Evict items of lower tiers from one host, and put `item` there."""
        for host in self._near_hosts(item).tolist():
            for other in self._victims(item, host):
                self.search.put(other, -1)
                if self.search.enter(item, host):
                    if self._accept(start):
                        return True
                    break
            self.search.undo(start)
        return False

    def _victims(self, item: int, host: int) -> list[int]:
        """Items that `item` may evict from `host`, lowest tier and largest first."""
        search, items = self.search, self.search.problem.items
        if search.problem.evict is Evict.LOWER and not items.may_evict_others[item]:
            return []
        found = [
            i
            for i in search.on[host]
            if search.loose[i] and items.evictable[i] and items.tier[i] > items.tier[item]
        ]
        return sorted(found, key=lambda i: (-int(items.tier[i]), -self.fitting.size(i), i))


@lru_cache(maxsize=64)
def _choices(count: int, number: int) -> Ints:
    """(n, number) all choices of `number` of `count` indices."""
    return np.array(list(combinations(range(count), number)), dtype=np.int64)
