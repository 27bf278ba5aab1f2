"""What is allowed: the tables read in numpy. The rules themselves are in `problem`'s docstring.

`blocks` and `candidates` look at one item in the room a `state` leaves; `violations` looks at a
whole placement. `check` reads the same tables a second time, on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from .arrays import Bools, Ints
from .counters import Counters
from .plan import Violation
from .problem import Evict, LimitKind, PlacementProblem, Scope


class Counts(Protocol):
    """Flat counts, read like an array: one, a slice or many."""

    def __getitem__(self, index: Any, /) -> Any: ...


class Room(Protocol):
    """What the rules need to know of a placement in the making; `state.State` offers it.

    `use` is (H, R) with fixed use, `cell_use` (C, S), `gone` (H, R) what DURING rows still hold
    for items that left, `counts` the flat counts of `counters` and `floor` those of them that are
    sure to remain (while a wave runs, leavers may be gone and arrivals not there yet), `host`
    (I,) and `cells` (I, W) where the items are.
    """

    problem: PlacementProblem
    counters: Counters
    host: Ints
    cells: Ints
    use: Ints
    gone: Ints
    cell_use: Ints

    @property
    def counts(self) -> Counts: ...  # noqa: D102

    @property
    def floor(self) -> Counts: ...  # noqa: D102


def candidates(room: Room, item: int) -> Bools:
    """(H,) the hosts that `item` may enter now, as if it were taken off its present host.

    The present host itself is a candidate only for an item with cells that could sit on other
    ones. Of the rules 1 to 5; what binds whole plans (eviction, gangs, budgets) is not looked at.
    """
    free = np.ones(len(room.problem.hosts), bool)
    for _, _, blocked in blocks(room, item):
        free &= ~blocked
    present = room.host[item]
    if present >= 0 and not room.problem.items.cells_needed[item]:
        free[present] = False
    return free


def may_enter(room: Room, item: int, host: int) -> bool:
    """Whether `candidates` would hold for one host; far cheaper than all of them."""
    problem, items = room.problem, room.problem.items
    if not items.movable[item] and items.host0[item] >= 0 and host != items.host0[item]:
        return False
    if problem.where.excluded[problem.where.item_eligible[item], host] or problem.hosts.drain[host]:
        return False
    demand = items.demand[item]
    present = host == room.host[item]
    if present and not items.cells_needed[item]:
        return False
    use = room.use[host] + room.gone[host] + (0 if present else demand)
    if ((use > problem.hosts.capacity[host]) & (demand > 0)).any():
        return False
    if items.cells_needed[item] and _lacks_cells(room, item)[host]:
        return False
    for row in room.counters.rows_of_item[item].tolist():
        blocked = limit_blocks(room, item, row)
        if blocked is not None and blocked[host]:
            return False
    return True


def blocks(room: Room, item: int) -> Iterator[tuple[str, str, Bools]]:
    """Everything that keeps `item` off hosts: (kind, name, hosts (H,) bool), one a requirement.

    Kinds are "movable", "requirement", "drain", "resource", "cells" and "limit".
    """
    problem = room.problem
    items = problem.items
    if not items.movable[item] and items.host0[item] >= 0:
        reason = items.pinned_by[item]
        name = problem.pin_reasons[reason] if reason >= 0 else "pinned"
        yield "movable", name, np.arange(len(problem.hosts)) != items.host0[item]
    mask = problem.where.excluded[problem.where.item_eligible[item]]
    for bit, name in enumerate(problem.where.rule_names):
        blocked = (mask >> np.uint32(bit)) & np.uint32(1) != 0
        if blocked.any():
            yield "requirement", name, blocked
    if problem.hosts.drain.any():
        yield "drain", "the host is being drained", problem.hosts.drain
    yield from _capacity_blocks(room, item)
    for row in room.counters.rows_of_item[item].tolist():
        blocked = limit_blocks(room, item, row)
        if blocked is not None:
            yield "limit", problem.limits.names[row], blocked


def _capacity_blocks(room: Room, item: int) -> Iterator[tuple[str, str, Bools]]:
    problem, items = room.problem, room.problem.items
    present = int(room.host[item])
    for r in np.flatnonzero(items.demand[item]).tolist():
        demand = items.demand[item, r]
        use = room.use[:, r] + room.gone[:, r]
        if present >= 0:
            use = use.copy()
            use[present] -= demand
        yield "resource", problem.resources[r], use + demand > problem.hosts.capacity[:, r]
    if items.cells_needed[item]:
        yield "cells", "free cells", _lacks_cells(room, item)


def _lacks_cells(room: Room, item: int) -> Bools:
    """(H,) the hosts with too few free cells for `item`, or with none but those it sits on."""
    problem, needed = room.problem, room.problem.items.cells_needed[item]
    fits = cell_fits(room, item)
    number = np.bincount(problem.cells.host[fits], minlength=len(problem.hosts))
    lacks = number < needed
    present = room.host[item]
    if present >= 0 and number[present] == needed and fits[room.cells[item][:needed]].all():
        lacks[present] = True
    return np.asarray(lacks)


def cell_fits(room: Room, item: int) -> Bools:
    """(C,) the cells that have room for `item` and are of its kind; its own count as free."""
    problem, items = room.problem, room.problem.items
    demand = items.cell_demand[item]
    use = room.cell_use
    own = room.cells[item] if room.host[item] >= 0 else np.zeros(0, np.int64)
    own = own[own >= 0]
    if own.size:
        use = use.copy()
        use[own] -= demand
    needed = demand > 0
    fits = (use[:, needed] + demand[needed] <= problem.cells.capacity[:, needed]).all(axis=1)
    kind = items.cell_kind[item]
    return np.asarray(fits if kind < 0 else fits & (problem.cells.kind == kind))


def limit_blocks(room: Room, item: int, row: int) -> Bools | None:
    """(H,) the hosts that limit `row` keeps `item` off, or None where it says nothing."""
    limits, counters = room.problem.limits, room.counters
    kind = LimitKind(limits.kind[row])
    is_subject, is_counted = item in counters.in_subject[row], item in counters.in_counted[row]
    if kind is LimitKind.MAX:
        if not is_counted:
            return None
        has_key = counters.domain[counters.view[counters.main[row]]] >= 0
        full = _others(room, item, counters.main[row], is_counted) + 1 > limits.bound[row]
        return full & has_key
    if kind is LimitKind.CONFLICT:
        blocked = np.zeros(len(room.problem.hosts), bool)
        has_key = room.problem.where.domain[limits.key[row]] >= 0
        if is_subject:
            blocked |= _others(room, item, counters.main[row], is_counted) > 0
        if is_counted:
            blocked |= _others(room, item, counters.subject[row], is_subject) > 0
        return blocked & has_key
    if not is_subject:
        return None
    if kind is LimitKind.REQUIRE:
        return _require_blocks(room, item, row, is_counted)
    return _skew_blocks(room, item, row, is_counted)


def _others(room: Room, item: int, counter: int, feeds: bool, counts: Counts | None = None) -> Ints:
    """(H,) the count that each host's domain has without `item` itself."""
    slots = room.counters.slots(counter)
    count: Ints = (room.counts if counts is None else counts)[slots]
    present = int(room.host[item])
    if feeds and present >= 0:
        count = count - (slots == slots[present])
    return count


