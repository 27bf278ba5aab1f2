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
    whole = np.ascontiguousarray
    return kernel.Tables(
        fits=whole(problem.fits),
        earliest=whole(problem.earliest),
        held=whole(problem.earliest),
        run=whole(problem.run),
        down=whole(problem.download),
        energy=whole(problem.energy),
        cores=tasks.cores.copy(),
        memory=tasks.memory.copy(),
        arrival=tasks.arrival.copy(),
        deadline=np.where(tasks.deadline == NONE, FAR, tasks.deadline),
        hard=tasks.hard.copy(),
        weight=tasks.weight.copy(),
        node_cores=nodes.cores.copy(),
        node_memory=nodes.memory.copy(),
        wake_time=nodes.wake_time.copy(),
        asleep=nodes.asleep.copy(),
        wake=on - off + nodes.wake_energy,
        since=since.astype(np.int64),
        first=whole(tasks.before[:, 0]),
        between=whole(problem.between),
        horizon=problem.horizon,
        base=int(np.where(nodes.asleep, off, on).sum()),
        taken=np.ascontiguousarray(np.stack(list(vars(problem.taken).values()), axis=1)),
    )
