"""The public Python API: read a problem, solve it, check a plan."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from . import kernels, registry
from .budget import Budget, Progress
from .check import Report
from .check import check as _check
from .errors import PlanError, UnsupportedError
from .outcome import Outcome
from .plan import Order, Plan
from .problem import PlacementProblem
from .rates import usual_order
from .result import Result
from .tasks import Schedule, TaskProblem

LOADING = "loading compiled kernels (after an installation: compiling them)"


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read(
    path: str | os.PathLike[str], *, format: str | None = None, **options: Any
) -> PlacementProblem | TaskProblem:
    """The problem in a file, plain or gzipped, or on standard input ("-").

    Parameters
    ----------
    path
        The file.
    format
        A name in `registry.FORMATS`; by default the content says.
    **options
        For the format, such as `now` for cluster dumps.

    Raises
    ------
    InputError
        The file cannot be read, or nothing understands it.
    """
    from .formats import read as read_any

    return read_any(path, format, **options)


def require_support(problem: PlacementProblem, solver: str) -> Any:
    """The solver of that name.

    Raises
    ------
    UnsupportedError
        There is no such solver, or it cannot serve this problem.
    """
    if not isinstance(problem, PlacementProblem):
        way = (
            "optsched.api.schedule places tasks"
            if isinstance(problem, TaskProblem)
            else "optsched.read gives one"
        )
        raise UnsupportedError(f"a {type(problem).__name__} is no placement problem; {way}")
    chosen = registry.solver(solver)
    reason = chosen.supports(problem)
    if reason is not None:
        raise UnsupportedError(f"solver {solver!r} cannot serve this problem: {reason}")
    return chosen


def solve(
    problem: PlacementProblem,
    *,
    solver: str = "portfolio",
    time_limit: float = 10.0,
    workers: int | None = None,
    seed: int = 0,
    order: Order | str | None = None,
    start: Plan | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Result:
    """The best plan found within the time limit, checked, with a bound for every level.

    Parameters
    ----------
    problem
        From `read`, or built in code.
    solver
        A name in `registry.SOLVERS`.
    time_limit
        In seconds, from when the solver is loaded.
    workers
        Threads; default: one for every core that this process may use.
    seed
        Of whatever the solver draws. Parts of the work get shares of the time, so that the same
        seed, even with one worker, promises the same values only where all of them are proven; of
        several plans that are as good it may then be another.
    order
        Freedom of order that the plan may use, see `Order`; default: waves, or for problems that
        count fragments (VM snapshots) order-safe.
    start
        A plan to start from.
    stop
        Asked often; once it says True, the best plan so far is returned.
    on_progress
        Called with what the solver is doing; must return fast.

    Raises
    ------
    UnsupportedError
        There is no such solver, or it cannot serve this problem.
    ValueError
        The time limit is negative, or there are no workers.
    """
    chosen = require_support(problem, solver)
    freedom = usual_order(problem) if order is None else Order(order)
    on_progress(Progress(LOADING))
    kernels.warm()
    budget = Budget.of(
        time_limit,
        workers=usable_cores() if workers is None else workers,
        stop=stop,
        on_progress=on_progress,
    )
    result: Result = chosen.solve(problem, budget, seed=seed, start=start, order=freedom)
    return result


def require_task_support(problem: TaskProblem, solver: str) -> Any:
    """The solver of tasks of that name; errors as those of `require_support`."""
    if not isinstance(problem, TaskProblem):
        raise UnsupportedError(
            f"a {type(problem).__name__} holds no tasks; optsched.solve places the rest"
        )
    chosen = registry.task_solver(solver)
    reason = chosen.supports(problem)
    if reason is not None:
        raise UnsupportedError(f"solver {solver!r} cannot serve this problem: {reason}")
    return chosen


def schedule(
    problem: TaskProblem,
    *,
    solver: str = "portfolio",
    time_limit: float = 10.0,
    workers: int | None = None,
    seed: int = 0,
    start: Schedule | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """The best schedule found within the time limit, read twice, with a bound for every level.

    Parameters are those of `solve`; `solver` is a name in `registry.TASK_SOLVERS`.

    Raises
    ------
    UnsupportedError
        There is no such solver, or it cannot serve this problem.
    ValueError
        The time limit is negative, or there are no workers.
    """
    chosen = require_task_support(problem, solver)
    on_progress(Progress(LOADING))
    kernels.warm_schedules()
    budget = Budget.of(
        time_limit,
        workers=usable_cores() if workers is None else workers,
        stop=stop,
        on_progress=on_progress,
    )
    outcome: Outcome = chosen.solve(problem, budget, seed=seed, start=start)
    return outcome


def deciding(
    solver: str, seconds: float, *, workers: int = 1, seed: int = 0
) -> Callable[[TaskProblem], Schedule]:
    """A solver of tasks that plans one window after another, for `optsched.simulate.roll`.

    It plans something small first, so that no window waits for agents and compiled loops to load.

    Parameters
    ----------
    solver
        A name in `registry.TASK_SOLVERS`; it is loaded once.
    seconds
        For each window.

    Raises
    ------
    UnsupportedError
        There is no such solver; or, in a window, it cannot serve its problem.
    """
    from .generate.tasks import tasks

    chosen = registry.task_solver(solver)
    kernels.warm_schedules()
    small = tasks(nodes=3, count=3)
    if chosen.supports(small) is None:
        chosen.solve(small, Budget.of(0.01), seed=seed)

    def decide(problem: TaskProblem) -> Schedule:
        reason = chosen.supports(problem)
        if reason is not None:
            raise UnsupportedError(f"solver {solver!r} cannot serve this window: {reason}")
        outcome: Outcome = chosen.solve(problem, Budget.of(seconds, workers=workers), seed=seed)
        return outcome.schedule

    return decide


def check(problem: PlacementProblem, plan: Plan) -> Report:
    """Read a plan against the rules, on its own: every violation, and the value of every level.

    Raises
    ------
    PlanError
        This is no plan, such as the `Result` that holds it.
    UnsupportedError
        The problem holds tasks.
    """
    if not isinstance(problem, PlacementProblem):
        raise UnsupportedError(
            f"a {type(problem).__name__} is no placement problem; schedules of tasks are read by "
            "optsched.tasks.check_schedule"
        )
    if not isinstance(plan, Plan):
        raise PlanError(f"a {type(plan).__name__} is no plan; pass the `plan` of a result")
    return _check(problem, plan)
