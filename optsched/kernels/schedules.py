"""Schedules built task by task on nodes whose time fills up.

The same rules as `solvers.scheduling.timelines`, which is the twin that tests compare with: a task
begins as early as data, predecessors, cores and memory let it, in a gap where there is one. How
many cores of a node are taken is a function of time that steps; memory, which seldom binds, is a
list of what holds it. A link on which uploads take turns is a row of steps like a node's cores, and
an upload leaves as soon as each such link is free by the time it gets there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .jit import jit

Ints = npt.NDArray[np.int64]

SLA, RESPONSE, ENERGY, LATENESS = 0, 1, 2, 3  # columns of values
FITS, EARLIEST, HELD, RUN, DOWN, COST = range(6)  # rows of `Tables.pair`
CORES, MEMORY, ARRIVAL, DEADLINE, HARD, WEIGHT = range(6)  # of `Tables.task`
NODE_CORES, NODE_MEMORY, WAKE_TIME, ASLEEP, WAKE = range(5)  # of `Tables.node`
HORIZON, BASE = range(2)  # of `Tables.whole`
STEPS, HOLDS, HOLDING, WORK, WOKEN = range(5)  # of `Lines.host`
LANE, AFTER, TAKES = range(3)  # of `Tables.route`
LONG_AGO = np.iinfo(np.int64).min // 4


class Tables(NamedTuple):
    """A task problem, flat; few arrays, since each costs time whenever it is handed on.

    pair (6, I, J): whether the task fits; ms at which it can begin, and memory is taken, at the
    earliest; ms of the run and of the answer; mJ that it adds. task (6, I), node (5, J), the last
    row being the mJ that it takes to turn a sleeping node on, over the horizon. Predecessors of
    task i are rows first[since[i]:since[i+1]], and between (P, J, J) is the time of their data.
    whole (2,): the horizon, and what the nodes take if no task runs. taken (B, 6): what nodes are
    busy with besides: node, held, begin, end, cores, memory; lanes too. route (I, J, K, 3): the
    links on which uploads take turns, as `TaskProblem.route`; lanes are counted from J on.
    """

    pair: Ints
    task: Ints
    node: Ints
    since: Ints
    first: Ints
    between: Ints
    whole: Ints
    taken: Ints
    route: Ints


class Lines(NamedTuple):
    """A schedule in the making.

    time, level (J + L, 2 (I + B) + 1): cores that are taken from each time on, after those of the
    nodes the L links on which uploads take turns; held (3, J, I + B) what
    holds memory: begin, end, amount; host (5, J + L): how many of those, MiB and core-ms of all,
    and when the first of its tasks was sent (-1: none). The same with only what is taken besides,
    to begin at. node, start, sent (I,).
    """

    time: Ints
    level: Ints
    held: Ints
    host: Ints
    time0: Ints
    level0: Ints
    held0: Ints
    host0: Ints
    node: Ints
    start: Ints
    sent: Ints


def lines(p: Tables) -> Lines:
    """Empty ones, besides what is taken."""
    _, tasks, nodes = p.pair.shape
    most, lanes = tasks + len(p.taken), nodes
    if p.route.size:
        lanes = max(nodes, int(p.route[..., LANE].max()) + 1)
    host = np.zeros((5, lanes), np.int64)
    host[STEPS], host[WOKEN] = 1, -1
    time = np.full((lanes, 2 * most + 1), LONG_AGO)
    level = np.zeros((lanes, 2 * most + 1), np.int64)
    held = np.zeros((3, nodes, most), np.int64)
    _occupy(p.taken, time, level, held, host)
    now = time.copy(), level.copy(), held.copy(), host.copy()
    none = np.full(tasks, -1)
    return Lines(*now, time, level, held, host, none, none.copy(), none.copy())


@jit
def _occupy(taken: Ints, time: Ints, level: Ints, held: Ints, host: Ints) -> None:
    for row in range(taken.shape[0]):
        j, hold, begin, end, cores, memory = taken[row]
        if end > begin and cores:
            host[STEPS, j] = take(time[j], level[j], host[STEPS, j], begin, end, cores)
            host[WORK, j] += (end - begin) * cores
        if end > hold and memory:
            k = host[HOLDS, j]
            held[0, j, k], held[1, j, k], held[2, j, k] = hold, end, memory
            host[HOLDS, j], host[HOLDING, j] = k + 1, host[HOLDING, j] + memory


@jit
def clear(s: Lines) -> None:
    """Nothing is placed besides what is taken."""
    for j in range(s.host.shape[1]):
        clear_row(s, j)
    s.node[:] = -1
    s.start[:] = -1
    s.sent[:] = -1


@jit
def clear_row(s: Lines, j: int) -> None:
    """Nothing is on a node, or on a link, besides what is taken; tasks are not looked at."""
    for row in range(s.host.shape[0]):
        s.host[row, j] = s.host0[row, j]
    for k in range(s.host0[STEPS, j]):
        s.time[j, k], s.level[j, k] = s.time0[j, k], s.level0[j, k]
    for k in range(s.host0[HOLDS, j]):
        for row in range(3):
            s.held[row, j, k] = s.held0[row, j, k]


# -------------------------------------------------------------- a function that steps


@jit
def _at(time: Ints, many: int, moment: int) -> int:
    """The step in which a moment lies."""
    low, high = 0, many
    while high - low > 1:
        middle = (low + high) >> 1
        if time[middle] <= moment:
            low = middle
        else:
            high = middle
    return low


@jit
def first_free(time: Ints, level: Ints, many: int, ready: int, length: int, most: int) -> int:
    """The earliest begin from `ready` on from which the level is at most `most` for so long."""
    k, start = _at(time, many, ready), ready
    while True:
        if level[k] > most:
            start = time[k + 1]  # the last level is 0
        elif k + 1 == many or time[k + 1] >= start + length:
            return int(start)
        k += 1


@jit
def take(time: Ints, level: Ints, many: int, begin: int, end: int, amount: int) -> int:
    """Raise the level between two moments; how many steps there are then."""
    k = _at(time, many, begin)
    if time[k] != begin:
        for m in range(many, k + 1, -1):
            time[m], level[m] = time[m - 1], level[m - 1]
        time[k + 1], level[k + 1] = begin, level[k]
        many, k = many + 1, k + 1
    while k < many and time[k] < end:
        level[k] += amount
        k += 1
    if k == many or time[k] != end:
        for m in range(many, k, -1):
            time[m], level[m] = time[m - 1], level[m - 1]
        time[k], level[k] = end, level[k - 1] - amount
        many += 1
    return many


@jit
def _most_held(held: Ints, j: int, many: int, begin: int, end: int) -> int:
    """The most memory that is taken at any time between two moments."""
    most = 0
    for k in range(-1, many):
        now = begin if k < 0 else held[0, j, k]
        if k >= 0 and (now <= begin or now >= end):
            continue
        total = 0
        for other in range(many):
            if held[0, j, other] <= now < held[1, j, other]:
                total += held[2, j, other]
        most = max(most, total)
    return most


# ------------------------------------------------------------------------ the rule


@jit
def _leaves(route: Ints, time: Ints, level: Ints, host: Ints, i: int, j: int, moment: int) -> int:
    """When an upload can leave: every link on which it takes turns is free when it gets there."""
    k = 0
    while k < route.shape[2] and route[i, j, k, LANE] >= 0:
        lane, begin = route[i, j, k, LANE], moment + route[i, j, k, AFTER]
        many, takes = host[STEPS, lane], route[i, j, k, TAKES]
        free = first_free(time[lane], level[lane], many, begin, takes, 0)
        k = k + 1 if free == begin else 0
        moment += free - begin
    return moment


@jit
def run(p: Tables, s: Lines, tasks: Ints, nodes: Ints, keep: bool, out: Ints) -> None:
    """When each of some tasks would begin on a node, -1: it cannot, or must not; in (n,) `out`.

    With `keep` each is placed there before the next is looked at. All in one loop: to hand the
    tables on costs many times what it costs to read them.
    """
    pair, task, node, where, starts = p.pair, p.task, p.node, s.node, s.start
    time, level, held, host, route = s.time, s.level, s.held, s.host, p.route
    for k in range(tasks.shape[0]):
        i, j = tasks[k], nodes[k]
        out[k] = -1
        if j < 0 or not pair[FITS, i, j]:
            continue
        leaves = task[ARRIVAL, i]
        if route.shape[2]:
            leaves = _leaves(route, time, level, host, i, j, leaves)
        ready = pair[EARLIEST, i, j] + leaves - task[ARRIVAL, i]
        woken = leaves if host[WOKEN, j] < 0 else min(host[WOKEN, j], leaves)
        if node[ASLEEP, j]:
            ready = max(ready, woken + node[WAKE_TIME, j])
        able = True
        for row in range(p.since[i], p.since[i + 1]):
            other = p.first[row]
            there = where[other]
            able = able and there >= 0 and p.between[row, there, j] >= 0
            if able:
                ended = starts[other] + pair[RUN, other, there]
                ready = max(ready, ended + p.between[row, there, j])
        if not able:
            continue
        length, cores, memory = pair[RUN, i, j], task[CORES, i], task[MEMORY, i]
        if length:  # what takes no time takes no core
            ready = first_free(
                time[j], level[j], host[STEPS, j], ready, length, node[NODE_CORES, j] - cores
            )
        end, most = ready + length, node[NODE_MEMORY, j] - memory
        hold = pair[HELD, i, j] + leaves - task[ARRIVAL, i]
        if memory and host[HOLDING, j] > most:
            last = max(end, hold + 1)
            if _most_held(held, j, host[HOLDS, j], hold, last) > most:
                continue
        if task[HARD, i] and end + pair[DOWN, i, j] > task[DEADLINE, i]:
            continue
        out[k] = ready
        if not keep:
            continue
        if length and cores:
            host[STEPS, j] = take(time[j], level[j], host[STEPS, j], ready, end, cores)
            host[WORK, j] += length * cores
        if memory and end > hold:
            n = host[HOLDS, j]
            held[0, j, n], held[1, j, n], held[2, j, n] = hold, end, memory
            host[HOLDS, j], host[HOLDING, j] = n + 1, host[HOLDING, j] + memory
        for n in range(route.shape[2]):
            lane = route[i, j, n, LANE]
            if lane >= 0:
                since = leaves + route[i, j, n, AFTER]
                until = since + route[i, j, n, TAKES]
                host[STEPS, lane] = take(
                    time[lane], level[lane], host[STEPS, lane], since, until, 1
                )
        host[WOKEN, j], where[i], starts[i], s.sent[i] = woken, j, ready, leaves


@jit
def options(p: Tables, s: Lines, i: int, out: Ints) -> None:
    """When a task would begin on each node, in (J,) `out`."""
    nodes = np.arange(out.shape[0])
    run(p, s, np.full(out.shape[0], i), nodes, False, out)


@jit
def put(p: Tables, s: Lines, i: int, j: int) -> None:
    """Run a task on a node as soon as it can begin there."""
    out = np.empty(1, np.int64)
    run(p, s, np.full(1, i), np.full(1, j), True, out)


@jit
def begins(p: Tables, s: Lines, woken: Ints, out: Ints) -> None:
    """When each task would begin on each node if no other were placed, in (I, J) `out`.

    `woken` (J,): by when a sleeping node may have been told to wake.
    """
    clear(s)
    s.host[WOKEN, : woken.shape[0]] = woken
    for i in range(out.shape[0]):
        options(p, s, i, out[i])


@jit
def decode(p: Tables, s: Lines, order: Ints, choice: Ints) -> None:
    """Place tasks in this order on their chosen nodes; what does not fit is rejected."""
    clear(s)
    run(p, s, order, choice[order], True, np.empty(order.shape[0], np.int64))


@jit
def goals(p: Tables, s: Lines, out: Ints) -> None:
    """The four values of what is placed, as `optsched.tasks.evaluate` counts them."""
    out[:] = 0
    out[ENERGY] = p.whole[BASE]
    for j in range(p.node.shape[1]):
        if s.host[WOKEN, j] >= 0 and p.node[ASLEEP, j]:
            out[ENERGY] += p.node[WAKE, j]
    count(p, s, np.arange(p.task.shape[1]), 1, out)


@jit
def count(p: Tables, s: Lines, tasks: Ints, sign: int, out: Ints) -> None:
    """Add to the four values what some tasks bring, or take it away, by `sign`; not the waking."""
    pair, task, horizon = p.pair, p.task, p.whole[HORIZON]
    for i in tasks:
        j = s.node[i]
        seen = horizon
        gone = j < 0
        if not gone:
            out[ENERGY] += sign * pair[COST, i, j]
            answer = s.start[i] + pair[RUN, i, j] + pair[DOWN, i, j]
            gone = answer > horizon
            seen = min(answer, horizon)
        late = max(seen - task[DEADLINE, i], 0)
        out[RESPONSE] += sign * (seen - task[ARRIVAL, i])
        out[LATENESS] += sign * task[WEIGHT, i] * late
        if gone or late > 0:
            out[SLA] += sign * task[WEIGHT, i]
