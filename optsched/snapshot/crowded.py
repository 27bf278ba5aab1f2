"""Cells that hold more than they can, and items that no cell could hold: allowed, but told of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optsched.arrays import Ints
from optsched.objective import cell_use
from optsched.plan import Placement
from optsched.problem import PlacementProblem

SHOWN = 5  # names in a warning


def crowded(problem: PlacementProblem) -> tuple[str, ...]:
    """A warning for overfull cells, and one for running items that fit no cell of any host."""
    items, cells = problem.items, problem.cells
    if not len(cells):
        return ()
    now = Placement.current(problem)
    over = np.flatnonzero((cell_use(problem, now) > cells.capacity).any(axis=1))
    first = np.searchsorted(cells.host, cells.host[over])
    names = [
        f"{problem.hosts.names[host]}/{cell - start}"
        for cell, host, start in zip(over, cells.host[over].tolist(), first, strict=True)
    ]
    what = cells.kinds[0] if len(cells.kinds) == 1 else "cell"
    told = _told(names, what, "overfull, so nothing enters before something leaves")
    table = np.column_stack([items.cell_kind, items.cell_demand])
    rows, inverse = np.unique(table, axis=0, return_inverse=True)
    kinds, demands = rows[:, 0].tolist(), rows[:, 1:]
    fits = [_holds(problem, *one) for one in zip(kinds, demands, strict=True)]
    holds = np.array(fits, dtype=bool)
    lost = ~holds[inverse.ravel()] & (items.host0 >= 0) & (items.cells_needed > 0)
    large = [items.names[at] for at in np.flatnonzero(lost).tolist()]
    return told + _told(large, "item", f"too large for any {what}, so there is nowhere to go")


def _holds(problem: PlacementProblem, kind: int, demand: Ints) -> bool:
    """Whether an empty cell of some host could hold the demand."""
    cells = problem.cells
    fits = (demand <= cells.capacity - cells.fixed_use).all(axis=1)
    return bool((fits & ((kind < 0) | (cells.kind == kind))).any())


def _told(names: Sequence[str], what: str, fault: str) -> tuple[str, ...]:
    if not names:
        return ()
    shown = ", ".join(one[:80] for one in names[:SHOWN]) + ", ..." * (len(names) > SHOWN)
    counted = f"1 {what} is" if len(names) == 1 else f"{len(names):,} {what}s are"
    return (f"{counted} {fault}: {shown}",)