def _require_blocks(room: Room, item: int, row: int, is_counted: bool) -> Bools:
    counters = room.counters
    has_key = counters.allowed[row]
    if room.problem.limits.self_counts[row]:
        slot = counters.offset[counters.anywhere[row]]
        total = int(room.counts[slot])
        present = int(room.host[item])
        if is_counted and present >= 0 and counters.slots(counters.anywhere[row])[present] == slot:
            total -= 1
        if total == 0:
            return ~has_key
    count = _others(room, item, counters.main[row], is_counted, room.floor)
    return ~has_key | (count < 1)


def _skew_blocks(room: Room, item: int, row: int, is_counted: bool) -> Bools:
    problem, counters = room.problem, room.counters
    domains = counters.domains[row]
    blocked = ~counters.allowed[row]
    if not len(domains):
        return blocked
    counter = counters.main[row]
    span = slice(counters.offset[counter], counters.offset[counter + 1])
    most, least = room.counts[span].copy(), room.floor[span].copy()
    most[-1] = 0
    present = int(room.host[item])
    if is_counted and present >= 0:
        at = counters.slot[counters.view[counter], present]
        most[at] -= 1
        least[at] -= 1
        most[-1] = 0
    enough = len(domains) >= problem.limits.min_domains[row]
    smallest = int(least[domains].min()) if enough else 0
    own = problem.where.domain[problem.limits.key[row]]
    count = np.where(own >= 0, most[own], 0)
    return blocked | (
        count + int(problem.limits.self_counts[row]) - smallest > problem.limits.bound[row]
    )


def violations(room: Room) -> list[Violation]:
    """What the placement that `room` holds breaks, of the rules 1 to 9; empty if it is allowed."""
    problem = room.problem
    items = problem.items
    changed = room.host != items.host0
    if items.cells_needed.any():
        changed = changed | (np.sort(room.cells, axis=1) != np.sort(items.cells0, axis=1)).any(
            axis=1
        )
    entering = np.flatnonzero(changed & (room.host >= 0))
    leaving = np.flatnonzero((room.host != items.host0) & (items.host0 >= 0))
    found: list[Violation] = []
    for item in np.flatnonzero(changed & ~items.movable & (items.host0 >= 0)).tolist():
        found.append(_broken(room, "movable", item, "may not be moved"))
    mask = problem.where.excluded[problem.where.item_eligible[entering], room.host[entering]]
    barred = (mask != 0) | problem.hosts.drain[room.host[entering]]
    for item in entering[barred].tolist():
        found.append(_broken(room, "eligible", item, "is not eligible for its host"))
    found += _capacity_violations(room, entering)
    found += _cell_violations(room, np.flatnonzero(changed))
    for item in entering.tolist():
        for row in room.counters.rows_of_item[item].tolist():
            blocked = limit_blocks(room, item, row)
            if blocked is not None and blocked[room.host[item]]:
                found.append(_broken(room, "limit", item, f"breaks {problem.limits.names[row]!r}"))
    found += _displacement_violations(room, entering, leaving)
    return found + _gang_violations(room, changed) + _budget_violations(room, changed)


