"""Bounds of schedules that need no search: each task alone, at its best node, without any wait."""

from __future__ import annotations

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.result import Bound
from optsched.tasks import Goal, TaskProblem

LARGE = np.iinfo(np.int64).max // 4


def free_bounds(problem: TaskProblem) -> list[Bound]:
    """One per level of the objective; they hold whatever the earlier levels are worth.

    A task that has predecessors is treated as if it had none.
    """
    found = {
        Goal.SLA: (_sla(problem), "deadlines that no node can meet, even alone"),
        Goal.RESPONSE: (int(_responses(problem).sum()), "no task waits"),
        Goal.LATENESS: (_lateness(problem), "no task waits"),
        Goal.ENERGY: (_energy(problem), "each task where it adds least"),
    }
    levels = range(len(problem.objective.levels))
    return [_sum(found, problem.objective.weights(level)) for level in levels]


def _sum(found: dict[Goal, tuple[int, str]], weights: dict[Goal, int]) -> Bound:
    """The bound of a weighted sum, with the words for the goal that weighs most."""
    parts = {goal: weight * found[goal][0] for goal, weight in weights.items()}
    return Bound(sum(parts.values()), found[max(parts, key=lambda goal: parts[goal])][1])


def soonest_answers(problem: TaskProblem) -> Ints:
    """(I,) the earliest answer of each task if it were alone; large where it fits nowhere."""
    alone = problem.earliest + problem.run + problem.download
    return np.where(problem.fits, alone, LARGE).min(axis=1, initial=LARGE)


def _seen(problem: TaskProblem) -> Ints:
    """(I,) when each task is seen to answer at the earliest."""
    return np.minimum(soonest_answers(problem), problem.horizon)


def _sla(problem: TaskProblem) -> int:
    tasks, soonest = problem.tasks, soonest_answers(problem)
    due = np.where(tasks.deadline == NONE, problem.horizon, tasks.deadline)
    return int(tasks.weight[soonest > np.minimum(due, problem.horizon)].sum())


def _responses(problem: TaskProblem) -> Ints:
    return np.asarray(_seen(problem) - problem.tasks.arrival)


def _lateness(problem: TaskProblem) -> int:
    tasks = problem.tasks
    late = np.maximum(_seen(problem) - tasks.deadline, 0)
    return int((tasks.weight * late)[tasks.deadline != NONE].sum())


def _energy(problem: TaskProblem) -> int:
    """What the nodes take anyway. A task may be rejected and then adds nothing."""
    nodes = problem.nodes
    power = np.where(nodes.asleep, nodes.sleep, nodes.idle) * problem.horizon
    woken = nodes.idle * problem.horizon
    least = np.where(nodes.asleep, np.minimum(power, woken), power)
    return int((-(-least // 1000)).sum())
