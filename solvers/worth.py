"""Differences of the objective: what one item in one place adds to every level.

`objective.evaluate` reads whole placements; the search asks for the worth of single changes a
million times. A test pins the two to each other.
"""

from __future__ import annotations

import numpy as np

from optsched.arrays import Ints
from optsched.levels import Term, TermKind
from optsched.objective import fragments
from optsched.problem import PlacementProblem

ITEM_KINDS = (TermKind.UNPLACED, TermKind.EVICTED, TermKind.MOVED, TermKind.DRAINED)


class Worth:
    """The objective's levels, split by item, host and cell.

    Attributes
    ----------
    unplaced, evicted, moved, drained
        (T, L) what an item of a tier adds to each level (UNPLACED: per unit of weight).
    host_cost
        (L,) factor of the cost of the hosts in use.
    fragments
        (level, term) of every FRAGMENTS term.
    goal
        (L,) up to which a level is worth nothing.
    """

    def __init__(self, problem: PlacementProblem) -> None:
        self.problem = problem
        levels = problem.objective
        shape = (max(len(problem.tiers), 1), len(levels))
        tables = {kind: np.zeros(shape, np.int64) for kind in ITEM_KINDS}
        self.host_cost = np.zeros(len(levels), np.int64)
        self.goal = np.array([level.goal for level in levels], dtype=np.int64)
        self.fragments: list[tuple[int, Term]] = []
        for level, one in enumerate(levels):
            for term in one.terms:
                if term.kind in tables:
                    rows = slice(None) if term.tier < 0 else slice(term.tier, term.tier + 1)
                    tables[term.kind][rows, level] += term.weight
                elif term.kind is TermKind.HOST_COST:
                    self.host_cost[level] += term.weight
                else:
                    self.fragments.append((level, term))
        self.unplaced = tables[TermKind.UNPLACED]
        self.evicted = tables[TermKind.EVICTED]
        self.moved = tables[TermKind.MOVED]
        self.drained = tables[TermKind.DRAINED]

    def of_item(self, item: int, host: int, cells: Ints) -> Ints:
        """(L,) what `item` adds while it sits on `host` (-1: nowhere) and `cells`."""
        items = self.problem.items
        tier, home = int(items.tier[item]), int(items.host0[item])
        if host < 0:
            worth = self.unplaced[tier] * items.weight[item]
            return worth + self.evicted[tier] if home >= 0 else worth
        worth = np.zeros_like(self.host_cost)
        if home >= 0:
            flipped = (
                items.cells_needed[item] and (np.sort(cells) != np.sort(items.cells0[item])).any()
            )
            if host != home or flipped:
                worth = worth + self.moved[tier]
        if self.problem.hosts.drain[host] and items.occupies[item]:
            worth = worth + self.drained[tier]
        return worth

    def of_cells(self, cells: Ints, cell_use: Ints) -> Ints:
        """(L,) what the fragments of some cells add, or of their hosts where blocks span cells."""
        worth = np.zeros_like(self.host_cost)
        every = self.problem.cells
        whole_hosts = cells
        if any(term.cells > 1 for _, term in self.fragments):
            whole_hosts = self.cells_beside(cells)
        for level, term in self.fragments:
            of = whole_hosts if term.cells > 1 else cells
            free = every.capacity[of, term.resource] - cell_use[of, term.resource]
            worth[level] += term.weight * fragments(free, every.host[of], term.size, term.cells)
        return worth

    def cells_beside(self, cells: Ints) -> Ints:
        """All cells of the hosts of some cells, ascending."""
        host = self.problem.cells.host
        own = np.unique(host[cells])
        first, end = np.searchsorted(host, own), np.searchsorted(host, own, side="right")
        return np.concatenate([np.zeros(0, np.int64), *map(np.arange, first, end)])

    def gain_of_placing(self, item: int) -> tuple[int, ...]:
        """What placing `item` takes off every level, at best."""
        items = self.problem.items
        tier = int(items.tier[item])
        gain = self.unplaced[tier] * items.weight[item]
        if items.host0[item] >= 0:
            gain = gain + self.evicted[tier]
        return tuple(gain.tolist())
