"""What happens to tasks one event after another: arrivals, data that come, runs, ends, failures.

The rules of a node. It works in the order of the planned begins. A task begins as soon as its data
are there, memory and cores are free, and everything planned before it has begun; where something
before it is not ready, it does not begin before its own planned time. Without noise and failures
everything begins exactly as planned. Memory is taken when data come; where there is none yet, they
are sent so much later. Planned times are estimates, and are renewed when something ends early or
late.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .jit import jit

Ints = npt.NDArray[np.int64]

NEVER = np.iinfo(np.int64).max // 8

# Rows of `Setting.pair`: what is believed, then what is true.
FITS, UP, RUN, DOWN, COST, UP_TRUE, RUN_TRUE, DOWN_TRUE, COST_TRUE, LOST_COST = range(10)
PAIRS = 10
# Rows of `Setting.task`; the last ones are slices of `first` and `second`.
ARRIVAL, CORES, MEMORY, DUE, HARD, WEIGHT, RANK, PRED, PRED_END, SUCC, SUCC_END = range(11)
TASKS = 11
# Rows of `Setting.host`.
HOST_CORES, HOST_MEMORY, WAKE_TIME, ASLEEP, WAKE_COST, POWER = range(6)
HOSTS = 6
# Entries of `Setting.whole`.
HORIZON, BASE, REQUEUE = range(3)

# Entries of `Live.clock`: the time; how many wait, are in the heap, on nodes, neither done nor
# rejected, on their way to be lost; next arrival and failure; the task to decide on, -1: none.
NOW, WAITING, HEAP, ACTIVE, OPEN, LOST, NEXT, FAILS, CURRENT, BROKEN = range(10)
CLOCK = 10
# Rows of `Live.task`.
(
    STATUS, NODE, SENT, DATA, READY, DATA_SEEN, READY_SEEN, BEGIN, END, FINISH, HELD, WAITS,
    DEFERRED, TRIES,
) = range(14)  # fmt: skip
LIVE = 14
UNSEEN, PENDING, QUEUED, RUNNING, DONE, REJECTED = range(6)  # STATUS
# Rows of `Live.host`. AWAKE: since when it works, -1 while asleep; WOKEN: when it was turned on.
ON_IT, FREE, ROOM, AWAKE, WOKEN, DOWN_NOW, DIRTY, STALE, WORK = range(9)
LIVE_HOSTS = 9
SLA, RESPONSE, ENERGY, LATENESS = range(4)  # columns of `Live.told`, entries of `Live.total`


class Setting(NamedTuple):
    """What does not change in an episode.

    pair (PAIRS, I, J) ms and mJ; task (TASKS, I); host (HOSTS, J); first, second (P,) tasks of each
    precedence sorted by the second, and followers sorted by the first; between (P, J, J) ms;
    arrivals tasks in order; failures (F, 3) time, node, 1: it breaks or 0: it is back; held (B, 3)
    node, and when memory and cores are taken by what runs there besides: these rows follow the
    tasks in `pair` and `task`, are nobody's decision and count nothing. offered (J, I + 1): the
    core time that the first k arrivals would take on each node.
    """

    pair: Ints
    task: Ints
    host: Ints
    first: Ints
    second: Ints
    between: Ints
    arrivals: Ints
    failures: Ints
    held: Ints
    offered: Ints
    whole: Ints


class Live(NamedTuple):
    """What does: clock (CLOCK,), total (4,) and told (I, 4) of what is decided, task (LIVE, I),
    host (LIVE_HOSTS, J), on (J, I) the tasks on each node by planned begin, heap (2, ...), waiting
    (I,), lost (L, 4) task, node, begin and end of runs that were cut short."""

    clock: Ints
    total: Ints
    told: Ints
    task: Ints
    host: Ints
    on: Ints
    heap: Ints
    waiting: Ints
    lost: Ints


def fresh(w: Setting) -> Live:
    """Before the first event."""
    _, tasks, hosts = w.pair.shape
    lost = 4 * tasks if len(w.failures) else 0
    made = Live(
        np.zeros(CLOCK, np.int64),
        np.zeros(4, np.int64),
        np.zeros((tasks, 4), np.int64),
        np.zeros((LIVE, tasks), np.int64),
        np.zeros((LIVE_HOSTS, hosts), np.int64),
        np.zeros((hosts, tasks), np.int64),
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
    s.host[FREE], s.host[ROOM] = w.host[HOST_CORES], w.host[HOST_MEMORY]
    s.host[AWAKE], s.host[WOKEN] = -w.host[ASLEEP], -1
    for row in range(w.held.shape[0]):
        i, j = w.arrivals.shape[0] + row, w.held[row, 0]
        s.task[STATUS, i], s.task[NODE, i] = QUEUED, j
        s.task[DATA, i], s.task[DATA_SEEN, i] = w.held[row, 1], w.held[row, 1]
        s.task[READY, i], s.task[READY_SEEN, i] = w.held[row, 2], w.held[row, 2]
        s.task[BEGIN, i], s.task[END, i] = w.held[row, 2], w.held[row, 2] + w.pair[RUN, i, j]
        _join(w, s, i, j)


# ------------------------------------------------------------------------- events


@jit
def _push(s: Live, time: int, code: int) -> None:
    k, heap = s.clock[HEAP], s.heap
    if k == heap.shape[1]:
        raise IndexError("more events than there can be")
    s.clock[HEAP] += 1
    while k > 0 and heap[0, (k - 1) >> 1] > time:
        heap[0, k], heap[1, k] = heap[0, (k - 1) >> 1], heap[1, (k - 1) >> 1]
        k = (k - 1) >> 1
    heap[0, k], heap[1, k] = time, code


@jit
def _pop(s: Live) -> int:
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
        code = _pop(s)
        i = code >> 1
        if s.task[STATUS, i] == RUNNING and code & 1 == 0 and s.task[FINISH, i] == now:
            _finish(w, s, i)
            back = True
        if s.task[NODE, i] >= 0:
            s.host[DIRTY, s.task[NODE, i]] = 1
    while s.clock[FAILS] < w.failures.shape[0] and w.failures[s.clock[FAILS], 0] <= now:
        row = s.clock[FAILS]
        s.clock[FAILS] += 1
        if w.failures[row, 2]:
            _break(w, s, w.failures[row, 1])
        else:
            _mend(s, w.failures[row, 1])
            back = True
    while s.clock[NEXT] < w.arrivals.shape[0]:
        i = w.arrivals[s.clock[NEXT]]
        if w.task[ARRIVAL, i] > now:
            break
        s.clock[NEXT] += 1
        if s.task[STATUS, i] == UNSEEN and s.task[WAITS, i] == 0:
            _wait(s, i)
    for j in range(w.host.shape[1]):
        if s.host[DIRTY, j]:
            s.host[DIRTY, j] = 0
            _dispatch(w, s, j)
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


# ------------------------------------------------------------------------ decisions


@jit
def may_defer(s: Live) -> bool:
    """Whether something will end, or a node come back, after which one may look again."""
    return bool(s.clock[ACTIVE] > 0 or s.clock[BROKEN] > 0)


@jit
def defer(s: Live, i: int) -> None:
    """Look at a task again when something has ended or a node is back."""
    s.task[DEFERRED, i] = 1


@jit
def reject(w: Setting, s: Live, i: int) -> None:
    """A task, and what needs it, will not run."""
    if s.task[STATUS, i] == PENDING:
        _unwait(s, i)
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
    _tell(s, i, weight, w.whole[HORIZON] - w.task[ARRIVAL, i], 0, weight * late)


@jit
def begin_at(w: Setting, s: Live, i: int, j: int, since: int) -> int:
    """When a task would begin on a node by what is believed; -1: it cannot, or must not.

    The same rule as `kernels.schedules.begin_at`, with the present for the arrival.
    """
    out = np.empty(1, np.int64)
    begins(w, s, i, j, since, out)
    return int(out[0])


@jit
def begins(w: Setting, s: Live, i: int, low: int, since: int, out: Ints) -> None:
    """`begin_at` of all nodes from `low` on for which there is room in `out`.

    One loop without calls: to hand the tables on costs many times what it costs to read them.
    """
    pair, wish, hosts, task, host, on = w.pair, w.task, w.host, s.task, s.host, s.on
    now, cores, memory = s.clock[NOW], wish[CORES], wish[MEMORY]
    for k in range(out.shape[0]):
        j = low + k
        out[k] = -1
        if not pair[FITS, i, j] or host[DOWN_NOW, j]:
            continue
        data, awake, length = now + pair[UP, i, j], host[AWAKE, j], pair[RUN, i, j]
        ready = max(since, data, now + hosts[WAKE_TIME, j] if awake < 0 else awake)
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
        if taken > most:
            ready = _first(task, cores, on[j], many, ready, length, most)
        end, held, most = ready + length, 0, hosts[HOST_MEMORY, j] - memory[i]
        for n in range(many):
            other = on[j, n]
            if task[DATA_SEEN, other] <= max(end - 1, data) and task[END, other] > data:
                held += memory[other]
        if memory[i] and held > most:
            held = _held(task, memory, on[j], many, data, max(end, data + 1))
        if (memory[i] == 0 or held <= most) and not (
            wish[HARD, i] and end + pair[DOWN, i, j] > wish[DUE, i]
        ):
            out[k] = ready


@jit
def place(w: Setting, s: Live, i: int, j: int, since: int) -> bool:
    """Send a task to a node, to begin not before `since`; False: it cannot go there now."""
    start = begin_at(w, s, i, j, since)
    if start < 0:
        return False
    now = s.clock[NOW]
    if s.host[AWAKE, j] < 0:
        s.host[AWAKE, j], s.host[WOKEN, j] = now + w.host[WAKE_TIME, j], now
        s.total[ENERGY] += w.host[WAKE_COST, j]
    if s.task[STATUS, i] == PENDING:
        _unwait(s, i)
    task = s.task
    task[STATUS, i], task[NODE, i], task[SENT, i] = QUEUED, j, now
    task[DATA, i], task[DATA_SEEN, i] = now + w.pair[UP_TRUE, i, j], now + w.pair[UP, i, j]
    for seen, ready in ((DATA, READY), (DATA_SEEN, READY_SEEN)):
        task[ready, i] = _ready(
            w.task, w.host, w.first, w.between, task, s.host, now, i, j, task[seen, i]
        )
    task[BEGIN, i], task[END, i] = start, start + w.pair[RUN, i, j]
    task[HELD, i], task[DEFERRED, i] = 0, 0
    task[TRIES, i] += 1
    _join(w, s, i, j)
    _foresee(w, s, i)
    if task[DATA, i] <= now:
        _dispatch(w, s, j)
    return True


@jit
def _join(w: Setting, s: Live, i: int, j: int) -> None:
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
        _push(s, task[DATA, i], 2 * i + 1)
    if task[READY, i] > task[DATA, i]:
        _push(s, task[READY, i], 2 * i + 1)


@jit
def _ready(
    wish: Ints, hosts: Ints, first: Ints, between: Ints, task: Ints, host: Ints, now: int,
    i: int, j: int, data: int,
) -> int:  # fmt: skip
    """When data, what it needs and the node are ready; NEVER: something cannot come."""
    awake = host[AWAKE, j]
    ready = max(data, now + hosts[WAKE_TIME, j] if awake < 0 else awake)
    for row in range(wish[PRED, i], wish[PRED_END, i]):
        other = first[row]
        time = between[row, task[NODE, other], j]
        if time < 0:
            return NEVER
        ready = max(ready, task[FINISH, other] + time)
    return int(ready)


@jit
def _level(task: Ints, cores: Ints, on: Ints, many: int, time: int) -> int:
    """Cores that the first `many` of a node's tasks take at a moment, by what is believed."""
    level = 0
    for k in range(many):
        i = on[k]
        if task[BEGIN, i] <= time < task[END, i]:
            level += cores[i]
    return level


