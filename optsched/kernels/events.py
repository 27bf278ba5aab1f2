"""What happens to tasks one event after another: arrivals, data that come, runs, ends, failures.

The rules of a node are in `running`. Without noise and failures everything begins exactly as
planned. Planned times are estimates, and are renewed when something ends early or late.
"""

from __future__ import annotations

import numpy as np

from .event_tables import (
    ACTIVE,
    ARRIVAL,
    ASLEEP,
    AWAKE,
    BASE,
    BEGIN,
    BROKEN,
    CLOCK,
    CORES,
    CURRENT,
    DATA,
    DATA_SEEN,
    DEFERRED,
    DIRTY,
    DOWN,
    DOWN_NOW,
    DUE,
    END,
    ENERGY,
    FAILS,
    FINISH,
    FITS,
    FREE,
    HARD,
    HEAP,
    HELD,
    HORIZON,
    HOST_CORES,
    HOST_MEMORY,
    LANE,
    LIVE,
    LIVE_HOSTS,
    MEMORY,
    NEVER,
    NEXT,
    NODE,
    NOW,
    ON_IT,
    OPEN,
    PAIRS,
    PENDING,
    PRED,
    PRED_END,
    QUEUED,
    RANK,
    READY,
    READY_SEEN,
    ROOM,
    RUN,
    RUNNING,
    SENT,
    STATUS,
    TRIES,
    TURNS,
    UNSEEN,
    UP,
    UP_TRUE,
    WAITING,
    WAITS,
    WAKE_COST,
    WAKE_TIME,
    WAYS,
    WOKEN,
    Ints,
    Live,
    Setting,
)
from .jit import jit
from .ledger import foresee, join, pop, unwait, wait
from .profiles import first_free, most_held
from .running import break_down, dispatch, finish, mend, reject
from .turns import TRUE, insert, keep, leaves


def fresh(w: Setting) -> Live:
    """Before the first event."""
    _, tasks, hosts = w.pair.shape
    lost = 4 * tasks if len(w.failures) else 0
    last = max(w.pair[PAIRS + LANE :: WAYS].max(initial=-1), w.held[:, 0].max(initial=-1))
    rows, most = hosts, tasks
    if last >= hosts:
        rows, most = int(last) + TURNS, tasks + lost + len(w.held)
    made = Live(
        np.zeros(CLOCK, np.int64),
        np.zeros(4, np.int64),
        np.zeros((tasks, 4), np.int64),
        np.zeros((LIVE, tasks), np.int64),
        np.zeros((LIVE_HOSTS, rows), np.int64),
        np.zeros((rows, most), np.int64),
        np.zeros((2, 8 * (tasks + lost) + 8), np.int64),
        np.zeros(tasks, np.int64),
        np.zeros((lost, 4), np.int64),
    )
    begin(w, made)
    return made


@jit
def begin(w: Setting, s: Live) -> None:
    """Back to before the first event."""
    s.clock[:] = 0
    s.clock[OPEN], s.clock[CURRENT] = w.arrivals.shape[0], -1
    s.total[:] = 0
    s.total[ENERGY] = w.whole[BASE]
    s.told[:] = 0
    s.task[:] = 0
    s.task[NODE], s.task[BEGIN], s.task[SENT] = -1, -1, -1
    s.task[WAITS] = w.task[PRED_END] - w.task[PRED]
    s.host[:] = 0
    for j in range(w.host.shape[1]):
        s.host[FREE, j], s.host[ROOM, j] = w.host[HOST_CORES, j], w.host[HOST_MEMORY, j]
        s.host[AWAKE, j], s.host[WOKEN, j] = -w.host[ASLEEP, j], -1
    for row in range(w.held.shape[0]):
        i, j = w.arrivals.shape[0] + row, w.held[row, 0]
        if j >= w.host.shape[1]:
            insert(s.on, s.host, j, w.held[row, 1], w.held[row, 2], -1)
            continue
        s.task[STATUS, i], s.task[NODE, i] = QUEUED, j
        s.task[DATA, i], s.task[DATA_SEEN, i] = w.held[row, 1], w.held[row, 1]
        s.task[READY, i], s.task[READY_SEEN, i] = w.held[row, 2], w.held[row, 2]
        s.task[BEGIN, i], s.task[END, i] = w.held[row, 2], w.held[row, 2] + w.pair[RUN, i, j]
        join(w, s, i, j)


