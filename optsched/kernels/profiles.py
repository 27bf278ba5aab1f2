"""What a node's tasks take over time, by what is believed.

A node's tasks are the first `many` of `on`, by planned begin; `task` holds the rows of `Live.task`.
No tables are handed on: that costs many times what it costs to read them.
"""

from __future__ import annotations

from .event_tables import BEGIN, DATA_SEEN, END, NEVER, Ints
from .jit import jit


@jit
def level(task: Ints, cores: Ints, on: Ints, many: int, time: int) -> int:
    """Cores that the first `many` of a node's tasks take at a moment, by what is believed."""
    level = 0
    for k in range(many):
        i = on[k]
        if task[BEGIN, i] <= time < task[END, i]:
            level += cores[i]
    return level


@jit
def is_free(task: Ints, cores: Ints, on: Ints, many: int, begin: int, end: int, most: int) -> bool:
    """Whether at most `most` cores are taken at any time between two moments."""
    taken = 0
    for k in range(many):
        i = on[k]
        if task[BEGIN, i] < end and task[END, i] > begin:
            taken += cores[i]
    if taken <= most:
        return True
    if level(task, cores, on, many, begin) > most:
        return False
    for k in range(many):
        time = task[BEGIN, on[k]]
        if begin < time < end and level(task, cores, on, many, time) > most:
            return False
    return True


@jit
def first_free(
    task: Ints, cores: Ints, on: Ints, many: int, ready: int, length: int, most: int
) -> int:
    """The earliest begin from `ready` on at which at most so many cores are taken for so long."""
    if is_free(task, cores, on, many, ready, ready + length, most):
        return ready
    best = NEVER
    for k in range(many):
        time = task[END, on[k]]
        if ready < time < best and is_free(task, cores, on, many, time, time + length, most):
            best = time
    return best


@jit
def most_held(task: Ints, memory: Ints, on: Ints, many: int, begin: int, end: int) -> int:
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
