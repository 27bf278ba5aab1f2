"""Where limits bind few items: hold these where the incumbent has them, and prove the rest.

The exact solvers know room, not limits. With the items that limits speak of held in place, what is
left is bound by room alone, and its best placement is one for the whole problem too. The bounds of
the smaller problem are of no use here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optsched.arrays import Bools, Masks
from optsched.limits import Limits, Scope
from optsched.plan import Placement
from optsched.problem import PlacementProblem

MOST_TIED = 0.5  # share of the items that limits may bind


def tied_items(problem: PlacementProblem) -> Bools:
    """(I,) items that limits, gangs or budgets over the whole plan speak of."""
    tied = np.array(problem.items.gang >= 0)
    limits = problem.limits
    for group in {*limits.subject.tolist(), *limits.counted.tolist()}:
        tied[problem.where.groups[group]] = True
    for budget in np.flatnonzero(problem.budgets.scope == Scope.PLAN).tolist():
        tied[problem.budgets.groups[budget]] = True
    return tied


def loosened(problem: PlacementProblem, placement: Placement) -> PlacementProblem | None:
    """The problem without limits, its tied items held as in `placement`; None: too many."""
    tied = tied_items(problem)
    if not len(problem.limits) or tied.mean() > MOST_TIED or problem.items.cells_needed.any():
        return None
    items, where = problem.items, problem.where
    waits = tied & (placement.host < 0)
    closed: Masks = np.vstack([where.excluded, np.ones((1, len(problem.hosts)), np.uint32)])
    row = np.where(waits, len(where.excluded), where.item_eligible)
    host0 = np.where(tied, placement.host, items.host0)
    movable = items.movable & ~tied
    for table in (closed, row, host0, movable):
        table.setflags(write=False)
    return problem.replace(
        items=replace(items, host0=host0, movable=movable, gang=np.full_like(items.gang, -1)),
        where=replace(where, excluded=closed, item_eligible=row),
        limits=Limits.of(()),
        name=f"{problem.name} without limits",
    )
