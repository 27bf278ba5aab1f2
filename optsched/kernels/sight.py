"""What a policy sees of a placement in the making: see `kernels.layout` for the columns."""

from __future__ import annotations

import numpy as np

from .jit import jit
from .layout import (
    BINS,
    CAPACITY,
    CELL_HOST,
    CELL_TIMES,
    CHOSEN,
    CHOSEN_AT,
    COUNT,
    DEMAND,
    DRAIN,
    EXCESS,
    FEW,
    FREE,
    GROUP_CELL,
    GROUP_CLASS,
    GROUP_FIRST,
    GROUP_OTHER,
    GROUP_TIMES,
    GROUP_WIDE,
    HISTOGRAM,
    HISTOGRAM_AT,
    HISTOGRAMS,
    HOST_FIRST,
    HOSTS,
    KINDS,
    LIMIT,
    MADE,
    OTHER,
    ROOM,
    SIZE,
    UNIT,
    Floats,
    Ints,
)

_EXACT = 32  # migrations left up to which their number is shown as it is


@jit
def excess(row: Ints, cell: int, items: int) -> int:
    """By how little the rest exceeds a block once one or two items of the cell have left.

    -1: never. Whole blocks of what an item uses do not count: they are lost where it goes.
    """
    kinds, unit, size = row[KINDS], row[UNIT], row[SIZE]
    rest = max(row[row[FREE] + cell * kinds + unit], 0) % size
    host, least = row[row[CELL_HOST] + cell], -1
    first, last = row[row[GROUP_FIRST] + host], row[row[GROUP_FIRST] + host + 1]
    for one in range(first, last):
        count = row[row[COUNT] + one]
        if count == 0 or (
            row[row[GROUP_CELL] + one] != cell and row[row[GROUP_OTHER] + one] != cell
        ):
            continue
        part = row[row[DEMAND] + row[row[GROUP_CLASS] + one] * kinds + unit] % size
        if part == 0:
            continue
        if items == 1:
            over = rest + part - size
            if over >= 0 and (least < 0 or over < least):
                least = over
            continue
        for other in range(one, last):
            if row[row[COUNT] + other] <= int(other == one):
                continue
            if row[row[GROUP_CELL] + other] != cell and row[row[GROUP_OTHER] + other] != cell:
                continue
            more = row[row[DEMAND] + row[row[GROUP_CLASS] + other] * kinds + unit] % size
            over = rest + part + more - size
            if more > 0 and over >= 0 and (least < 0 or over < least):
                least = over
    return min(least, size - 1)


@jit
def measure_host(row: Ints, host: int) -> None:
    """Keep the excesses of the cells of a host in the row, where the others read them."""
    for cell in range(row[row[HOST_FIRST] + host], row[row[HOST_FIRST] + host + 1]):
        row[row[EXCESS] + 2 * cell] = excess(row, cell, 1)
        row[row[EXCESS] + 2 * cell + 1] = excess(row, cell, 2)


