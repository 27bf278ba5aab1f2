"""The teacher: `fragments`, from the start of an episode and from the middle of one.

A policy that only saw the teacher's own ways is lost where it leaves them. So the teacher is also
asked how it would go on from where the policy has got to (Ross et al., A Reduction of Imitation
Learning to No-Regret Online Learning, 2011).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optsched.agents.examples import Lesson
from optsched.arrays import Ints, ints
from optsched.budget import Budget
from optsched.kernels import migration as kernel
from optsched.plan import Order
from optsched.problem import PlacementProblem
from optsched.simulate.migration import Start
from optsched.simulate.walks import Walk
from optsched.solvers.fragments.exchange import Fragments

SECONDS = 2.0  # that the teacher may take; it needs a tenth


def whole(begun: Start) -> Lesson:
    """What the teacher does from the start."""
    problem = begun.problem.replace(max_moves=int(begun.row[kernel.LIMIT]))
    result = Fragments().solve(problem, Budget.of(SECONDS), order=Order.SAFE)
    return Lesson.of(begun, result.plan)


def rest(walk: Walk) -> Lesson | None:
    """What the teacher does from here on; None where it cannot be asked.

    In an order-safe episode, what an item left behind is free but may not be entered. So the
    problem it is asked has a second resource in place of the cells' other ones: units of the first
    that may be entered. Other resources are not looked at; where they bind, moves of the plan turn
    out to be illegal, and teach nothing.
    """
    begun, row = walk.begun, walk.row
    if walk.over or walk.chosen >= 0:
        return None
    problem = _now(begun.problem, walk)
    if Fragments().supports(problem) is not None:
        return None
    result = Fragments().solve(problem, Budget.of(SECONDS), order=Order.SAFE)
    lesson = Lesson.of(begun, result.plan)
    return replace(lesson, begun=replace(begun, row=row.copy()))


def _table(row: Ints, name: int, shape: tuple[int, int]) -> Ints:
    return row[row[name] :][: shape[0] * shape[1]].reshape(shape)


def _now(problem: PlacementProblem, walk: Walk) -> PlacementProblem:
    """The problem that is left: what moved stays, and room is a resource of its own."""
    row, items, cells = walk.row, problem.items, problem.cells
    placement = walk.plan().placement(problem)
    moved = (placement.cells != items.cells0).any(axis=1)
    shape = cells.capacity.shape
    unit = int(row[kernel.UNIT])
    room = np.maximum(_table(row, kernel.ROOM, shape)[:, unit], 0)
    demand = items.cell_demand[:, unit]
    inside = np.zeros(len(cells), np.int64)
    item, column = np.nonzero(placement.cells >= 0)
    np.add.at(inside, placement.cells[item, column], demand[item])
    movable = items.movable & ~moved
    movable.setflags(write=False)
    left = int(row[kernel.LIMIT] - row[kernel.MADE])
    terms = tuple(
        replace(level, terms=tuple(replace(term, resource=0) for term in level.terms))
        for level in problem.objective
    )
    return problem.replace(
        cells=replace(
            cells,
            capacity=_pair(cells.capacity[:, unit], room + inside),
            fixed_use=_pair(cells.fixed_use[:, unit], np.zeros_like(room)),
            resources=("units", "room"),
        ),
        items=replace(
            items,
            cell_demand=_pair(demand, demand),
            host0=placement.host,
            cells0=placement.cells,
            movable=movable,
        ),
        objective=terms,
        max_moves=left,
    )


def _pair(one: Ints, other: Ints) -> Ints:
    table = np.column_stack([one, other])
    return ints(table, table.shape, "table")