@jit
def _free(task: Ints, cores: Ints, on: Ints, many: int, begin: int, end: int, most: int) -> bool:
    """Whether at most `most` cores are taken at any time between two moments."""
    taken = 0
    for k in range(many):
        i = on[k]
        if task[BEGIN, i] < end and task[END, i] > begin:
            taken += cores[i]
    if taken <= most:
        return True
    if _level(task, cores, on, many, begin) > most:
        return False
    for k in range(many):
        time = task[BEGIN, on[k]]
        if begin < time < end and _level(task, cores, on, many, time) > most:
            return False
    return True


@jit
def _first(task: Ints, cores: Ints, on: Ints, many: int, ready: int, length: int, most: int) -> int:
    """The earliest begin from `ready` on at which at most so many cores are taken for so long."""
    if _free(task, cores, on, many, ready, ready + length, most):
        return ready
    best = NEVER
    for k in range(many):
        time = task[END, on[k]]
        if ready < time < best and _free(task, cores, on, many, time, time + length, most):
            best = time
    return best


@jit
def _held(task: Ints, memory: Ints, on: Ints, many: int, begin: int, end: int) -> int:
    """The most memory that is taken at any time between two moments."""
    most = 0
    for k in range(-1, many):
        time = begin if k < 0 else task[DATA_SEEN, on[k]]
        if k >= 0 and (time <= begin or time >= end):
            continue
        level = 0
        for other in range(many):
            i = on[other]
            if task[DATA_SEEN, i] <= time < task[END, i]:
                level += memory[i]
        most = max(most, level)
    return most


