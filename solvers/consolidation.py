"""Use cheaper hosts: pack everything onto a cheap set of hosts at once, or empty hosts one by one.

All at once: choose a cheap cover with a little room to spare, anneal a packing into it, and put
what is left over wherever it fits. The less room to spare, the cheaper and the harder to pack: the
spare room is halved while that works.
"""

from __future__ import annotations

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.budget import Budget
from optsched.kernels.jit import COMPILED
from optsched.kernels.packing import settle
from optsched.problem import Evict, Scope
from optsched.solvers.cover import Cover, Load
from optsched.solvers.ejection import Ejection
from optsched.solvers.fitting import Fitting
from optsched.solvers.search import Search

SPARE_ROOM = (0.0, 0.08, 0.04, 0.02, 0.01, 0.005, 0.0025)  # shares tried
BATCHES = 6000 if COMPILED else 60  # of annealing, per try
HOT, COLD = 0.3, 0.03  # temperatures, in mean demands
AWAY = 0.02  # price of leaving home, in mean demands


class Consolidation:
    """Lowers the cost of the hosts in use.

    Parameters
    ----------
    search
        Changed only for the better.
    seed, patience
        Of the annealing; a factor of its length.
    """

    def __init__(self, search: Search, seed: int = 0, *, patience: int = 1) -> None:
        self.search, self.problem, self.batches = search, search.problem, BATCHES * patience
        self._stream = np.array([seed * 2 + 88172645463325253], dtype=np.uint64)
        self._moving = self._may_move_freely()

    def _may_move_freely(self) -> Bools:
        """(I,) items that no rule but room and requirements binds, and whose moves come later."""
        problem, items, worth = self.problem, self.problem.items, self.search.worth
        free = (items.host0 < 0) | self.search.loose
        first = int(np.flatnonzero(worth.host_cost)[0]) if worth.host_cost.any() else 0
        earlier: Bools = np.any(worth.moved[:, :first] != 0, axis=1)
        free &= (items.host0 < 0) | ~earlier[items.tier]
        free &= (items.cells_needed == 0) & (items.gang < 0)
        limits = problem.limits
        for group in {*limits.subject.tolist(), *limits.counted.tolist()}:
            free[problem.where.groups[group]] = False
        for row in np.flatnonzero(problem.budgets.scope == Scope.PLAN).tolist():
            free[problem.budgets.groups[row]] = False
        if problem.protect_higher or problem.evict is Evict.LOWER or problem.max_moves >= 0:
            free &= items.host0 < 0
        return np.asarray(free)

    def pack_all(self, budget: Budget) -> bool:
        """Pack all that may move freely into a cheap set of hosts; whether that was better."""
        better = False
        for spare in SPARE_ROOM:
            if budget.over():
                break
            done = self._pack_into(spare, budget)
            better |= done
            if done and not spare:
                return True  # no cover is cheaper
        return better

    def _pack_into(self, spare: float, budget: Budget) -> bool:
        search = self.search
        start = search.mark()
        items = np.flatnonzero(self._moving & (search.state.host >= 0))
        before = search.state.placement()
        for item in items.tolist():
            if budget.over():
                search.undo(start)
                return False
            search.put(item, NONE)
        room = np.maximum(search.free(), 0)
        occupying = items[self.problem.items.occupies[items]]
        forced = search.occupants > 0
        if not occupying.size:
            search.undo(start)
            return False
        cover = Cover(self.problem, Load(occupying, room, forced))
        chosen = cover.solve(budget, spare)
        if chosen is not None and not self._too_dear(chosen.hosts, start.value):
            if (chosen.hosts & ~search.closed).any():
                host = self._settle(items, before.host[items], room, chosen.hosts, budget)
                self._seat(items, host, chosen.hosts, budget)
            if search.better_than(start) and not search.state.violations():
                return True
        search.undo(start)
        return False

    def _too_dear(self, hosts: Bools, value: Ints) -> bool:
        """Whether a set of hosts costs no less than the placement does already."""
        level = int(np.flatnonzero(self.search.worth.host_cost)[0])
        cost = int(self.problem.hosts.cost[hosts].sum()) * int(self.search.worth.host_cost[level])
        return cost >= int(value[level])

    def _settle(self, items: Ints, host: Ints, room: Ints, hosts: Bools, budget: Budget) -> Ints:
        """(n,) a host of `hosts` for each of `items`; perhaps with overload here and there."""
        problem = self.problem
        at = np.flatnonzero(hosts & ~self.search.closed)
        index = np.full(len(problem.hosts), NONE)
        index[at] = np.arange(len(at))
        demand = problem.items.demand[items].astype(np.float64)
        unit = np.maximum(demand.mean(axis=0), 1e-9)
        demand, space = demand / unit, room[at] / unit
        rows, row = np.unique(problem.where.item_eligible[items], return_inverse=True)
        open_to = problem.where.excluded[rows][:, at] == 0
        home = index[problem.items.host0[items]]
        home[problem.items.host0[items] < 0] = NONE
        seat = _first_seats(demand, space, row, open_to, index[host])
        load = np.zeros_like(space)
        np.add.at(load, seat, demand)
        cooling = (COLD / HOT) ** (1.0 / self.batches)
        temperature, some = HOT, max(1, BATCHES // 20)
        for _ in range(0, self.batches, some):
            left = settle(
                demand, space, row, open_to, home, AWAY, seat, load, temperature, cooling, some,
                self._stream,
            )  # fmt: skip
            temperature *= cooling**some
            if left == 0.0 or budget.over():
                break
        return np.asarray(at[seat])

    def _seat(self, items: Ints, host: Ints, hosts: Bools, budget: Budget) -> None:
        """Put `items` where annealing left them, largest first; the rest wherever it fits."""
        search = self.search
        fitting = Fitting(search)
        order = np.argsort(-fitting.sizes(items), kind="stable")
        left: list[int] = []
        for item, target in zip(items[order].tolist(), host[order].tolist(), strict=True):
            if budget.over():
                return
            home = target == self.problem.items.host0[item]
            if not (search.go_home(item) if home else search.enter(item, target)):
                left.append(item)
        fitting.allow(hosts)
        ejection = Ejection(search, fitting, budget)
        anywhere = Ejection(search, Fitting(search), budget)
        for item in left:
            if budget.over():
                return
            if not ejection.insert(item, depth=1, evict=False):
                anywhere.insert(item, depth=1, evict=False)

    def empty_hosts(self, budget: Budget) -> bool:
        """Empty hosts one by one, those with least to move for their cost first."""
        search, items = self.search, self.problem.items
        cost = self.problem.hosts.cost
        used = np.flatnonzero((search.occupants > 0) & (cost > 0))
        movable = search.loose | (items.host0 < 0)
        load = np.array([sum(bool(items.occupies[i]) for i in search.on[h]) for h in used])
        better = False
        for host in used[np.argsort(load / np.maximum(cost[used], 1), kind="stable")].tolist():
            guests = [i for i in sorted(search.on[host]) if items.occupies[i]]
            if budget.over():
                break
            if guests and all(movable[i] for i in guests):
                better |= self._empty(host, guests, budget)
        return better

    def _empty(self, host: int, guests: list[int], budget: Budget) -> bool:
        """Move all of `guests` off `host` to hosts that are in use; whether that was better."""
        search = self.search
        start = search.mark()
        fitting = Fitting(search)
        open_hosts = search.occupants > 0
        open_hosts[host] = False
        fitting.allow(open_hosts)
        sizes = fitting.sizes(np.array(guests, dtype=np.int64))
        for k in np.argsort(-sizes, kind="stable").tolist():
            targets = fitting.hosts(guests[k])
            if not any(search.enter(guests[k], h) for h in fitting.best(guests[k], targets)):
                search.undo(start)
                return False
            if budget.over():
                break
        if search.better_than(start) and search.holds(start) and not search.occupants[host]:
            return True
        search.undo(start)
        return False


def _first_seats(
    demand: np.ndarray, room: np.ndarray, row: Ints, open_to: Bools, present: Ints
) -> Ints:
    """(n,) where annealing starts: the present host if it is one of them, else the emptiest."""
    seat = present.copy()
    load = np.zeros_like(room)
    keeps = np.flatnonzero(seat >= 0)
    np.add.at(load, seat[keeps], demand[keeps])
    space = np.maximum(room, 1e-9)
    order = np.argsort(-demand.sum(axis=1), kind="stable")
    for item in order[seat[order] < 0].tolist():
        share = ((load + demand[item]) / space).max(axis=1)
        seat[item] = int(np.where(open_to[row[item]], share, np.inf).argmin())
        load[seat[item]] += demand[item]
    return seat
