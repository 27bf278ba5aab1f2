"""A search that a person watches, and can stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from optsched.budget import Progress
    from optsched.outcome import Outcome
    from optsched.problem import PlacementProblem
    from optsched.result import Result
    from optsched.tasks import TaskProblem

    from .parameters import Search

T = TypeVar("T")
Stop = Callable[[], bool]
Tell = Callable[["Progress"], None]


def searched(stage: str, quiet: bool, work: Callable[[Stop, Tell], T]) -> tuple[T, bool]:
    """What `work` finds, and whether Ctrl-C asked it to stop; its progress is shown."""
    from .watching import progress_words, run_stoppable, watching

    with watching(stage, quiet=quiet) as say:
        return run_stoppable(lambda stop: work(stop, lambda told: say(progress_words(told))))


def find_plan(
    problem: PlacementProblem, solver: str, search: Search, order: str | None, stage: str
) -> tuple[Result, bool]:
    """The result of a solver, and whether it was asked to stop."""
    from optsched.api import solve

    return _asked(solve, problem, solver, search, stage, order=order)


def find_schedule(
    problem: TaskProblem, solver: str, search: Search, stage: str
) -> tuple[Outcome, bool]:
    """The outcome of a solver of tasks, and whether it was asked to stop."""
    from optsched.api import schedule

    return _asked(schedule, problem, solver, search, stage)


def _asked(
    work: Callable[..., T], problem: object, solver: str, search: Search, stage: str, **more: object
) -> tuple[T, bool]:
    """`solve` or `schedule` with what the options of the command line say."""
    return searched(
        stage,
        search.quiet,
        lambda stop, tell: work(
            problem,
            solver=solver,
            time_limit=search.time_limit,
            workers=search.workers,
            seed=search.seed,
            stop=stop,
            on_progress=tell,
            **more,
        ),
    )
