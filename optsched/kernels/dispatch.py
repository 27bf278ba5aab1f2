"""Dispatching rules, compiled: each task in turn, or the most urgent of a window, to its node.

The twins that tests compare with are `dispatch` and `batch` of `solvers.scheduling.rules`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .jit import jit
from .schedules import (
    ARRIVAL,
    ASLEEP,
    COST,
    DEADLINE,
    DOWN,
    NODE_CORES,
    RUN,
    WAKE,
    WOKEN,
    WORK,
    Lines,
    Tables,
    clear,
    options,
    put,
    run,
)

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max // 8
KEYED, THRIFTY, LEAST_LOADED = 0, 1, 2  # how a node is chosen
SHORTEST, LONGEST, SUFFERING = 0, 1, 2  # which task of a window is the most urgent


@jit
def choose(p: Tables, s: Lines, i: int, kind: int, key: Ints, begin: Ints) -> int:
    """The node of a task: the least key, of equals the earliest answer; -1: none can run it.

    The key is (I, J) `key`; what the task adds in energy where it answers in time, the waking of
    its node included; or the work that the node has for each core. `begin` (J,) is filled.
    """
    best, least, soonest, timely = -1, 0.0, 0, False
    options(p, s, i, begin)
    for j in range(begin.shape[0]):
        if begin[j] < 0:
            continue
        answer = begin[j] + p.pair[RUN, i, j] + p.pair[DOWN, i, j]
        good = kind == THRIFTY and answer <= p.task[DEADLINE, i]
        value = 0.0
        if kind == KEYED:
            value = float(key[i, j])
        elif kind == LEAST_LOADED:
            value = s.host[WORK, j] / p.node[NODE_CORES, j]
        elif good:
            asleep = p.node[ASLEEP, j] and s.host[WOKEN, j] < 0
            value = float(p.pair[COST, i, j] + (p.node[WAKE, j] if asleep else 0))
        first = best < 0 or (good and not timely)
        equal = good == timely and (value < least or (value == least and answer < soonest))
        if first or equal:
            best, least, soonest, timely = j, value, answer, good
    return best


@jit
def dispatch(p: Tables, s: Lines, order: Ints, kind: int, key: Ints) -> None:
    """Each task, in this order, to the node that is chosen; what fits nowhere is rejected."""
    begin = np.empty(p.node.shape[1], np.int64)
    clear(s)
    for i in order:
        j = choose(p, s, i, kind, key, begin)
        if j >= 0:
            put(p, s, i, j)


@jit
def _answers(p: Tables, s: Lines, tasks: Ints, j: int, table: Ints, stale: Bools) -> None:
    """Renew when some tasks would answer on one node, in (I, J) `table`."""
    begin = np.empty(tasks.shape[0], np.int64)
    run(p, s, tasks, np.full(tasks.shape[0], j), False, begin)
    for k in range(tasks.shape[0]):
        i, answer = tasks[k], NEVER
        if begin[k] >= 0:
            answer = begin[k] + p.pair[RUN, i, j] + p.pair[DOWN, i, j]
        stale[i] = stale[i] or answer != table[i, j]
        table[i, j] = answer


@jit
def _two(row: Ints, two: Ints) -> int:
    """The node that answers first, of equals the first, -1: none; and the two first answers."""
    node, two[0], two[1] = -1, NEVER, NEVER
    for j in range(row.shape[0]):
        if row[j] < two[0]:
            node, two[0], two[1] = j, row[j], two[0]
        elif row[j] < two[1]:
            two[1] = row[j]
    return node


@jit
def _open(p: Tables, i: int, waits: Bools) -> bool:
    """Whether nothing that a task needs still waits."""
    able = True
    for row in range(p.since[i], p.since[i + 1]):
        able = able and not waits[p.first[row]]
    return able


@jit
def batch(p: Tables, s: Lines, order: Ints, kind: int, window: int) -> None:
    """Of all that arrive within `window` ms of the first, the most urgent goes next, by EFT.

    A task that is placed changes the answers of its node alone, unless it takes a link from others;
    only those are looked at again.
    """
    clear(s)
    tasks, nodes, far = order.shape[0], p.node.shape[1], p.route.shape[2] > 0
    table, two = np.full((tasks, nodes), NEVER), np.empty((tasks, 2), np.int64)
    known, stale, waits = (
        np.zeros(tasks, np.bool_), np.zeros(tasks, np.bool_), np.ones(tasks, np.bool_),
    )  # fmt: skip
    begin, node, at, left = np.empty(nodes, np.int64), np.full(tasks, -1), 0, tasks
    while left > 0:
        while not waits[order[at]]:
            at += 1
        until = p.task[ARRIVAL, order[at]] + window
        best, urgent, before = -1, 0.0, waits.copy()
        for i in range(tasks):
            if not waits[i] or p.task[ARRIVAL, i] > until:
                continue
            if not known[i]:
                if not _open(p, i, before):
                    continue
                known[i] = stale[i] = True
                options(p, s, i, begin)
                for j in range(nodes):
                    if begin[j] >= 0:
                        table[i, j] = begin[j] + p.pair[RUN, i, j] + p.pair[DOWN, i, j]
            if stale[i]:
                stale[i], node[i] = False, _two(table[i], two[i])
            if node[i] < 0:
                waits[i] = False
                left -= 1
                continue
            value = float(two[i, 0])
            if kind == LONGEST:
                value = -value
            elif kind == SUFFERING:
                value = -np.inf if two[i, 1] == NEVER else value - two[i, 1]
            if best < 0 or value < urgent:
                best, urgent = i, value
        if best < 0:
            continue
        put(p, s, best, node[best])
        waits[best] = False
        left -= 1
        again = np.flatnonzero(known & waits)
        for j in range(nodes):
            if far or j == node[best]:
                _answers(p, s, again, j, table, stale)
