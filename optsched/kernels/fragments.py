"""The best exchange of items on a cell or a host, at given prices: dynamic programs over units.

An exchange on a cell lets residents go and takes others in. What goes costs `cost` an item, what
comes in earns `reward`; what is left free is worth `gain`, a table over the change of the free
units. Residents go as in a bounded knapsack, newcomers come as in an unbounded one, and as both
meet only in their sums, every exchange of a cell is priced exactly: Martello and Toth, Knapsack
Problems, 1990, chapters 2 and 3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .jit import jit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NEVER = -1e18  # of what cannot be done; sums of a few stay far below anything real


@jit
def earn(
    reward: Floats, units: Ints, memory: Ints, allowed: Bools, exact: bool, table: Floats,
    choice: Ints,
) -> None:  # fmt: skip
    """Fill `table` with the best reward of newcomers by what they use.

    Parameters
    ----------
    reward, units, memory
        (K,) of each class; units are at least 1.
    allowed
        (G, K) the classes that may enter.
    exact
        Whether memory m is used up, or just not exceeded.
    table, choice
        (G, M + 2, B + 1) for exactly b units and memory m; the last row does not look at memory.
        `choice` is a class that the best set has, -1 where there is none.
    """
    groups, rows, width = table.shape
    for g in range(groups):
        for m in range(rows):
            any_memory = m == rows - 1
            table[g, m, 0] = 0.0 if any_memory or not exact or m == 0 else NEVER
            choice[g, m, 0] = -1
            for b in range(1, width):
                best, pick = NEVER, -1
                for k in range(len(units)):
                    if not allowed[g, k] or units[k] > b:
                        continue
                    rest = m if any_memory else m - memory[k]
                    if rest < 0:
                        continue
                    value = table[g, rest, b - units[k]] + reward[k]
                    if value > best:
                        best, pick = value, k
                table[g, m, b] = best
                choice[g, m, b] = pick


@jit
def release(residents: Ints, units: Ints, cost: Floats, table: Floats) -> None:
    """Fill `table` (T, A + 1): minus the least cost at which residents give up exactly a units.

    `residents` is (T, K), how many of each class may go; `units` and `cost` are (K,).
    """
    types, width = table.shape
    for t in range(types):
        for a in range(width):
            table[t, a] = NEVER
        table[t, 0] = 0.0
        top = 0
        for k in range(len(units)):
            for _ in range(residents[t, k]):
                top = min(top + units[k], width - 1)
                for a in range(top, units[k] - 1, -1):
                    value = table[t, a - units[k]] - cost[k]
                    if value > table[t, a]:
                        table[t, a] = value


@jit
def line(row: int, less: int, last: int) -> int:
    """Row of a table of `earn` with `less` memory than in `row`; below 0: there is none left."""
    if row == last:
        return last
    return min(row - less, last)


@jit
def exchange_cells(
    room: Ints, row: Ints, group: Ints, low: int, safe: bool, out: Floats, into: Floats,
    gain: Floats, best: Floats, how: Ints,
) -> None:  # fmt: skip
    """The best exchange of every type of cell.

    Parameters
    ----------
    room, row, group
        (T,) whole free units (below 0: overfull), (T, A + 1) row of memory when so many units have
        gone, and (T,) row of `allowed`.
    low
        Column of `gain` that stands for no change; no exchange takes more units.
    safe
        Whether what enters must fit in what is free now, or only in what is free then.
    out, into
        (T, A + 1) of `release` and (G, M + 2, B + 1) of `earn`.
    gain
        (T, low + A + 1) value of a change of the free units.
    best, how
        (T,) the value and (T, 2) the units that go and come, to be filled.
    """
    types, width = out.shape
    for t in range(types):
        best[t] = 0.0
        how[t, 0] = 0
        how[t, 1] = 0
        for a in range(width):
            gone = out[t, a]
            if gone <= NEVER:
                continue
            most = max(room[t] if safe else room[t] + a, 0)
            for b in range(most + 1):
                value = gone + into[group[t], row[t, a], b] + gain[t, low + a - b]
                if value > best[t]:
                    best[t] = value
                    how[t, 0] = a
                    how[t, 1] = b


@jit
def net(
    room: int, shift: int, low: int, safe: bool, out: Floats, into: Floats, row: Ints, less: int,
    value: Floats,
) -> None:  # fmt: skip
    """Best value by change of the free units, with `shift` more or less room for newcomers.

    They have `less` memory than `row` (A + 1,) says; `into` is (M + 2, B + 1).
    """
    for x in range(len(value)):
        value[x] = NEVER
    for a in range(len(out)):
        if out[a] <= NEVER:
            continue
        most = (room if safe else room + a) + shift
        if most < 0 and shift < 0:
            continue  # what enters besides does not fit
        at = line(row[a], less, len(into) - 1)
        if at < 0:
            continue
        for b in range(max(most, 0) + 1):
            one = out[a] + into[at, b]
            if one > value[low + a - b]:
                value[low + a - b] = one


@jit
def whole_parts(
    first: int, second: int, x: int, y: int, weight: Floats, parts: Ints, low: int
) -> float:
    """Value of the blocks that take a part on both cells, after changes x and y."""
    total = 0.0
    for n in range(len(weight)):
        now = min(parts[n, first, low], parts[n, second, low])
        then = min(parts[n, first, x], parts[n, second, y])
        total += weight[n] * (then - now)
    return total


@jit
def join(
    first: int, second: int, shift: int, low: int, left: Floats, right: Floats, gain: Floats,
    weight: Floats, parts: Ints, at: Ints,
) -> float:  # fmt: skip
    """The best pair of changes of two cells whose free units both change by `shift` besides.

    `at` (2,) receives the changes, as columns of `left` and `right`.
    """
    width = len(left)
    if len(weight) == 0:
        one, two = NEVER, NEVER
        for x in range(max(0, -shift), min(width, width - shift)):
            if left[x] + gain[first, x + shift] > one:
                one = left[x] + gain[first, x + shift]
                at[0] = x
            if right[x] + gain[second, x + shift] > two:
                two = right[x] + gain[second, x + shift]
                at[1] = x
        return one + two
    best = NEVER
    for x in range(max(0, -shift), min(width, width - shift)):
        if left[x] <= NEVER:
            continue
        one = left[x] + gain[first, x + shift]
        for y in range(max(0, -shift), min(width, width - shift)):
            if right[y] <= NEVER:
                continue
            both = one + right[y] + gain[second, y + shift]
            both += whole_parts(first, second, x + shift, y + shift, weight, parts, low)
            if both > best:
                best = both
                at[0] = x
                at[1] = y
    return best


@jit
def split(
    x: int, room: int, shift: int, low: int, safe: bool, out: Floats, into: Floats, row: Ints,
    less: int, how: Ints,
) -> None:  # fmt: skip
    """Find the units that go and come, `how` (2,), behind a change that `net` valued."""
    best = NEVER
    for a in range(len(out)):
        b = low + a - x
        most = (room if safe else room + a) + shift
        at = line(row[a], less, len(into) - 1)
        if at < 0 or out[a] <= NEVER or b < 0 or b > max(most, 0):
            continue
        if out[a] + into[at, b] > best:
            best = out[a] + into[at, b]
            how[0] = a
            how[1] = b


@jit
def most_out(out: Floats) -> int:
    """The most units that the residents of a cell can give up."""
    for a in range(len(out) - 1, 0, -1):
        if out[a] > NEVER:
            return a
    return 0


@jit
def host_now(
    p: int, one: int, two: int, group: int, room: Ints, row: Ints, cell_group: Ints, low: int,
    out: Floats, into: Floats, out_wide: Floats, into_wide: Floats, gain: Floats,
    weight: Floats, parts: Ints, left: Floats, right: Floats, at: Ints, kept: Ints,
) -> float:  # fmt: skip
    """The best exchange of a host whose newcomers fit in what is free now.

    `kept` (6,) receives wide units out and in, row of these, the columns of both changes, and how
    much less memory that leaves to others.
    """
    last, best = into.shape[1] - 1, NEVER
    any_memory = row[one, 0] == last and row[two, 0] == last
    memories = 1 if any_memory else min(row[one, 0], row[two, 0]) + 1
    for r in range(memories):
        m = last if any_memory else r
        for b in range(max(min(room[one], room[two]), 0) + 1):
            earned = into_wide[group, m, b]
            if earned <= NEVER / 2:
                continue
            ready = False
            for a in range(out_wide.shape[1]):
                if out_wide[p, a] <= NEVER or (a + b == 0 and len(weight) == 0):
                    continue
                if not ready:
                    net(
                        room[one], -b, low, True, out[one], into[cell_group[one]], row[one], r, left
                    )
                    net(
                        room[two], -b, low, True, out[two], into[cell_group[two]], row[two], r,
                        right,
                    )  # fmt: skip
                    ready = True
                value = out_wide[p, a] + earned
                value += join(one, two, a - b, low, left, right, gain, weight, parts, at)
                if value > best:
                    best = value
                    kept[0], kept[1], kept[2], kept[3], kept[4] = a, b, m, at[0], at[1]
                    kept[5] = r
    return best


@jit
def host_then(
    p: int, one: int, two: int, group: int, room: Ints, row: Ints, cell_group: Ints, low: int,
    out: Floats, into: Floats, out_wide: Floats, into_wide: Floats, frees: Ints, takes: Ints,
    gain: Floats, weight: Floats, parts: Ints, left: Floats, right: Floats, at: Ints, kept: Ints,
) -> float:  # fmt: skip
    """As `host_now`, with newcomers that fit in what is free then.

    `frees` (P, A + 1) is the most memory that wide residents of so many units give up, and `takes`
    (B + 1,) the least that wide newcomers take.
    """
    width, last, best = out_wide.shape[1], into.shape[1] - 1, NEVER
    ever = min(room[one] + most_out(out[one]), room[two] + most_out(out[two]))
    any_memory = row[one, 0] == last and row[two, 0] == last
    # Where memory cannot bind, only the difference of wide units matters: the best way to each.
    by_shift = np.full(low + width, NEVER)
    gone = np.zeros(low + width, np.int64)
    for a in range(width):
        if out_wide[p, a] <= NEVER:
            continue
        for b in range(max(ever + a, 0) + 1):
            value = out_wide[p, a] + into_wide[group, last, b]
            if value <= NEVER / 2 or (a + b == 0 and len(weight) == 0):
                continue
            if any_memory:
                if value > by_shift[low + a - b]:
                    by_shift[low + a - b] = value
                    gone[low + a - b] = a
                continue
            less = takes[b] - frees[p, a]
            net(room[one], a - b, low, False, out[one], into[cell_group[one]], row[one], less, left)
            net(
                room[two], a - b, low, False, out[two], into[cell_group[two]], row[two], less, right
            )
            value += join(one, two, a - b, low, left, right, gain, weight, parts, at)
            if value > best:
                best = value
                kept[0], kept[1], kept[2], kept[3], kept[4] = a, b, last, at[0], at[1]
                kept[5] = less
    for s in range(low + width):
        if by_shift[s] <= NEVER / 2:
            continue
        shift = s - low
        net(room[one], shift, low, False, out[one], into[cell_group[one]], row[one], 0, left)
        net(room[two], shift, low, False, out[two], into[cell_group[two]], row[two], 0, right)
        value = by_shift[s]
        value += join(one, two, shift, low, left, right, gain, weight, parts, at)
        if value > best:
            best = value
            kept[0], kept[1], kept[2] = gone[s], gone[s] - shift, last
            kept[3], kept[4], kept[5] = at[0], at[1], 0
    return best


@jit
def exchange_hosts(
    cells: Ints, group: Ints, room: Ints, row: Ints, cell_group: Ints, low: int, safe: bool,
    out: Floats, into: Floats, out_wide: Floats, into_wide: Floats, frees: Ints, takes: Ints,
    gain: Floats, weight: Floats, parts: Ints, best: Floats, how: Ints,
) -> None:  # fmt: skip
    """The best exchange of every type of host with two cells, those of wide items included.

    A wide item takes its units and memory on both cells. Without `weight` the cells meet only in
    wide items, and exchanges without any are left to `exchange_cells`.

    Parameters
    ----------
    cells, group
        (P, 2) types of the cells, and (P,) row of what wide items may enter.
    room, row, cell_group, low, safe, out, into, gain
        As in `exchange_cells`.
    out_wide, into_wide
        (P, A + 1) of `release` and (G, M + 2, B + 1) of `earn`, exact, for wide items.
    frees, takes
        (P, A + 1) and (B + 1,) see `host_then`.
    weight, parts
        (N,) value of a block of each kind that takes a part on both cells, and (N, T, low + A + 1)
        how many such parts a type of cell has after a change.
    best, how
        (P,) the value and (P, 8) the units and memory (wide out, wide in, row of these, out and in
        of the two cells, and how much less memory their newcomers have), to be filled.
    """
    left, right = np.empty(gain.shape[1]), np.empty(gain.shape[1])
    at, kept = np.zeros(2, np.int64), np.zeros(6, np.int64)
    for p in range(len(cells)):
        one, two = cells[p, 0], cells[p, 1]
        if safe:
            best[p] = host_now(
                p, one, two, group[p], room, row, cell_group, low, out, into, out_wide, into_wide,
                gain, weight, parts, left, right, at, kept,
            )  # fmt: skip
        else:
            best[p] = host_then(
                p, one, two, group[p], room, row, cell_group, low, out, into, out_wide, into_wide,
                frees, takes, gain, weight, parts, left, right, at, kept,
            )  # fmt: skip
        if best[p] <= NEVER / 2:
            best[p] = NEVER
            continue
        how[p, :3], how[p, 7] = kept[:3], kept[5]
        shift = -kept[1] if safe else kept[0] - kept[1]
        for side in range(2):
            t = cells[p, side]
            split(
                kept[3 + side], room[t], shift, low, safe, out[t], into[cell_group[t]], row[t],
                kept[5], how[p, 3 + 2 * side :],
            )  # fmt: skip
