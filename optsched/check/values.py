"""The objective's levels, counted item by item."""

from __future__ import annotations

from collections import Counter, defaultdict

from optsched.levels import Term, TermKind

from .reading import Reading
from .seating import Seating


def level_values(reading: Reading, seating: Seating) -> tuple[int, ...]:
    """Value of every level of the objective for the placement that the seating holds.

    An overcommitted cell has no free units, so it adds nothing to FRAGMENTS.
    """
    counts = _count_items(reading, seating)
    values = []
    for level in reading.problem.objective:
        total = sum(term.weight * _value(reading, seating, counts, term) for term in level.terms)
        values.append(total - min(total, level.goal))
    return tuple(values)


def _count_items(reading: Reading, seating: Seating) -> Counter[tuple[TermKind, int]]:
    """What the terms over items count, per kind and tier (tier -1: all)."""
    counts: Counter[tuple[TermKind, int]] = Counter()
    weight: list[int] = reading.problem.items.weight.tolist()

    def add(kind: TermKind, item: int, amount: int = 1) -> None:
        counts[kind, reading.tier[item]] += amount
        counts[kind, -1] += amount

    # Only movers can sit elsewhere than before.
    for item, (old, new) in enumerate(zip(reading.host0, seating.host, strict=True)):
        if new < 0:
            add(TermKind.UNPLACED, item, weight[item])
            if old >= 0:
                add(TermKind.EVICTED, item)
        elif reading.drain[new] and reading.occupies[item]:
            add(TermKind.DRAINED, item)
    for item in seating.groups_of:
        old, new = reading.host0[item], seating.host[item]
        if old < 0 or new < 0:
            continue
        if old != new or set(reading.cells0[item]) != set(seating.cells[item]):
            add(TermKind.MOVED, item)
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
        return _fragments(reading, seating, term)
    return counts[term.kind, term.tier]


def _fragments(reading: Reading, seating: Seating, term: Term) -> int:
    """Free units less those of the blocks, host by host."""
    free = _free(reading, seating, term.resource)
    if term.cells == 1:
        return sum(units % term.size for units in free)
    on_host: dict[int, list[int]] = defaultdict(list)
    for host, units in zip(reading.cell_host, free, strict=True):
        on_host[host].append(units)
    return sum(
        sum(units) - term.size * term.cells * _blocks(units, term.size, term.cells)
        for units in on_host.values()
    )


def _blocks(units: list[int], size: int, cells: int) -> int:
    """How many blocks there are, each with `size` of the units of `cells` different cells.

    Blocks can be dealt to cells without using one twice for a block exactly if, no cell taking
    part in more blocks than there are, they have room for all parts.
    """
    most = 0
    above = sum(units) // size + 1
    while above - most > 1:
        middle = (most + above) // 2
        if sum(min(one // size, middle) for one in units) >= cells * middle:
            most = middle
        else:
            above = middle
    return most


def _free(reading: Reading, seating: Seating, resource: int) -> list[int]:
    """Free units of each cell, at least 0."""
    used = reading.cell_fixed.column(resource)
    demand = reading.cell_demand.column(resource)
    for item, cell in seating.sits():
        used[cell] += demand[item]
    capacities = reading.cell_capacity.column(resource)
    return [max(0, capacity - units) for capacity, units in zip(capacities, used, strict=True)]
