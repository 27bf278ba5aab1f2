"""Schedules built task by task on nodes whose time fills up: the colony's inner loops.

The same rules as `solvers.scheduling.timelines`, which is the twin that tests compare with: a task
begins as early as data, predecessors, cores and memory let it, in a gap where there is one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .annealing import draw
from .jit import jit

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Stream = npt.NDArray[np.uint64]

SLA, RESPONSE, ENERGY, LATENESS = 0, 1, 2, 3  # columns of values
LATE = 0.02  # what a choice that misses the deadline keeps of its weight
NEAR = 8  # positions that a task moves at most in the order, in one step of the search


class Tables(NamedTuple):
    """A task problem, flat.

    fits (I, J); earliest, held, run, down, energy (I, J) ms and mJ, `held` being when memory is
    taken; then per task and per node; predecessors of task i are rows first[since[i]:since[i+1]],
    and between (P, J, J) is the time of their data. `wake` is the mJ that it takes to turn a
    sleeping node on, over the horizon; `base` what the nodes take if no task runs. `taken` (B, 6):
    what nodes are busy with besides: node, held, begin, end, cores, memory.
    """

    fits: Bools
    earliest: Ints
    held: Ints
    run: Ints
    down: Ints
    energy: Ints
    cores: Ints
    memory: Ints
    arrival: Ints
    deadline: Ints
    hard: Bools
    weight: Ints
    node_cores: Ints
    node_memory: Ints
    wake_time: Ints
    asleep: Bools
    wake: Ints
    since: Ints
    first: Ints
    between: Ints
    horizon: int
    base: int
    taken: Ints


class Lines(NamedTuple):
    """A schedule in the making: (2, J, I) begin, end and amount of what cores and memory hold."""

    begin: Ints
    end: Ints
    amount: Ints
    used: Ints  # (2, J)
    woken: Ints  # (J,) first arrival of its tasks; -1: none
    node: Ints  # (I,)
    start: Ints  # (I,)


def lines(tasks: int, nodes: int, taken: int = 0) -> Lines:
    """Empty ones, with room for what is taken."""
    spans = (2, nodes, tasks + taken)
    return Lines(
        np.zeros(spans, np.int64),
        np.zeros(spans, np.int64),
        np.zeros(spans, np.int64),
        np.zeros((2, nodes), np.int64),
        np.full(nodes, -1),
        np.full(tasks, -1),
        np.full(tasks, -1),
    )


@jit
def clear(p: Tables, s: Lines) -> None:
    """Nothing is placed besides what is taken."""
    s.used[:] = 0
    s.woken[:] = -1
    s.node[:] = -1
    s.start[:] = -1
    for row in range(p.taken.shape[0]):
        end = p.taken[row, 3]
        _take(s, 0, p.taken[row, 0], p.taken[row, 2], end, p.taken[row, 4])
        _take(s, 1, p.taken[row, 0], p.taken[row, 1], end, p.taken[row, 5])


@jit
def _take(s: Lines, kind: int, j: int, begin: int, end: int, amount: int) -> None:
    if end > begin and amount:
        k = s.used[kind, j]
        s.begin[kind, j, k], s.end[kind, j, k], s.amount[kind, j, k] = begin, end, amount
        s.used[kind, j] += 1


@jit
def _level(s: Lines, kind: int, j: int, begin: int, end: int) -> int:
    """The most that is taken at any time between two moments."""
    n, most = s.used[kind, j], 0
    for k in range(-1, n):
        now = begin if k < 0 else s.begin[kind, j, k]
        if k >= 0 and (now <= begin or now >= end):
            continue
        level = 0
        for other in range(n):
            if s.begin[kind, j, other] <= now < s.end[kind, j, other]:
                level += s.amount[kind, j, other]
        most = max(most, level)
    return most


@jit
def _first(s: Lines, j: int, ready: int, length: int, amount: int, most: int) -> int:
    """The earliest begin from `ready` on at which so many cores are free for so long."""
    if length == 0 or _level(s, 0, j, ready, ready + length) + amount <= most:
        return ready  # what takes no time takes no core
    best = np.iinfo(np.int64).max
    for k in range(s.used[0, j]):
        begin = s.end[0, j, k]
        if ready < begin < best and _level(s, 0, j, begin, begin + length) + amount <= most:
            best = begin
    return best


@jit
def begin_at(p: Tables, s: Lines, i: int, j: int) -> int:
    """When a task would begin on a node; -1: it cannot, or must not."""
    if not p.fits[i, j]:
        return -1
    ready = p.earliest[i, j]
    if p.asleep[j]:
        first = p.arrival[i] if s.woken[j] < 0 else min(s.woken[j], p.arrival[i])
        ready = max(ready, first + p.wake_time[j])
    for row in range(p.since[i], p.since[i + 1]):
        other = p.first[row]
        where = s.node[other]
        if where < 0 or p.between[row, where, j] < 0:
            return -1
        ready = max(ready, s.start[other] + p.run[other, where] + p.between[row, where, j])
    start = _first(s, j, ready, p.run[i, j], p.cores[i], p.node_cores[j])
    end, held = start + p.run[i, j], p.held[i, j]
    if p.memory[i] and _level(s, 1, j, held, max(end, held + 1)) + p.memory[i] > p.node_memory[j]:
        return -1
    if p.hard[i] and end + p.down[i, j] > p.deadline[i]:
        return -1
    return start


@jit
def begins(p: Tables, s: Lines, woken: Ints, out: Ints) -> None:
    """When each task would begin on each node if no other were placed, in (I, J) `out`.

    `woken` (J,): by when a sleeping node may have been told to wake.
    """
    clear(p, s)
    s.woken[:] = woken
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = begin_at(p, s, i, j)


@jit
def put(p: Tables, s: Lines, i: int, j: int, start: int) -> None:
    """Run a task."""
    end = start + p.run[i, j]
    _take(s, 0, j, start, end, p.cores[i])
    _take(s, 1, j, p.held[i, j], end, p.memory[i])
    s.woken[j] = p.arrival[i] if s.woken[j] < 0 else min(s.woken[j], p.arrival[i])
    s.node[i], s.start[i] = j, start


@jit
def decode(p: Tables, s: Lines, order: Ints, choice: Ints) -> None:
    """Place tasks in this order on their chosen nodes; what does not fit is rejected."""
    clear(p, s)
    for i in order:
        j = choice[i]
        if j >= 0:
            start = begin_at(p, s, i, j)
            if start >= 0:
                put(p, s, i, j, start)


@jit
def goals(p: Tables, s: Lines, out: Ints) -> None:
    """The four values of what is placed, as `optsched.tasks.evaluate` counts them."""
    out[:] = 0
    out[ENERGY] = p.base
    for j in range(p.node_cores.shape[0]):
        if s.woken[j] >= 0 and p.asleep[j]:
            out[ENERGY] += p.wake[j]
    for i in range(p.arrival.shape[0]):
        j = s.node[i]
        seen = p.horizon
        gone = j < 0
        if not gone:
            out[ENERGY] += p.energy[i, j]
            answer = s.start[i] + p.run[i, j] + p.down[i, j]
            gone = answer > p.horizon
            seen = min(answer, p.horizon)
        late = max(seen - p.deadline[i], 0)
        out[RESPONSE] += seen - p.arrival[i]
        out[LATENESS] += p.weight[i] * late
        if gone or late > 0:
            out[SLA] += p.weight[i]


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
) -> None:
    """One ant: each task goes to a node by pheromone, heuristic, answer and energy.

    P(j) ~ tau * eta * (1 / response)^haste * (1 / energy)^thrift, of the schedule so far (the
    random proportional rule of ant systems, Dorigo and Stützle).
    """
    nodes = p.node_cores.shape[0]
    chance, begin = np.empty(nodes), np.empty(nodes, np.int64)
    clear(p, s)
    for i in order:
        total, best, least = 0.0, 0.0, np.inf
        for j in range(nodes):
            begin[j] = begin_at(p, s, i, j)
            if begin[j] >= 0:
                answer = begin[j] + p.run[i, j] + p.down[i, j] - p.arrival[i] + 1
                best = 1.0 / answer if 1.0 / answer > best else best
                cost = _cost(p, s, i, j)
                least = min(least, cost)
        for j in range(nodes):
            chance[j] = 0.0
            if begin[j] >= 0:
                answer = begin[j] + p.run[i, j] + p.down[i, j]
                soon = 1.0 / (answer - p.arrival[i] + 1) / best
                chance[j] = tau[i, j] * eta[i, j]
                chance[j] *= soon**haste * (least / _cost(p, s, i, j)) ** thrift
                if answer > p.deadline[i]:
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
        put(p, s, i, chosen, begin[chosen])


@jit
def _cost(p: Tables, s: Lines, i: int, j: int) -> float:
    cost = p.energy[i, j] + 1.0
    if p.asleep[j] and s.woken[j] < 0:
        cost += max(p.wake[j], 0)
    return float(cost)


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
    tasks, nodes = p.arrival.shape[0], p.node_cores.shape[0]
    new, better = np.empty(4, np.int64), 0
    for _ in range(steps):
        kind = draw(stream)
        at = int(draw(stream) * tasks)
        i = order[at]
        old, other, was = choice[i], i, choice[i]
        to = at
        if kind < 0.5:
            choice[i] = int(draw(stream) * nodes)
            if choice[i] == old or not p.fits[i, choice[i]]:
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
