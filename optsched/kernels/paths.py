"""What one core does over time, priced: the inner loop of the bound by single cores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .jit import jit

Ints = npt.NDArray[np.int64]

# Rows of `task` in `sweep`.
FIRST, LENGTH, BACK, ARRIVAL, DUE, LAST, MUST, FIXED, TARDY, SLA, CORES, PRICE = range(12)
ROWS = 12


@jit
def sweep(
    task: Ints, haste: int, horizon: int, whole: int, step: int, least: Ints, pick: Ints
) -> None:
    """The cheapest way to spend the rest of the time, from every slot on.

    Parameters
    ----------
    task
        (ROWS, N) ms from the beginning of the first slot: when each task can begin, how long it
        runs and its answer takes, its arrival, its deadline, when its answer violates its level and
        when it is forbidden; cost if it runs, per ms of lateness and of a violation; cores; and the
        price that is paid for each core of it, times `whole`.
    haste
        Cost of a millisecond of response, which is counted until the horizon.
    step
        Milliseconds in a slot: a task is taken to begin at the beginning of its slot, or as soon as
        it can, and to end so early that whatever follows it in truth can follow it here.
    least, pick
        (T + 1,) filled: cost times `whole` less prices, and the task that begins; -1: none.
    """
    slots, count = least.shape[0] - 1, task.shape[1]
    first, last = np.empty(count, np.int64), np.empty(count, np.int64)
    for i in range(count):
        first[i] = max(0, task[FIRST, i] // step)
        low, high = first[i] - 1, slots - 1
        while low < high:  # costs never fall with time
            middle = (low + high + 1) >> 1
            if _worth(task, i, haste, horizon, whole, middle * step) < 0:
                low = middle
            else:
                high = middle - 1
        last[i] = low
    order, ahead = np.argsort(last), count - 1
    able, many = np.empty(count, np.int64), 0
    least[slots], pick[slots] = 0, -1
    for t in range(slots - 1, -1, -1):
        while ahead >= 0 and last[order[ahead]] >= t:
            able[many] = order[ahead]
            many, ahead = many + 1, ahead - 1
        best, chosen, k = least[t + 1], -1, 0
        while k < many:
            i = able[k]
            if first[i] > t:
                many -= 1
                able[k] = able[many]
                continue
            k += 1
            cost = _worth(task, i, haste, horizon, whole, t * step)
            cost += least[min(t + task[LENGTH, i] // step, slots)]
            if cost < best or (cost == best and i < chosen):  # of equals the first task
                best, chosen = cost, i
        least[t], pick[t] = best, chosen


@jit
def _worth(task: Ints, i: int, haste: int, horizon: int, whole: int, now: int) -> int:
    """Cost times `whole`, less the price, of one core of a task that begins from `now` on.

    Where that is not below 0 it is no worse to leave the core idle.
    """
    answer = max(now, task[FIRST, i]) + task[LENGTH, i] + task[BACK, i]
    if answer > task[MUST, i]:
        return 0
    cost = task[FIXED, i] + haste * (min(answer, horizon) - task[ARRIVAL, i])
    cost += task[TARDY, i] * max(min(answer, horizon) - task[DUE, i], 0)
    if answer > task[LAST, i]:
        cost += task[SLA, i]
    return int(cost * whole // task[CORES, i] - task[PRICE, i])


@jit
def trace(task: Ints, step: int, pick: Ints, slot: int, times: Ints) -> None:
    """Count in (N,) `times` how often each task begins on the cheapest way from a slot on."""
    slots = pick.shape[0] - 1
    while slot < slots:
        i = pick[slot]
        if i < 0:
            slot += 1
        else:
            times[i] += 1
            slot += task[LENGTH, i] // step
