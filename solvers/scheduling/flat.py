"""Task problems as the compiled loops read them."""

from __future__ import annotations

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.kernels import schedules as kernel
from optsched.tasks import Schedule, TaskProblem

FAR = np.iinfo(np.int64).max // 8  # a deadline that nobody misses
KEPT = "_flat_tables"


def tables(problem: TaskProblem) -> kernel.Tables:
    """The problem as the kernel reads it; made once, and to be changed by nobody."""
    if KEPT not in problem.__dict__:
        problem.__dict__[KEPT] = _made(problem)
    made: kernel.Tables = problem.__dict__[KEPT]
    return made


def schedule_of(problem: TaskProblem, lines: kernel.Lines) -> Schedule:
    """What is placed, with when it is sent where inputs take turns; the rest is rejected."""
    node, start = lines.node.copy(), lines.start.copy()
    if not problem.route.size:
        return Schedule.of(node, start)
    return Schedule.of(node, start, np.where(node >= 0, lines.sent, problem.tasks.arrival))


def _made(problem: TaskProblem) -> kernel.Tables:
    """Arrays of our own: read-only ones would have every kernel compiled once more for them."""
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
        first=tasks.before[:, 0].copy(),
        between=np.ascontiguousarray(problem.between),
        whole=np.array([problem.horizon, np.where(nodes.asleep, off, on).sum()], np.int64),
        taken=_taken(problem),
        route=_lanes(problem),
    )


def _number(problem: TaskProblem, lanes: Ints) -> Ints:
    """Lanes on anybody's way count on from the nodes; the others, and -1, are -1."""
    own = np.unique(problem.route[..., 0])
    own = own[own != NONE]
    number = np.searchsorted(own, lanes)
    return np.where(np.isin(lanes, own), number + len(problem.nodes), NONE)


def _lanes(problem: TaskProblem) -> Ints:
    """The routes with lanes by their numbers."""
    route = problem.route.copy()
    route[..., 0] = _number(problem, route[..., 0])
    return np.ascontiguousarray(route)


def _taken(problem: TaskProblem) -> Ints:
    """What nodes are busy with besides; and links, as if it took one core of the lane."""
    rows, more = np.stack(list(vars(problem.taken).values()), axis=1), problem.underway
    lane = _number(problem, more.lane)
    one, own = np.ones_like(lane), lane != NONE
    lines = np.stack([lane, more.begin, more.begin, more.end, one, 0 * one], axis=1)[own]
    return np.ascontiguousarray(np.concatenate([rows, lines]))
