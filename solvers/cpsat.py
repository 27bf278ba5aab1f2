"""CP-SAT under a budget: it ends at the deadline, and soon after the user wants to stop."""

from __future__ import annotations

import math
import threading

from ortools.sat.python import cp_model

from optsched.budget import Budget

LOOK = 0.02  # seconds between two looks at `Budget.stop`
SLACK, ROUNDING = 1e-6, 2.0**-50  # by which a bound may be off, and the share of its size
LEAST = 0.005  # seconds that a solve gets at least; with 0 it would have no limit at all


def prepared(
    budget: Budget, *, seed: int = 0, workers: int | None = None, effort: float | None = None
) -> cp_model.CpSolver:
    """A solver for one run within `budget`.

    Parameters
    ----------
    seed
        Any number; CP-SAT takes 31 bits of it.
    workers
        By default those of the budget.
    effort
        Most deterministic seconds; None: no limit.
    """
    solver = cp_model.CpSolver()
    # Outside the main thread its own handler aborts the process; budget.stop is the way.
    solver.parameters.catch_sigint_signal = False
    solver.parameters.random_seed = seed % (1 << 31)
    solver.parameters.num_workers = budget.workers if workers is None else workers
    solver.parameters.max_time_in_seconds = max(budget.remaining(), LEAST)
    if effort is not None:
        solver.parameters.max_deterministic_time = effort
    return solver


def run(
    solver: cp_model.CpSolver,
    model: cp_model.CpModel,
    budget: Budget,
    enough: int | None = None,
) -> cp_model.CpSolverStatus:
    """Solve; returns CP-SAT's status. `budget.stop` is asked all the time.

    A solution with an objective of `enough` or less ends it.
    """
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(solver, budget, done), daemon=True)
    watch.start()
    try:
        return solver.solve(model, None if enough is None else _Enough(enough))
    finally:
        done.set()
        watch.join()


def bound(solver: cp_model.CpSolver, model: cp_model.CpModel) -> int:
    """A whole number that the objective of no solution is below, after a run.

    CP-SAT keeps it whole and tells it as a float, with the constant part of the objective added;
    where that is large, what is told is off by units.
    """
    told = solver.best_objective_bound
    size = max(abs(told), abs(model.proto.objective.offset))
    return math.ceil(told - SLACK - ROUNDING * size)


class _Enough(cp_model.CpSolverSolutionCallback):
    """Stops the search at a solution that is good enough."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self._enough = enough

    def on_solution_callback(self) -> None:
        """Look at a new solution."""
        if self.objective_value <= self._enough:
            self.stop_search()


def _watch(solver: cp_model.CpSolver, budget: Budget, done: threading.Event) -> None:
    while not done.wait(LOOK):
        if budget.stop():
            solver.stop_search()
            return
