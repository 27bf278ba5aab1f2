"""Steepest ascent by single moves, with a convex tie-break; kept fast by bests of blocks of slots.

A slot is a place an item may take: a cell for narrow items, a host with two cells for wide ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .jit import jit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LOWEST = -1e18
BLOCK = 64  # slots whose best is remembered together


@jit
def worth(free: Ints, one: int, cells: int, size: Ints, wide: Bools, weight: Ints) -> float:
    """Blocks on a host, and half of the squared rest of each: the rest is best held together.

    `one` is the first of the host's `cells` cells; terms are `size`, `wide` (a block takes two
    cells) and `weight`, (W,) each.
    """
    total = 0.0
    for n in range(len(size)):
        fewest = np.int64(1) << 60
        for c in range(one, one + cells):
            above = max(free[c], 0)
            rest = above % size[n]
            total += weight[n] * 0.5 * rest * rest / size[n] + weight[n] * (free[c] - above)
            if wide[n]:
                fewest = min(fewest, above // size[n])
            else:
                total += weight[n] * (above - rest)
        if wide[n] and cells == 2:
            total += weight[n] * 2 * size[n] * fewest
    return total


@jit
def change(
    free: Ints, one: int, cells: int, first: int, last: int, units: int, before: float, size: Ints,
    wide: Bools, weight: Ints,
) -> float:  # fmt: skip
    """What it is worth to free `units` (below 0: to take them) on some cells of a host.

    They are those from `first` to before `last`; `before` is what the host is worth as it is.
    """
    for c in range(first, last):
        free[c] += units
    after = worth(free, one, cells, size, wide, weight)
    for c in range(first, last):
        free[c] -= units
    return after - before


@jit
def refresh(
    host: int, narrow: int, demand: Ints, resource: int, start: Ints, free: Ints, room: Ints,
    narrow_at: Ints, wide_at: Ints, may: Bools, bonus: float, size: Ints, wide: Bools,
    weight: Ints, gone: Floats, come: Floats,
) -> None:  # fmt: skip
    """Value the slots of a host again, for all classes: `gone` and `come` are (K, slots).

    All classes at once: calls with so many arrays cost more than what they do.
    """
    one, cells = start[host], start[host + 1] - start[host]
    before = worth(free, one, cells, size, wide, weight)
    for k in range(len(demand)):
        is_wide, units = k >= narrow, demand[k, resource]
        for slot in range(host if is_wide else one, host + 1 if is_wide else one + cells):
            gone[k, slot], come[k, slot] = LOWEST, LOWEST
            if is_wide and cells != 2:
                continue
            first, last = (one, one + 2) if is_wide else (slot, slot + 1)
            if (wide_at[slot, k] if is_wide else narrow_at[slot, k]) > 0:
                gone[k, slot] = bonus + change(free, one, cells, first, last, units, before, size,
                                               wide, weight)  # fmt: skip
            fits = may[k]
            for c in range(first, last):
                for r in range(demand.shape[1]):
                    fits &= demand[k, r] <= room[c, r]
            if fits:
                come[k, slot] = change(free, one, cells, first, last, -units, before, size, wide,
                                       weight)  # fmt: skip


@jit
def best_of(values: Floats, block: int) -> int:
    """The slot of the best value in a block."""
    first = block * BLOCK
    best = first
    for slot in range(first, min(first + BLOCK, len(values))):
        if values[slot] > values[best]:
            best = slot
    return best


@jit
def best_elsewhere(values: Floats, tops: Ints, hosts: Ints, host: int) -> int:
    """The best slot that is not on `host`; -1: there is none."""
    best = -1
    for block in range(len(tops)):
        top = tops[block]
        if hosts[top] != host:
            if best < 0 or values[top] > values[best]:
                best = top
            continue
        first = block * BLOCK
        for slot in range(first, min(first + BLOCK, len(values))):
            if hosts[slot] != host and (best < 0 or values[slot] > values[best]):
                best = slot
    return best


@jit
def best_pair(
    narrow: int, own: Ints, place: Ints, gone: Floats, come: Floats, top_gone: Ints, top_come: Ints,
    pick: Ints,
) -> bool:  # fmt: skip
    """Find the move that gains most: `pick` (3,) receives class, source and target."""
    best, found = 1e-9, False
    for k in range(len(gone)):
        where = place if k < narrow else own
        one = best_elsewhere(gone[k], top_gone[k], where, -2)
        two = best_elsewhere(come[k], top_come[k], where, -2)
        if gone[k, one] <= LOWEST / 2 or come[k, two] <= LOWEST / 2:
            continue
        if where[one] == where[two]:
            # The best of both are on one host: the second best of one of them.
            other_two = best_elsewhere(come[k], top_come[k], where, where[one])
            other_one = best_elsewhere(gone[k], top_gone[k], where, where[two])
            if other_two < 0 or other_one < 0:
                continue
            if gone[k, one] + come[k, other_two] >= gone[k, other_one] + come[k, two]:
                two = other_two
            else:
                one = other_one
        if gone[k, one] + come[k, two] > best:
            best, found = gone[k, one] + come[k, two], True
            pick[0], pick[1], pick[2] = k, one, two
    return found


@jit
def apply(
    k: int, source: int, target: int, is_wide: bool, start: Ints, demand: Ints, resource: int,
    free: Ints, room: Ints, at: Ints,
) -> None:  # fmt: skip
    """Move an item of class k: what it frees is free then, what it takes is taken now."""
    for slot in (source, target):
        first = start[slot] if is_wide else slot
        for c in range(first, first + (2 if is_wide else 1)):
            if slot == source:
                free[c] += demand[resource]
            else:
                free[c] -= demand[resource]
                for r in range(len(demand)):
                    room[c, r] -= demand[r]
    at[source, k] -= 1


@jit
def ascend(
    start: Ints, cell_host: Ints, free: Ints, room: Ints, demand: Ints, resource: int, narrow: int,
    narrow_at: Ints, wide_at: Ints, may: Bools, group: Ints, bonus: Floats, size: Ints,
    wide: Bools, weight: Ints, moves: Ints,
) -> int:  # fmt: skip
    """Move one item at a time to another host, always the best way; stop when nothing gains.

    Parameters
    ----------
    start, cell_host
        (H + 1,) first cell of each host, and (C,) host of each cell.
    free
        (C,) free units of the resource that counts, as they will be; changed.
    room
        (C, S) what newcomers may still take; changed.
    demand, narrow
        (K, S) on each cell, and how many of the classes are narrow; they come first.
    narrow_at, wide_at
        (C, K) and (H, K) items of each class that have not moved yet; changed.
    may, group
        (G, K) what may enter, and (H,) the row of each host.
    bonus
        (H,) for whatever leaves the host.
    size, wide, weight
        Terms, see `worth`.
    moves
        (M, 3) receives class, source slot and target slot.

    Returns
    -------
    int
        How many moves there are.
    """
    classes, hosts = len(demand), len(start) - 1
    slots = max(len(cell_host), hosts)
    blocks = (slots + BLOCK - 1) // BLOCK
    gone, come = np.full((classes, slots), LOWEST), np.full((classes, slots), LOWEST)
    top_gone = np.zeros((classes, blocks), np.int64)
    top_come = np.zeros((classes, blocks), np.int64)
    own, place = np.arange(slots), np.full(slots, -1)
    place[: len(cell_host)] = cell_host
    for h in range(hosts):
        refresh(h, narrow, demand, resource, start, free, room, narrow_at, wide_at, may[group[h]],
                bonus[h], size, wide, weight, gone, come)  # fmt: skip
    for k in range(classes):
        for block in range(blocks):
            top_gone[k, block] = best_of(gone[k], block)
            top_come[k, block] = best_of(come[k], block)
    for number in range(len(moves)):
        pick = moves[number]
        if not best_pair(narrow, own, place, gone, come, top_gone, top_come, pick):
            return number
        is_wide = pick[0] >= narrow
        apply(pick[0], pick[1], pick[2], is_wide, start, demand[pick[0]], resource, free, room,
              wide_at if is_wide else narrow_at)  # fmt: skip
        for slot in pick[1:]:
            h = slot if is_wide else cell_host[slot]
            refresh(h, narrow, demand, resource, start, free, room, narrow_at, wide_at,
                    may[group[h]], bonus[h], size, wide, weight, gone, come)  # fmt: skip
            for k in range(classes):
                first = h if k >= narrow else start[h]
                last = h if k >= narrow else max(start[h], start[h + 1] - 1)
                for block in range(first // BLOCK, last // BLOCK + 1):
                    top_gone[k, block] = best_of(gone[k], block)
                    top_come[k, block] = best_of(come[k], block)
    return len(moves)