# ---------------------------------------------------------------------- on the nodes


@jit
def _dispatch(w: Setting, s: Live, j: int) -> None:
    """Begin what can begin on a node."""
    now, task, blocked, k = s.clock[NOW], s.task, False, 0
    if s.host[DOWN_NOW, j]:
        return
    while k < s.host[ON_IT, j]:
        i = s.on[j, k]
        k += 1
        if task[STATUS, i] != QUEUED:
            continue
        if not task[HELD, i] and task[DATA, i] <= now and w.task[MEMORY, i] <= s.host[ROOM, j]:
            task[HELD, i] = 1
            task[SENT, i] += now - task[DATA, i]  # sent later, to come when there is room
            task[DATA, i] = now
            s.host[ROOM, j] -= w.task[MEMORY, i]
        able = task[HELD, i] and task[READY, i] <= now and w.task[CORES, i] <= s.host[FREE, j]
        if able and (not blocked or task[BEGIN, i] <= now):
            _start(w, s, i, j)
        else:
            if able and s.host[FREE, j] == w.host[HOST_CORES, j]:
                _push(s, task[BEGIN, i], 2 * i + 1)  # nothing else would bring us back in time
            blocked = True


@jit
def _start(w: Setting, s: Live, i: int, j: int) -> None:
    now, task = s.clock[NOW], s.task
    if task[BEGIN, i] != now:
        s.host[STALE, j] = 1
    task[STATUS, i], task[BEGIN, i] = RUNNING, now
    task[END, i] = now + w.pair[RUN, i, j]
    task[FINISH, i] = now + w.pair[RUN_TRUE, i, j]
    s.host[FREE, j] -= w.task[CORES, i]
    _push(s, task[FINISH, i], 2 * i)
    _foresee(w, s, i)


