"""What a placement is worth: exact values of every level, differences, and one scalar.

All values are integers and minimised. `check` computes the same values a second time on its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import Bools, Ints
from .levels import Level, Term, TermKind
from .plan import Placement
from .problem import PlacementProblem


def evaluate(problem: PlacementProblem, placement: Placement) -> tuple[int, ...]:
    """The value of every level, in the objective's order; compare tuples lexicographically."""
    return tuple(level_value(problem, placement, level) for level in problem.objective)


def level_value(problem: PlacementProblem, placement: Placement, level: Level) -> int:
    """One level: its weighted sum, as far as that exceeds the goal."""
    total = sum(term.weight * term_value(problem, placement, term) for term in level.terms)
    return max(total - level.goal, 0)


def term_value(problem: PlacementProblem, placement: Placement, term: Term) -> int:
    """One term of the objective, without its weight."""
    items, hosts = problem.items, problem.hosts
    if term.kind is TermKind.HOST_COST:
        used = np.zeros(len(hosts), bool)
        used[placement.host[items.occupies & (placement.host >= 0)]] = True
        return int(hosts.cost[used].sum())
    if term.kind is TermKind.FRAGMENTS:
        free = problem.cells.capacity - cell_use(problem, placement)
        return int(fragments(free[:, term.resource], problem.cells.host, term.size, term.cells))
    counted = items.tier == term.tier if term.tier >= 0 else np.ones(len(items), bool)
    return int(_item_counts(problem, placement, term.kind)[counted].sum())


def _item_counts(problem: PlacementProblem, placement: Placement, kind: TermKind) -> Ints:
    """(I,) what each item contributes to a term that counts items."""
    items, host = problem.items, placement.host
    if kind is TermKind.UNPLACED:
        return np.where(host < 0, items.weight, 0)
    if kind is TermKind.EVICTED:
        return ((host < 0) & (items.host0 >= 0)).astype(np.int64)
    if kind is TermKind.MOVED:
        return moved(problem, placement).astype(np.int64)
    on_drained = np.append(problem.hosts.drain, False)[host]  # -1 is nowhere
    return (items.occupies & on_drained).astype(np.int64)


def moved(problem: PlacementProblem, placement: Placement) -> Bools:
    """(I,) bool: had a host and has another, or has other cells of the same host."""
    items, host = problem.items, placement.host
    flipped = (np.sort(placement.cells, axis=1) != np.sort(items.cells0, axis=1)).any(axis=1)
    return (items.host0 >= 0) & (host >= 0) & ((host != items.host0) | flipped)


def cell_use(problem: PlacementProblem, placement: Placement) -> Ints:
    """(C, S) use of every cell: fixed use and the demand of the items on it."""
    use = problem.cells.fixed_use.copy()
    item, column = np.nonzero(placement.cells >= 0)
    np.add.at(use, placement.cells[item, column], problem.items.cell_demand[item])
    return use


def fragments(free: Ints, host: Ints, size: int, cells: int) -> int:
    """Free units that no block can use; a block takes `size` units on each of `cells` cells.

    Parameters
    ----------
    free
        (N,) free units of some cells; of a host, all or (where blocks take one cell) any.
    host
        (N,) the host of each, ascending.
    """
    free = np.maximum(free, 0)
    if cells == 1:
        return int((free % size).sum())
    return int(free.sum()) - size * cells * int(blocks(free // size, host, cells).sum())


def blocks(whole: Ints, host: Ints, cells: int) -> Ints:
    """How many blocks of `cells` different cells each host holds, in the order of the hosts.

    The largest q with sum(min(whole, q)) >= cells * q, which says that for every j < cells all but
    the j largest of `whole` add up to (cells - j) * q.

    Parameters
    ----------
    whole
        (N,) parts of blocks that fit on a cell.
    host
        (N,) the host of each, ascending.
    """
    first = np.flatnonzero(np.diff(host, prepend=-1))
    counts = np.diff(first, append=len(host))
    table = np.zeros((len(first), max(int(counts.max(initial=0)), cells)), np.int64)
    row = np.repeat(np.arange(len(first)), counts)
    table[row, np.arange(len(host)) - first[row]] = whole
    table.sort(axis=1)
    rest = table.cumsum(axis=1)[:, ::-1][:, :cells]  # all, all but the largest, ...
    return np.asarray((rest // np.arange(cells, 0, -1)).min(axis=1), dtype=np.int64)


def scalar_weights(problem: PlacementProblem) -> tuple[int, ...]:
    """A weight per level so that the weighted sum orders placements as the levels do.

    Each weight exceeds what all later levels together can add up to. Python integers: with many
    tiers they outgrow 64 bits, and stay exact.
    """
    weights: list[int] = []
    total = 0
    for level in reversed(problem.objective):
        weights.append(total + 1)
        total += (total + 1) * _largest(problem, level)
    return tuple(reversed(weights))


def scalar(values: Sequence[int], weights: Sequence[int]) -> int:
    """The weighted sum of the levels."""
    return sum(value * weight for value, weight in zip(values, weights, strict=True))


def _largest(problem: PlacementProblem, level: Level) -> int:
    """An upper bound of a level's value."""
    total = 0
    for term in level.terms:
        if term.kind is TermKind.HOST_COST:
            total += term.weight * int(problem.hosts.cost.sum())
        elif term.kind is TermKind.FRAGMENTS:
            total += term.weight * _most_fragments(problem, term)
        else:
            total += term.weight * int(problem.items.weight.sum())
    return max(total - level.goal, 0)


def _most_fragments(problem: PlacementProblem, term: Term) -> int:
    cells = problem.cells
    if term.cells == 1:
        return len(cells) * (term.size - 1)
    return int(np.maximum(cells.capacity - cells.fixed_use, 0)[:, term.resource].sum())
