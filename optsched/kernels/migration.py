"""Migrations one by one, many placements at a time: the loop behind the environment and the agents.

A migration is two steps: the *group* that gives an item (a class of items at its source), then the
cell that receives it (items on two cells: the first cell of the host). What may follow is written
as a mask over all groups, all cells and the stop, and what a policy looks at as three tables of
which only the rows of the two hosts concerned are written anew.
"""

from __future__ import annotations

import numpy as np

from .jit import jit
from .layout import (
    CELL_HOST,
    CELLS,
    CHECK,
    CHECK_FIRST,
    CHOSEN,
    CLASSES,
    COUNT,
    DEMAND,
    DRAIN,
    DRAINED,
    FEED,
    FEED_FIRST,
    FINISHED,
    FRAGMENTS,
    FREE,
    GOAL,
    GROUP_CELL,
    GROUP_CLASS,
    GROUP_OTHER,
    GROUPS,
    HAS_KEY,
    HOST_FIRST,
    HOSTS,
    ILLEGAL,
    KINDS,
    LEGAL,
    LEVELS,
    LIMIT,
    MADE,
    MOVED,
    NEED,
    OPEN,
    OVER,
    ROOM,
    SAFE,
    SLOT,
    TALLY,
    TERM,
    TERM_WIDE,
    TERMS,
    TIER,
    TOTAL,
    WEIGHT,
    Bools,
    Floats,
    Ints,
)
from .sight import count_host, look, measure_host, write_host, write_task


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
    measure_host(row, left)
    count_host(row, left, 1)
    write_host(row, left, cells, groups)
    if entered != left:
        measure_host(row, entered)
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
def looks(
    rows: Ints, cells: Floats, groups: Floats, masks: Bools, out: Floats, bias: Floats,
    lines: Floats, actions: Ints, alike: Ints, sizes: Ints,
) -> None:  # fmt: skip
    """`sight.look` of every row that goes on; the others are left as they are, with sizes of 0."""
    for n in range(len(rows)):
        sizes[n] = 0
        if not rows[n, OVER]:
            look(
                rows[n], cells[n], groups[n], masks[n], out[n], bias[n], lines[n], actions[n],
                alike[n], sizes[n],
            )  # fmt: skip
