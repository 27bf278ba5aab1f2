"""Migrations one by one: a placement in the making as a row of numbers for `kernels.migration`.

What a row holds is derived from the problem's tables. `rules`, `objective` and `state` stay the
authority: tests compare every step with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import NONE, Bools, Ints, row_numbers
from optsched.classes import ItemClasses, item_classes
from optsched.counters import Counters
from optsched.kernels import layout, sight
from optsched.levels import Level, Term, TermKind
from optsched.limits import LimitKind
from optsched.objective import level_value, scalar_weights
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import PlacementProblem
from optsched.state import State

_CONSTANT = (TermKind.UNPLACED, TermKind.EVICTED)  # nothing is placed or evicted here
_KINDS = {
    TermKind.FRAGMENTS: layout.FRAGMENTS,
    TermKind.MOVED: layout.MOVED,
    TermKind.DRAINED: layout.DRAINED,
}
_LARGEST = 1 << 53  # sums up to this are exact as floats too


def unfit(problem: PlacementProblem) -> str | None:
    """None, or one sentence why single migrations cannot express the problem."""
    items, budgets = problem.items, problem.budgets
    moving = items.movable & (items.host0 >= 0)
    if not moving.any():
        return "no item runs and may be moved"
    if (items.cells_needed[moving] < 1).any() or (items.cells_needed[moving] > 2).any():
        return "items on one or two cells are needed, such as VMs on NUMA nodes"
    if items.demand[moving].any():
        return "items that ask for resources of hosts, not of cells, cannot be moved so"
    if np.bincount(problem.cells.host).max(initial=0) > 2:
        return "hosts of at most two cells are needed"
    terms = [term for level in problem.objective for term in level.terms]
    if not items.occupies[moving].all():
        return "items that run on every host cannot be moved"
    if not any(term.kind is TermKind.FRAGMENTS for term in terms):
        return "the objective counts no fragments"
    if any(term.kind is TermKind.HOST_COST for term in terms):
        return "the objective counts what hosts cost"
    if any(term.kind is TermKind.FRAGMENTS and term.cells > 2 for term in terms):
        return "blocks of more than two cells cannot be counted"
    if np.isin(problem.limits.kind, [LimitKind.SKEW, LimitKind.REQUIRE]).any():
        return "limits of spread or affinity cannot be followed move by move"
    throttled = (problem.hosts.moves_in >= 0) | (problem.hosts.moves_out >= 0)
    if len(budgets.names) or throttled.any() or problem.owner_at_once >= 0:
        return "budgets and throttles of waves cannot be followed move by move"
    if len(problem.inflight.item) or (items.gang[moving] >= 0).any():
        return "moves in flight and gangs cannot be followed move by move"
    if problem.protect_higher and len(np.unique(items.tier)) > 1:
        return "tiers that protect each other cannot be followed move by move"
    if max(scalar_weights(problem), default=1) > _LARGEST:
        return "the levels of the objective outgrow a single number"
    return None


@dataclass(frozen=True)
class Start:
    """A problem as the first row of an episode.

    Attributes
    ----------
    row
        (L,) int64, see `kernels.migration`.
    members
        Per group its items, ascending: the first ones move first.
    order
        SAFE: what enters fits in the initial room, all moves are one wave. WAVES: every move is a
        wave of its own, on the state that the one before leaves.
    """

    problem: PlacementProblem
    row: Ints
    members: tuple[Ints, ...]
    order: Order

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return int(self.row[layout.CELLS])

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.row[layout.GROUPS])

    def levels(self, row: Ints) -> tuple[int, ...]:
        """The value of every level in a later row of this start."""
        at = int(row[layout.TOTAL])
        totals = row[at : at + len(self.problem.objective)].tolist()
        return tuple(
            max(total - level.goal, 0)
            for total, level in zip(totals, self.problem.objective, strict=True)
        )

    def plan(self, moves: list[tuple[int, int]]) -> Plan:
        """The plan of migrations (group, cell), in their order."""
        problem, taken = self.problem, np.zeros(len(self.members), np.int64)
        found = []
        for group, cell in moves:
            item = int(self.members[group][taken[group]])
            taken[group] += 1
            needed = int(problem.items.cells_needed[item])
            source, target = int(problem.items.host0[item]), int(problem.cells.host[cell])
            found.append(Move(item, source, target, tuple(range(cell, cell + needed))))
        if self.order is Order.SAFE:
            waves = [tuple(found)] if found else []
        else:
            waves = [(move,) for move in found]
        return Plan(problem.digest(), self.order, tuple(map(Wave, waves)))


def start(problem: PlacementProblem, moves: int, order: Order = Order.SAFE) -> Start:
    """The first row of an episode of at most `moves` migrations.

    Raises
    ------
    ValueError
        `unfit` says why.
    """
    reason = unfit(problem)
    if reason is not None:
        raise ValueError(reason)
    safe = order is Order.SAFE
    classes, counters = item_classes(problem), Counters.of(problem)
    members, table = _groups(problem, classes)
    limit = moves if problem.max_moves < 0 else min(moves, problem.max_moves)
    row = _lay_out(
        problem, classes, counters, table, [len(group) for group in members], (safe, limit)
    )
    for host in range(len(problem.hosts)):
        sight.measure_host(row, host)
        sight.count_host(row, host, 1)
    return Start(problem, row, members, order)


def _groups(problem: PlacementProblem, classes: ItemClasses) -> tuple[tuple[Ints, ...], Ints]:
    """Movable items by class and source, and (G, 3) class, cell and other cell of each."""
    items = problem.items
    moving = np.flatnonzero(items.movable & (items.host0 >= 0))
    own = np.sort(items.cells0[moving], axis=1)
    wide = items.cells_needed[moving] == 2
    first = np.where(wide, own[:, -2] if own.shape[1] > 1 else NONE, own[:, -1])
    other = np.where(wide, own[:, -1], NONE)
    key = np.column_stack([first, classes.of_item[moving], other])
    number = row_numbers(key)
    order = np.lexsort((moving, number))
    bounds = np.flatnonzero(np.diff(number[order], prepend=NONE))
    members = np.split(moving[order], bounds[1:])
    table = key[order][bounds][:, [1, 0, 2]]
    by_cell = np.lexsort((table[:, 2], table[:, 0], table[:, 1]))
    return tuple(members[at] for at in by_cell.tolist()), table[by_cell]


def _terms(problem: PlacementProblem) -> Ints:
    """(T, TERM_WIDE + 1) of the terms that migrations change."""
    rows = [
        [_KINDS[t.kind], t.weight, t.tier, t.resource, t.size, t.cells, at]
        for at, level in enumerate(problem.objective)
        for t in level.terms
        if t.kind not in _CONSTANT
    ]
    return np.array(rows, np.int64)


def _first_fragments(problem: PlacementProblem) -> Term:
    return next(t for lv in problem.objective for t in lv.terms if t.kind is TermKind.FRAGMENTS)


def _open(problem: PlacementProblem, classes: ItemClasses) -> Bools:
    """(K, C) the cells that a class may enter, as far as eligibility, drains and kinds go."""
    first, cells = classes.first, problem.cells
    rows = problem.where.item_eligible[first]
    hosts = (problem.where.excluded[rows] == 0) & ~problem.hosts.drain
    kind = problem.items.cell_kind[first][:, None]
    return np.asarray(hosts[:, cells.host] & ((kind < 0) | (kind == cells.kind)))


def _checks(
    problem: PlacementProblem, counters: Counters, item: int
) -> list[tuple[int, int, int, int, int]]:
    """What limits say of an item: offset of counts, view, row of hosts with the key, most, feeds.

    A host is barred where the items in its domain, the item itself not counted, are more than
    `most`.
    """
    found, limits = [], problem.limits
    for at in counters.rows_of_item[item].tolist():
        subject, counted = item in counters.in_subject[at], item in counters.in_counted[at]
        wanted: list[tuple[int, int, bool]] = []
        if limits.kind[at] == LimitKind.MAX:
            if counted:
                wanted.append((int(counters.main[at]), int(limits.bound[at]) - 1, True))
        else:
            if subject:
                wanted.append((int(counters.main[at]), 0, counted))
            if counted:
                wanted.append((int(counters.subject[at]), 0, subject))
        for counter, most, feeds in wanted:
            offset, view = int(counters.offset[counter]), int(counters.view[counter])
            found.append((offset, view, at, most, int(feeds)))
    return found


def _has_key(problem: PlacementProblem, counters: Counters) -> Bools:
    """(limits, H) the hosts on which a limit binds."""
    limits = problem.limits
    table = np.zeros((len(limits), len(problem.hosts)), bool)
    for at in range(len(limits)):
        if limits.kind[at] == LimitKind.MAX:
            table[at] = counters.domain[counters.view[counters.main[at]]] >= 0
        else:
            table[at] = problem.where.domain[limits.key[at]] >= 0
    return table


def _lay_out(
    problem: PlacementProblem,
    classes: ItemClasses,
    counters: Counters,
    table: Ints,
    counts: list[int],
    settings: tuple[bool, int],
) -> Ints:
    """The row: head, tables, live values; histograms still empty."""
    items, cells, count = problem.items, problem.cells, len(problem.hosts)
    first = classes.first
    state = State(problem, counters=counters)
    free = cells.capacity - state.cell_use
    feeds = [
        [(int(counters.offset[c]), int(counters.view[c])) for c in counters.of_item[item].tolist()]
        for item in first.tolist()
    ]
    checks = [_checks(problem, counters, item) for item in first.tolist()]
    term = _first_fragments(problem)
    others = [s for s in range(cells.capacity.shape[1]) if s != term.resource]
    bare = [Level(level.name, level.terms) for level in problem.objective]
    stay = [level_value(problem, state.placement(), level) for level in bare]
    arrays: dict[int, object] = {
        layout.HOST_FIRST: np.searchsorted(cells.host, np.arange(count + 1)),
        layout.CELL_HOST: cells.host,
        layout.DRAIN: problem.hosts.drain,
        layout.CAPACITY: cells.capacity,
        layout.DEMAND: items.cell_demand[first],
        layout.NEED: items.cells_needed[first],
        layout.TIER: items.tier[first],
        layout.OPEN: _open(problem, classes),
        layout.GROUP_CLASS: table[:, 0],
        layout.GROUP_CELL: table[:, 1],
        layout.GROUP_OTHER: table[:, 2],
        layout.GROUP_FIRST: np.searchsorted(cells.host[table[:, 1]], np.arange(count + 1)),
        layout.TERM: _terms(problem),
        layout.GOAL: [level.goal for level in problem.objective],
        layout.WEIGHT: scalar_weights(problem),
        layout.FEED_FIRST: np.cumsum([0, *map(len, feeds)]),
        layout.FEED: [pair for one in feeds for pair in one],
        layout.CHECK_FIRST: np.cumsum([0, *map(len, checks)]),
        layout.CHECK: [check for one in checks for check in one],
        layout.SLOT: counters.slot,
        layout.HAS_KEY: _has_key(problem, counters),
        layout.FREE: free,
        layout.ROOM: free,
        layout.COUNT: counts,
        layout.TALLY: state.counts,
        layout.TOTAL: stay,
        layout.HISTOGRAM: np.zeros(layout.HISTOGRAMS * layout.BINS),
        layout.EXCESS: np.zeros(2 * len(cells)),
    }
    head = np.zeros(layout.HEAD, np.int64)
    head[layout.CELLS], head[layout.HOSTS] = len(cells), count
    head[layout.KINDS], head[layout.GROUPS] = cells.capacity.shape[1], len(table)
    head[layout.CLASSES], head[layout.TERMS] = len(first), len(_terms(problem))
    head[layout.LEVELS] = len(problem.objective)
    head[layout.SAFE], head[layout.LIMIT] = settings
    head[layout.UNIT], head[layout.SIZE] = term.resource, term.size
    head[layout.OTHER] = others[0] if others else NONE
    head[layout.CHOSEN], head[layout.OVER] = NONE, settings[1] <= 0
    parts, at = [head], layout.HEAD
    for name, values in arrays.items():
        flat = np.asarray(values).astype(np.int64).ravel()
        head[name] = at
        at += len(flat)
        parts.append(flat)
    return np.concatenate(parts)
