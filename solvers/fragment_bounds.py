"""Bounds that need no search: whole blocks at best, what moves can gain, what finds no room."""

from __future__ import annotations

import numpy as np

from optsched.arrays import Ints
from optsched.levels import Level, Term, TermKind
from optsched.objective import cell_use, level_value
from optsched.plan import Placement
from optsched.problem import Evict, PlacementProblem
from optsched.result import Bound
from optsched.solvers.search import loose_items


def least_fragments(problem: PlacementProblem, level: Level) -> Bound | None:
    """A bound of a level of nothing but fragments; None where there is none but 0.

    As long as everything stays placed and no cell is overfull, what is free does not change. Then
    at least what is left after all of it but less than a block went into blocks is wasted; and with
    a limit of moves, no more than the most that so many items can gain is gained.
    """
    if any(term.kind is not TermKind.FRAGMENTS for term in level.terms):
        return None
    items, cells = problem.items, problem.cells
    now = Placement.current(problem)
    free = cells.capacity - cell_use(problem, now)
    if problem.evict is not Evict.NEVER or (items.host0 < 0).any() or (free < 0).any():
        return None
    total = free.sum(axis=0)
    rest = sum(
        term.weight * int(total[term.resource] % (term.size * term.cells)) for term in level.terms
    )
    found = max(rest - level.goal, 0), "what all blocks would leave"
    if problem.max_moves >= 0:
        gain = np.sort(_gains(problem, level))[::-1][: problem.max_moves]
        plain = Level(level.name, level.terms)
        kept = level_value(problem, now, plain) - int(gain.sum()) - level.goal
        found = max(found, (kept, "what so many moves can gain"))
    return Bound(*found) if found[0] > 0 else None


def _gains(problem: PlacementProblem, level: Level) -> Ints:
    """(I,) the most that a move of each item can take off the level."""
    loose = loose_items(problem)
    total = np.zeros(len(loose), np.int64)
    for term in level.terms:
        total += term.weight * term.size * term.cells * _blocks(problem, term)
    return np.where(loose, total, 0)


def _blocks(problem: PlacementProblem, term: Term) -> Ints:
    """(I,) the most blocks that a move of each item can add.

    On each of its cells an item of d units gives back at most ceil(d / size) parts of blocks and
    takes floor(d / size) at least. One part more on one cell is at most one block more, and one
    part more on all cells of a host is, where blocks take them all.
    """
    items = problem.items
    demand = items.cell_demand[:, term.resource]
    if term.cells == 1:
        return np.where(demand % term.size > 0, items.cells_needed, 0)
    parts = -(-demand // term.size)
    widest = int(np.bincount(problem.cells.host).max(initial=0))
    spread = np.minimum(items.cells_needed, 1) if widest <= term.cells else items.cells_needed
    return np.asarray(parts * spread)


def fewest_left(problem: PlacementProblem) -> int:
    """How many items stay on drained hosts in every order-safe plan, at least.

    What leaves must fit in what is free now on cells of other hosts. Of equal items no more can
    leave than these cells have places for, even if nothing else enters them.
    """
    items, cells, hosts = problem.items, problem.cells, problem.hosts
    there = np.flatnonzero(items.occupies & (items.host0 >= 0) & hosts.drain[items.host0])
    free = cells.capacity - cell_use(problem, Placement.current(problem))
    number = np.bincount(cells.host, minlength=len(hosts))
    movable = there[items.movable[there]]
    table = np.column_stack([items.cells_needed, items.cell_demand, problem.where.item_eligible])[
        movable
    ]
    left = len(there) - len(movable)
    _, first, count = np.unique(table, axis=0, return_index=True, return_counts=True)
    for item, many in zip(movable[first].tolist(), count.tolist(), strict=True):
        needed, demand = int(items.cells_needed[item]), items.cell_demand[item]
        open_to = problem.where.excluded[problem.where.item_eligible[item]] == 0
        open_to = open_to & ~hosts.drain & (number >= needed)
        asks = np.flatnonzero(demand)
        if not needed or not len(asks):
            continue
        fit = np.maximum(free[:, asks] // demand[asks], 0).min(axis=1) * open_to[cells.host]
        left += max(0, many - _places(fit, cells.host, needed, many))
    return left


def _places(fit: Ints, host: Ints, needed: int, many: int) -> int:
    """How many of up to `many` items find room, `fit` (C,) of them on each cell of `host`.

    Each takes `needed` different cells of one host, so that t of them take no cell more than t
    times.
    """
    found = 0
    for t in range(1, many + 1):
        found += int((np.bincount(host, weights=np.minimum(fit, t)) >= needed * t).sum())
    return min(found, many)
