"""The objective as data: a tuple of levels, minimised lexicographically.

Each level is a weighted sum of terms. What a term is worth is computed in `objective` (numpy) and,
a second time, in `check` (plain Python); nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TermKind(StrEnum):
    """What a term counts; all are minimised."""

    UNPLACED = "unplaced"  # sum of `items.weight` over items without a host
    EVICTED = "evicted"  # items that had a host and have none
    MOVED = "moved"  # items that had a host and have another, or other cells of the same host
    DRAINED = "drained"  # occupying items that sit on a host marked `drain`
    HOST_COST = "host_cost"  # sum of `hosts.cost` over hosts that hold an occupying item
    FRAGMENTS = "fragments"  # free units of a cell resource that no block of `size` can use


@dataclass(frozen=True)
class Term:
    """One weighted count.

    FRAGMENTS are, summed over the hosts, the free units of `resource` on the host's cells less
    those of its blocks. A block takes `size` units on each of `cells` different cells, so there are
    as many as the largest q with sum over cells of min(free // size, q) >= cells * q. With one
    cell per block that is the sum over cells of free modulo `size`. Less than nothing free counts
    as nothing.

    Attributes
    ----------
    kind
        What is counted.
    weight
        Factor of the count inside its level, a positive integer.
    tier
        Only items of this tier count; -1 counts all of them. Ignored by host and cell terms.
    resource
        Index of the cell resource, for FRAGMENTS.
    size
        Units of that resource that a block takes on each of its cells, for FRAGMENTS.
    cells
        Cells of one host that a block takes, for FRAGMENTS.
    """

    kind: TermKind
    weight: int = 1
    tier: int = -1
    resource: int = 0
    size: int = 1
    cells: int = 1


@dataclass(frozen=True)
class Level:
    """A weighted sum of terms; all levels before it are worth infinitely more.

    Attributes
    ----------
    goal
        The level is worth what the sum exceeds this by: at or below it all are equally good. Only
        for levels of nothing but FRAGMENTS.
    """

    name: str
    terms: tuple[Term, ...]
    goal: int = 0


def _tier_level(kind: TermKind, tier: int) -> Level:
    return Level(f"{kind.value}[{tier}]", (Term(kind, tier=tier),))


def tier_order(tiers: int) -> tuple[Level, ...]:
    """Tier by tier, highest first: place the most, then evict the fewest, then move the fewest."""
    kinds = (TermKind.UNPLACED, TermKind.EVICTED, TermKind.MOVED)
    return tuple(_tier_level(kind, tier) for tier in range(tiers) for kind in kinds)


def place_first(tiers: int) -> tuple[Level, ...]:
    """Place the most in every tier, highest first; only then disturb the least, tier by tier."""
    place = tuple(_tier_level(TermKind.UNPLACED, tier) for tier in range(tiers))
    disturb = (TermKind.EVICTED, TermKind.MOVED)
    return place + tuple(_tier_level(kind, tier) for tier in range(tiers) for kind in disturb)


def drain_first(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    """Before anything else, leave the fewest items on hosts that are to be emptied."""
    return (Level("drained", (Term(TermKind.DRAINED),)), *levels)


def then_host_cost(levels: tuple[Level, ...], *, before_moves: bool = False) -> tuple[Level, ...]:
    """Add the cost of the hosts in use: last of all, or before the MOVED levels (consolidation)."""
    cost = Level("host_cost", (Term(TermKind.HOST_COST),))
    if not before_moves:
        return (*levels, cost)
    moved = tuple(lv for lv in levels if all(t.kind is TermKind.MOVED for t in lv.terms))
    rest = tuple(lv for lv in levels if lv not in moved)
    return (*rest, cost, *moved)


ORDERS = {"tier": tier_order, "place-first": place_first}
