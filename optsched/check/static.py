"""The rules that hold for the placement after a plan, whatever the way there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from optsched.arrays import NONE
from optsched.limits import Scope
from optsched.plan import Move, Placement, Violation
from optsched.problem import Evict

from .domains import limit_violations
from .reading import Reading, lists_of
from .room import cells_fault, quoted, room_violations, target_violations
from .seating import Seating


def placement_faults(reading: Reading, placement: Placement) -> list[Violation]:
    """Why the arrays cannot be a placement of this problem's items at all."""
    items, hosts, cells = len(reading.host0), len(reading.capacity), len(reading.cell_host)
    if placement.host.shape != (items,) or placement.cells.shape != (
        reading.problem.items.cells0.shape
    ):
        return [Violation("format", "the placement is for another number of items or cells")]
    names, faults = reading.problem.items.names, []
    for item, (host, row) in enumerate(
        zip(placement.host.tolist(), placement.cells.tolist(), strict=True)
    ):
        if not NONE <= host < hosts:
            text = f"{quoted(names[item])} is on host {host}, which does not exist"
            faults.append(Violation("format", text, item))
        if row and (min(row) < NONE or max(row) >= cells):
            text = f"{quoted(names[item])} is on a cell that does not exist"
            faults.append(Violation("format", text, item))
    return faults


def changed_items(
    reading: Reading, host: Sequence[int], cells: Sequence[tuple[int, ...]]
) -> list[int]:
    """Items that are not where they were: another host, or other cells."""
    return [
        item
        for item, (old, new) in enumerate(zip(reading.host0, host, strict=True))
        if old != new
        or (cells[item] != reading.cells0[item] and set(cells[item]) != set(reading.cells0[item]))
    ]


def _differs(reading: Reading, seating: Seating, item: int) -> bool:
    return reading.host0[item] != seating.host[item] or (
        set(reading.cells0[item]) != set(seating.cells[item])
    )


@dataclass(frozen=True)
class _Change:
    """How a placement differs from the current one.

    Attributes
    ----------
    items
        All that are not where they were.
    disturbed
        Those that had a host and have another, other cells, or none.
    moved, evicted
        Disturbed items with and without a host.
    entering
        Every arrival, as a move from the item's current host.
    entered_by, left_by
        Per host, the items.
    """

    items: list[int]
    disturbed: list[int]
    moved: list[int]
    evicted: list[int]
    entering: list[Move]
    entered_by: dict[int, set[int]]
    left_by: dict[int, set[int]]


def _change(reading: Reading, seating: Seating) -> _Change:
    changed = [item for item in sorted(seating.groups_of) if _differs(reading, seating, item)]
    disturbed = [item for item in changed if reading.host0[item] >= 0]
    entering = [
        Move(item, reading.host0[item], seating.host[item], seating.cells[item])
        for item in changed
        if seating.host[item] >= 0
    ]
    entered_by: dict[int, set[int]] = defaultdict(set)
    left_by: dict[int, set[int]] = defaultdict(set)
    for move in entering:
        entered_by[move.target].add(move.item)
    for item in disturbed:
        if seating.host[item] != reading.host0[item]:
            left_by[reading.host0[item]].add(item)
    return _Change(
        changed,
        disturbed,
        [item for item in disturbed if seating.host[item] >= 0],
        [item for item in disturbed if seating.host[item] < 0],
        entering,
        entered_by,
        left_by,
    )


def static_violations(reading: Reading, seating: Seating) -> Iterator[Violation]:
    """Every broken rule of 1 to 9, for the placement that the seating holds."""
    change = _change(reading, seating)
    lingering = {
        host: {item for item in left if not reading.lets_go_first[item]}
        for host, left in change.left_by.items()
    }
    yield from _moves_immovable(reading, change.disturbed)
    yield from target_violations(reading, change.entering, NONE)
    for item in change.items:
        fault = cells_fault(reading, item, seating.host[item], seating.cells[item])
        if fault is not None:
            yield Violation("cells", fault, item, seating.host[item])
    yield from room_violations(reading, seating, change.entering, lingering, NONE)
    yield from limit_violations(reading, seating, change.entering, frozenset(), NONE)
    yield from _evictions(reading, seating, change)
    yield from _protection(reading, change)
    yield from _gangs(reading, seating, change)
    yield from _budgets(reading, change)


def _moves_immovable(reading: Reading, disturbed: Iterable[int]) -> Iterator[Violation]:
    names = reading.problem.items.names
    for item in disturbed:
        if not reading.movable[item]:
            yield Violation(
                "movable",
                f"{quoted(names[item])} may not move but is not where it was",
                item,
                reading.host0[item],
            )


def _evictions(reading: Reading, seating: Seating, change: _Change) -> Iterator[Violation]:
    problem = reading.problem
    items = problem.items
    for item in change.evicted:
        name, host = quoted(items.names[item]), reading.host0[item]
        if problem.evict is Evict.NEVER:
            yield Violation("evict", f"{name} is left without a host", item, host)
            continue
        if not items.evictable[item]:
            yield Violation("evict", f"{name} may not be evicted", item, host)
        if problem.evict is not Evict.LOWER:
            continue
        for other in sorted(change.entered_by.get(host, ())):
            if not items.may_evict_others[other]:
                text = f"{quoted(items.names[other])} may not evict others but takes over from"
            elif reading.tier[other] >= reading.tier[item]:
                text = f"{quoted(items.names[other])} is not of a higher tier but takes over from"
            else:
                continue
            yield Violation("evict", f"{text} {name}, which is evicted", other, host)


def _protection(reading: Reading, change: _Change) -> Iterator[Violation]:
    if not reading.problem.protect_higher:
        return
    names = reading.problem.items.names
    for host, left in change.left_by.items():
        highest = min(left, key=lambda item: (reading.tier[item], item))
        for item in sorted(change.entered_by.get(host, ())):
            if reading.tier[item] > reading.tier[highest]:
                text = f"{quoted(names[highest])} makes way for {quoted(names[item])}, a lower tier"
                yield Violation("protect", text, item, host)


def _gangs(reading: Reading, seating: Seating, change: _Change) -> Iterator[Violation]:
    gang: list[int] = reading.problem.items.gang.tolist()
    touched = {gang[move.item] for move in change.entering}
    touched |= {gang[item] for left in change.left_by.values() for item in left}
    touched.discard(NONE)
    placed: dict[int, set[bool]] = defaultdict(set)
    for item, number in enumerate(gang):
        if number in touched:
            placed[number].add(seating.host[item] >= 0)
    for number in sorted(touched):
        if len(placed[number]) > 1:
            name = quoted(reading.problem.gangs[number])
            yield Violation("gang", f"gang {name} is placed in part")


def _budgets(reading: Reading, change: _Change) -> Iterator[Violation]:
    problem = reading.problem
    counts: dict[int, int] = defaultdict(int)
    for numbers in lists_of(problem.budgets.groups, change.disturbed).values():
        for number in numbers:
            counts[number] += 1
    for number in sorted(counts):
        allowed = int(problem.budgets.allowed[number])
        if problem.budgets.scope[number] == Scope.PLAN and counts[number] > allowed:
            name = quoted(problem.budgets.names[number])
            text = f"budget {name} allows {allowed} disturbances, not {counts[number]}"
            yield Violation("budget", text)
    if 0 <= problem.max_moves < len(change.moved):
        text = f"{len(change.moved)} items are moved, at most {problem.max_moves} may be"
        yield Violation("budget", text)