@jit
def next_time(w: Setting, s: Live) -> int:
    """When something happens next; NEVER: nothing does."""
    time = NEVER
    if s.clock[HEAP]:
        time = s.heap[0, 0]
    if s.clock[NEXT] < w.arrivals.shape[0]:
        time = min(time, w.task[ARRIVAL, w.arrivals[s.clock[NEXT]]])
    if s.clock[FAILS] < w.failures.shape[0] and s.clock[OPEN]:
        time = min(time, w.failures[s.clock[FAILS], 0])
    return int(time)


@jit
def happen(w: Setting, s: Live) -> None:
    """Everything of the next moment at which something happens."""
    now = next_time(w, s)
    s.clock[NOW] = now
    back = False
    while s.clock[HEAP] and s.heap[0, 0] <= now:
        code = pop(s)
        i = code >> 1
        if s.task[STATUS, i] == RUNNING and code & 1 == 0 and s.task[FINISH, i] == now:
            finish(w, s, i)
            back = True
        if s.task[NODE, i] >= 0:
            s.host[DIRTY, s.task[NODE, i]] = 1
    while s.clock[FAILS] < w.failures.shape[0] and w.failures[s.clock[FAILS], 0] <= now:
        row = s.clock[FAILS]
        s.clock[FAILS] += 1
        if w.failures[row, 2]:
            break_down(w, s, w.failures[row, 1])
        else:
            mend(s, w.failures[row, 1])
            back = True
    while s.clock[NEXT] < w.arrivals.shape[0]:
        i = w.arrivals[s.clock[NEXT]]
        if w.task[ARRIVAL, i] > now:
            break
        s.clock[NEXT] += 1
        if s.task[STATUS, i] == UNSEEN and s.task[WAITS, i] == 0:
            wait(s, i)
    for j in range(w.host.shape[1]):
        if s.host[DIRTY, j]:
            s.host[DIRTY, j] = 0
            dispatch(w, s, j)
    if back:
        s.task[DEFERRED] = 0
    if now >= w.whole[HORIZON]:
        _close(w, s)


@jit
def _close(w: Setting, s: Live) -> None:
    """What still waits when the horizon has come is rejected."""
    while s.clock[WAITING]:
        reject(w, s, s.waiting[0])


@jit
def until(w: Setting, s: Live, time: int) -> None:
    """Everything up to a moment, which is then now."""
    while next_time(w, s) <= time:
        happen(w, s)
    s.clock[NOW] = max(s.clock[NOW], time)
    if s.clock[NOW] >= w.whole[HORIZON]:
        _close(w, s)


@jit
def advance(w: Setting, s: Live) -> None:
    """On to the next task that must be decided on; CURRENT is -1 when there is none any more."""
    while True:
        best = -1
        for k in range(s.clock[WAITING]):
            i = s.waiting[k]
            if not s.task[DEFERRED, i] and (best < 0 or w.task[RANK, i] < w.task[RANK, best]):
                best = i
        s.clock[CURRENT] = best
        if best >= 0:
            return
        if next_time(w, s) == NEVER:
            if not s.clock[WAITING]:
                return
            s.task[DEFERRED] = 0
            continue
        happen(w, s)


@jit
def may_defer(s: Live) -> bool:
    """Whether something will end, or a node come back, after which one may look again."""
    return bool(s.clock[ACTIVE] > 0 or s.clock[BROKEN] > 0)


@jit
def defer(s: Live, i: int) -> None:
    """Look at a task again when something has ended or a node is back."""
    s.task[DEFERRED, i] = 1


@jit
def begin_at(w: Setting, s: Live, i: int, j: int, since: int, leave: int) -> int:
    """When a task would begin on a node by what is believed; -1: it cannot, or must not.

    Not before `since`, and its input is not sent before `leave`. The same rule as
    `kernels.schedules.run`, with the present for the arrival.
    """
    out = np.empty(1, np.int64)
    begins(w, s, i, j, since, leave, out)
    return int(out[0])


