"""What an episode of events is, and where it stands, as tables that kernels read and write."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

NEVER = np.iinfo(np.int64).max // 8

# Rows of `Setting.pair`: what is believed, then what is true.
FITS, UP, RUN, DOWN, COST, UP_TRUE, RUN_TRUE, DOWN_TRUE, COST_TRUE, LOST_COST = range(10)
PAIRS = 10
# Rows after these, once more for each link on which an input takes turns on its way: the lane, -1:
# there are fewer; ms from when it leaves its source to when it gets there, and for which it takes
# the lane; as believed, then as it is true.
LANE, AFTER, TAKES, AFTER_TRUE, TAKES_TRUE = range(5)
WAYS = 5
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
# Rows of `Live.on` from that of a lane on.
TURN, PASSED, WHOSE = range(3)
TURNS = 3
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

    pair (PAIRS + WAYS ..., I, J) ms and mJ; task (TASKS, I); host (HOSTS, J); first, second (P,)
    tasks of each precedence sorted by the second, and followers sorted by the first; between
    (P, J, J) ms; arrivals tasks in order; failures (F, 3) time, node, 1: it breaks or 0: it is
    back; held (B, 3) node, and when memory and cores are taken by what runs there besides: these
    rows follow the tasks in `pair` and `task`, are nobody's decision and count nothing. offered
    (J, I + 1): the core time that the first k arrivals would take on each node. Lanes are J,
    J + TURNS and so on; rows of held with a lane for the node are begin and end of what takes it
    besides, and are last.
    Few arrays, since each costs time whenever it is handed on.
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
    host (LIVE_HOSTS, J ...), on (J ..., I) the tasks on each node by planned begin, heap (2, ...),
    waiting (I,), lost (L, 4) task, node, begin and end of runs that were cut short. Behind the
    nodes are the lanes: on[lane + TURN] and so on are the begin and the end of what takes it, by
    time, and whose input it is (-1: nobody's); host[ON_IT, lane] says how many there are."""

    clock: Ints
    total: Ints
    told: Ints
    task: Ints
    host: Ints
    on: Ints
    heap: Ints
    waiting: Ints
    lost: Ints
