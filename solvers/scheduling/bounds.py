"""Bounds of schedules that need no search: each task alone on its node, and tasks in positions.

Alone a task waits for its data, its node and what the node is busy with, for no other task. The
best node by the whole weighted sum of a level bounds it; what earlier levels have reached rules
nodes and rejections out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from optsched.budget import Budget
from optsched.result import Bound
from optsched.solvers.scheduling.alone import LARGE, Alone, Choices, sleepers
from optsched.solvers.scheduling.positions import matched
from optsched.tasks import Goal, Schedule, TaskProblem, evaluate

SLEEPERS = 4  # nodes of which every set is tried


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
    """Those of `free_bounds`, raised by matching tasks with positions where responses count.

    A budget may end the raising early, not before one matching.
    """
    alone = Alone(problem)
    found = []
    for k in range(len(problem.objective.levels)):
        given = alone.choices(k, values)
        best = _alone(given, _words(problem, k))
        if given.haste:
            best = max(best, matched(problem, alone, given, budget), key=lambda one: one.value)
        woken = _by_waking(problem, alone, k, values, budget)
        found.append(max(best, woken, key=lambda one: one.value))
    return found


def _by_waking(
    problem: TaskProblem, alone: Alone, level: int, values: tuple[int, ...], budget: Budget | None
) -> Bound:
    """The least bound over all sets of sleeping nodes that may be woken, if those are few."""
    nodes, thrift = sleepers(problem), problem.objective.weights(level).get(Goal.ENERGY, 0)
    if not thrift or not 0 < len(nodes) <= SLEEPERS:
        return Bound(0, "")
    sets = (subset for k in range(len(nodes) + 1) for subset in combinations(nodes, k))
    ways = [alone.choices(level, values, subset) for subset in sets]
    lows = [_alone(given, "").value for given in ways]
    least: int | None = None
    for k in np.argsort(lows, kind="stable").tolist():
        if least is not None and lows[k] >= least:
            break
        own = lows[k]
        if ways[k].haste and not (budget is not None and budget.over()):
            own = max(own, matched(problem, alone, ways[k], budget).value)
        least = own if least is None else min(least, own)
    return Bound(least or 0, "each way to wake nodes")


def best_bounds(problem: TaskProblem, schedule: Schedule, budget: Budget) -> list[Bound]:
    """Given what a schedule reaches: the crowded ones where they matter and there is time."""
    values = evaluate(problem, schedule).levels
    bounds = free_bounds(problem, values)
    open_ = any(v > bound.value for v, bound in zip(values, bounds, strict=True))
    return crowded_bounds(problem, values, budget) if open_ and not budget.over() else bounds


def tighter(one: Sequence[Bound], two: Sequence[Bound]) -> list[Bound]:
    """The higher bound of every level; of equals the first."""
    return [max(pair, key=lambda bound: bound.value) for pair in zip(one, two, strict=True)]
