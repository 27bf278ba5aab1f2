"""What binds whole plans rather than single arrivals: rules 6 to 9 of `problem`, kept as counts.

A search asks after every change whether evictions, displacement, gangs, budgets and the number of
moves still are as they may be; counts of who left, who entered and what groups have drawn say so
without reading the whole placement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optsched.arrays import Ragged
from optsched.problem import Evict, PlacementProblem, Scope
from optsched.state import State

if TYPE_CHECKING:
    from optsched.solvers.search import Search


class PlanRules:
    """Rules 6 to 9 of a placement in the making.

    Attributes
    ----------
    entered, disturbed
        See `Search`.
    away
        Per host, the items that left it.
    moves
        Items that had a host and have another, or other cells of it.
    drawn
        Per budget over the whole plan, the items of its group that are disturbed.
    gangs
        The members of each gang.
    """

    def __init__(self, problem: PlacementProblem, state: State) -> None:
        self.problem, self.state = problem, state
        budgets = problem.budgets
        self.entered: set[int] = set()
        self.away: dict[int, set[int]] = {}
        self.disturbed: set[int] = set()
        self.moves = 0
        self.of_item: dict[int, list[int]] = {}
        self.drawn: dict[int, int] = {}
        for row in np.flatnonzero(budgets.scope == Scope.PLAN).tolist():
            self.drawn[row] = 0
            for item in budgets.groups[row].tolist():
                self.of_item.setdefault(item, []).append(row)
        self.gangs = _gang_lists(problem)
        items = problem.items
        suspects = (state.host != items.host0) | (items.cells_needed > 0)
        for item in np.flatnonzero(suspects).tolist():
            self.refresh(item)

    def refresh(self, item: int) -> None:
        """Take over where `item` is now."""
        items, host = self.problem.items, int(self.state.host[item])
        home = int(items.host0[item])
        changed = host != home or bool(
            items.cells_needed[item]
            and (np.sort(self.state.cells[item]) != np.sort(items.cells0[item])).any()
        )
        self.moves -= int(item in self.disturbed and item in self.entered)
        (self.entered.add if changed and host >= 0 else self.entered.discard)(item)
        if home < 0:
            return
        left = self.away.setdefault(home, set())
        (left.add if host != home else left.discard)(item)
        if changed != (item in self.disturbed):
            (self.disturbed.add if changed else self.disturbed.discard)(item)
            for row in self.of_item.get(item, ()):
                self.drawn[row] += 1 if changed else -1
        self.moves += int(changed and host >= 0)

    def holds(self, search: Search, changed: list[int]) -> bool:
        """Whether the rules, but for gangs, hold for all that `changed`."""
        problem, items, host = self.problem, self.problem.items, self.state.host
        if 0 <= problem.max_moves < self.moves:
            return False
        for item in changed:
            if item in self.disturbed and not search.loose[item]:
                return False
            if host[item] < 0 <= items.host0[item] and (
                problem.evict is Evict.NEVER or not items.evictable[item]
            ):
                return False
            if any(
                self.drawn[row] > problem.budgets.allowed[row] for row in self.of_item.get(item, ())
            ):
                return False
        if not problem.protect_higher and problem.evict is not Evict.LOWER:
            return True
        homes = {int(items.host0[i]) for i in changed} | {int(host[i]) for i in changed}
        return all(self._displaces_rightly(search, h) for h in homes - {-1})

    def gangs_whole(self, changed: list[int]) -> bool:
        """Whether the gangs of what `changed` are placed all or none."""
        items, host = self.problem.items, self.state.host
        for gang in {int(items.gang[i]) for i in changed} - {-1}:
            members = self.gangs[gang]
            placed = host[members] >= 0
            untouched = (host[members] == items.host0[members]).all()
            if placed.any() and not placed.all() and not untouched:
                return False
        return True

    def _displaces_rightly(self, search: Search, host: int) -> bool:
        """Rules 6 (LOWER) and 7 on one host."""
        problem, items = self.problem, self.problem.items
        left = self.away.get(host)
        if not left:
            return True
        entering = [i for i in search.on[host] if items.host0[i] != host]
        if not entering:
            return True
        lowest = max(int(items.tier[i]) for i in entering)
        if problem.protect_higher and lowest > min(int(items.tier[i]) for i in left):
            return False
        lost = [int(items.tier[i]) for i in left if self.state.host[i] < 0]
        if problem.evict is not Evict.LOWER or not lost:
            return True
        return lowest < min(lost) and all(items.may_evict_others[i] for i in entering)


def _gang_lists(problem: PlacementProblem) -> Ragged:
    gang = problem.items.gang
    order = np.argsort(gang, kind="stable")
    order = order[gang[order] >= 0]
    start = np.searchsorted(gang[order], np.arange(len(problem.gangs) + 1))
    return Ragged(start.astype(np.int64), order.astype(np.int64))
