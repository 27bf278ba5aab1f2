"""What happens on nodes: tasks begin and end, nodes break and come back, estimates are renewed.

A node works in the order of the planned begins. A task begins as soon as its data are there, memory
and cores are free, and everything planned before it has begun; where something before it is not
ready, it does not begin before its own planned time. Memory is taken when data come; where there is
none yet, they are sent so much later.
"""

from __future__ import annotations

import numpy as np

from .event_tables import (
    ARRIVAL,
    AWAKE,
    BEGIN,
    BROKEN,
    CORES,
    COST_TRUE,
    DATA,
    DONE,
    DOWN_NOW,
    DOWN_TRUE,
    DUE,
    END,
    ENERGY,
    FINISH,
    FREE,
    HELD,
    HORIZON,
    HOST_CORES,
    HOST_MEMORY,
    LOST,
    LOST_COST,
    MEMORY,
    NEVER,
    NEXT,
    NODE,
    NOW,
    ON_IT,
    OPEN,
    PAIRS,
    PENDING,
    POWER,
    QUEUED,
    READY,
    READY_SEEN,
    REJECTED,
    REQUEUE,
    ROOM,
    RUN,
    RUN_TRUE,
    RUNNING,
    SENT,
    STALE,
    STATUS,
    SUCC,
    SUCC_END,
    UNSEEN,
    WAITS,
    WEIGHT,
    WORK,
    Live,
    Setting,
)
from .jit import jit
from .ledger import account, foresee, leave, push, tell, unwait, wait
from .profiles import first_free
from .turns import TRUE, give_up, keep, leaves


@jit
def dispatch(w: Setting, s: Live, j: int) -> None:
    """Begin what can begin on a node."""
    now, task, blocked, k = s.clock[NOW], s.task, False, 0
    if s.host[DOWN_NOW, j]:
        return
    while k < s.host[ON_IT, j]:
        i = s.on[j, k]
        k += 1
        if task[STATUS, i] != QUEUED:
            continue
        turn, ready = not blocked or task[BEGIN, i] <= now, task[READY, i] <= now
        at_once = turn and ready and not w.pair[RUN_TRUE, i, j]  # what takes no time takes nothing
        room = w.task[MEMORY, i] <= s.host[ROOM, j] or at_once
        if not task[HELD, i] and task[DATA, i] <= now and room:
            _send_later(w, s, i, j)
            if task[DATA, i] == now:
                task[HELD, i] = 1
                s.host[ROOM, j] -= w.task[MEMORY, i]
        able = w.task[CORES, i] <= s.host[FREE, j] or at_once
        able = able and task[HELD, i] and ready
        if able and turn:
            _start(w, s, i, j)
        else:
            if able and s.host[FREE, j] == w.host[HOST_CORES, j]:
                push(s, task[BEGIN, i], 2 * i + 1)  # nothing else would bring us back in time
            blocked = True


@jit
def _send_later(w: Setting, s: Live, i: int, j: int) -> None:
    """Data for which there was no room are sent so much later, to come now, or at their turn."""
    now, task = s.clock[NOW], s.task
    late = now - task[DATA, i]
    if late and w.pair.shape[0] > PAIRS and i < w.arrivals.shape[0]:
        give_up(w.pair, s.on, s.host, i, j, task[SENT, i])
        sent = leaves(w.pair, s.on, s.host, i, j, task[SENT, i] + late, TRUE)
        keep(w.pair, s.on, s.host, i, j, sent)
        late = sent - task[SENT, i]
    task[SENT, i] += late
    task[DATA, i] += late
    if task[DATA, i] > now:
        push(s, task[DATA, i], 2 * i + 1)


@jit
def _start(w: Setting, s: Live, i: int, j: int) -> None:
    now, task = s.clock[NOW], s.task
    if task[BEGIN, i] != now:
        s.host[STALE, j] = 1
    task[STATUS, i], task[BEGIN, i] = RUNNING, now
    task[END, i] = now + w.pair[RUN, i, j]
    task[FINISH, i] = now + w.pair[RUN_TRUE, i, j]
    s.host[FREE, j] -= w.task[CORES, i]
    push(s, task[FINISH, i], 2 * i)
    foresee(w, s, i)


@jit
def finish(w: Setting, s: Live, i: int) -> None:
    """A task has ended: its node is free of it, and what needed it may come."""
    task, j = s.task, s.task[NODE, i]
    if task[END, i] != task[FINISH, i]:
        s.host[STALE, j] = 1
    task[STATUS, i], task[END, i] = DONE, task[FINISH, i]
    s.host[FREE, j] += w.task[CORES, i]
    s.host[ROOM, j] += w.task[MEMORY, i]
    s.host[WORK, j] -= w.pair[RUN, i, j] * w.task[CORES, i]
    leave(s, i, j)
    if i >= w.arrivals.shape[0]:
        return
    s.clock[OPEN] -= 1
    account(w, s, i, task[FINISH, i] + w.pair[DOWN_TRUE, i, j], w.pair[COST_TRUE, i, j])
    for row in range(w.task[SUCC, i], w.task[SUCC_END, i]):
        other = w.second[row]
        task[WAITS, other] -= 1
        here = w.task[ARRIVAL, other] <= s.clock[NOW] and task[STATUS, other] == UNSEEN
        if task[WAITS, other] == 0 and here and _arrived(w, s, other):
            wait(s, other)


