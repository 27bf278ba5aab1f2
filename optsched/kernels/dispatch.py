"""Dispatching rules, compiled: each task in turn, or the most urgent of a window, to its node.

The twins that tests compare with are `dispatch` and `batch` of `solvers.scheduling.rules`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .jit import jit
from .schedules import Lines, Tables, begin_at, clear, put

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

KEYED, THRIFTY, LEAST_LOADED = 0, 1, 2  # how a node is chosen
SHORTEST, LONGEST, SUFFERING = 0, 1, 2  # which task of a window is the most urgent


@jit
def spent(p: Tables, s: Lines, i: int, j: int) -> int:
    """Millijoules that a task adds, the waking of its node included."""
    return p.energy[i, j] + (p.wake[j] if p.asleep[j] and s.woken[j] < 0 else 0)


@jit
def _load(p: Tables, s: Lines, j: int) -> float:
    """Milliseconds of work that the node has, for each of its cores."""
    total = 0
    for k in range(s.used[0, j]):
        total += (s.end[0, j, k] - s.begin[0, j, k]) * s.amount[0, j, k]
    return total / p.node_cores[j]


@jit
def choose(p: Tables, s: Lines, i: int, kind: int, key: Ints) -> int:
    """The node of a task: the least key, of equals the earliest answer; -1: none can run it.

    The key is (I, J) `key`; what the task adds in energy where it answers in time; or the load.
    """
    best, least, soonest, timely = -1, 0.0, 0, False
    for j in range(p.node_cores.shape[0]):
        begin = begin_at(p, s, i, j)
        if begin < 0:
            continue
        answer = begin + p.run[i, j] + p.down[i, j]
        good = kind == THRIFTY and answer <= p.deadline[i]
        value = 0.0
        if kind == KEYED:
            value = float(key[i, j])
        elif kind == LEAST_LOADED:
            value = _load(p, s, j)
        elif good:
            value = float(spent(p, s, i, j))
        first = best < 0 or (good and not timely)
        equal = good == timely and (value < least or (value == least and answer < soonest))
        if first or equal:
            best, least, soonest, timely = j, value, answer, good
    return best


@jit
def dispatch(p: Tables, s: Lines, order: Ints, kind: int, key: Ints) -> None:
    """Each task, in this order, to the node that is chosen; what fits nowhere is rejected."""
    clear(p, s)
    for i in order:
        j = choose(p, s, i, kind, key)
        if j >= 0:
            put(p, s, i, j, begin_at(p, s, i, j))


@jit
def batch(p: Tables, s: Lines, order: Ints, kind: int, window: int) -> None:
    """Of all that arrive within `window` ms of the first, the most urgent goes next, by EFT."""
    clear(p, s)
    tasks, nodes = order.shape[0], p.node_cores.shape[0]
    waits = np.ones(tasks, np.bool_)
    left, at = tasks, 0
    while left > 0:
        while not waits[order[at]]:
            at += 1
        until = p.arrival[order[at]] + window
        best, urgent, where = -1, 0.0, -1
        placed = ~waits
        for i in range(tasks):
            if not waits[i] or p.arrival[i] > until:
                continue
            ready = True
            for row in range(p.since[i], p.since[i + 1]):
                ready = ready and placed[p.first[row]]
            if not ready:
                continue
            node, first, second = -1, np.inf, np.inf
            for j in range(nodes):
                begin = begin_at(p, s, i, j)
                if begin < 0:
                    continue
                answer = float(begin + p.run[i, j] + p.down[i, j])
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
            put(p, s, best, where, begin_at(p, s, best, where))
            waits[best] = False
            left -= 1
