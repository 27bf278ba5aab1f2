"""Taking back what a placement does not need."""

from __future__ import annotations

import numpy as np

from optsched.arrays import NONE
from optsched.levels import Level
from optsched.objective import cell_use, fragments
from optsched.plan import Placement
from optsched.problem import PlacementProblem
from optsched.state import State


def keep_allowed(problem: PlacementProblem, placement: Placement) -> Placement:
    """The placement without the moves that break a rule: their items stay at home.

    What enters fits in what is free without any leaving, so any part of it can be left out.
    """
    for _ in range(len(problem.items) + 1):
        broken = State(problem, placement).violations()
        items = {v.item for v in broken if v.item != NONE}
        if not broken:
            return placement
        if not items:
            return Placement.current(problem)
        placement = _home(problem, placement, sorted(items)[: max(1, len(items) // 2)])
    return placement


def without_needless(problem: PlacementProblem, level: Level, placement: Placement) -> Placement:
    """The placement without moves that, taken back one by one, leave the level as good."""
    items = problem.items
    moved = np.flatnonzero((placement.cells != items.cells0).any(axis=1))
    free = problem.cells.capacity - cell_use(problem, placement)
    start = np.searchsorted(problem.cells.host, np.arange(len(problem.hosts) + 1))

    def value(hosts: set[int]) -> int:
        total = 0
        for h in hosts:
            span = slice(start[h], start[h + 1])
            for term in level.terms:
                left, on = free[span, term.resource], problem.cells.host[span]
                total += term.weight * fragments(left, on, term.size, term.cells)
        return total

    back = []
    for item in moved.tolist():
        home, there = int(items.host0[item]), int(placement.host[item])
        if problem.hosts.drain[home]:
            continue
        old, new = items.cells0[item], placement.cells[item]
        old, new = old[old >= 0], new[new >= 0]
        before = value({home, there})
        free[new] += items.cell_demand[item]
        free[old] -= items.cell_demand[item]
        if (free[old] >= 0).all() and value({home, there}) <= before:
            back.append(item)
        else:
            free[new] -= items.cell_demand[item]
            free[old] += items.cell_demand[item]
    return _home(problem, placement, back) if back else placement


def _home(problem: PlacementProblem, placement: Placement, back: list[int]) -> Placement:
    host, cells = placement.host.copy(), placement.cells.copy()
    host[back], cells[back] = problem.items.host0[back], problem.items.cells0[back]
    return Placement.of(problem, host, cells)
