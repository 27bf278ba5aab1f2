"""Who may leave a host so that another may enter, and in which order that is tried.

First those that have moved anyway, then those whose move costs a later level; among equals, those
whose departure lets two of those that wait enter, those that find room where nobody else is sent,
those that draw on no budget, and small ones.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from optsched.arrays import Bools, Ints
from optsched.problem import When
from optsched.rules import limit_blocks
from optsched.solvers.fitting import Fitting, frontier_rows
from optsched.solvers.search import Search

BLUR = 0.4  # of sizes, either way
LEAVERS = 16  # items on a host of which some are chosen to leave together

Floats: TypeAlias = npt.NDArray[np.float64]


class Leavers:
    """Items that may leave their host for another.

    Parameters
    ----------
    search, fitting, rng
        As for `Ejection`.

    Attributes
    ----------
    guests
        Other items that wait: a departure that lets two of them in is worth two.
    free
        (I,) bool: items that may be put elsewhere.
    """

    def __init__(
        self, search: Search, fitting: Fitting, rng: np.random.Generator | None = None
    ) -> None:
        self.search, self.fitting, self._rng = search, fitting, rng
        problem = search.problem
        # A move off a level that comes early is dearer than any number of later ones.
        order = {row: k for k, row in enumerate(sorted({*map(tuple, search.worth.moved.tolist())}))}
        self._price = np.array([order[tuple(row)] for row in search.worth.moved.tolist()])
        self._affordable = np.ones(len(self._price), bool)  # tiers that may be moved
        self.guests: list[int] = []
        self.free = search.loose | (problem.items.host0 < 0)
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

    def may_cost(self, item: int) -> None:
        """From now on, leave alone what costs more to move than a host for `item` is worth."""
        worth, state = self.search.worth, self.search.state
        now = tuple(worth.of_item(item, int(state.host[item]), state.cells[item]).tolist())
        self._affordable = np.array([tuple(row) < now for row in worth.moved.tolist()])

    def in_the_way(self, item: int) -> Ints:
        """Items of which one must go so that `item` fits, cheapest first."""
        search, demand = self.search, self.search.problem.items.demand
        movers = self.movers()
        movers = movers[movers != item]
        at = search.state.host[movers]
        open_hosts = self.fitting.eligible(item)
        if search.state.host[item] >= 0:
            open_hosts[search.state.host[item]] = False
        helps = open_hosts[at]
        need, given = demand[item] - search.free(), self.given(movers)
        for r in np.flatnonzero(demand[item]).tolist():
            helps &= need[at, r] <= given[:, r]
        if search.problem.items.cells_needed[item]:
            helps &= search.problem.items.cells_needed[movers] > 0
        helps &= self._may_unblock(item, movers, at)
        movers = movers[helps]
        return movers[self.cheapest(movers, self._shares(item, movers))]

    def of_host(self, host: int, sendable: dict[int, bool]) -> Ints:
        """Items on `host` that another has room for: cheap ones first, then large ones."""
        rows = self.search.state.counters.rows_of_item
        movers = self.movers()
        movers = movers[self.search.state.host[movers] == host]
        rooted, tight = ~self._roams[movers], self._tight[movers] > 0
        order = np.lexsort((-self.blurred(movers), tight, rooted, self.prices(movers)))
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

    def movers(self) -> Ints:
        """Items that have a host now and may leave it, at a price that can be paid."""
        state, items = self.search.state, self.search.problem.items
        paid = (state.host != items.host0) | self._affordable[items.tier]
        return np.flatnonzero(self.free & (state.host >= 0) & paid)

    def given(self, movers: Ints) -> Ints:
        """(n, R) room that a host gains when each of `movers` leaves it."""
        problem, state = self.search.problem, self.search.state
        given = problem.items.demand[movers]
        if (problem.when == When.DURING).any():
            held = ~problem.items.lets_go_first[movers]
            held &= state.host[movers] == problem.items.host0[movers]
            given = np.where(held[:, None] & (problem.when == When.DURING), 0, given)
        return given

    def cheapest(self, movers: Ints, shares: Bools | None = None) -> Ints:
        """Order of `movers`: those that have moved anyway, then by level, budgets and size.

        With `shares`, those that make room for more come before others of their level.
        """
        alone = np.zeros(len(movers), bool) if shares is None else ~shares
        rooted, tight = ~self._roams[movers], self._tight[movers] > 0
        return np.lexsort((self.blurred(movers), tight, rooted, alone, self.prices(movers)))

    def prices(self, movers: Ints) -> Ints:
        """(n,) rank of the level that a move of each of `movers` costs; 0: none."""
        items, state = self.search.problem.items, self.search.state
        at_home = (state.host[movers] == items.host0[movers]) & (items.host0[movers] >= 0)
        return np.where(at_home, 1 + self._price[items.tier[movers]], 0)

    def blurred(self, movers: Ints) -> Floats:
        """(n,) sizes, blurred if choices are drawn."""
        size = self.fitting.sizes(movers)
        if self._rng is not None:
            size = size * self._rng.uniform(1 - BLUR, 1 + BLUR, len(size))
        return size

    def _shares(self, item: int, movers: Ints) -> Bools:
        """(n,) whether `item` and another guest would fit where each of `movers` is."""
        state, demand = self.search.state, self.search.problem.items.demand
        at = state.host[movers]
        left = self.search.free()[at] + self.given(movers) - demand[item]
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
