"""Hot loops, compiled by numba where it is installed; without it the same functions run plain."""

from __future__ import annotations

import numpy as np


def warm() -> None:
    """Compile every kernel, or load what was compiled before.

    Once after an installation this takes some twenty seconds, later a fraction of one. Without
    numba there is nothing to do.
    """
    from .annealing import anneal
    from .jit import COMPILED
    from .pricing import best_pattern, patterns_above

    if not COMPILED:
        return
    ones, none, long = np.ones(1), np.zeros((0, 1)), np.zeros(1, np.int64)
    anneal(
        np.ones((1, 1)), np.ones((1, 1)), long, np.ones((1, 1), bool), long - 1, long - 1, ones,
        ones, ones, 1.0, np.zeros((1, 1)), long.copy(), np.inf, 1.0, 0.5, 1,
        np.ones(1, np.uint64),
    )  # fmt: skip
    empty = np.zeros(0, np.int64)
    best_pattern(ones, none, empty, empty, 0, 1, np.zeros((1, 0), np.int64))
    patterns_above(ones, none, empty, empty, empty, 0, 1, np.zeros((1, 0), np.int64))
    _warm_fragments()


def warm_migration() -> None:
    """Those of single migrations: only environments and agents need them."""
    from . import layout, migration, sight

    rows = np.zeros((1, layout.HEAD + layout.HISTOGRAMS * layout.BINS + 2), np.int64)
    rows[:, layout.HOST_FIRST :] = layout.HEAD
    rows[:, layout.SIZE] = rows[:, layout.OVER] = 1
    cells = np.zeros((1, 1, layout.CELL_WIDE), np.float32)
    groups = np.zeros((1, 1, layout.GROUP_WIDE), np.float32)
    tasks, masks = np.zeros((1, layout.TASK_WIDE), np.float32), np.zeros((1, 3), bool)
    one, three = np.zeros(1, np.int64), np.zeros((1, 3), np.int64)
    sight.measure_host(rows[0], 0)
    sight.count_host(rows[0], 0, 1)
    migration.show(rows[0], cells[0], groups[0], tasks[0], masks[0])
    migration.step(rows, one, cells, groups, tasks, masks, one.copy(), one.copy())
    migration.looks(
        rows, cells, groups, masks, cells.copy(), np.zeros((1, 1), np.float32), groups.copy(),
        three, three.copy(), np.zeros((1, 2), np.int64),
    )  # fmt: skip


def warm_schedules() -> None:
    """Those of schedules: only solvers of task problems need them."""
    from . import ants, climbing, dispatch, paths, schedules
    from .jit import COMPILED

    if not COMPILED:
        return
    one, zero, empty = np.ones((1, 1), np.int64), np.zeros(1, np.int64), np.zeros(0, np.int64)
    tables = schedules.Tables(
        np.ones((6, 1, 1), np.int64), np.ones((6, 1), np.int64), np.ones((5, 1), np.int64),
        np.zeros(2, np.int64), empty, np.zeros((0, 1, 1), np.int64), np.array([10, 0]),
        np.zeros((0, 6), np.int64), np.zeros((1, 1, 0, 3), np.int64),
    )  # fmt: skip
    lines, stream = schedules.lines(tables), np.ones(1, np.uint64)
    values, weights = np.zeros(4, np.int64), np.ones((1, 4), np.int64)
    order = ants.shuffled(np.ones(1), 1.0, zero, tables, stream)
    ones = np.ones((1, 1))
    ants.walk(tables, lines, order, ones, ones, 1.0, 1.0, stream, ones.copy())
    schedules.decode(tables, lines, zero, zero)
    dispatch.dispatch(tables, lines, zero, 0, one)
    dispatch.batch(tables, lines, zero, 0, 1)
    schedules.begins(tables, lines, zero, one.copy())
    schedules.goals(tables, lines, values)
    climbing.below(values, values, weights, True)
    climbing.climb(tables, lines, zero, zero.copy(), values, weights, 1, stream)
    task = np.ones((paths.ROWS, 1), np.int64)
    paths.sweep(task, 1, 10, 1, 1, np.zeros(2, np.int64), np.zeros(2, np.int64))
    paths.trace(task, 1, np.zeros(2, np.int64), 0, zero)


def _warm_fragments() -> None:
    """Those of exchanges, on a host with two cells of one unit and without items."""
    from . import ascent, fragment_traces, fragments

    zero, one = np.zeros(1, np.int64), np.ones(1, np.int64)
    square, pair = np.zeros((1, 1), np.int64), np.zeros((1, 2), np.int64)
    price, none = np.zeros(1), np.zeros(0)
    yes = np.ones((1, 1), bool)
    table, choice = np.empty((1, 2, 2)), np.empty((1, 2, 2), np.int64)
    fragments.earn(price, one, zero, yes, False, table, choice)
    out = np.empty((1, 2))
    fragments.release(square, one, price, out)
    gain, parts = np.zeros((1, 3)), np.zeros((0, 1, 3), np.int64)
    for safe in (True, False):
        fragments.exchange_cells(
            zero, pair + 1, zero, 1, safe, out, table, gain, np.empty(1), pair.copy()
        )
        fragments.exchange_hosts(
            pair, zero, zero, pair + 1, zero, 1, safe, out, table, out, table, pair, pair[0], gain,
            none, parts, np.empty(1), np.zeros((1, 8), np.int64),
        )  # fmt: skip
    many, gains = np.zeros((1, 2, 1), np.int64), np.zeros(1)
    fragment_traces.trace_cells(
        zero, pair, pair + 1, zero, square, one, zero, price, choice, gain, 1, many, many.copy(),
        gains,
    )  # fmt: skip
    fragment_traces.trace_hosts(
        zero, np.zeros((1, 8), np.int64), pair, zero, pair + 1, zero, 1, square,
        np.zeros((1, 0), np.int64), one, zero, price, choice, choice, gain, none, parts, 1, many,
        many.copy(), gains,
    )  # fmt: skip
    fragment_traces.multisets(one, zero, zero, 0, 0, square.copy())
    ascent.ascend(
        np.array([0, 2]), np.zeros(2, np.int64), np.zeros(2, np.int64), pair.T.copy(), square, 0, 1,
        pair.T.copy(), square.copy(), yes, zero, price, one, np.zeros(1, bool), one,
        np.empty((1, 3), np.int64),
    )  # fmt: skip
