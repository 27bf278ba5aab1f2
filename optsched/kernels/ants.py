"""One ant of the colony: its order, and its walk from task to task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .annealing import draw
from .jit import jit
from .schedules import (
    ARRIVAL,
    ASLEEP,
    COST,
    DEADLINE,
    DOWN,
    RUN,
    WAKE,
    WOKEN,
    Ints,
    Lines,
    Tables,
    clear,
    options,
    put,
)

Floats = npt.NDArray[np.float64]
Stream = npt.NDArray[np.uint64]

LATE = 0.02  # what a choice that misses the deadline keeps of its weight


@jit
def shuffled(key: Floats, jitter: float, rank: Ints, p: Tables, stream: Stream) -> Ints:
    """An order by key, each moved by up to `jitter`; `rank` lists predecessors first."""
    moved = np.empty(key.shape[0])
    for i in rank:
        moved[i] = key[i] + jitter * (draw(stream) - 0.5)
        for row in range(p.since[i], p.since[i + 1]):
            moved[i] = max(moved[i], moved[p.first[row]])
    return rank[np.argsort(moved[rank], kind="mergesort")]


@jit
def walk(
    p: Tables,
    s: Lines,
    order: Ints,
    tau: Floats,
    eta: Floats,
    haste: float,
    thrift: float,
    stream: Stream,
    chances: Floats,
) -> None:
    """One ant: each task goes to a node by pheromone, heuristic, answer and energy.

    P(j) ~ tau * eta * (1 / response)^haste * (1 / energy)^thrift, of the schedule so far (the
    random proportional rule of ant systems, Dorigo and Stützle). (I, J) `chances` are filled with
    these products; 0: the task could not go there then.
    """
    pair, task, node, nodes = p.pair, p.task, p.node, p.node.shape[1]
    cost, begin = np.empty(nodes), np.empty(nodes, np.int64)
    clear(s)
    for i in order:
        chance = chances[i]
        total, soonest, least = 0.0, np.inf, np.inf
        options(p, s, i, begin)
        for j in range(nodes):
            if begin[j] >= 0:
                answer = begin[j] + pair[RUN, i, j] + pair[DOWN, i, j] - task[ARRIVAL, i] + 1
                soonest = min(soonest, float(answer))
                cost[j] = pair[COST, i, j] + 1.0
                if node[ASLEEP, j] and s.host[WOKEN, j] < 0:
                    cost[j] += max(node[WAKE, j], 0)
                least = min(least, cost[j])
        for j in range(nodes):
            chance[j] = 0.0
            if begin[j] >= 0:
                answer = begin[j] + pair[RUN, i, j] + pair[DOWN, i, j]
                soon = soonest / (answer - task[ARRIVAL, i] + 1)
                chance[j] = tau[i, j] * eta[i, j]
                chance[j] *= soon**haste * (least / cost[j]) ** thrift
                if answer > task[DEADLINE, i]:
                    chance[j] *= LATE
                total += chance[j]
        if total <= 0.0:
            continue
        left, chosen = draw(stream) * total, -1
        for j in range(nodes):
            if chance[j] > 0.0:
                chosen = j
                left -= chance[j]
                if left < 0.0:
                    break
        put(p, s, i, chosen)
