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
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

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
def batch(p: Tables, s: Lines, order: Ints, kind: int, window: int) -> None:
    """Of all that arrive within `window` ms of the first, the most urgent goes next, by EFT."""
    clear(s)
    tasks, nodes = order.shape[0], p.node.shape[1]
    begin = np.empty(nodes, np.int64)
    waits = np.ones(tasks, np.bool_)
    left, at = tasks, 0
    while left > 0:
        while not waits[order[at]]:
            at += 1
        until = p.task[ARRIVAL, order[at]] + window
        best, urgent, where = -1, 0.0, -1
        placed = ~waits
        for i in range(tasks):
            if not waits[i] or p.task[ARRIVAL, i] > until:
                continue
            ready = True
            for row in range(p.since[i], p.since[i + 1]):
                ready = ready and placed[p.first[row]]
            if not ready:
                continue
            node, first, second = -1, np.inf, np.inf
            options(p, s, i, begin)
            for j in range(nodes):
                if begin[j] < 0:
                    continue
                answer = float(begin[j] + p.pair[RUN, i, j] + p.pair[DOWN, i, j])
                if answer < first:
                    node, first, second = j, answer, first
                elif answer < second:
                    second = answer
            if node < 0:
                waits[i] = False
                left -= 1
                continue
            value = first
            if kind == LONGEST:
                value = -first
            elif kind == SUFFERING:
                value = first - second
            if best < 0 or value < urgent:
                best, urgent, where = i, value, node
        if best >= 0:
            put(p, s, best, where)
            waits[best] = False
            left -= 1
