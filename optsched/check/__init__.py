"""The independent checker: a second reading of a problem's tables, item by item in plain Python.

It shares no code with `rules`, `objective`, `state` or any solver; property tests pin the readings
to each other. Only what changed is looked at: hosts, domains and limits that no move touches cannot
be violated, because what stays never is.

How the rulebook in `problem` and `limits` is read where it leaves room
-----------------------------------------------------------------------
Entering and leaving
    An item that changes cells on its host enters the host (every rule for entering items binds it)
    and does not leave it. An item enters a domain when it enters a host of that domain, also if it
    comes from another host of the same domain: a scheduler that places the replacement tests it
    like any other item. Cells are sets; their order means nothing.
Room
    Every item counts once per host and once per cell, so an item that changes cells holds its old
    and its new cells but its host demand once. A move in flight holds host resources on its source
    (not cells, which nobody names, and no domain of a limit).
Limits
    MAX reads `counted` only, SKEW and REQUIRE bind items of `subject`, CONFLICT binds both groups
    against each other. Keys of a bundle are those of all rows with its number. REQUIRE asks for the
    key in both of its cases; in the second, all counted items that arrive in the same wave must
    join the item in its domains. SKEW refuses a host that lacks a key of the bundle even if no host
    makes a domain. In a wave, an item that leaves its host, or lets go of its cells before it takes
    others, supports nobody's REQUIRE and is taken off SKEW's smallest count, wherever it goes.
Disturbance
    Every move with a source, also between cells of one host. Budgets, owner limits and throttles
    are tested in the waves that touch them; moves in flight count in those, not in budgets of scope
    PLAN. `moves_in` counts whatever enters a host, pending items included, `moves_out` whatever
    leaves it, evictions included. `max_moves` bounds the moved items of the final placement and,
    apart from that, the moves from host to host of the whole plan, hops included. Host capacity
    rows of both kinds (`when`) hold in every wave.
Evictions
    With LOWER, an eviction after which nothing enters the host is allowed.
Cells picked by others
    With `CellChoice.FOREIGN` the cells named are tested like our own: the advice must be sound.
Malformed moves
    A move with a wrong source, item, host or cells is reported and left out of the state that later
    waves are tested on.
"""

from __future__ import annotations

from dataclasses import dataclass

from optsched.plan import Placement, Plan, Violation
from optsched.problem import PlacementProblem

from .reading import Reading, read_cells
from .seating import Seating
from .static import changed_items, placement_faults, static_violations
from .values import level_values
from .waves import walk

__all__ = ["Report", "check", "check_placement"]


@dataclass(frozen=True)
class Report:
    """What the checker found.

    Attributes
    ----------
    violations
        Empty: the plan keeps every rule. First what is wrong on the way, wave by wave, then what is
        wrong with the placement it leads to.
    levels
        Value of every level of the objective for that placement.
    placement
        Where the plan's well-formed moves lead.
    """

    violations: tuple[Violation, ...]
    levels: tuple[int, ...]
    placement: Placement


def check(problem: PlacementProblem, plan: Plan) -> Report:
    """Test a plan against every rule of its problem and value the placement it leads to."""
    reading = Reading(problem)
    movers = {move.item for move in plan.moves() if 0 <= move.item < len(problem.items)}
    seating = Seating(reading, list(reading.host0), reading.cells0, movers)
    found: list[Violation] = []
    if plan.problem != problem.digest():
        found.append(Violation("format", "the plan was made for another problem"))
    found += walk(reading, seating, plan)
    found += static_violations(reading, seating)
    cells = problem.items.cells0.copy()
    for item in movers:
        if seating.cells[item] != reading.cells0[item]:
            cells[item] = -1
            cells[item, : len(seating.cells[item])] = seating.cells[item]
    placement = Placement.of(problem, seating.host, cells)
    return Report(tuple(found), level_values(reading, seating), placement)


def check_placement(problem: PlacementProblem, placement: Placement) -> tuple[Violation, ...]:
    """Test a placement against the rules that hold after a plan, whatever the way there."""
    reading = Reading(problem)
    faults = placement_faults(reading, placement)
    if faults:
        return tuple(faults)
    host, cells = placement.host.tolist(), read_cells(placement.cells)
    movers = changed_items(reading, host, cells)
    return tuple(static_violations(reading, Seating(reading, host, cells, movers)))