@jit
def begins(w: Setting, s: Live, i: int, low: int, since: int, leave: int, out: Ints) -> None:
    """`begin_at` of all nodes from `low` on for which there is room in `out`.

    One loop without calls: to hand the tables on costs many times what it costs to read them.
    """
    pair, wish, hosts, task, host, on = w.pair, w.task, w.host, s.task, s.host, s.on
    earliest, cores, memory = max(s.clock[NOW], leave), wish[CORES], wish[MEMORY]
    sent, turns = earliest, pair.shape[0] > PAIRS
    if turns:
        for k in range(out.shape[0]):
            out[k] = leaves(pair, on, host, i, low + k, earliest, 0)
    for k in range(out.shape[0]):
        j = low + k
        if turns:
            sent = out[k]
        out[k] = -1
        if not pair[FITS, i, j] or host[DOWN_NOW, j]:
            continue
        data, awake, length = sent + pair[UP, i, j], host[AWAKE, j], pair[RUN, i, j]
        if awake < 0 or (turns and awake > sent + hosts[WAKE_TIME, j]):
            awake = sent + hosts[WAKE_TIME, j]  # it is woken when the first input is sent
        ready = max(since, data, awake)
        for row in range(wish[PRED, i], wish[PRED_END, i]):
            time = w.between[row, task[NODE, w.first[row]], j]
            ready = NEVER if time < 0 else max(ready, task[FINISH, w.first[row]] + time)
        if ready >= NEVER:
            continue
        taken, most, many = 0, hosts[HOST_CORES, j] - cores[i], host[ON_IT, j]
        for n in range(many):
            other = on[j, n]
            if task[BEGIN, other] < ready + length and task[END, other] > ready:
                taken += cores[other]
        if taken > most and length:  # what takes no time takes no core
            ready = first_free(task, cores, on[j], many, ready, length, most)
        end, held, most = ready + length, 0, hosts[HOST_MEMORY, j] - memory[i]
        for n in range(many):
            other = on[j, n]
            if task[DATA_SEEN, other] <= max(end - 1, data) and task[END, other] > data:
                held += memory[other]
        if memory[i] and held > most:
            held = most_held(task, memory, on[j], many, data, max(end, data + 1))
        if (memory[i] == 0 or held <= most) and not (
            wish[HARD, i] and end + pair[DOWN, i, j] > wish[DUE, i]
        ):
            out[k] = ready


@jit
def place(w: Setting, s: Live, i: int, j: int, since: int, leave: int) -> bool:
    """Send a task to a node, to begin not before `since`; False: it cannot go there now.

    Its input leaves not before `leave`, and when its turns on links come.
    """
    start = begin_at(w, s, i, j, since, leave)
    if start < 0:
        return False
    now = s.clock[NOW]
    sent = seen = max(now, leave)
    if w.pair.shape[0] > PAIRS:
        seen = leaves(w.pair, s.on, s.host, i, j, sent, 0)
        sent = leaves(w.pair, s.on, s.host, i, j, sent, TRUE)
        keep(w.pair, s.on, s.host, i, j, sent)
    asleep, awake = s.host[AWAKE, j] < 0, sent + w.host[WAKE_TIME, j]
    if asleep:
        s.total[ENERGY] += w.host[WAKE_COST, j]
    if asleep or s.host[AWAKE, j] > awake:
        s.host[AWAKE, j], s.host[WOKEN, j] = awake, sent
    if s.task[STATUS, i] == PENDING:
        unwait(s, i)
    task = s.task
    task[STATUS, i], task[NODE, i], task[SENT, i] = QUEUED, j, sent
    task[DATA, i], task[DATA_SEEN, i] = sent + w.pair[UP_TRUE, i, j], seen + w.pair[UP, i, j]
    for data, ready in ((DATA, READY), (DATA_SEEN, READY_SEEN)):
        task[ready, i] = _ready(w.task, w.first, w.between, task, s.host, i, j, task[data, i])
    task[BEGIN, i], task[END, i] = start, start + w.pair[RUN, i, j]
    task[HELD, i], task[DEFERRED, i] = 0, 0
    task[TRIES, i] += 1
    join(w, s, i, j)
    foresee(w, s, i)
    if task[DATA, i] <= now:
        dispatch(w, s, j)
    return True


@jit
def _ready(
    wish: Ints, first: Ints, between: Ints, task: Ints, host: Ints, i: int, j: int, data: int
) -> int:
    """When data, what it needs and the node are ready; NEVER: something cannot come."""
    ready = max(data, host[AWAKE, j])
    for row in range(wish[PRED, i], wish[PRED_END, i]):
        other = first[row]
        time = between[row, task[NODE, other], j]
        if time < 0:
            return NEVER
        ready = max(ready, task[FINISH, other] + time)
    return int(ready)
