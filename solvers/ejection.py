"""Find a host for an item, moving others out of its way where that is needed.

An *ejection* takes an item off a host so that another may enter; the ejected item goes where there
is room, or ejects in its turn. Fewest moves first: no ejection, one, several from one host, chains,
and evictions last, where the problem allows them at all.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.budget import Budget
from optsched.problem import Evict
from optsched.solvers.fitting import Fitting
from optsched.solvers.leavers import Leavers
from optsched.solvers.search import Mark, Search

TRIES = 24  # ejections tried per item and depth before it is given up
HOSTS = 24  # hosts looked at for ejections of several items
TOGETHER = 4  # most items ejected from one host


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

    Attributes
    ----------
    leavers
        Whom it may eject, in which order.
    """

    def __init__(
        self,
        search: Search,
        fitting: Fitting,
        budget: Budget,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.search, self.fitting, self.budget = search, fitting, budget
        self.leavers = Leavers(search, fitting, rng)
        self._partial = False  # a gang is being placed, member by member

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
        self.leavers.may_cost(item)
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

    def _single(self, item: int, start: Mark) -> bool:
        """Move one item away and put `item` in its place."""
        search, tries = self.search, 0
        dead: set[int] = set()
        for other in self.fitting.with_room(self.leavers.in_the_way(item)):
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
        movers = np.array([i for i in sorted(members) if self.leavers.free[i]], dtype=np.int64)
        movers = movers[search.state.host[movers] >= 0]
        for other in movers[self.leavers.cheapest(movers)][:TRIES].tolist():
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
        movers = self.leavers.movers()
        give = np.zeros(problem.hosts.capacity.shape, np.int64)
        np.add.at(give, state.host[movers], self.leavers.given(movers))
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
        movers = self.leavers.of_host(host, sendable)
        given = self.leavers.given(movers)
        asked = self.search.problem.items.demand[item] > 0
        need = (self.search.problem.items.demand[item] - self.search.free()[host])[asked]
        price, size = self.leavers.prices(movers), self.leavers.blurred(movers)
        for number in range(2, min(TOGETHER, len(movers)) + 1):
            index = _choices(len(movers), number)
            enough = index[(given[:, asked][index].sum(axis=1) >= need).all(axis=1)]
            if enough.size:
                order = np.lexsort((size[enough].sum(axis=1), price[enough].sum(axis=1)))
                return [tuple(movers[row].tolist()) for row in enough[order[:3]]]
        return []

    def _chain(self, item: int, start: Mark, depth: int) -> bool:
        """Put `item` where another item is, which then ejects in its turn."""
        search, tried = self.search, set()
        for other in self.leavers.in_the_way(item).tolist():
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
