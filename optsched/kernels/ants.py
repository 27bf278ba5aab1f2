"""The colony's inner loops: one ant's walk, and a local search over nodes and order."""

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
    FITS,
    RUN,
    WAKE,
    WOKEN,
    Ints,
    Lines,
    Tables,
    clear,
    decode,
    goals,
    options,
    put,
)

Floats = npt.NDArray[np.float64]
Stream = npt.NDArray[np.uint64]

LATE = 0.02  # what a choice that misses the deadline keeps of its weight
NEAR = 8  # positions that a task moves at most in the order, in one step of the search


@jit
def below(one: Ints, two: Ints, weights: Ints, equal: bool) -> bool:
    """Whether values `one` are better than `two`, level by level; `equal` says what of equals."""
    for k in range(weights.shape[0]):
        change = 0
        for g in range(4):
            change += weights[k, g] * (one[g] - two[g])
        if change != 0:
            return bool(change < 0)
    return equal


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


@jit
def climb(
    p: Tables,
    s: Lines,
    order: Ints,
    choice: Ints,
    values: Ints,
    weights: Ints,
    steps: int,
    stream: Stream,
) -> int:
    """Change the node of a task, its place in the order, or swap two nodes, while nothing worsens.

    Changes `order`, `choice` and `values` in place; returns how often something became better.
    """
    _, tasks, nodes = p.pair.shape
    new, better = np.empty(4, np.int64), 0
    for _ in range(steps):
        kind = draw(stream)
        at = int(draw(stream) * tasks)
        i = order[at]
        old, other, was = choice[i], i, choice[i]
        to = at
        if kind < 0.5:
            choice[i] = int(draw(stream) * nodes)
            if choice[i] == old or not p.pair[FITS, i, choice[i]]:
                choice[i] = old
                continue
        elif kind < 0.7:
            other = order[int(draw(stream) * tasks)]
            was = choice[other]
            if was == old:
                continue
            choice[i], choice[other] = was, old
        else:
            to = at + int(draw(stream) * (2 * NEAR + 1)) - NEAR
            to = min(max(to, 0), tasks - 1)
            if to == at:
                continue
            _shift(order, at, to)
        decode(p, s, order, choice)
        goals(p, s, new)
        if below(new, values, weights, True):
            better += below(new, values, weights, False)
            values[:] = new
            continue
        if to != at:
            _shift(order, to, at)
        choice[i] = old
        if other != i:
            choice[other] = was
    return better


@jit
def _shift(order: Ints, at: int, to: int) -> None:
    """Move one task to another place in the order."""
    task = order[at]
    if at < to:
        for k in range(at, to):
            order[k] = order[k + 1]
    else:
        for k in range(at, to, -1):
            order[k] = order[k - 1]
    order[to] = task
