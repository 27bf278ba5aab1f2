"""What compare sets side by side: plans or schedules, and what solvers find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optsched.plan import Plan
    from optsched.problem import PlacementProblem
    from optsched.tasks import Schedule, TaskProblem

    from .parameters import Search

Known = tuple[tuple[int, ...], str, float]  # bounds, status and seconds of a solver
NOTHING: tuple[None, None, None] = (None, None, None)


@dataclass(frozen=True)
class Entry:
    """One plan in the comparison; `bounds` and `seconds` are known of solvers only."""

    name: str
    levels: tuple[int, ...]
    moves: int
    waves: int | None
    violations: tuple[str, ...]
    bounds: tuple[int, ...] | None = None
    status: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Contest:
    """A problem on which entries compete.

    Attributes
    ----------
    levels, words
        Of the objective: names for programs and for people.
    stay, staying
        Values of doing nothing, or of what stands in its place, and what that is called.
    require
        Refuses a solver that cannot take part.
    read
        An entry from a file, and notes about it.
    solve
        An entry from a solver, and whether it was asked to stop.
    """

    name: str
    problem: str
    levels: tuple[str, ...]
    words: tuple[str, ...]
    stay: Sequence[int]
    staying: str
    require: Callable[[str], object]
    read: Callable[[str], tuple[Entry, Sequence[str]]]
    solve: Callable[[str], tuple[Entry, bool]]


def of_placements(problem: PlacementProblem, search: Search, order: str | None) -> Contest:
    """Plans and solvers of a placement problem."""
    from optsched.api import require_support
    from optsched.objective import evaluate
    from optsched.plan import Placement
    from optsched.report.summary import level_words

    from .plans import read_plan
    from .searching import find_plan

    def read(path: str) -> tuple[Entry, Sequence[str]]:
        plan, notes = read_plan(problem, path)
        return _plan_entry(problem, path, plan), notes

    def solve(name: str) -> tuple[Entry, bool]:
        result, stopped = find_plan(problem, name, search, order, name)
        bounds = tuple(level.bound for level in result.levels)
        known = (bounds, result.status.value, result.seconds)
        return _plan_entry(problem, name, result.plan, known), stopped

    names = tuple(level.name for level in problem.objective)
    return Contest(
        name=problem.name,
        problem=problem.digest(),
        levels=names,
        words=tuple(level_words(problem, name) for name in names),
        stay=evaluate(problem, Placement.current(problem)),
        staying="stay",
        require=lambda name: require_support(problem, name),
        read=read,
        solve=solve,
    )


def of_tasks(problem: TaskProblem, search: Search) -> Contest:
    """Schedules and solvers of a task problem; what stands for doing nothing is EFT."""
    from optsched.api import require_task_support
    from optsched.solvers.scheduling.rules import RULES
    from optsched.tasks import evaluate

    from .schedules import read_schedule
    from .searching import find_schedule

    def read(path: str) -> tuple[Entry, Sequence[str]]:
        schedule, _, notes = read_schedule(problem, path)
        return _schedule_entry(problem, path, schedule), notes

    def solve(name: str) -> tuple[Entry, bool]:
        outcome, stopped = find_schedule(problem, name, search, name)
        bounds = tuple(level.bound for level in outcome.levels)
        known = (bounds, outcome.status.value, outcome.seconds)
        return _schedule_entry(problem, name, outcome.schedule, known), stopped

    names = tuple(problem.objective.text.split(","))
    return Contest(
        name=problem.name,
        problem=problem.digest(),
        levels=names,
        words=names,
        stay=evaluate(problem, RULES["eft"](problem, search.seed)).levels,
        staying="EFT",
        require=lambda name: require_task_support(problem, name),
        read=read,
        solve=solve,
    )


def _plan_entry(
    problem: PlacementProblem,
    name: str,
    plan: Plan,
    known: Known | tuple[None, None, None] = NOTHING,
) -> Entry:
    from optsched.api import check

    report = check(problem, plan)
    return Entry(
        name,
        tuple(int(value) for value in report.levels),
        len(plan.moves()),
        len(plan.waves),
        tuple(one.text for one in report.violations),
        *known,
    )


def _schedule_entry(
    problem: TaskProblem,
    name: str,
    schedule: Schedule,
    known: Known | tuple[None, None, None] = NOTHING,
) -> Entry:
    from optsched.tasks import check_schedule

    found = check_schedule(problem, schedule)
    return Entry(
        name,
        found.levels,
        int((schedule.node >= 0).sum()),
        None,
        tuple(f"{subject}: {what}" for subject, what in found.faults),
        *known,
    )
