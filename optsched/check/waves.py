"""The rules of the way: every wave must be safe on the state that the one before leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from optsched.arrays import NONE
from optsched.limits import Scope
from optsched.plan import Move, Order, Plan, Violation

from .domains import limit_violations
from .reading import Reading, lists_of
from .room import cells_fault, quoted, room_violations, target_violations
from .seating import Seating


def walk(reading: Reading, seating: Seating, plan: Plan) -> list[Violation]:
    """Broken rules, wave by wave; afterwards the seating is that after the last wave."""
    found: list[Violation] = []
    if plan.order is Order.SAFE and len(plan.waves) > 1:
        text = f"an order-safe plan is one wave, not {len(plan.waves)}"
        found.append(Violation("wave", text, wave=1))
    budgets_of = lists_of(reading.problem.budgets.groups, list(seating.groups_of))
    gone: set[int] = set()
    hops = 0
    for number, wave in enumerate(plan.waves):
        moves, faults = _well_formed(reading, seating, wave.moves, number)
        found += faults
        found += _order_violations(reading, plan.order, moves, gone, number)
        found += _wave_violations(reading, seating, moves, number)
        found += _disruption_violations(reading, moves, budgets_of, number)
        found += _throttle_violations(reading, moves, number)
        for move in moves:
            seating.put(move.item, move.target, move.cells)
        gone |= {move.item for move in moves if move.target < 0}
        hops += sum(move.source >= 0 and move.target >= 0 for move in moves)
    if 0 <= reading.problem.max_moves < hops:
        text = f"the plan makes {hops} moves between hosts, at most {reading.problem.max_moves}"
        found.append(Violation("budget", text))
    return found


def _well_formed(
    reading: Reading, seating: Seating, moves: Sequence[Move], wave: int
) -> tuple[list[Move], list[Violation]]:
    """The moves that can be made at all, and what is wrong with the others."""
    good: list[Move] = []
    faults: list[Violation] = []
    seen: set[int] = set()
    for move in moves:
        if not 0 <= move.item < len(reading.host0):
            text = f"a move names item {move.item}, which does not exist"
            faults.append(Violation("format", text, wave=wave))
            continue
        fault = _move_fault(reading, seating, move, seen)
        if fault is None:
            seen.add(move.item)
            good.append(move)
        else:
            rule, text = fault
            faults.append(Violation(rule, text, move.item, seating.host[move.item], wave))
    return good, faults


def _move_fault(
    reading: Reading, seating: Seating, move: Move, seen: AbstractSet[int]
) -> tuple[str, str] | None:
    """The rule that the move of an existing item breaks by itself, and how, in words."""
    name, host = quoted(reading.problem.items.names[move.item]), seating.host[move.item]
    if move.item in seen:
        return "wave", f"{name} moves twice in one wave"
    if not NONE <= move.target < len(reading.capacity):
        return "format", f"{name} moves to host {move.target}, which does not exist"
    if move.source != host:
        return "format", f"{name} is to leave host {move.source} but is on {host} (-1: nowhere)"
    fault = cells_fault(reading, move.item, move.target, move.cells)
    if fault is not None:
        return "cells", fault
    if move.target == host and set(move.cells) == set(seating.cells[move.item]):
        return "format", f"{name} moves to where it is"
    return None


def _order_violations(
    reading: Reading, order: Order, moves: Sequence[Move], gone: AbstractSet[int], wave: int
) -> Iterator[Violation]:
    """Whether what is placed again after it was without a host may have waited."""
    for move in moves:
        if move.target < 0 or move.item not in gone:
            continue
        name = quoted(reading.problem.items.names[move.item])
        if order is not Order.PARK:
            text = f"{name} is placed again after it was evicted, which '{order}' does not allow"
            yield Violation("wave", text, move.item, move.target, wave)
        elif not reading.lets_go_first[move.item]:
            text = f"{name} waits without a host but must hold its room until it has another"
            yield Violation("wave", text, move.item, move.target, wave)


def _wave_violations(
    reading: Reading, seating: Seating, moves: Sequence[Move], wave: int
) -> Iterator[Violation]:
    """Rules 1 to 5 at the start of a wave, leavers included."""
    for move in moves:
        if not reading.movable[move.item] and reading.host0[move.item] >= 0:
            name = quoted(reading.problem.items.names[move.item])
            yield Violation("movable", f"{name} may not move", move.item, move.source, wave)
    arriving = [move for move in moves if move.target >= 0]
    leaving = {
        move.item
        for move in moves
        if move.source >= 0 and (move.target != move.source or reading.lets_go_first[move.item])
    }
    yield from target_violations(reading, arriving, wave)
    yield from room_violations(reading, seating, arriving, {}, wave)
    yield from limit_violations(reading, seating, arriving, leaving, wave)


def _disruption_violations(
    reading: Reading, moves: Sequence[Move], budgets_of: dict[int, list[int]], wave: int
) -> Iterator[Violation]:
    """Budgets and owner limits of one wave, with moves in flight."""
    problem = reading.problem
    disturbed = [move.item for move in moves if move.source >= 0]
    by_budget = Counter(budget for item in disturbed for budget in budgets_of[item])
    for budget, count in sorted(by_budget.items()):
        count += reading.inflight_budget[budget]
        allowed = int(problem.budgets.allowed[budget])
        if problem.budgets.scope[budget] == Scope.WAVE and count > allowed:
            name = quoted(problem.budgets.names[budget])
            text = f"budget {name} allows {allowed} disturbances at once, not {count}"
            yield Violation("budget", text, wave=wave)
    if problem.owner_at_once < 0:
        return
    by_owner = Counter(reading.owner[item] for item in disturbed if reading.owner[item] >= 0)
    for owner, count in sorted(by_owner.items()):
        count += reading.inflight_owner[owner]
        if count > problem.owner_at_once:
            name = quoted(problem.owners[owner])
            text = f"{count} items of {name} move at once, at most {problem.owner_at_once} may"
            yield Violation("throttle", text, wave=wave)


def _throttle_violations(reading: Reading, moves: Sequence[Move], wave: int) -> Iterator[Violation]:
    """How much goes onto and off each host in one wave, with moves in flight."""
    hosts = reading.problem.hosts
    onto = Counter(move.target for move in moves if move.target >= 0)
    off = Counter(move.source for move in moves if 0 <= move.source != move.target)
    for way, counts, running, limits in (
        ("onto", onto, reading.inflight_in, hosts.moves_in),
        ("off", off, reading.inflight_out, hosts.moves_out),
    ):
        for host, count in sorted(counts.items()):
            count += running[host]
            if 0 <= limits[host] < count:
                name = quoted(hosts.names[host])
                text = f"{count} moves go {way} host {name} at once, at most {limits[host]} may"
                yield Violation("throttle", text, NONE, host, wave)
