"""A local search over the nodes of tasks and their order.

Where no task waits for another and no link for its turn, what a node does follows from its own
tasks alone: a step then builds only the two nodes that it touches again. That is exact, the same
steps are taken as with whole schedules, and it costs as much in a plan of 200 tasks on 64 nodes as
in a small one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .annealing import draw
from .jit import jit
from .schedules import (
    ASLEEP,
    ENERGY,
    FITS,
    WAKE,
    WOKEN,
    Ints,
    Lines,
    Tables,
    clear_row,
    count,
    decode,
    goals,
    run,
)

Stream = npt.NDArray[np.uint64]

NEAR = 8  # positions that a task moves at most in the order, in one step of the search
TASK, OLD, OTHER, WAS, AT, TO = range(6)  # of a step: a task and its node before, twice; places


@jit
def below(one: Ints, two: Ints, weights: Ints, equal: bool) -> bool:
    """Whether values `one` are better than `two`, level by level; `equal` says what of equals."""
    for k in range(weights.shape[0]):
        change = 0
        for g in range(4):
            change += weights[k, g] * (one[g] - two[g])
        if change != 0:
            return bool(change < 0)
    return equal


@jit
def apart(p: Tables) -> bool:
    """Whether what a node does follows from its own tasks: none waits for others, or on links."""
    return p.first.shape[0] == 0 and p.route.shape[2] == 0


@jit
def climb(
    p: Tables,
    s: Lines,
    order: Ints,
    choice: Ints,
    values: Ints,
    weights: Ints,
    steps: int,
    stream: Stream,
) -> int:
    """Change the node of a task, its place in the order, or swap two nodes, while nothing worsens.

    Changes `order`, `choice` and `values` in place; `s` is worked in and holds no schedule after.
    Returns how often something became better.
    """
    _, tasks, nodes = p.pair.shape
    parted = apart(p)
    if parted:
        decode(p, s, order, choice)
    new, step, better = np.empty(4, np.int64), np.empty(6, np.int64), 0
    woken, again, many = s.host[WOKEN, :nodes].copy(), np.empty((6, tasks), np.int64), 0
    for _ in range(steps):
        if not _change(p, order, choice, stream, step):
            continue
        one, two = step[OLD], choice[step[TASK]]
        if parted:
            new[:] = values
            many = _again(p, s, order, choice, step, one, two, woken, again, new)
        else:
            decode(p, s, order, choice)
            goals(p, s, new)
        if not below(new, values, weights, True):
            _undo(order, choice, step)
            for n in range(many):
                i = again[0, n]
                s.node[i], s.start[i], s.sent[i] = again[2, n], again[3, n], again[4, n]
            continue
        better += below(new, values, weights, False)
        values[:] = new
        for j in (one, two):
            if j >= 0:
                woken[j] = s.host[WOKEN, j]
    return better


@jit
def _change(p: Tables, order: Ints, choice: Ints, stream: Stream, step: Ints) -> bool:
    """Draw a change and make it; (6,) `step` remembers it. False: there is nothing to try."""
    _, tasks, nodes = p.pair.shape
    kind, at = draw(stream), int(draw(stream) * tasks)
    i = order[at]
    old, other, was, to = choice[i], i, choice[i], at
    if kind < 0.5:
        new = int(draw(stream) * nodes)
        if new == old or not p.pair[FITS, i, new]:
            return False
        choice[i] = new
    elif kind < 0.7:
        other = order[int(draw(stream) * tasks)]
        was = choice[other]
        if was == old:
            return False
        choice[i], choice[other] = was, old
    else:
        to = at + int(draw(stream) * (2 * NEAR + 1)) - NEAR
        to = min(max(to, 0), tasks - 1)
        if to == at:
            return False
        _shift(order, at, to)
    step[TASK], step[OLD], step[OTHER], step[WAS], step[AT], step[TO] = i, old, other, was, at, to
    return True


@jit
def _undo(order: Ints, choice: Ints, step: Ints) -> None:
    """Take a change back."""
    if step[TO] != step[AT]:
        _shift(order, step[TO], step[AT])
    choice[step[TASK]] = step[OLD]
    if step[OTHER] != step[TASK]:
        choice[step[OTHER]] = step[WAS]


@jit
def _shift(order: Ints, at: int, to: int) -> None:
    """Move one task to another place in the order."""
    task = order[at]
    if at < to:
        for k in range(at, to):
            order[k] = order[k + 1]
    else:
        for k in range(at, to, -1):
            order[k] = order[k - 1]
    order[to] = task


@jit
def _again(
    p: Tables, s: Lines, order: Ints, choice: Ints, step: Ints, one: int, two: int, woken: Ints,
    again: Ints, values: Ints,
) -> int:  # fmt: skip
    """Build the nodes `one` and `two` again, -1: none, and put right what changes in `values`.

    (6, I) `again` receives the tasks, their nodes, where and when they were placed and sent, and
    when they begin now; `woken` is when the nodes were woken before. Returns how many tasks it is.
    """
    many = 0
    for i in order:
        j = choice[i]
        if (j >= 0 and j in (one, two)) or i in (step[TASK], step[OTHER]):
            again[0, many], again[1, many] = i, j
            again[2, many], again[3, many], again[4, many] = s.node[i], s.start[i], s.sent[i]
            many += 1
    tasks = again[0, :many]
    count(p, s, tasks, -1, values)
    for i in tasks:
        s.node[i] = s.start[i] = s.sent[i] = -1
    for j in (one, two if one != two else -1):
        if j >= 0:
            clear_row(s, j)
            values[ENERGY] -= p.node[WAKE, j] * (p.node[ASLEEP, j] and woken[j] >= 0)
    run(p, s, tasks, again[1, :many], True, again[5])
    for j in (one, two if one != two else -1):
        if j >= 0:
            values[ENERGY] += p.node[WAKE, j] * (p.node[ASLEEP, j] and s.host[WOKEN, j] >= 0)
    count(p, s, tasks, 1, values)
    return many
