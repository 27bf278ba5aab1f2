"""The teacher: `fragments`, from the start of an episode and from the middle of one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optsched.arrays import Ints, ints
from optsched.budget import Budget
from optsched.kernels import layout
from optsched.plan import Order, Plan
from optsched.problem import PlacementProblem
from optsched.simulate.migration import Start
from optsched.simulate.walks import Walk
from optsched.solvers.fragments.exchange import Fragments

SECONDS = 5.0  # that the teacher may take; it needs a tenth, and on a busy machine some times more


@dataclass(frozen=True)
class Lesson:
    """A start, the moves (group, cell) of an expert's plan from it, and the first level's end."""

    begun: Start
    moves: tuple[tuple[int, int], ...]
    best: int

    @classmethod
    def of(cls, begun: Start, plan: Plan, best: int) -> Lesson:
        """From an order-safe plan."""
        group = {int(i): g for g, members in enumerate(begun.members) for i in members}
        return cls(begun, tuple((group[m.item], min(m.cells)) for m in plan.moves()), best)


def whole(begun: Start) -> Lesson:
    """What the teacher does from the start."""
    problem = begun.problem.replace(max_moves=int(begun.row[layout.LIMIT]))
    result = Fragments().solve(problem, Budget.of(SECONDS), order=Order.SAFE)
    return Lesson.of(begun, result.plan, result.levels[0].value)


def rest(begun: Start, row: Ints, moves: list[tuple[int, int]]) -> Lesson | None:
    """What the teacher does from a state on; None where it cannot be asked.

    In an order-safe episode, what an item left behind is free but may not be entered. So the
    problem it is asked has, beside the units that make fragments, one resource for each of the
    cells': what of it may be entered. Where more than one of these bind, the teacher cannot look at
    all of them: it is asked with the last alone, and has no answer unless its plan can be carried
    out.

    Parameters
    ----------
    row, moves
        The state, and the migrations that led to it.
    """
    if row[layout.OVER] or row[layout.CHOSEN] >= 0:
        return None
    several = len(begun.problem.cells.resources)
    problem = _now(begun, row, moves, range(several))
    bound_by_all = Fragments().supports(problem) is None
    if not bound_by_all:
        problem = _now(begun, row, moves, range(several - 1, several))
        if Fragments().supports(problem) is not None:
            return None
    result = Fragments().solve(problem, Budget.of(SECONDS), order=Order.SAFE)
    later = replace(begun, row=row[: len(begun.row)].copy())
    lesson = Lesson.of(later, result.plan, result.levels[0].value)
    return lesson if bound_by_all or _feasible(lesson) else None


def _feasible(lesson: Lesson) -> bool:
    """Whether all moves are allowed, one after the other."""
    walk = Walk(lesson.begun)
    for group, cell in lesson.moves:
        for action in (group, lesson.begun.groups + cell):
            if walk.over or not walk.mask[action]:
                return False
            walk.step(action)
    return True


def _table(row: Ints, name: int, shape: tuple[int, int]) -> Ints:
    return row[row[name] :][: shape[0] * shape[1]].reshape(shape)


def _now(begun: Start, row: Ints, moves: list[tuple[int, int]], rooms: range) -> PlacementProblem:
    """The problem that is left: what moved stays, and some of the rooms are resources."""
    problem = begun.problem
    items, cells = problem.items, problem.cells
    placement = begun.plan(moves).placement(problem)
    moved = (placement.cells != items.cells0).any(axis=1)
    unit = int(row[layout.UNIT])
    demand = items.cell_demand[:, rooms]
    room = np.maximum(_table(row, layout.ROOM, cells.capacity.shape)[:, rooms], 0)
    item, column = np.nonzero(placement.cells >= 0)
    inside = np.zeros_like(room)
    np.add.at(inside, placement.cells[item, column], demand[item])
    movable = items.movable & ~moved
    movable.setflags(write=False)
    left = int(row[layout.LIMIT] - row[layout.MADE])
    terms = tuple(
        replace(level, terms=tuple(replace(term, resource=0) for term in level.terms))
        for level in problem.objective
    )
    return problem.replace(
        cells=replace(
            cells,
            capacity=_beside(cells.capacity[:, unit], room + inside),
            fixed_use=_beside(cells.fixed_use[:, unit], np.zeros_like(room)),
            resources=("units", *(f"room of {cells.resources[at]}" for at in rooms)),
        ),
        items=replace(
            items,
            cell_demand=_beside(items.cell_demand[:, unit], demand),
            host0=placement.host,
            cells0=placement.cells,
            movable=movable,
        ),
        objective=terms,
        max_moves=left,
    )


def _beside(units: Ints, rooms: Ints) -> Ints:
    table = np.column_stack([units, rooms])
    return ints(table, table.shape, "table")
