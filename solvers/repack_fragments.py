"""Fragments on the cells of a neighbourhood, for CP-SAT: free units less those of the blocks."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import Ints
from optsched.levels import Term
from optsched.solvers.linear import Expr, Sum, total

if TYPE_CHECKING:
    from optsched.solvers.repack_model import RepackModel

Free = tuple[Expr | int, int]  # free units of a cell, and the most there can be


def add_fragments(repack: RepackModel, terms: list[list[Sum]], ranges: Ints) -> None:
    """Add what the touched cells waste to the levels; a level with a goal counts what exceeds it.

    Levels are minimised, so it is enough that no more blocks are counted than there are.
    """
    _Fragments(repack).add(terms, ranges)


class _Fragments:
    def __init__(self, repack: RepackModel) -> None:
        self.model, self.search = repack.model, repack.search
        self.problem = repack.problem
        self.users: dict[int, list[tuple[int, bool, cp_model.IntVar]]] = defaultdict(list)
        for option in repack.options:
            for cell, var in option.cells.items():
                self.users[cell].append((option.item, option.enters, var))

    def add(self, terms: list[list[Sum]], ranges: Ints) -> None:
        worth, cells = self.search.worth, self.problem.cells
        touched = np.array(sorted(self.users), dtype=np.int64)
        for level, term in worth.fragments:
            of = worth.cells_beside(touched) if term.cells > 1 else touched
            for host in np.unique(cells.host[of]).tolist():
                own = of[cells.host[of] == host].tolist()
                free = [self._free(cell, term.resource) for cell in own]
                wasted, most = self._wasted(free, term)
                terms[level].append(term.weight * wasted)
                ranges[level] += term.weight * most
        elsewhere = self.search.total - worth.of_cells(touched, self.search.state.cell_use)
        for level in np.flatnonzero(worth.goal).tolist():
            if not terms[level]:
                continue
            excess = self.model.new_int_var(0, int(ranges[level]), "")
            spare = int(worth.goal[level] - elsewhere[level])
            if spare < 0:  # all of it counts
                continue
            self.model.add(excess >= total(terms[level]) - spare)
            terms[level] = [excess]

    def _free(self, cell: int, resource: int) -> Free:
        cells, demand = self.problem.cells, self.problem.items.cell_demand[:, resource]
        room = int(cells.capacity[cell, resource] - self.search.state.cell_use[cell, resource])
        users = self.users.get(cell, [])
        if room <= 0 or not users:
            return max(room, 0), max(room, 0)
        left = room - total([int(demand[item]) * var for item, _, var in users])
        if sum(int(demand[item]) for item, enters, _ in users if not enters) <= room:
            return left, room  # what enters has to fit
        free = self.model.new_int_var(0, room, "")
        self.model.add_max_equality(free, [left, 0])
        return free, room

    def _wasted(self, free: list[Free], term: Term) -> tuple[Sum, int]:
        """What the blocks of a host leave, and the most that can be."""
        whole = [self._whole(units, most, term.size) for units, most in free]
        units, most = total([one for one, _ in free]), sum(one for _, one in free)
        if term.cells == 1:
            return units - term.size * total(whole), min(most, len(free) * (term.size - 1))
        count = self.model.new_int_var(0, most // (term.size * term.cells), "")
        parts = []
        for one, (_, upper) in zip(whole, free, strict=True):
            part = self.model.new_int_var(0, upper // term.size, "")
            self.model.add(part <= one)
            self.model.add(part <= count)
            parts.append(part)
        self.model.add(total(parts) >= term.cells * count)
        return units - term.size * term.cells * count, most

    def _whole(self, units: Expr | int, most: int, size: int) -> Expr | int:
        """How many parts of blocks fit on a cell."""
        if isinstance(units, int):
            return units // size
        whole = self.model.new_int_var(0, most // size, "")
        self.model.add(size * whole <= units)
        self.model.add(size * whole >= units - (size - 1))
        return whole
