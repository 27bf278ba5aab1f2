"""The objective's levels, counted item by item."""

from __future__ import annotations

from collections import Counter

from optsched.levels import Term, TermKind

from .reading import Reading
from .seating import Seating


def level_values(reading: Reading, seating: Seating) -> tuple[int, ...]:
    """Value of every level of the objective for the placement that the seating holds.

    An overcommitted cell has no free units, so it adds nothing to FRAGMENTS.
    """
    counts = _count_items(reading, seating)
    return tuple(
        sum(term.weight * _value(reading, seating, counts, term) for term in level.terms)
        for level in reading.problem.objective
    )


def _count_items(reading: Reading, seating: Seating) -> Counter[tuple[TermKind, int]]:
    """What the terms over items count, per kind and tier (tier -1: all)."""
    counts: Counter[tuple[TermKind, int]] = Counter()
    weight: list[int] = reading.problem.items.weight.tolist()

    def add(kind: TermKind, item: int, amount: int = 1) -> None:
        counts[kind, reading.tier[item]] += amount
        counts[kind, -1] += amount

    for item, (old, new) in enumerate(zip(reading.host0, seating.host, strict=True)):
        if new < 0:
            add(TermKind.UNPLACED, item, weight[item])
            if old >= 0:
                add(TermKind.EVICTED, item)
            continue
        if old >= 0 and (old != new or set(reading.cells0[item]) != set(seating.cells[item])):
            add(TermKind.MOVED, item)
        if reading.drain[new] and reading.occupies[item]:
            add(TermKind.DRAINED, item)
    return counts


def _value(
    reading: Reading, seating: Seating, counts: Counter[tuple[TermKind, int]], term: Term
) -> int:
    if term.kind is TermKind.HOST_COST:
        cost: list[int] = reading.problem.hosts.cost.tolist()
        return sum(
            cost[host]
            for host, items in seating.on_host.items()
            if any(reading.occupies[item] for item in items)
        )
    if term.kind is TermKind.FRAGMENTS:
        return sum(
            _free(reading, seating, cell, term.resource) % term.size
            for cell in range(len(reading.cell_host))
        )
    return counts[term.kind, term.tier]


def _free(reading: Reading, seating: Seating, cell: int, resource: int) -> int:
    used = sum(reading.cell_demand[item][resource] for item in seating.on_cell.get(cell, ()))
    used += reading.cell_fixed[cell][resource]
    return max(0, reading.cell_capacity[cell][resource] - used)
