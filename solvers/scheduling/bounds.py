"""Bounds of schedules: each task alone on its node, cores over time, and tasks in positions.

Alone a task waits for its data, its node and what the node is busy with, for no other task. The
best node by the whole weighted sum of a level bounds it; what earlier levels have reached rules
nodes and rejections out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optsched.budget import Budget
from optsched.result import Bound
from optsched.solvers.scheduling.alone import LARGE, Alone, Choices
from optsched.solvers.scheduling.cores import Cores
from optsched.solvers.scheduling.positions import matched
from optsched.tasks import Goal, Schedule, TaskProblem, evaluate

PATIENCE = 5.0  # seconds, where nobody says how long
CROWDED = 2e-6  # seconds for each pair of a task and a node, without which none are raised
MATCHED = 5e-5  # and without which none are matched


def free_bounds(problem: TaskProblem, values: tuple[int, ...] = ()) -> list[Bound]:
    """One per level of the objective, each task alone.

    Parameters
    ----------
    values
        Of the levels of a schedule: the bounds then hold for every schedule that reaches the same
        values of the levels before. Without them they hold for all.
    """
    alone = Alone(problem)
    return [
        _alone(alone.choices(k, values), _words(problem, k))
        for k in range(len(problem.objective.levels))
    ]


def _words(problem: TaskProblem, level: int) -> str:
    one = problem.objective.levels[level]
    if one is Goal.SLA:
        return "deadlines that no node can meet, even alone"
    return "each task where it adds least" if one is Goal.ENERGY else "no task waits"


def _alone(given: Choices, words: str) -> Bound:
    cost = np.where(given.allowed, given.response + given.rest, LARGE)
    least = cost.min(axis=1, initial=LARGE)
    if (least == LARGE).any():  # then no schedule has these values, and nothing is said
        least = np.where(least == LARGE, 0, least)
    return Bound(given.base + int(least.sum()), words)


def crowded_bounds(
    problem: TaskProblem, values: tuple[int, ...] = (), budget: Budget | None = None
) -> list[Bound]:
    """Those of `free_bounds`, raised by what tasks on the same cores do to each other.

    Every core is looked at on its own over time, which is nearly always enough to tell whether a
    schedule is optimal. Where time is too long for that to be exact, or numbers are too large for
    it, tasks are matched with positions as well if responses count.

    Parameters
    ----------
    values
        As for `free_bounds`; what reaches those of a schedule is not raised further.
    budget
        May end the raising early; by default `PATIENCE` seconds.
    """
    alone, budget = Alone(problem), budget or Budget.of(PATIENCE)
    found = []
    for k in range(len(problem.objective.levels)):
        given = alone.choices(k, values)
        best = _alone(given, _words(problem, k))
        known = values[k] if k < len(values) else None
        if known is None or best.value < known:
            cores = Cores(alone, k, values)
            best = max(best, cores.bound(known, budget), key=lambda one: one.value)
            enough = budget.remaining() > MATCHED * problem.fits.size  # one cannot be cut short
            if given.haste and enough and not cores.exact:
                best = max(best, matched(problem, alone, given, budget), key=lambda one: one.value)
        found.append(best)
    return found


def best_bounds(problem: TaskProblem, schedule: Schedule, budget: Budget) -> list[Bound]:
    """Given what a schedule reaches: the crowded ones where they matter and there is time."""
    values = evaluate(problem, schedule).levels
    bounds = free_bounds(problem, values)
    open_ = any(v > bound.value for v, bound in zip(values, bounds, strict=True))
    enough = budget.remaining() > CROWDED * problem.fits.size
    return crowded_bounds(problem, values, budget) if open_ and enough else bounds


def tighter(one: Sequence[Bound], two: Sequence[Bound]) -> list[Bound]:
    """The higher bound of every level; of equals the first."""
    return [max(pair, key=lambda bound: bound.value) for pair in zip(one, two, strict=True)]
