"""Migrations one by one, many placements at a time: the loop behind the environment and the agents.

A *row* is one placement in the making as flat int64 numbers, tables and live values alike, so that
a batch is a matrix, a reset is a copy, and two states are equal if their rows are. The head of a
row holds sizes, live scalars and where the arrays begin; `simulate.migration` writes it.

A migration is two steps: the *group* that gives an item (a class of items at its source), then the
cell that receives it (items on two cells: the first cell of the host). What may follow is written
as a mask over all groups, all cells and the stop, and what a policy looks at as three tables of
which only the rows of the two hosts concerned are written anew.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .jit import jit

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Head: sizes, settings, live scalars, then where each array begins.
CELLS, HOSTS, KINDS, GROUPS, CLASSES, TERMS, LEVELS, SAFE, LIMIT, UNIT, SIZE, OTHER = range(12)
MADE, CHOSEN, OVER = range(12, 15)
HOST_FIRST, CELL_HOST, DRAIN, CAPACITY, DEMAND, NEED, TIER, OPEN = range(15, 23)
GROUP_CLASS, GROUP_CELL, GROUP_OTHER, GROUP_FIRST = range(23, 27)
TERM, GOAL, WEIGHT, FEED_FIRST, FEED, CHECK_FIRST, CHECK, SLOT, HAS_KEY = range(27, 36)
FREE, ROOM, COUNT, TALLY, TOTAL, HISTOGRAM = range(36, 42)
HEAD = 48

FRAGMENTS, MOVED, DRAINED = range(3)  # kinds of terms; others do not change
TERM_WIDE = 6  # kind, weight, tier, resource, size, cells; then the level
BINS = 17
CELL_WIDE, GROUP_WIDE = 10, 12
TASK_WIDE = 4 + GROUP_WIDE + 3 * BINS

LEGAL, ILLEGAL, FINISHED = 0, 1, 2


@jit
def host_value(row: Ints, host: int, level: int) -> int:
    """What the cells of a host add to a level."""
    first, last = row[row[HOST_FIRST] + host], row[row[HOST_FIRST] + host + 1]
    kinds, total = row[KINDS], 0
    for t in range(row[TERMS]):
        term = row[TERM] + t * (TERM_WIDE + 1)
        if row[term] != FRAGMENTS or row[term + TERM_WIDE] != level:
            continue
        resource, size, cells = row[term + 3], row[term + 4], row[term + 5]
        wasted, fewest = 0, np.int64(1) << 62
        for cell in range(first, last):
            free = max(row[row[FREE] + cell * kinds + resource], 0)
            fewest = min(fewest, free // size)
            wasted += free % size if cells == 1 else free
        if cells == 2 and last - first == 2:
            wasted -= 2 * size * fewest
        total += row[term + 1] * wasted
    return total


@jit
def value(row: Ints) -> int:
    """The scalarised objective."""
    total = 0
    for level in range(row[LEVELS]):
        above = max(row[row[TOTAL] + level] - row[row[GOAL] + level], 0)
        total += row[row[WEIGHT] + level] * above
    return total


@jit
def barred(row: Ints, group: int, host: int) -> bool:
    """Whether a limit keeps the items of a group off a host."""
    hosts, k = row[HOSTS], row[row[GROUP_CLASS] + group]
    source = row[row[CELL_HOST] + row[row[GROUP_CELL] + group]]
    for at in range(row[row[CHECK_FIRST] + k], row[row[CHECK_FIRST] + k + 1]):
        check = (
            row[CHECK] + 5 * at
        )  # offset of the counts, view, row of HAS_KEY, most others, feeds
        if not row[row[HAS_KEY] + row[check + 2] * hosts + host]:
            continue
        view = row[SLOT] + row[check + 1] * hosts
        others = row[row[TALLY] + row[check] + row[view + host]]
        if row[check + 4] and row[view + host] == row[view + source]:
            others -= 1
        if others > row[check + 3]:
            return True
    return False


@jit
def has_room(row: Ints, k: int, cell: int) -> bool:
    """Whether an item of a class may take this cell, as far as it and its host are concerned."""
    kinds = row[KINDS]
    if not row[row[OPEN] + k * row[CELLS] + cell]:
        return False
    for s in range(kinds):
        demand = row[row[DEMAND] + k * kinds + s]
        if demand > 0 and demand > row[row[ROOM] + cell * kinds + s]:
            return False
    return True


@jit
def may_take(row: Ints, group: int, cell: int) -> bool:
    """Whether an item of a group may move to a cell (of two: the first of the host)."""
    k = row[row[GROUP_CLASS] + group]
    source, host = row[row[GROUP_CELL] + group], row[row[CELL_HOST] + cell]
    if cell == source or not has_room(row, k, cell):
        return False
    if row[row[NEED] + k] == 2:
        first = row[row[HOST_FIRST] + host]
        if cell != first or row[row[HOST_FIRST] + host + 1] - first != 2:
            return False
        if row[row[CELL_HOST] + source] == host or not has_room(row, k, cell + 1):
            return False
    return not barred(row, group, host)


@jit
def write_mask(row: Ints, mask: Bools, groups: int, cells: int) -> None:
    """Fill the mask (groups + cells + 1,): all groups, all cells, stop."""
    mask[:] = False
    if row[OVER]:
        return
    if row[CHOSEN] >= 0:
        for cell in range(row[CELLS]):
            mask[groups + cell] = may_take(row, row[CHOSEN], cell)
        return
    mask[groups + cells] = True
    if row[MADE] >= row[LIMIT]:
        return
    if row[row[CHECK_FIRST] + row[CLASSES]] > 0:
        for group in range(row[GROUPS]):
            for cell in range(row[CELLS] if row[row[COUNT] + group] > 0 else 0):
                if may_take(row, group, cell):
                    mask[group] = True
                    break
        return
    # Without limits all groups of a class have the same ways in, but for their own cells: two ways
    # are enough for every group, one for those that are not there.
    ways = np.full((row[CLASSES], 2), -1)
    for k in range(row[CLASSES]):
        found = 0
        for cell in range(row[CELLS]):
            if has_room(row, k, cell) and (row[row[NEED] + k] == 1 or _pair(row, k, cell)):
                ways[k, found] = cell
                found += 1
                if found == 2:
                    break
    for group in range(row[GROUPS]):
        k = row[row[GROUP_CLASS] + group]
        if row[row[COUNT] + group] > 0 and ways[k, 0] >= 0:
            mask[group] = ways[k, 1] >= 0 or may_take(row, group, ways[k, 0])


@jit
def _pair(row: Ints, k: int, cell: int) -> bool:
    """Whether an item on two cells may take this one and the next."""
    host = row[row[CELL_HOST] + cell]
    first = row[row[HOST_FIRST] + host]
    two = row[row[HOST_FIRST] + host + 1] - first == 2
    return bool(two and cell == first and has_room(row, k, cell + 1))


@jit
def _bin(part: int, size: int) -> int:
    return min((part * (BINS - 1)) // size, BINS - 1)


@jit
def count_host(row: Ints, host: int, sign: int) -> None:
    """Add a host to the three histograms, or take it off.

    By sixteenths of a block: the rest of cells, what of it may be taken, and, by what they use,
    the items whose leaving completes a block.
    """
    kinds, unit, size = row[KINDS], row[UNIT], row[SIZE]
    for cell in range(row[row[HOST_FIRST] + host], row[row[HOST_FIRST] + host + 1]):
        rest = max(row[row[FREE] + cell * kinds + unit], 0) % size
        room = max(row[row[ROOM] + cell * kinds + unit], 0)
        row[row[HISTOGRAM] + _bin(rest, size)] += sign
        row[row[HISTOGRAM] + BINS + _bin(min(rest, room), size)] += sign
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
        line[9] = 1.0
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
    line[11] = 1.0


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
    left = row[LIMIT] - row[MADE]
    chosen = row[CHOSEN]
    task[0] = chosen >= 0
    task[1] = min(np.log1p(max(left, 0)) / 6, 1.0)
    task[2] = max(left, 0) / max(row[LIMIT], 1)
    task[3] = min(np.log1p(row[HOSTS]) / 9, 1.0)
    for at in range(GROUP_WIDE):
        task[4 + at] = groups[chosen, at] if chosen >= 0 else 0.0
    for at in range(3 * BINS):
        task[4 + GROUP_WIDE + at] = min(np.log1p(row[row[HISTOGRAM] + at]) / 9, 1.0)


@jit
def _shift(row: Ints, k: int, cell: int, sign: int, entered: bool) -> None:
    """An item of a class enters a cell (-1) or leaves it (+1)."""
    kinds = row[KINDS]
    for s in range(kinds):
        demand = row[row[DEMAND] + k * kinds + s]
        row[row[FREE] + cell * kinds + s] += sign * demand
        if entered or not row[SAFE]:
            row[row[ROOM] + cell * kinds + s] += sign * demand


@jit
def _feed(row: Ints, k: int, host: int, step: int) -> None:
    for at in range(row[row[FEED_FIRST] + k], row[row[FEED_FIRST] + k + 1]):
        feed = row[FEED] + 2 * at  # offset of the counts, view
        slot = row[row[SLOT] + row[feed + 1] * row[HOSTS] + host]
        row[row[TALLY] + row[feed] + slot] += step


@jit
def migrate(row: Ints, cell: int, cells: Floats, groups: Floats) -> None:
    """Move an item of the chosen group to a cell, and write the rows of both hosts."""
    group = row[CHOSEN]
    k, source, twin = (
        row[row[GROUP_CLASS] + group],
        row[row[GROUP_CELL] + group],
        row[row[GROUP_OTHER] + group],
    )
    left, entered = row[row[CELL_HOST] + source], row[row[CELL_HOST] + cell]
    for level in range(row[LEVELS]):
        row[row[TOTAL] + level] -= host_value(row, left, level)
        if entered != left:
            row[row[TOTAL] + level] -= host_value(row, entered, level)
    count_host(row, left, -1)
    if entered != left:
        count_host(row, entered, -1)
    row[row[COUNT] + group] -= 1
    _shift(row, k, source, 1, False)
    _shift(row, k, cell, -1, True)
    if twin >= 0:
        _shift(row, k, twin, 1, False)
        _shift(row, k, cell + 1, -1, True)
    if entered != left:
        _feed(row, k, entered, 1)
        if not row[SAFE]:
            _feed(row, k, left, -1)
    for level in range(row[LEVELS]):
        row[row[TOTAL] + level] += host_value(row, left, level)
        if entered != left:
            row[row[TOTAL] + level] += host_value(row, entered, level)
    for t in range(row[TERMS]):
        term = row[TERM] + t * (TERM_WIDE + 1)
        at = row[TOTAL] + row[term + TERM_WIDE]
        if row[term + 2] >= 0 and row[term + 2] != row[row[TIER] + k]:
            continue
        if row[term] == MOVED:
            row[at] += row[term + 1]
        elif row[term] == DRAINED:
            gone = row[row[DRAIN] + left] - row[row[DRAIN] + entered]
            row[at] -= row[term + 1] * gone
    count_host(row, left, 1)
    write_host(row, left, cells, groups)
    if entered != left:
        count_host(row, entered, 1)
        write_host(row, entered, cells, groups)
    row[MADE] += 1
    row[CHOSEN] = -1


@jit
def show(row: Ints, cells: Floats, groups: Floats, task: Floats, mask: Bools) -> None:
    """Write everything a policy sees of a row, from nothing."""
    cells[:] = 0.0
    groups[:] = 0.0
    for host in range(row[HOSTS]):
        write_host(row, host, cells, groups)
    write_task(row, task, groups)
    write_mask(row, mask, len(groups), len(cells))


@jit
def step(
    rows: Ints, actions: Ints, cells: Floats, groups: Floats, tasks: Floats, masks: Bools,
    gains: Ints, ends: Ints,
) -> None:  # fmt: skip
    """One step of every row.

    Parameters
    ----------
    rows
        (N, L).
    actions
        (N,) a group, the number of groups plus a cell, or the last one: stop. All by the padded
        sizes of `groups` and `cells`.
    cells, groups, tasks, masks
        (N, C, CELL_WIDE), (N, G, GROUP_WIDE), (N, TASK_WIDE) and (N, G + C + 1), brought up to
        date.
    gains, ends
        (N,) by how much the scalarised objective fell, and LEGAL, ILLEGAL (nothing was done) or
        FINISHED (no step follows).
    """
    for n in range(len(rows)):
        row, action = rows[n], actions[n]
        many = groups.shape[1]
        gains[n] = 0
        ends[n] = ILLEGAL
        if action < 0 or action >= masks.shape[1] or not masks[n, action]:
            continue
        if action == masks.shape[1] - 1:
            row[OVER] = 1
        elif row[CHOSEN] < 0:
            row[CHOSEN] = action
        else:
            before = value(row)
            migrate(row, action - many, cells[n], groups[n])
            gains[n] = before - value(row)
            row[OVER] = row[MADE] >= row[LIMIT]
        write_task(row, tasks[n], groups[n])
        write_mask(row, masks[n], many, cells.shape[1])
        ends[n] = FINISHED if row[OVER] else LEGAL


@jit
def distinct(table: Floats, mark: Bools, number: Ints, first: Ints) -> int:
    """Number the distinct rows of a table, in the order of their first appearance.

    Parameters
    ----------
    table, mark
        (N, W) finite, and (N,): rows that differ in their mark are different.
    number, first
        (N,) to be filled: the number of each row, and the first row of each number.
    """
    count, wide, size = len(table), table.shape[1], 16
    while size < 2 * count:
        size *= 2
    slots = np.full(size, -1)
    many = 0
    for n in range(count):
        code = 1469598103 + int(mark[n])
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
