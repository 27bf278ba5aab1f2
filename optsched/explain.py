"""Why an item is where it is, or cannot be placed: blocked hosts by requirement, and ways out.

All reasons come from `rules.blocks`, so an explanation says what the solvers obey. They hold in the
room that one placement leaves, without moving anything else: what only moves can open is for a
solver to find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from .arrays import NONE, Bools, Ints
from .plan import Placement
from .problem import PlacementProblem
from .rules import blocks
from .state import State

MOST_RELAXATIONS = 5


@dataclass(frozen=True)
class Blocker:
    """A requirement that keeps the item off some hosts.

    Attributes
    ----------
    kind
        As in `rules.blocks`: "movable", "requirement", "drain", "resource", "cells", "limit".
    name
        Of the requirement, the resource or the limit.
    hosts
        How many hosts it blocks.
    alone
        How many of them nothing else blocks.
    demand, most_free
        For a resource: what the item asks for, and the most that any host has free on which nothing
        else stands against it; -1 where there is none.
    """

    kind: str
    name: str
    hosts: int
    alone: int
    demand: int = NONE
    most_free: int = NONE


@dataclass(frozen=True)
class Relaxation:
    """A smallest set of requirements without which the item would fit somewhere now.

    Attributes
    ----------
    blockers
        (kind, name) of each.
    hosts
        How many hosts this opens.
    example
        One of them.
    """

    blockers: tuple[tuple[str, str], ...]
    hosts: int
    example: int


@dataclass(frozen=True)
class EmptyFit:
    """Hosts on which the item would fare the same if nothing ran there but what runs everywhere.

    Attributes
    ----------
    example
        One of the hosts.
    hosts
        How many there are.
    eligible
        Whether the item's requirements hold on them.
    short
        Resources of which even the empty hosts have too little.
    """

    example: int
    hosts: int
    eligible: bool
    short: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether such an empty host would do."""
        return self.eligible and not self.short


@dataclass(frozen=True)
class Explanation:
    """What can be said about one item in one placement.

    Attributes
    ----------
    item
        Its index.
    before, host
        Its host now, and in the placement explained; -1: none.
    pinned
        Why it may not be moved; "": it may.
    open
        Hosts that it could enter now, besides its own.
    blockers
        What keeps it off the others, the one that blocks most hosts first.
    relaxations
        Smallest ways out, where `open` is empty.
    empty
        Whether empty hosts would do, the largest group of hosts first.
    """

    item: int
    before: int
    host: int
    pinned: str
    open: tuple[int, ...]
    blockers: tuple[Blocker, ...]
    relaxations: tuple[Relaxation, ...]
    empty: tuple[EmptyFit, ...]


def explain(
    problem: PlacementProblem, item: int, placement: Placement | None = None
) -> Explanation:
    """Explain one item.

    Parameters
    ----------
    problem
        The tables.
    item
        Index of the item.
    placement
        In which the item is looked at; default: the current one.
    """
    room = State(problem, placement)
    found = _Blocks(room, item)
    items = problem.items
    pinned = ""
    if not items.movable[item] and items.host0[item] >= 0:
        pinned = problem.pin_reasons[items.pinned_by[item]] if items.pinned_by[item] >= 0 else "yes"
    return Explanation(
        item=item,
        before=int(items.host0[item]),
        host=int(room.host[item]),
        pinned=pinned,
        open=tuple(np.flatnonzero(found.open).tolist()),
        blockers=found.blockers(),
        relaxations=found.relaxations() if not found.open.any() else (),
        empty=_empty_fits(problem, item),
    )