@jit
def _arrived(w: Setting, s: Live, i: int) -> bool:
    """Whether the arrival was looked at; one of this moment is still to be."""
    if w.task[ARRIVAL, i] < s.clock[NOW]:
        return True
    for k in range(s.clock[NEXT]):
        if w.arrivals[s.clock[NEXT] - 1 - k] == i:
            return True
        if w.task[ARRIVAL, w.arrivals[s.clock[NEXT] - 1 - k]] < s.clock[NOW]:
            break
    return False


@jit
def break_down(w: Setting, s: Live, j: int) -> None:
    """A node goes down; what is on it is lost and waits again, or is rejected.

    It waits again while every task that is open could be lost once more and be written down.
    """
    now, task = s.clock[NOW], s.task
    s.host[DOWN_NOW, j] = 1
    s.clock[BROKEN] += 1
    while s.host[ON_IT, j]:
        i = s.on[j, 0]
        row = s.clock[LOST]
        ran = task[BEGIN, i] if task[STATUS, i] == RUNNING else now
        leave(s, i, j)
        if i >= w.arrivals.shape[0]:
            task[STATUS, i], task[BEGIN, i], task[END, i] = DONE, ran, now
            task[DATA, i] = min(task[DATA, i], now)
            continue
        tell(s, i, 0, 0, 0, 0)
        if task[SENT, i] > now:  # nothing was sent yet, so nothing is lost
            give_up(w.pair, s.on, s.host, i, j, task[SENT, i])
        elif row < s.lost.shape[0]:
            s.lost[row, 0], s.lost[row, 1], s.lost[row, 2], s.lost[row, 3] = i, j, ran, now
            s.clock[LOST] += 1
            power = w.host[POWER, j] * w.task[CORES, i] * (now - ran)
            s.total[ENERGY] += -(-power // (1000 * w.host[HOST_CORES, j]))
            s.total[ENERGY] += w.pair[LOST_COST, i, j]
        if w.whole[REQUEUE] and row + s.clock[OPEN] < s.lost.shape[0]:
            task[NODE, i], task[BEGIN, i], task[SENT, i] = -1, -1, -1
            wait(s, i)
        else:
            reject(w, s, i)
    s.host[FREE, j], s.host[ROOM, j] = w.host[HOST_CORES, j], w.host[HOST_MEMORY, j]
    s.host[WORK, j] = 0


@jit
def mend(s: Live, j: int) -> None:
    """A node is back; one that was about to wake still takes that time."""
    s.host[DOWN_NOW, j] = 0
    s.clock[BROKEN] -= 1
    if s.host[AWAKE, j] >= 0:
        s.host[AWAKE, j] = max(s.host[AWAKE, j], s.clock[NOW])


@jit
def reject(w: Setting, s: Live, i: int) -> None:
    """A task, and what needs it, will not run."""
    if s.task[STATUS, i] == PENDING:
        unwait(s, i)
    _out(w, s, i)
    if w.task[SUCC, i] == w.task[SUCC_END, i]:
        return
    stack, many = np.empty(w.second.shape[0] + 1, np.int64), 1
    stack[0] = i
    while many:
        many -= 1
        one = stack[many]
        for row in range(w.task[SUCC, one], w.task[SUCC_END, one]):
            other = w.second[row]
            if s.task[STATUS, other] != REJECTED:
                _out(w, s, other)
                stack[many] = other
                many += 1


@jit
def _out(w: Setting, s: Live, i: int) -> None:
    s.task[STATUS, i], s.task[NODE, i] = REJECTED, -1
    s.task[BEGIN, i], s.task[SENT, i] = -1, -1
    s.clock[OPEN] -= 1
    late = max(w.whole[HORIZON] - w.task[DUE, i], 0)
    weight = w.task[WEIGHT, i]
    tell(s, i, weight, w.whole[HORIZON] - w.task[ARRIVAL, i], 0, weight * late)


@jit
def renew(w: Setting, s: Live) -> None:
    """New estimates where something went otherwise than planned."""
    now = s.clock[NOW]
    for j in range(w.host.shape[1]):
        for k in range(s.host[ON_IT, j]):
            i = s.on[j, k]
            if s.task[STATUS, i] == RUNNING:
                late = s.task[END, i] <= now < s.task[FINISH, i]
            else:
                late = s.task[BEGIN, i] < now
            if late:
                s.host[STALE, j] = 1
        if s.host[STALE, j]:
            s.host[STALE, j] = 0
            _renew(w, s, j)


@jit
def _renew(w: Setting, s: Live, j: int) -> None:
    """Running tasks end as believed, or at once; the others follow in their order."""
    now, task, many = s.clock[NOW], s.task, s.host[ON_IT, j]
    for k in range(many):
        i = s.on[j, k]
        if task[STATUS, i] == RUNNING:
            end = task[BEGIN, i] + w.pair[RUN, i, j]
            if end <= now < task[FINISH, i]:
                end = now + 1
            if end != task[END, i]:
                task[END, i] = end
                foresee(w, s, i)
        else:
            task[BEGIN, i] = NEVER
    earliest = now
    for k in range(many):
        i = s.on[j, k]
        if task[STATUS, i] == RUNNING:
            continue
        length = w.pair[RUN, i, j]
        ready = max(task[READY_SEEN, i], earliest)
        most = w.host[HOST_CORES, j] - w.task[CORES, i]
        earliest = ready
        if length:
            earliest = first_free(task, w.task[CORES], s.on[j], many, ready, length, most)
        task[BEGIN, i], task[END, i] = earliest, earliest + length
        foresee(w, s, i)
