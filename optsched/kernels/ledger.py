"""What events write down: the heap, who waits, who is on which node, and what it is worth."""

from __future__ import annotations

from .event_tables import (
    ACTIVE,
    ARRIVAL,
    BEGIN,
    CORES,
    COST,
    DATA,
    DOWN,
    DUE,
    END,
    ENERGY,
    FINISH,
    HEAP,
    HORIZON,
    LATENESS,
    NEVER,
    NODE,
    NOW,
    ON_IT,
    PENDING,
    QUEUED,
    READY,
    RESPONSE,
    RUN,
    RUNNING,
    SLA,
    STATUS,
    WAITING,
    WEIGHT,
    WORK,
    Live,
    Setting,
)
from .jit import jit


@jit
def push(s: Live, time: int, code: int) -> None:
    """Add an event: 2 i, a task ends; 2 i + 1, its node has to look."""
    if s.clock[HEAP] == s.heap.shape[1]:
        _forget(s)
    _add(s, time, code)


@jit
def _forget(s: Live) -> None:
    """Keep what can still matter: at most three events a task, and there is room for eight.

    A node looks anew whenever something is put on it, and tasks that were lost leave theirs
    behind; so no number of events is enough for all. What a task still needs follows from its row:
    its end if it runs, else when its data come, when it is ready and when it is planned to begin.
    """
    now, task = s.clock[NOW], s.task
    s.clock[HEAP] = 0
    for i in range(task.shape[1]):
        if task[STATUS, i] == RUNNING:
            _add(s, task[FINISH, i], 2 * i)
        elif task[STATUS, i] == QUEUED:
            for row in (DATA, READY, BEGIN):
                if now < task[row, i] < NEVER:
                    _add(s, task[row, i], 2 * i + 1)


@jit
def _add(s: Live, time: int, code: int) -> None:
    k, heap = s.clock[HEAP], s.heap
    s.clock[HEAP] += 1
    while k > 0 and heap[0, (k - 1) >> 1] > time:
        heap[0, k], heap[1, k] = heap[0, (k - 1) >> 1], heap[1, (k - 1) >> 1]
        k = (k - 1) >> 1
    heap[0, k], heap[1, k] = time, code


@jit
def pop(s: Live) -> int:
    """The code of the first event."""
    heap, code = s.heap, s.heap[1, 0]
    s.clock[HEAP] -= 1
    last, k = s.clock[HEAP], 0
    time, moved = heap[0, last], heap[1, last]
    while 2 * k + 1 < last:
        child = 2 * k + 1
        if child + 1 < last and heap[0, child + 1] < heap[0, child]:
            child += 1
        if heap[0, child] >= time:
            break
        heap[0, k], heap[1, k] = heap[0, child], heap[1, child]
        k = child
    heap[0, k], heap[1, k] = time, moved
    return int(code)


@jit
def wait(s: Live, i: int) -> None:
    """A task is to be decided on."""
    s.task[STATUS, i] = PENDING
    s.waiting[s.clock[WAITING]] = i
    s.clock[WAITING] += 1


@jit
def unwait(s: Live, i: int) -> None:
    """A task is decided on."""
    k = 0
    while s.waiting[k] != i:
        k += 1
    s.clock[WAITING] -= 1
    for after in range(k, s.clock[WAITING]):
        s.waiting[after] = s.waiting[after + 1]


@jit
def join(w: Setting, s: Live, i: int, j: int) -> None:
    """Put a task on the list of its node, by its planned begin."""
    task, k = s.task, s.host[ON_IT, j]
    s.clock[ACTIVE] += 1
    s.host[WORK, j] += w.pair[RUN, i, j] * w.task[CORES, i]
    s.host[ON_IT, j] += 1
    while k > 0 and task[BEGIN, s.on[j, k - 1]] > task[BEGIN, i]:
        s.on[j, k] = s.on[j, k - 1]
        k -= 1
    s.on[j, k] = i
    if task[DATA, i] > s.clock[NOW] or i >= w.arrivals.shape[0]:
        push(s, task[DATA, i], 2 * i + 1)
    if task[READY, i] > task[DATA, i]:
        push(s, task[READY, i], 2 * i + 1)


@jit
def leave(s: Live, i: int, j: int) -> None:
    """Take a task off the list of its node."""
    k = 0
    while s.on[j, k] != i:
        k += 1
    s.host[ON_IT, j] -= 1
    for after in range(k, s.host[ON_IT, j]):
        s.on[j, after] = s.on[j, after + 1]
    s.clock[ACTIVE] -= 1


@jit
def tell(s: Live, i: int, sla: int, response: int, energy: int, late: int) -> None:
    """What a task adds to the objective, instead of what was believed before."""
    told = s.told
    for g in range(4):
        s.total[g] -= told[i, g]
    told[i, SLA], told[i, RESPONSE], told[i, ENERGY], told[i, LATENESS] = (
        sla, response, energy, late,
    )  # fmt: skip
    for g in range(4):
        s.total[g] += told[i, g]


@jit
def account(w: Setting, s: Live, i: int, answer: int, cost: int) -> None:
    """The values of a task that answers then, as `optsched.tasks.evaluate` counts them."""
    seen = min(answer, w.whole[HORIZON])
    late, weight = max(seen - w.task[DUE, i], 0), w.task[WEIGHT, i]
    wrong = answer > w.whole[HORIZON] or late > 0
    tell(s, i, weight if wrong else 0, seen - w.task[ARRIVAL, i], cost, weight * late)


@jit
def foresee(w: Setting, s: Live, i: int) -> None:
    """The values of a task on a node, by what is believed."""
    j = s.task[NODE, i]
    if i < w.arrivals.shape[0]:
        account(w, s, i, s.task[END, i] + w.pair[DOWN, i, j], w.pair[COST, i, j])
