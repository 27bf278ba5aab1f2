"""Links on which inputs take turns: each has one input at a time each way, for a time of its own.

An input waits at its source until every such link on its way is free by the time it gets there,
and keeps its turns from when it is sent on; so links are told in advance until when they are taken.
No tables are handed on: that costs many times what it costs to read them.
"""

from __future__ import annotations

from .event_tables import AFTER, LANE, ON_IT, PAIRS, PASSED, TAKES, TURN, TURNS, WAYS, WHOSE, Ints
from .jit import jit

TRUE = 2  # from what is believed of an input to what is true


@jit
def first_turn(on: Ints, many: int, lane: int, ready: int, takes: int) -> int:
    """The earliest begin from `ready` on from which a lane is free for so long."""
    low, high = 0, many
    while low < high:  # turns do not overlap, so they end in the order in which they begin
        middle = (low + high) >> 1
        if on[lane + PASSED, middle] <= ready:
            low = middle + 1
        else:
            high = middle
    while low < many and on[lane + TURN, low] < ready + takes:
        ready = on[lane + PASSED, low]
        low += 1
    return int(ready)


@jit
def leaves(pair: Ints, on: Ints, host: Ints, i: int, j: int, moment: int, true: int) -> int:
    """When the input of a task can leave for a node, from a moment on.

    By what is believed of its bytes (`true` is 0), or by what is true (`TRUE`).
    """
    row = PAIRS
    while row < pair.shape[0] and pair[row + LANE, i, j] >= 0:
        lane, begin = pair[row + LANE, i, j], moment + pair[row + AFTER + true, i, j]
        takes = pair[row + TAKES + true, i, j]
        free = first_turn(on, host[ON_IT, lane], lane, begin, takes)
        row = row + WAYS if free == begin else PAIRS
        moment += free - begin
    return moment


@jit
def insert(on: Ints, host: Ints, lane: int, begin: int, end: int, whose: int) -> None:
    """Write down a turn."""
    k = host[ON_IT, lane]
    host[ON_IT, lane] += 1
    while k > 0 and on[lane + TURN, k - 1] > begin:
        for row in range(lane, lane + TURNS):
            on[row, k] = on[row, k - 1]
        k -= 1
    on[lane + TURN, k], on[lane + PASSED, k], on[lane + WHOSE, k] = begin, end, whose


@jit
def keep(pair: Ints, on: Ints, host: Ints, i: int, j: int, sent: int) -> None:
    """Keep the turns of an input that is sent then, as they will be."""
    for row in range(PAIRS, pair.shape[0], WAYS):
        lane = pair[row + LANE, i, j]
        if lane >= 0:
            begin = sent + pair[row + AFTER + TRUE, i, j]
            insert(on, host, lane, begin, begin + pair[row + TAKES + TRUE, i, j], i)


@jit
def give_up(pair: Ints, on: Ints, host: Ints, i: int, j: int, sent: int) -> None:
    """Give up the turns of an input that was to be sent then.

    They are there: `keep` wrote them for this input and moment, nothing else takes them off, and a
    task that is given up is sent anew before it is given up again. So each search ends.
    """
    for row in range(PAIRS, pair.shape[0], WAYS):
        lane = pair[row + LANE, i, j]
        if lane < 0:
            continue
        at, begin = 0, sent + pair[row + AFTER + TRUE, i, j]
        while on[lane + WHOSE, at] != i or on[lane + TURN, at] != begin:
            at += 1
        host[ON_IT, lane] -= 1
        for after in range(at, host[ON_IT, lane]):
            for one in range(lane, lane + TURNS):
                on[one, after] = on[one, after + 1]
