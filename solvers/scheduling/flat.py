"""Task problems as the compiled loops read them."""

from __future__ import annotations

import numpy as np

from optsched.arrays import NONE
from optsched.kernels import schedules as kernel
from optsched.tasks import TaskProblem

FAR = np.iinfo(np.int64).max // 8  # a deadline that nobody misses
KEPT = "_flat_tables"


def tables(problem: TaskProblem) -> kernel.Tables:
    """The problem as the kernel reads it; made once, and to be changed by nobody."""
    if KEPT not in problem.__dict__:
        problem.__dict__[KEPT] = _made(problem)
    made: kernel.Tables = problem.__dict__[KEPT]
    return made


def _made(problem: TaskProblem) -> kernel.Tables:
    tasks, nodes = problem.tasks, problem.nodes
    off, on = (-(-power * problem.horizon // 1000) for power in (nodes.sleep, nodes.idle))
    rows = np.arange(len(tasks.before))
    since = np.searchsorted(tasks.before[rows, 1], np.arange(len(tasks) + 1))
    due = np.where(tasks.deadline == NONE, FAR, tasks.deadline)
    early = problem.earliest
    return kernel.Tables(
        pair=np.stack(
            [problem.fits, early, early, problem.run, problem.download, problem.energy]
        ).astype(np.int64),
        task=np.stack(
            [tasks.cores, tasks.memory, tasks.arrival, due, tasks.hard, tasks.weight]
        ).astype(np.int64),
        node=np.stack(
            [nodes.cores, nodes.memory, nodes.wake_time, nodes.asleep, on - off + nodes.wake_energy]
        ).astype(np.int64),
        since=since.astype(np.int64),
        first=np.ascontiguousarray(tasks.before[:, 0]),
        between=np.ascontiguousarray(problem.between),
        whole=np.array([problem.horizon, np.where(nodes.asleep, off, on).sum()], np.int64),
        taken=np.ascontiguousarray(np.stack(list(vars(problem.taken).values()), axis=1)),
    )
