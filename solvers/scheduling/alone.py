"""What each task of a problem comes to if it were alone, on every node and rejected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.kernels import schedules as kernel
from optsched.solvers.scheduling.flat import tables
from optsched.tasks import Goal, TaskProblem

LARGE = np.iinfo(np.int64).max // 4


def alone_begins(problem: TaskProblem) -> Ints:
    """(I, J) when each task can begin at the earliest if it is the only one; -1: it cannot.

    Cores that are taken count; a sleeping node may have been woken by any task. Memory is left out,
    and a task that has predecessors is treated as if it had none.
    """
    tasks, fits = problem.tasks, problem.fits
    flat = tables(problem)
    task = flat.task.copy()
    task[kernel.MEMORY] = 0  # data that are sent later hold it later
    flat = flat._replace(since=np.zeros_like(flat.since), task=task)
    out = np.empty(fits.shape, np.int64)
    woken = np.where(fits, tasks.arrival[:, None], LARGE).min(axis=0, initial=LARGE)
    kernel.begins(flat, kernel.lines(flat), np.where(woken == LARGE, NONE, woken), out)
    return out


@dataclass(frozen=True)
class Choices:
    """What each task adds to a level, (I, J + 1) on each node and rejected (the last column).

    Attributes
    ----------
    allowed
        Bool: it may be there, given what earlier levels have reached.
    response, rest
        Weighted milliseconds of the response, and all else.
    base
        What the nodes add whatever is done.
    haste
        Weight of a millisecond of response.
    """

    allowed: Bools
    response: Ints
    rest: Ints
    base: int
    haste: int


class Alone:
    """The tasks of a problem, each on its own."""

    def __init__(self, problem: TaskProblem) -> None:
        self.problem = problem
        tasks, horizon = problem.tasks, problem.horizon
        begins = alone_begins(problem)
        self.fits = begins != NONE
        answer = np.where(self.fits, begins + problem.run + problem.download, LARGE)
        self.answer = answer
        rejected = np.full((len(tasks), 1), horizon)
        self.seen = np.minimum(np.hstack([answer, rejected]), horizon)
        due = np.where(tasks.deadline == NONE, LARGE, tasks.deadline)
        last = np.minimum(due, horizon)
        self.violated = np.hstack([answer > last[:, None], np.ones((len(tasks), 1), bool)])
        self.late = tasks.weight[:, None] * np.maximum(self.seen - due[:, None], 0)

    def choices(
        self, level: int, values: tuple[int, ...] = (), woken: tuple[int, ...] | None = None
    ) -> Choices:
        """Of one level, for schedules whose earlier levels have these values.

        With `woken`, for those that wake exactly these of the sleeping nodes (`sleepers`); without,
        for all: then what runs on a sleeping node pays a share of its waking.
        """
        problem, tasks = self.problem, self.problem.tasks
        weight = problem.objective.weights(level)
        nothing = np.zeros((len(tasks), 1), np.int64)
        haste = weight.get(Goal.RESPONSE, 0)
        rest = weight.get(Goal.SLA, 0) * self.violated * tasks.weight[:, None]
        rest = rest + weight.get(Goal.LATENESS, 0) * self.late
        thrift = weight.get(Goal.ENERGY, 0)
        rest = rest + thrift * np.hstack([problem.energy, nothing])
        allowed = np.hstack([self.fits, np.ones((len(tasks), 1), bool)])
        for before, value in enumerate(values[:level]):
            if problem.objective.levels[before] is Goal.SLA:
                allowed &= ~(self.violated & (tasks.weight[:, None] > value))
        base = thrift * asleep_base(problem)
        if woken is None:
            rest = rest + thrift * _waking(problem, allowed)
        else:
            allowed[:, [j for j in sleepers(problem) if j not in woken]] = False
            base += thrift * int(wake_costs(problem)[list(woken)].sum())
        return Choices(
            allowed=allowed,
            response=haste * (self.seen - tasks.arrival[:, None]),
            rest=rest,
            base=base,
            haste=haste,
        )


def sleepers(problem: TaskProblem) -> list[int]:
    """Nodes that some task could wake, at a cost."""
    useful = (wake_costs(problem) > 0) & problem.fits.any(axis=0)
    return [int(j) for j in np.flatnonzero(useful)]


def wake_costs(problem: TaskProblem) -> Ints:
    """(J,) mJ that it takes to wake a node, over the horizon; 0 where that saves energy."""
    nodes = problem.nodes
    off, on = (-(-power * problem.horizon // 1000) for power in (nodes.sleep, nodes.idle))
    return np.where(nodes.asleep & (off <= on), on - off + nodes.wake_energy, 0)


def _waking(problem: TaskProblem, allowed: Bools) -> Ints:
    """(I, J + 1) mJ of waking a node, shared among all tasks that may be there.

    The last column is 0. A node that wakes costs the whole; whatever runs there pays its share.
    """
    count = allowed[:, :-1].sum(axis=0)
    share = np.append(wake_costs(problem) // np.maximum(count, 1), 0)
    return np.broadcast_to(share, allowed.shape)


def asleep_base(problem: TaskProblem) -> int:
    """Millijoules that the nodes take if no task runs."""
    nodes = problem.nodes
    least = np.where(nodes.asleep, np.minimum(nodes.sleep, nodes.idle), nodes.idle)
    return int((-(-least * problem.horizon // 1000)).sum())