class _Blocks:
    """The answers of `rules.blocks` for one item, host by host."""

    def __init__(self, room: State, item: int) -> None:
        self.problem = room.problem
        self.room, self.item = room, item
        self.labels: list[tuple[str, str]] = []
        rows: list[Bools] = []
        self.others = np.arange(len(self.problem.hosts)) != room.host[item]
        for kind, name, blocked in blocks(room, item):
            elsewhere = blocked & self.others
            if elsewhere.any():
                self.labels.append((kind, name))
                rows.append(elsewhere)
        # (B, H) bool: requirement b blocks host h
        self.table = np.array(rows, dtype=bool).reshape(len(rows), len(self.problem.hosts))
        self.count = self.table.sum(axis=0)
        self.open: Bools = self.others & (self.count == 0)

    def blockers(self) -> tuple[Blocker, ...]:
        alone = self.table & (self.count == 1)
        found = [
            Blocker(kind, name, int(row.sum()), int(own.sum()), *self._room_for(kind, name, row))
            for (kind, name), row, own in zip(self.labels, self.table, alone, strict=True)
        ]
        return tuple(sorted(found, key=lambda one: (-one.hosts, one.kind, one.name)))

    def _room_for(self, kind: str, name: str, row: Bools) -> tuple[int, int]:
        if kind != "resource":
            return NONE, NONE
        r = self.problem.resources.index(name)
        demand = int(self.problem.items.demand[self.item, r])
        fair = row & (self.count == 1)
        if not fair.any():
            return demand, NONE
        free = self.problem.hosts.capacity[fair, r] - self.room.use[fair, r]
        return demand, max(0, int(free.max()))

    def relaxations(self) -> tuple[Relaxation, ...]:
        """The inclusion-minimal sets of blockers of a host, smallest first, best opener first."""
        sets: Counter[frozenset[int]] = Counter()
        example: dict[frozenset[int], int] = {}
        for host in np.flatnonzero(self.others).tolist():
            blocking = frozenset(np.flatnonzero(self.table[:, host]).tolist())
            sets[blocking] += 1
            example.setdefault(blocking, host)
        minimal: list[frozenset[int]] = []
        for one in sorted(sets, key=lambda s: (len(s), -sets[s], sorted(s))):
            if not any(smaller < one for smaller in minimal):
                minimal.append(one)
        return tuple(
            Relaxation(tuple(self.labels[b] for b in sorted(one)), sets[one], example[one])
            for one in minimal[:MOST_RELAXATIONS]
        )


def why_pending(problem: PlacementProblem, placement: Placement) -> dict[int, tuple[Blocker, ...]]:
    """What keeps every item that `placement` leaves without a host off all of them.

    Items that nothing blocks (a whole gang, a rule over the whole plan) have an empty tuple where
    a host is open to them. Interchangeable items are looked at once.
    """
    room = State(problem, placement)
    items = problem.items
    known: dict[tuple[Hashable, ...], tuple[Blocker, ...]] = {}
    reasons = {}
    for item in np.flatnonzero(placement.host < 0).tolist():
        alike = (
            items.demand[item].tobytes(),
            items.cell_demand[item].tobytes(),
            int(items.cells_needed[item]),
            int(items.cell_kind[item]),
            int(problem.where.item_eligible[item]),
            room.counters.rows_of_item[item].tobytes(),
        )
        if alike not in known:
            found = _Blocks(room, item)
            known[alike] = found.blockers() if not found.open.any() else ()
        reasons[item] = known[alike]
    return reasons


def _empty_fits(problem: PlacementProblem, item: int) -> tuple[EmptyFit, ...]:
    """Hosts by what an empty one would lack and whether the requirements hold; drained ones not."""
    items, hosts = problem.items, problem.hosts
    needed = np.flatnonzero(items.demand[item])
    common = np.flatnonzero(~items.occupies & (items.host0 >= 0))
    common = common[common != item]
    free = hosts.capacity - hosts.fixed_use
    np.subtract.at(free, items.host0[common], items.demand[common])
    lacks = {problem.resources[r]: free[:, r] < items.demand[item, r] for r in needed.tolist()}
    if items.cells_needed[item]:
        lacks["cells"] = _empty_cells(problem, item) < items.cells_needed[item]
    eligible = problem.where.excluded[problem.where.item_eligible[item]] == 0
    alike: dict[tuple[bool, ...], list[int]] = {}
    for host in np.flatnonzero(~hosts.drain).tolist():
        key = (bool(eligible[host]), *(bool(row[host]) for row in lacks.values()))
        alike.setdefault(key, []).append(host)
    return tuple(
        EmptyFit(
            example=members[0],
            hosts=len(members),
            eligible=key[0],
            short=tuple(name for name, lacking in zip(lacks, key[1:], strict=True) if lacking),
        )
        for key, members in sorted(alike.items(), key=lambda pair: -len(pair[1]))
    )


def _empty_cells(problem: PlacementProblem, item: int) -> Ints:
    """(H,) cells of the right kind that would have room for the item if nothing sat on them."""
    items, cells = problem.items, problem.cells
    fits = (cells.fixed_use + items.cell_demand[item] <= cells.capacity).all(axis=1)
    if items.cell_kind[item] >= 0:
        fits &= cells.kind == items.cell_kind[item]
    return np.bincount(cells.host[fits], minlength=len(problem.hosts))
