"""Answers to task problems: a schedule, and for every level of the objective a value with a bound.

A solver ends with `settle`, the only way out: both readings of the schedule must agree that it is
allowed and what it is worth; if not, or if it is no better, the reference takes its place, read in
the same way; where that is not allowed either, no task runs. The reference is what would happen
without a solver: each task to the node that answers it first (EFT). Its values stand where a
placement has those of `stay`, so that a gap is the share of the attainable improvement over it that
was not taken.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .budget import Budget
from .result import FREE, WRONG, Bound, Certificate, LevelValue, Status
from .tasks import Schedule, TaskProblem, check_schedule, evaluate

CLOSING = 2.0  # readings of the reference that take as long as the end of a solve


@dataclass(frozen=True)
class Outcome:
    """A schedule that two readings have passed.

    Attributes
    ----------
    status, schedule, levels, certificate
        See their types. `levels` follow the problem's objective; `stay` is the reference's value.
    solver
        Name of the solver.
    seconds
        From the start of the solve to this outcome.
    notes
        Sentences for people.
    stats
        Numbers a solver wants to show.
    """

    status: Status
    schedule: Schedule
    levels: tuple[LevelValue, ...]
    certificate: Certificate
    solver: str
    seconds: float
    notes: tuple[str, ...] = ()
    stats: dict[str, float | int | str] = field(default_factory=dict)


def settle(
    problem: TaskProblem,
    schedule: Schedule,
    reference: Schedule,
    bounds: Sequence[Bound],
    *,
    solver: str,
    started: float,
    keep: bool = False,
    notes: Sequence[str] = (),
    stats: dict[str, float | int | str] | None = None,
) -> Outcome:
    """Check and grade a schedule.

    Parameters
    ----------
    problem, schedule, reference
        Both schedules for the problem; the reference should be allowed.
    bounds
        One per level. Bound k must hold for every schedule whose levels before k equal those of
        `schedule`, or be no higher than what holds for all.
    solver, started
        Name, and `time.monotonic()` at the start of the solve.
    keep
        Give the schedule as it is where it is allowed, even if the reference is better.

    Returns
    -------
    Outcome
        OPTIMAL if every level is proven. A bound above the value of a checked schedule is dropped,
        with a note.
    """
    told = [*notes]
    stay = evaluate(problem, reference).levels
    claimed = evaluate(problem, schedule).levels
    fault = _fault(problem, schedule)
    if fault is not None:
        told.append(f"{solver}: its schedule was refused by the checker: {fault}")
    if fault is not None or (claimed > stay and not keep):
        reference = _allowed(problem, reference, told)
        stay = evaluate(problem, reference).levels
        if fault is not None or claimed > stay:
            schedule, claimed = reference, stay
        if fault is not None:
            bounds = [FREE] * len(stay)
    levels = []
    for k, (value, before) in enumerate(zip(claimed, stay, strict=True)):
        bound = bounds[k]
        if bound.value > value:
            bound = Bound(0, WRONG)
            told.append(
                f"{solver}: its bound of level {k + 1} is above the value that the schedule has; "
                "it is wrong and was dropped. Please report this."
            )
        name = problem.objective.levels[k].value
        levels.append(LevelValue(name, value, bound.value, before, bound.source))
    proven = all(level.proven for level in levels)
    return Outcome(
        status=Status.OPTIMAL if proven else Status.FEASIBLE,
        schedule=schedule,
        levels=tuple(levels),
        certificate=_certify(problem, levels),
        solver=solver,
        seconds=time.monotonic() - started,
        notes=tuple(told),
        stats=dict(stats or {}),
    )


def _allowed(problem: TaskProblem, reference: Schedule, told: list[str]) -> Schedule:
    """The reference; where the checker refuses it, that no task runs, with a note."""
    fault = _fault(problem, reference)
    if fault is None:
        return reference
    told.append(
        f"EFT: its schedule was refused by the checker: {fault}; that no task runs stands in its "
        "place. Please report this."
    )
    return Schedule.nothing(len(problem.tasks))


def reserve(problem: TaskProblem, reference: Schedule, budget: Budget) -> Budget:
    """The budget less the time that `settle` will take, as measured on the reference."""
    before = budget.remaining()
    _fault(problem, reference)
    left = budget.remaining()
    return budget.until(max(0.0, left - CLOSING * (before - left)))


def _fault(problem: TaskProblem, schedule: Schedule) -> str | None:
    """What one of the readings has against a schedule, or that they differ."""
    told, read = evaluate(problem, schedule), check_schedule(problem, schedule)
    if told.violations:
        return told.violations[0]
    if read.faults:
        return ": ".join(read.faults[0])
    if told.levels != read.levels:
        return f"its values are read as {told.levels} and as {read.levels}"
    return None


def _certify(problem: TaskProblem, levels: Sequence[LevelValue]) -> Certificate:
    counts = ((len(problem.tasks), "task"), (len(problem.nodes), "node"))
    ranged = " on ".join(f"{many} {what}{'s' if many != 1 else ''}" for many, what in counts)
    unproven = [level.name for level in levels if not level.proven]
    proof = (
        "Every level is proven optimal, each given the levels before it."
        if not unproven
        else f"Not proven: {', '.join(unproven)}."
    )
    text = (
        f"{proof} The bounds range over all schedules of {ranged} without interruption, with "
        f"whole milliseconds, and with any of the tasks rejected; all arrivals are known. Energy "
        f"is that of {problem.horizon:,} ms. The gap is the share of the attainable improvement "
        "over earliest-finish-time dispatching that is not taken."
    )
    return Certificate(problem.objective.text, "any order, no interruption", ranged, text)