@jit
def _finish(w: Setting, s: Live, i: int) -> None:
    task, j = s.task, s.task[NODE, i]
    if task[END, i] != task[FINISH, i]:
        s.host[STALE, j] = 1
    task[STATUS, i], task[END, i] = DONE, task[FINISH, i]
    s.host[FREE, j] += w.task[CORES, i]
    s.host[ROOM, j] += w.task[MEMORY, i]
    s.host[WORK, j] -= w.pair[RUN, i, j] * w.task[CORES, i]
    _leave(s, i, j)
    if i >= w.arrivals.shape[0]:
        return
    s.clock[OPEN] -= 1
    _account(w, s, i, task[FINISH, i] + w.pair[DOWN_TRUE, i, j], w.pair[COST_TRUE, i, j])
    for row in range(w.task[SUCC, i], w.task[SUCC_END, i]):
        other = w.second[row]
        task[WAITS, other] -= 1
        here = w.task[ARRIVAL, other] <= s.clock[NOW] and task[STATUS, other] == UNSEEN
        if task[WAITS, other] == 0 and here and _arrived(w, s, other):
            _wait(s, other)


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
def _leave(s: Live, i: int, j: int) -> None:
    """Take a task off the list of its node."""
    k = 0
    while s.on[j, k] != i:
        k += 1
    s.host[ON_IT, j] -= 1
    for after in range(k, s.host[ON_IT, j]):
        s.on[j, after] = s.on[j, after + 1]
    s.clock[ACTIVE] -= 1


