"""Links on which inputs take turns: each has one input at a time each way, for a time of its own.

An input waits at its source until every such link on its way is free by the time it gets there,
and keeps its turns from when it is sent on; so links are told in advance until when they are taken.
No tables are handed on: that costs many times what it costs to read them.
"""

from __future__ import annotations

from .event_tables import AFTER, LANE, PASSED, TAKES, TURN, WHOSE, Ints
from .jit import jit


@jit
def first_turn(turns: Ints, many: int, lane: int, ready: int, takes: int) -> int:
    """The earliest begin from `ready` on from which a lane is free for so long."""
    low, high = 0, many
    while low < high:  # turns do not overlap, so they end in the order in which they begin
        middle = (low + high) >> 1
        if turns[PASSED, lane, middle] <= ready:
            low = middle + 1
        else:
            high = middle
    while low < many and turns[TURN, lane, low] < ready + takes:
        ready = turns[PASSED, lane, low]
        low += 1
    return int(ready)


@jit
def leaves(route: Ints, turns: Ints, turning: Ints, moment: int, true: int) -> int:
    """When an input can leave for a node, from a moment on; route (K, 5) is its way there.

    `true` is 0 for what is believed of its bytes and 2 for what is true.
    """
    k = 0
    while k < route.shape[0] and route[k, LANE] >= 0:
        lane, begin = route[k, LANE], moment + route[k, AFTER + true]
        free = first_turn(turns, turning[lane], lane, begin, route[k, TAKES + true])
        k = k + 1 if free == begin else 0
        moment += free - begin
    return moment


@jit
def insert(turns: Ints, turning: Ints, lane: int, begin: int, end: int, whose: int) -> None:
    """Write down a turn."""
    k = turning[lane]
    turning[lane] += 1
    while k > 0 and turns[TURN, lane, k - 1] > begin:
        for row in range(3):
            turns[row, lane, k] = turns[row, lane, k - 1]
        k -= 1
    turns[TURN, lane, k], turns[PASSED, lane, k], turns[WHOSE, lane, k] = begin, end, whose


@jit
def keep(route: Ints, turns: Ints, turning: Ints, i: int, sent: int) -> None:
    """Keep the turns of an input that is sent then, as they will be."""
    for k in range(route.shape[0]):
        if route[k, LANE] >= 0:
            begin = sent + route[k, AFTER + 2]
            insert(turns, turning, route[k, LANE], begin, begin + route[k, TAKES + 2], i)


@jit
def give_up(route: Ints, turns: Ints, turning: Ints, i: int, sent: int) -> None:
    """Give up the turns of an input that was to be sent then."""
    for k in range(route.shape[0]):
        lane = route[k, LANE]
        if lane < 0:
            continue
        at, begin = 0, sent + route[k, AFTER + 2]
        while turns[WHOSE, lane, at] != i or turns[TURN, lane, at] != begin:
            at += 1
        turning[lane] -= 1
        for after in range(at, turning[lane]):
            for row in range(3):
                turns[row, lane, after] = turns[row, lane, after + 1]
