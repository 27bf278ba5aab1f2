"""Who leaves and who comes behind the exchanges that `fragments` prices, and the sets there are."""

from __future__ import annotations

import numpy as np

from .fragments import NEVER, Floats, Ints, line, whole_parts
from .jit import jit


@jit
def leavers(residents: Ints, units: Ints, cost: Floats, a: int, counts: Ints) -> None:
    """Add to `counts` (K,) the residents that give up exactly `a` units at the least cost."""
    classes = len(units)
    stage = np.full((classes + 1, a + 1), NEVER)
    stage[0, 0] = 0.0
    for k in range(classes):
        for u in range(a + 1):
            stage[k + 1, u] = stage[k, u]
            for n in range(1, residents[k] + 1):
                if n * units[k] > u:
                    break
                value = stage[k, u - n * units[k]] - n * cost[k]
                if value > stage[k + 1, u]:
                    stage[k + 1, u] = value
    left = a
    for k in range(classes - 1, -1, -1):
        take, best = 0, stage[k, left]
        for n in range(1, residents[k] + 1):
            if n * units[k] > left:
                break
            value = stage[k, left - n * units[k]] - n * cost[k]
            if value > best:
                take, best = n, value
        counts[k] += take
        left -= take * units[k]


@jit
def newcomers(choice: Ints, units: Ints, memory: Ints, m: int, b: int, counts: Ints) -> None:
    """Add to `counts` (K,) the set behind entry (m, b) of a table of `earn`; `choice` is (M, B)."""
    last = choice.shape[0] - 1
    while b > 0:
        k = choice[m, b]
        counts[k] += 1
        b -= units[k]
        if m != last:
            m -= memory[k]


@jit
def trace_cells(
    which: Ints, how: Ints, row: Ints, group: Ints, residents: Ints, units: Ints, memory: Ints,
    cost: Floats, choice: Ints, gain: Floats, low: int, out: Ints, into: Ints, gains: Floats,
) -> None:  # fmt: skip
    """Who leaves and enters the types of cells `which`, behind `how` of `exchange_cells`.

    `out` and `into` (n, 2, K) and `gains` (n,) are to be filled; other arguments as there.
    """
    for i in range(len(which)):
        t = which[i]
        a, b = how[t, 0], how[t, 1]
        leavers(residents[t], units, cost, a, out[i, 0])
        newcomers(choice[group[t]], units, memory, row[t, a], b, into[i, 0])
        gains[i] = gain[t, low + a - b]


@jit
def trace_hosts(
    which: Ints, how: Ints, cells: Ints, group: Ints, row: Ints, cell_group: Ints, narrow: int,
    residents: Ints, wide_residents: Ints, units: Ints, memory: Ints, cost: Floats, choice: Ints,
    wide_choice: Ints, gain: Floats, weight: Floats, parts: Ints, low: int, out: Ints, into: Ints,
    gains: Floats,
) -> None:  # fmt: skip
    """Who leaves and enters the types of hosts `which`, behind `how` of `exchange_hosts`.

    `units`, `memory` and `cost` are those of all classes, the `narrow` ones first. `out` and `into`
    (n, 2, K) and `gains` (n,) are to be filled.
    """
    last = choice.shape[1] - 1
    at = np.zeros(2, np.int64)
    for i in range(len(which)):
        p = which[i]
        gone, come, taken = how[p, 0], how[p, 1], how[p, 2]
        leavers(wide_residents[p], units[narrow:], cost[narrow:], gone, out[i, 0, narrow:])
        newcomers(
            wide_choice[group[p]], units[narrow:], memory[narrow:], taken, come,
            into[i, 0, narrow:],
        )  # fmt: skip
        for side in range(2):
            t = cells[p, side]
            a, b = how[p, 3 + 2 * side], how[p, 4 + 2 * side]
            leavers(residents[t], units[:narrow], cost[:narrow], a, out[i, side, :narrow])
            newcomers(
                choice[cell_group[t]], units[:narrow], memory[:narrow],
                line(row[t, a], how[p, 7], last), b, into[i, side, :narrow],
            )  # fmt: skip
            at[side] = low + gone - come + a - b
            gains[i] += gain[t, at[side]]
        gains[i] += whole_parts(cells[p, 0], cells[p, 1], at[0], at[1], weight, parts, low)


@jit
def multisets(
    units: Ints, memory: Ints, most: Ints, room: int, memory_room: int, found: Ints
) -> int:
    """Every way to take up to `most` (K,) copies of each class within both rooms.

    `found` (N, K) receives them, the empty one first; the number, or -1 if there are more than N.
    """
    classes = len(units)
    counts = np.zeros(classes, np.int64)
    number = 0
    while True:
        if number == len(found):
            return -1
        found[number] = counts
        number += 1
        k = 0
        while k < classes:
            if counts[k] < most[k] and units[k] <= room and memory[k] <= memory_room:
                counts[k] += 1
                room -= units[k]
                memory_room -= memory[k]
                break
            room += counts[k] * units[k]
            memory_room += counts[k] * memory[k]
            counts[k] = 0
            k += 1
        if k == classes:
            return number