@jit
def _break(w: Setting, s: Live, j: int) -> None:
    """A node goes down; what is on it is lost and waits again, or is rejected."""
    now, task = s.clock[NOW], s.task
    s.host[DOWN_NOW, j] = 1
    s.clock[BROKEN] += 1
    while s.host[ON_IT, j]:
        i = s.on[j, 0]
        row = s.clock[LOST]
        ran = task[BEGIN, i] if task[STATUS, i] == RUNNING else now
        _leave(s, i, j)
        if i >= w.arrivals.shape[0]:
            task[STATUS, i], task[BEGIN, i], task[END, i] = DONE, ran, now
            task[DATA, i] = min(task[DATA, i], now)
            continue
        _tell(s, i, 0, 0, 0, 0)
        if row < s.lost.shape[0]:
            s.lost[row, 0], s.lost[row, 1], s.lost[row, 2], s.lost[row, 3] = i, j, ran, now
            s.clock[LOST] += 1
            power = w.host[POWER, j] * w.task[CORES, i] * (now - ran)
            s.total[ENERGY] += -(-power // (1000 * w.host[HOST_CORES, j]))
            s.total[ENERGY] += w.pair[LOST_COST, i, j]
        if w.whole[REQUEUE] and row + w.host.shape[1] < s.lost.shape[0]:
            task[NODE, i], task[BEGIN, i], task[SENT, i] = -1, -1, -1
            _wait(s, i)
        else:
            reject(w, s, i)
    s.host[FREE, j], s.host[ROOM, j] = w.host[HOST_CORES, j], w.host[HOST_MEMORY, j]
    s.host[WORK, j] = 0


@jit
def _mend(s: Live, j: int) -> None:
    s.host[DOWN_NOW, j] = 0
    s.clock[BROKEN] -= 1
    if s.host[AWAKE, j] >= 0:
        s.host[AWAKE, j] = s.clock[NOW]


@jit
def _wait(s: Live, i: int) -> None:
    s.task[STATUS, i] = PENDING
    s.waiting[s.clock[WAITING]] = i
    s.clock[WAITING] += 1


@jit
def _unwait(s: Live, i: int) -> None:
    k = 0
    while s.waiting[k] != i:
        k += 1
    s.clock[WAITING] -= 1
    for after in range(k, s.clock[WAITING]):
        s.waiting[after] = s.waiting[after + 1]


# --------------------------------------------------------------------------- values


@jit
def _tell(s: Live, i: int, sla: int, response: int, energy: int, late: int) -> None:
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
def _account(w: Setting, s: Live, i: int, answer: int, cost: int) -> None:
    """The values of a task that answers then, as `optsched.tasks.evaluate` counts them."""
    seen = min(answer, w.whole[HORIZON])
    late, weight = max(seen - w.task[DUE, i], 0), w.task[WEIGHT, i]
    wrong = answer > w.whole[HORIZON] or late > 0
    _tell(s, i, weight if wrong else 0, seen - w.task[ARRIVAL, i], cost, weight * late)


@jit
def _foresee(w: Setting, s: Live, i: int) -> None:
    j = s.task[NODE, i]
    if i < w.arrivals.shape[0]:
        _account(w, s, i, s.task[END, i] + w.pair[DOWN, i, j], w.pair[COST, i, j])


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
                _foresee(w, s, i)
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
        earliest = _first(task, w.task[CORES], s.on[j], many, ready, length, most)
        task[BEGIN, i], task[END, i] = earliest, earliest + length
        _foresee(w, s, i)