@jit
def _bin(part: int, size: int) -> int:
    return min((part * (BINS - 1)) // size, BINS - 1)


@jit
def count_host(row: Ints, host: int, sign: int) -> None:
    """Add a host to the histograms, or take it off."""
    kinds, unit, size = row[KINDS], row[UNIT], row[SIZE]
    first, last = row[row[HOST_FIRST] + host], row[row[HOST_FIRST] + host + 1]
    both = size
    for cell in range(first, last):
        rest = max(row[row[FREE] + cell * kinds + unit], 0) % size
        room = max(row[row[ROOM] + cell * kinds + unit], 0)
        row[row[HISTOGRAM] + _bin(rest, size)] += sign
        row[row[HISTOGRAM] + BINS + _bin(min(rest, room), size)] += sign
        both = min(both, rest, room)
        over = row[row[EXCESS] + 2 * cell]
        if over >= 0:
            row[row[HISTOGRAM] + 3 * BINS + _bin(over, size)] += sign
        else:
            over = row[row[EXCESS] + 2 * cell + 1]
            if over >= 0:
                row[row[HISTOGRAM] + 4 * BINS + _bin(over, size)] += sign
    if last - first == 2:
        row[row[HISTOGRAM] + 5 * BINS + _bin(both, size)] += sign
    for group in range(row[row[GROUP_FIRST] + host], row[row[GROUP_FIRST] + host + 1]):
        count = row[row[COUNT] + group]
        units = row[row[DEMAND] + row[row[GROUP_CLASS] + group] * kinds + unit]
        free = max(row[row[FREE] + row[row[GROUP_CELL] + group] * kinds + unit], 0)
        if count > 0 and (free + units) // size > free // size:
            row[row[HISTOGRAM] + 2 * BINS + _bin(units, size)] += sign * count


@jit
def _part(units: int, size: int, most: int) -> float:
    """Units in parts of `most` blocks, between 0 and 1."""
    return min(max(units, 0), most * size) / (most * size)


@jit
def _alike(row: Ints, amount: int, cell: int) -> int:
    """An amount of the other resource in units, by the capacity of a cell."""
    kinds = row[KINDS]
    if row[OTHER] < 0:
        return 1 << 20
    whole = max(row[row[CAPACITY] + cell * kinds + row[OTHER]], 1)
    return int(max(amount, 0) * row[row[CAPACITY] + cell * kinds + row[UNIT]] // whole)


@jit
def write_host(row: Ints, host: int, cells: Floats, groups: Floats) -> None:
    """Write what a policy sees of a host: its cells and the groups on it."""
    kinds, unit, size, other = row[KINDS], row[UNIT], row[SIZE], row[OTHER]
    first, last = row[row[HOST_FIRST] + host], row[row[HOST_FIRST] + host + 1]
    for cell in range(first, last):
        free = max(row[row[FREE] + cell * kinds + unit], 0)
        room = row[row[ROOM] + cell * kinds + unit]
        line = cells[cell]
        line[0] = (free % size) / size
        line[1] = min(free // size, 4) / 4
        line[2] = _part(room, size, 2)
        line[3] = _part(min(free % size, room), size, 1)
        spare = row[row[ROOM] + cell * kinds + max(other, 0)]
        line[4] = _part(_alike(row, spare, cell), size, 2)
        line[5] = line[6] = line[7] = 0.0
        if last - first == 2:
            twin = first + last - 1 - cell
            line[5] = (max(row[row[FREE] + twin * kinds + unit], 0) % size) / size
            line[6] = _part(row[row[ROOM] + twin * kinds + unit], size, 2)
            line[7] = 1.0
        line[8] = row[row[DRAIN] + host]
        one, two = row[row[EXCESS] + 2 * cell], row[row[EXCESS] + 2 * cell + 1]
        line[9] = one / size if one >= 0 else 1.0
        line[10] = two / size if two >= 0 else 1.0
        line[11] = 0.0
        line[12] = 1.0
    for group in range(row[row[GROUP_FIRST] + host], row[row[GROUP_FIRST] + host + 1]):
        _write_group(row, group, groups[group])


@jit
def _write_group(row: Ints, group: int, line: Floats) -> None:
    kinds, unit, size = row[KINDS], row[UNIT], row[SIZE]
    k, cell = row[row[GROUP_CLASS] + group], row[row[GROUP_CELL] + group]
    twin, count = row[row[GROUP_OTHER] + group], row[row[COUNT] + group]
    if count == 0:
        line[:] = 0.0
        return
    units = row[row[DEMAND] + k * kinds + unit]
    free = max(row[row[FREE] + cell * kinds + unit], 0)
    then = free + units
    gained = then // size - free // size
    line[0] = _part(units, size, 2)
    line[1] = (free % size) / size
    line[2] = (then % size) / size
    line[4] = line[5] = line[6] = 0.0
    if twin >= 0:
        beside = max(row[row[FREE] + twin * kinds + unit], 0)
        gained += (beside + units) // size - beside // size
        line[4] = 1.0
        line[5] = (beside % size) / size
        line[6] = ((beside + units) % size) / size
    line[3] = min(gained, 4) / 4
    amount = row[row[DEMAND] + k * kinds + max(row[OTHER], 0)]
    line[7] = _part(_alike(row, amount, cell), size, 2)
    line[8] = min(np.log1p(count) / 3, 1.0)
    line[9] = min(free // size, 4) / 4
    line[10] = _second(row, group, cell, free % size + units)
    line[11] = 0.0
    line[12] = 1.0


@jit
def _second(row: Ints, group: int, cell: int, rest: int) -> float:
    """By how little another item on the cell, leaving too, exceeds a block; 1 where none does."""
    kinds, unit, size = row[KINDS], row[UNIT], row[SIZE]
    host, least = row[row[CELL_HOST] + cell], size
    for other in range(row[row[GROUP_FIRST] + host], row[row[GROUP_FIRST] + host + 1]):
        same = row[row[GROUP_CELL] + other] == cell or row[row[GROUP_OTHER] + other] == cell
        if not same or row[row[COUNT] + other] <= int(other == group):
            continue
        units = row[row[DEMAND] + row[row[GROUP_CLASS] + other] * kinds + unit]
        over = rest % size + units - size
        if 0 <= over < least:
            least = over
    return least / size


@jit
def write_task(row: Ints, task: Floats, groups: Floats) -> None:
    """Write what a policy sees of the whole: phase, moves left, the chosen group, histograms."""
    left = max(row[LIMIT] - row[MADE], 0)
    chosen = row[CHOSEN]
    task[0] = chosen >= 0
    task[1] = min(np.log1p(left) / 6, 1.0)
    task[2] = left / max(row[LIMIT], 1)
    task[3] = min(np.log1p(row[HOSTS]) / 9, 1.0)
    task[4] = min(left, _EXACT) / _EXACT
    for at in range(GROUP_WIDE):
        task[CHOSEN_AT + at] = groups[chosen, at] if chosen >= 0 else 0.0
    for at in range(HISTOGRAMS * BINS):
        count = row[row[HISTOGRAM] + at]
        task[HISTOGRAM_AT + at] = min(np.log1p(count) / 9, 1.0)
        task[HISTOGRAM_AT + HISTOGRAMS * BINS + at] = min(count, FEW) / FEW


@jit
def distinct(table: Floats, mark: Ints, number: Ints, first: Ints) -> int:
    """Number the distinct rows of a table, in the order of their first appearance.

    Parameters
    ----------
    table, mark
        (N, W) finite, and (N,): rows that differ in their mark are different, those of a negative
        mark are left out.
    number, first
        (N,) to be filled: the number of each row (-1: left out), and the first row of each number.
    """
    count, wide, size = len(table), table.shape[1], 16
    while size < 2 * count:
        size *= 2
    slots = np.full(size, -1)
    many = 0
    for n in range(count):
        number[n] = -1
        if mark[n] < 0:
            continue
        code = 1469598103 + mark[n]
        for w in range(wide):
            # 40 bits times 20 bits: no overflow, in compiled code or without.
            code = ((code ^ int(table[n, w] * 1048576)) * 1000003) & 0xFFFFFFFFFF
            code ^= code >> 17
        at = code & (size - 1)
        while slots[at] >= 0:
            other = first[slots[at]]
            same = mark[other] == mark[n]
            for w in range(wide):
                same = same and table[other, w] == table[n, w]
            if same:
                break
            at = (at + 1) & (size - 1)
        if slots[at] < 0:
            slots[at] = many
            first[many] = n
            many += 1
        number[n] = slots[at]
    return many


@jit
def look_cells(
    real: int, wide: bool, cells: Floats, mask: np.ndarray, out: Floats, bias: Floats,
    actions: Ints, alike: Ints, many: int, top: int,
) -> int:  # fmt: skip
    """The cells of `look`, of which the first `real` are there; how many distinct ones there are.

    Theirs are the actions from `many` on, and the choices after `top`, which stops.
    """
    count = len(cells)
    seen = cells.copy()
    mark, number = np.zeros(count, np.int64), np.empty(count, np.int64)
    first = np.empty(count, np.int64)
    for cell in range(count):
        if not wide:
            seen[cell, 5] = seen[cell, 6] = seen[cell, 7] = 0.0
        mark[cell] = mask[cell] if cell < real else -1
    found = min(distinct(seen, mark, number, first), len(out))
    times = np.zeros(len(out))
    for cell in range(count):
        if 0 <= number[cell] < found:
            times[number[cell]] += 1
            if mask[cell]:
                alike[many + cell] = top + 1 + number[cell]
    out[:] = 0.0
    bias[:] = -1e8
    for at in range(found):
        out[at] = seen[first[at]]
        bias[at] = np.log(times[at])
        out[at, CELL_TIMES] = min(bias[at] / 7, 1.0)
        if mask[first[at]]:
            actions[top + 1 + at] = many + first[at]
    return found


@jit
def look_groups(groups: Floats, mask: np.ndarray, lines: Floats, actions: Ints, alike: Ints) -> int:
    """The groups of `look` that may be chosen; how many distinct ones there are."""
    many = len(groups)
    mark, number = np.zeros(many, np.int64), np.empty(many, np.int64)
    first = np.empty(many, np.int64)
    for group in range(many):
        mark[group] = 0 if mask[group] else -1
    lead = min(distinct(groups, mark, number, first), len(lines))
    counts = np.zeros(len(lines))
    for group in range(many):
        if 0 <= number[group] < lead:
            counts[number[group]] += 1
            alike[group] = number[group]
    for at in range(lead):
        lines[at] = groups[first[at]]
        lines[at, GROUP_TIMES] = min(np.log(counts[at]) / 7, 1.0)
        actions[at] = first[at]
    return lead


@jit
def look(
    row: Ints, cells: Floats, groups: Floats, mask: np.ndarray, out: Floats, bias: Floats,
    lines: Floats, actions: Ints, alike: Ints, sizes: Ints,
) -> None:  # fmt: skip
    """What a policy sees of a state with equal rows merged, and its choices.

    Columns about the other cell of a host are left out, so that more rows are equal, unless the
    chosen group is on two cells.

    Parameters
    ----------
    cells, groups, mask
        As `migration.step` keeps them.
    out, bias
        (C, CELL_WIDE) and (C,): distinct cells, and the logarithm of how many each stands for;
        padding is zeros with a bias of -1e8.
    lines
        (G, GROUP_WIDE): in the first phase the distinct groups that may be chosen.
    actions
        (G + 1 + C,) an action for every choice: a line, the stop, a cell; -1: not allowed.
    alike
        (G + C + 1,) the choice that every action is equal to, -1: not allowed.
    sizes
        (2,) how many lines and cells there are.
    """
    many, count, top = len(groups), len(cells), len(lines)
    chosen = row[CHOSEN]
    actions[:] = -1
    alike[:] = -1
    real = row[row[HOST_FIRST] + row[HOSTS]]
    wide = chosen >= 0 and row[row[GROUP_OTHER] + chosen] >= 0
    sizes[1] = look_cells(real, wide, cells, mask[many:], out, bias, actions, alike, many, top)
    lines[:] = 0.0
    sizes[0] = 0
    if chosen >= 0:
        return
    sizes[0] = look_groups(groups, mask, lines, actions, alike)
    if mask[many + count]:
        actions[top] = many + count
        alike[many + count] = top
