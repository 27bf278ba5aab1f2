"""What a policy sees of the next decision, and one step of it, in a single compiled call.

All features are relative: times to the soonest answer that any node gives, energies and objective
to what the best node gives. So they mean the same for any number of nodes and any scale of work.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from . import event_tables as t
from . import events as e
from .event_tables import Ints, Live, Setting
from .jit import jit
from .running import reject, renew

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NODE_WIDE, TASK_WIDE = 22, 18
EFT, REGRET = 5, 9  # columns of nodes: logarithm of the answer over the soonest; lost objective
LATEST = 32  # arrivals from which the present load is told
HIGH = 8.0  # the largest number that is shown
LEGAL, ILLEGAL = 0, 1
TRIED, CHEAP = 6, 2  # nodes that a teacher looks at


@jit
def _log(value: float) -> float:
    return min(math.log1p(max(value, 0.0)), HIGH)


@jit
def soonest(w: Setting, s: Live, i: int, wakes: bool) -> int:
    """The node that answers a task first, of equals the first; -1: none can.

    Without `wakes` a node that sleeps is only taken where no other can.
    """
    best, chosen, asleep = t.NEVER, -1, t.NEVER
    begin = np.empty(w.host.shape[1], np.int64)
    e.begins(w, s, i, 0, 0, 0, begin)
    for j in range(w.host.shape[1]):
        start = begin[j]
        if start < 0:
            continue
        answer = start + w.pair[t.RUN, i, j] + w.pair[t.DOWN, i, j]
        if not wakes and s.host[t.AWAKE, j] < 0:
            if best == t.NEVER and answer < asleep:
                asleep, chosen = answer, j
        elif answer < best:
            best, chosen = answer, j
    return chosen


@jit
def follow(w: Setting, s: Live, wakes: bool) -> None:
    """Play on to the end by earliest finish time; what can go nowhere is rejected."""
    while s.clock[t.CURRENT] >= 0:
        i = s.clock[t.CURRENT]
        j = soonest(w, s, i, wakes)
        if j >= 0:
            e.place(w, s, i, j, 0, 0)
        else:
            reject(w, s, i)
        e.advance(w, s)
        renew(w, s)


@jit
def worth(w: Setting, s: Live, goals: Ints) -> int:
    """The weighted sum of what is decided."""
    total = 0
    for g in range(4):
        total += goals[g] * s.total[g]
    return total


@jit
def act(w: Setting, s: Live, action: int, most: int) -> bool:
    """Place on a node, defer (`most`) or reject (`most` + 1), and go on; False: not allowed."""
    i = s.clock[t.CURRENT]
    if i < 0 or action < 0 or action > most + 1:
        return False
    if action < most:
        if action >= w.host.shape[1] or not e.place(w, s, i, action, 0, 0):
            return False
    elif action == most:
        if not e.may_defer(s):
            return False
        e.defer(s, i)
    else:
        reject(w, s, i)
    e.advance(w, s)
    renew(w, s)
    return True


@jit
def step(
    w: Setting, s: Live, goals: Ints, action: int, nodes: Floats, task: Floats, mask: Bools,
    out: Ints,
) -> None:  # fmt: skip
    """Act and look; out: by how much the weighted sum fell, and LEGAL or ILLEGAL."""
    before = worth(w, s, goals)
    if not act(w, s, action, nodes.shape[0]):
        out[0], out[1] = 0, ILLEGAL
        return
    out[0], out[1] = before - worth(w, s, goals), LEGAL
    look(w, s, goals, nodes, task, mask)


@jit
def look(w: Setting, s: Live, goals: Ints, nodes: Floats, task: Floats, mask: Bools) -> None:
    """Fill nodes (N, NODE_WIDE), task (TASK_WIDE,) and mask (N + 2,) for the next decision."""
    nodes[:] = 0
    task[:] = 0
    mask[:] = False
    i, count, most = s.clock[t.CURRENT], w.host.shape[1], nodes.shape[0]
    if i < 0:
        return
    now, weight = s.clock[t.NOW], w.task[t.WEIGHT, i]
    answer, cost, lost = np.empty(count, np.int64), np.empty(count), np.empty(count)
    begin = np.empty(count, np.int64)
    e.begins(w, s, i, 0, 0, 0, begin)
    ref, least, lowest, at_ref, fastest = t.NEVER, 1e18, 1e18, 0.0, t.NEVER
    for j in range(count):
        fastest = min(fastest, w.pair[t.RUN, i, j])
        start = begin[j]
        answer[j] = -1
        if start < 0:
            continue
        mask[j] = True
        answer[j] = start + w.pair[t.RUN, i, j] + w.pair[t.DOWN, i, j]
        cost[j] = w.pair[t.COST, i, j] + 1.0
        if s.host[t.AWAKE, j] < 0:
            cost[j] += max(w.host[t.WAKE_COST, j], 0)
        late = max(min(answer[j], w.whole[t.HORIZON]) - w.task[t.DUE, i], 0)
        lost[j] = goals[t.RESPONSE] * (answer[j] - now) + goals[t.ENERGY] * cost[j]
        lost[j] += goals[t.LATENESS] * weight * late + goals[t.SLA] * weight * (late > 0)
        if answer[j] - now < ref:
            ref, at_ref = answer[j] - now, lost[j]
        least, lowest = min(least, cost[j]), min(lowest, lost[j])
    mask[most], mask[most + 1] = e.may_defer(s), True
    ref = max(ref, 1) if ref < t.NEVER else 1000
    top = 1
    for j in range(count):
        top = max(top, w.host[t.POWER, j])
    for j in range(count):
        _node(w.pair, w.task, w.host, s.host, i, j, nodes[j], ref, fastest, top)
        if answer[j] < 0:
            continue
        row, due = nodes[j], w.task[t.DUE, i]
        lead = w.pair[t.UP, i, j]
        if s.host[t.AWAKE, j] < 0:
            lead = max(lead, w.host[t.WAKE_TIME, j])
        row[0] = 1
        row[3] = _log((begin[j] - now - lead) / ref)
        row[EFT] = min(math.log(max(answer[j] - now, 1) / ref), HIGH)
        row[6] = 1.0 if due >= t.NEVER else max(min((due - answer[j]) / ref, 4.0), -4.0) / 4
        row[7] = answer[j] > due
        row[8] = min(math.log(cost[j] / least), HIGH)
        row[REGRET] = _log((lost[j] - lowest) / max(at_ref, 1.0))
        row[10] = lost[j] <= lowest
    _task(w, s, i, goals, task, ref, fastest, least if least < 1e18 else 1.0)


@jit
def _node(
    pair: Ints, wish: Ints, hosts: Ints, host: Ints, i: int, j: int, row: Floats, ref: int,
    fastest: int, top: int,
) -> None:  # fmt: skip
    """What is known of a node whether the task may go there or not."""
    cores, memory = hosts[t.HOST_CORES, j], max(hosts[t.HOST_MEMORY, j], 1)
    row[1] = _log(pair[t.UP, i, j] / ref)
    row[2] = _log(pair[t.RUN, i, j] / ref)
    row[4] = _log(pair[t.DOWN, i, j] / ref)
    row[11] = host[t.FREE, j] / cores
    row[12] = _log(host[t.WORK, j] / cores / ref)
    row[13] = host[t.AWAKE, j] < 0
    row[14] = host[t.DOWN_NOW, j]
    row[15] = (fastest + 1) / (pair[t.RUN, i, j] + 1)
    row[16] = max(host[t.ROOM, j] - wish[t.MEMORY, i], 0) / memory
    row[17] = _log(host[t.ON_IT, j] / cores)
    row[18] = hosts[t.POWER, j] / top / cores
    row[19] = _log(cores) / 4
    row[20] = hosts[t.WAKE_TIME, j] / (hosts[t.WAKE_TIME, j] + ref)
    row[21] = 1


@jit
def _load(w: Setting, s: Live, i: int, most: int) -> float:
    """Work of the latest arrivals over what nodes that are on can do in their time, as logarithm.

    Work is told in the time that the present task's fastest node takes.
    """
    best = 0
    for j in range(w.host.shape[1]):
        if w.pair[t.RUN, i, j] < w.pair[t.RUN, i, best]:
            best = j
    able = 0.0
    for j in range(w.host.shape[1]):
        if s.host[t.AWAKE, j] >= 0 and not s.host[t.DOWN_NOW, j]:
            speed = (w.pair[t.RUN, i, best] + 1) / (w.pair[t.RUN, i, j] + 1)
            able += w.host[t.HOST_CORES, j] * speed
    last = s.clock[t.NEXT]
    first = max(last - most, 0)
    work = w.offered[best, last] - w.offered[best, first]
    since = w.task[t.ARRIVAL, w.arrivals[first]] if last > first else 0
    return _log(work / max(able, 0.1) / (s.clock[t.NOW] - since + 100))


@jit
def _task(
    w: Setting, s: Live, i: int, goals: Ints, task: Floats, ref: int, fastest: int, least: float
) -> None:
    """What is known of the task, and of all nodes together."""
    now, due, count = s.clock[t.NOW], w.task[t.DUE, i], w.host.shape[1]
    free, cores, work, asleep, saving = 0, 0, 0, 0, 0.0
    for j in range(count):
        if s.host[t.AWAKE, j] < 0:
            asleep += 1
            saving += max(w.host[t.WAKE_COST, j], 0)
            continue
        free += s.host[t.FREE, j]
        cores += w.host[t.HOST_CORES, j]
        work += s.host[t.WORK, j]
    task[0] = _log(fastest / 100) / 4
    task[1] = _log(ref / 100) / 4
    task[2] = fastest / (fastest + ref)
    task[3] = due < t.NEVER
    task[4] = 1.0 if due >= t.NEVER else max(min((due - now) / ref, 8.0), -8.0) / 8
    task[5] = w.task[t.HARD, i]
    task[6] = min(w.task[t.WEIGHT, i], 8) / 4
    task[7] = _log((now - w.task[t.ARRIVAL, i]) / ref)
    task[8] = _log(s.clock[t.WAITING]) / 4
    task[9] = 1 - free / max(cores, 1)
    task[10] = _log(work / max(cores, 1) / ref)
    task[11] = math.log(count) / 5
    task[12] = asleep / count
    task[13] = max(w.whole[t.HORIZON] - now, 0) / w.whole[t.HORIZON]
    task[16], task[17] = _load(w, s, i, LATEST), _load(w, s, i, w.arrivals.shape[0])
    scale = goals[t.RESPONSE] * ref + 1.0
    task[14] = min(max(math.log((goals[t.ENERGY] * least + 1.0) / scale), -HIGH), HIGH) / 4
    if asleep:
        saving = goals[t.ENERGY] * saving / asleep
        task[15] = min(max(math.log((saving + 1.0) / scale), -HIGH), HIGH) / 4


@jit
def copy(one: Live, to: Live) -> None:
    """Make a state equal to another."""
    to.clock[:] = one.clock
    to.total[:] = one.total
    to.told[:] = one.told
    to.task[:] = one.task
    to.host[:] = one.host
    to.on[:] = one.on
    to.heap[:, : one.clock[t.HEAP]] = one.heap[:, : one.clock[t.HEAP]]
    to.waiting[:] = one.waiting
    to.lost[: one.clock[t.LOST]] = one.lost[: one.clock[t.LOST]]


@jit
def _next_best(nodes: Floats, column: int, open_: Bools) -> int:
    """The row with the least in a column that is still open; -1: none."""
    best = -1
    for j in range(nodes.shape[0]):
        if open_[j] and (best < 0 or nodes[j, column] < nodes[best, column]):
            best = j
    return best


@jit
def foresee(
    w: Setting, s: Live, spare: Live, goals: Ints, nodes: Floats, mask: Bools, out: Doubles
) -> None:
    """(N,) what the weighted sum ends at if this is done now and EFT goes on.

    On average over EFT with all nodes and EFT without those that sleep: if EFT alone went on, which
    turns nodes on at once, never to do so oneself would seem to cost little. Only for the `TRIED`
    nodes with the soonest answers and the `CHEAP` with the least loss at once; the others, and what
    is forbidden, are inf. The policy that does the best of these is a rollout algorithm (Bertsekas
    et al., 1997) with the future known: a teacher, no solver.
    """
    out[:] = np.inf
    open_ = mask[: nodes.shape[0]].copy()
    for k in range(TRIED + CHEAP):
        action = _next_best(nodes, EFT if k < TRIED else REGRET, open_)
        if action < 0:
            return
        open_[action] = False
        out[action] = 0.0
        for wakes in range(2):
            copy(s, spare)
            act(w, spare, action, nodes.shape[0])
            follow(w, spare, wakes == 1)
            out[action] += worth(w, spare, goals) / 2