def _broken(room: Room, rule: str, item: int, text: str) -> Violation:
    host = int(room.host[item])
    names = room.problem.hosts.names
    place = names[host] if host >= 0 else "no host"
    return Violation(rule, f"{room.problem.items.names[item]!r} on {place!r}: {text}", item, host)


def _capacity_violations(room: Room, entering: Ints) -> list[Violation]:
    problem = room.problem
    asked = np.zeros(problem.hosts.capacity.shape, bool)
    np.logical_or.at(asked, room.host[entering], problem.items.demand[entering] > 0)
    over = asked & (room.use + room.gone > problem.hosts.capacity)
    return [
        Violation(
            "capacity",
            f"{problem.hosts.names[h]!r}: {problem.resources[r]} in use {room.use[h, r]} of "
            f"{problem.hosts.capacity[h, r]}",
            host=h,
        )
        for h, r in zip(*(axis.tolist() for axis in np.nonzero(over)), strict=True)
    ]


def _cell_violations(room: Room, changed: Ints) -> list[Violation]:
    problem, items = room.problem, room.problem.items
    found = []
    needed = np.where(room.host >= 0, items.cells_needed, 0)
    for item in changed[(needed[changed] > 0) | (room.cells[changed] >= 0).any(axis=1)].tolist():
        cells = room.cells[item][room.cells[item] >= 0]
        right = (
            len(set(cells.tolist())) == len(cells) == needed[item]
            and (problem.cells.host[cells] == room.host[item]).all()
            and (
                items.cell_kind[item] < 0
                or (problem.cells.kind[cells] == items.cell_kind[item]).all()
            )
        )
        if not right:
            found.append(_broken(room, "cells", item, "has not the cells it needs"))
            continue
        asked = items.cell_demand[item] > 0
        if (room.cell_use[cells] > problem.cells.capacity[cells])[:, asked].any():
            found.append(_broken(room, "cells", item, "a cell is over its capacity"))
    return found


def _displacement_violations(room: Room, entering: Ints, leaving: Ints) -> list[Violation]:
    """Rules 6 and 7: who may make whom leave a host."""
    problem, items = room.problem, room.problem.items
    found = []
    evicted = leaving[room.host[leaving] < 0]
    for item in evicted.tolist():
        if problem.evict is Evict.NEVER or not items.evictable[item]:
            found.append(_broken(room, "evict", item, "may not be evicted"))
    highest = np.full(len(problem.hosts), np.iinfo(np.int64).max)
    if problem.evict is Evict.LOWER:
        np.minimum.at(highest, items.host0[evicted], items.tier[evicted])
        for item in entering.tolist():
            top = highest[room.host[item]]
            lost_any = top < np.iinfo(np.int64).max
            if lost_any and (items.tier[item] >= top or not items.may_evict_others[item]):
                found.append(
                    _broken(room, "evict", item, "enters where an eviction was not for it")
                )
    if problem.protect_higher:
        highest[:] = np.iinfo(np.int64).max
        np.minimum.at(highest, items.host0[leaving], items.tier[leaving])
        for item in entering[items.tier[entering] > highest[room.host[entering]]].tolist():
            found.append(_broken(room, "protect", item, "displaces an item of a higher tier"))
    return found


def _gang_violations(room: Room, changed: Bools) -> list[Violation]:
    problem, items = room.problem, room.problem.items
    found = []
    for gang in np.unique(items.gang[changed & (items.gang >= 0)]).tolist():
        placed = room.host[items.gang == gang] >= 0
        if placed.any() and not placed.all():
            text = f"gang {problem.gangs[gang]!r} is placed in part"
            found.append(Violation("gang", text, item=int(np.flatnonzero(items.gang == gang)[0])))
    return found


def _budget_violations(room: Room, changed: Bools) -> list[Violation]:
    problem, items = room.problem, room.problem.items
    disturbed = changed & (items.host0 >= 0)
    found = []
    for row in np.flatnonzero(problem.budgets.scope == Scope.PLAN).tolist():
        count = int(disturbed[problem.budgets.groups[row]].sum())
        if count > problem.budgets.allowed[row]:
            name = problem.budgets.names[row]
            found.append(
                Violation(
                    "budget", f"{name!r}: {count} disturbed, {problem.budgets.allowed[row]} allowed"
                )
            )
    moves = int((disturbed & (room.host >= 0)).sum())
    if 0 <= problem.max_moves < moves:
        found.append(Violation("budget", f"{moves} moves, {problem.max_moves} allowed"))
    return found
