"""Rules 2 to 4 for whatever arrives: eligible hosts, well-chosen cells, room on both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from optsched.arrays import NONE
from optsched.plan import Move, Violation
from optsched.problem import When

from .reading import Reading
from .seating import Seating


def quoted(name: str) -> str:
    """A name as it appears in sentences; absurdly long ones are cut."""
    return repr(name[:80])


def wording(wave: int) -> str:
    """Where in the plan a sentence speaks of."""
    return "after the plan" if wave == NONE else f"in wave {wave + 1}"


def target_violations(reading: Reading, arriving: Sequence[Move], wave: int) -> Iterator[Violation]:
    """Rule 2: items enter only eligible hosts that are not to be emptied."""
    problem = reading.problem
    where = problem.where
    for move in arriving:
        item, host = (
            quoted(problem.items.names[move.item]),
            quoted(problem.hosts.names[move.target]),
        )
        mask = int(where.excluded[where.item_eligible[move.item], move.target])
        if mask:
            reasons = [name for bit, name in enumerate(where.rule_names) if mask >> bit & 1]
            text = f"{item} is not eligible for host {host}: {', '.join(reasons)}"
            yield Violation("eligible", text, move.item, move.target, wave)
        if reading.drain[move.target]:
            text = f"{item} enters host {host}, which is to be emptied"
            yield Violation("eligible", text, move.item, move.target, wave)


def cells_fault(reading: Reading, item: int, host: int, cells: Sequence[int]) -> str | None:
    """Rule 4: what is wrong with these cells for the item on the host (-1: nowhere), in words."""
    problem = reading.problem
    name = quoted(problem.items.names[item])
    needed = int(problem.items.cells_needed[item]) if host >= 0 else 0
    if len(cells) != needed or len(set(cells)) != needed:
        return f"{name} needs {needed} distinct cells, not {len(set(cells))} in {len(cells)} places"
    kind = int(problem.items.cell_kind[item])
    for cell in cells:
        if not 0 <= cell < len(reading.cell_host):
            return f"{name} is given cell {cell}, which does not exist"
        if reading.cell_host[cell] != host:
            return f"{name} is given cell {cell}, which is not on its host"
        if kind not in (NONE, reading.cell_kind[cell]):
            return f"{name} is given cell {cell}, which is not a {problem.cells.kinds[kind]}"
    return None


def room_violations(
    reading: Reading,
    seating: Seating,
    arriving: Sequence[Move],
    lingering: Mapping[int, set[int]],
    wave: int,
) -> Iterator[Violation]:
    """Rules 3 and 4: room on the hosts and cells that something arrives at.

    Parameters
    ----------
    reading, seating
        The tables, and who sits where before (or already with) the arrivals.
    arriving
        Moves with a target.
    lingering
        Per host, items that left and still use the rows that hold during the plan.
    wave
        Index of the wave, for the texts.
    """
    at_host: dict[int, set[int]] = defaultdict(set)
    at_cell: dict[int, set[int]] = defaultdict(set)
    for move in arriving:
        at_host[move.target].add(move.item)
        for cell in move.cells:
            at_cell[cell].add(move.item)
    for host, entering in at_host.items():
        yield from _host_room(reading, seating, host, entering, lingering.get(host, set()), wave)
    for cell, entering in at_cell.items():
        yield from _cell_room(reading, seating, cell, entering, wave)


def _host_room(
    reading: Reading,
    seating: Seating,
    host: int,
    entering: set[int],
    lingering: set[int],
    wave: int,
) -> Iterator[Violation]:
    problem = reading.problem
    # Sets, so that an item that only changes cells is counted once.
    present = seating.on_host[host] | entering | reading.held_at[host]
    for resource, when in enumerate(problem.when.tolist()):
        if not any(reading.demand[item][resource] > 0 for item in entering):
            continue
        users = present | lingering if when == When.DURING else present
        used = sum(reading.demand[item][resource] for item in users)
        used += reading.fixed_use[host][resource]
        capacity = reading.capacity[host][resource]
        if used > capacity:
            text = (
                f"host {quoted(problem.hosts.names[host])} needs {used} of {capacity} "
                f"{problem.resources[resource]} {wording(wave)}"
            )
            yield Violation("capacity", text, NONE, host, wave)


def _cell_room(
    reading: Reading, seating: Seating, cell: int, entering: set[int], wave: int
) -> Iterator[Violation]:
    problem = reading.problem
    present = seating.on_cell[cell] | entering
    for resource, name in enumerate(problem.cells.resources):
        if not any(reading.cell_demand[item][resource] > 0 for item in entering):
            continue
        used = sum(reading.cell_demand[item][resource] for item in present)
        used += reading.cell_fixed[cell][resource]
        capacity = reading.cell_capacity[cell][resource]
        if used > capacity:
            host = reading.cell_host[cell]
            text = (
                f"cell {cell} of host {quoted(problem.hosts.names[host])} needs {used} of "
                f"{capacity} {name} {wording(wave)}"
            )
            yield Violation("cells", text, NONE, host, wave)
