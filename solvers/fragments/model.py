"""A problem of fragments as classes of items and types of cells and hosts.

Only what an exchange can change is kept: free units of one cell resource, at most one other
resource where it can bind, and how many movable items of each class sit where. Equal cells, and
hosts with equal cells and equal wide items, are of one type.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from optsched.arrays import Bools, Ints
from optsched.levels import Term
from optsched.problem import PlacementProblem

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shapes:
    """Classes of movable items: K of them, those that need one cell first.

    Attributes
    ----------
    members
        The items of each class, ascending.
    of_item
        (I,) class of each item; -1: it does not take part.
    units, memory
        (K,) what an item takes on each of its cells, in units.
    narrow
        How many classes need one cell; the others need both cells of a host.
    drained
        (K,) float, 1 for classes of items on hosts that are to be emptied, which are classes of
        their own; else 0.
    """

    members: tuple[Ints, ...]
    of_item: Ints
    units: Ints
    memory: Ints
    narrow: int
    drained: Floats

    @property
    def leavers(self) -> int:
        """How many items take part that should leave hosts that are to be emptied."""
        return sum(len(m) for m, d in zip(self.members, self.drained, strict=True) if d)

    def __len__(self) -> int:
        return len(self.units)


@dataclass(frozen=True)
class CellTypes:
    """T types of cells.

    Attributes
    ----------
    of_cell, count
        (C,) type of each cell, and (T,) how many there are.
    room
        (T,) whole free units; below 0: overfull.
    row
        (T, A + 1) units of memory that newcomers may take when residents have given up so many
        units; `Model.rows - 1`: they cannot take too much.
    group
        (T,) row of `Model.allowed`.
    residents
        (T, N) movable narrow items of each class.
    gain
        (T, low + A + 1) what a change of the free units is worth, in steps.
    parts
        (W, T, low + A + 1) parts on the cell of blocks that take two cells.
    """

    of_cell: Ints
    count: Ints
    room: Ints
    row: Ints
    group: Ints
    residents: Ints
    gain: Floats
    parts: Ints


@dataclass(frozen=True)
class HostTypes:
    """P types of hosts with two cells on which cells meet: in wide items, or in blocks.

    Attributes
    ----------
    of_host, count
        (H,) type of each host, -1: its cells never meet; and (P,) how many there are.
    cells
        (P, 2) types of the two cells, the smaller one first.
    first
        (H,) the cell of each host that is of the first of the two types.
    group
        (P,) row of `Model.allowed`.
    residents
        (P, W) movable wide items of each class.
    frees
        (P, A + 1) the most memory on a cell that they give up with so many units.
    """

    of_host: Ints
    count: Ints
    cells: Ints
    first: Ints
    group: Ints
    residents: Ints
    frees: Ints


@dataclass(frozen=True)
class Model:
    """Classes and types, and what they are worth.

    Attributes
    ----------
    terms, free
        Of the level, and (C, S) what is free on each cell now.
    allowed
        (G, K) what may enter, for each group of cells.
    rows
        Rows of tables by memory; the last one stands for memory that cannot bind.
    takes
        (B + 1,) the least memory that wide newcomers of so many units take on a cell.
    low
        Most units that newcomers may take on a cell: the column of `gain` for no change.
    high
        Most units that residents of a cell may give up.
    weight
        (W,) steps that each block over two cells is worth.
    step
        Value of a step; the level is `value - step * gain`.
    value
        Of the level's weighted sum now.
    prize
        Steps that it counts if an item leaves a host that is to be emptied: more than twice what
        all else can add up to.
    unit_worth, block_worth
        Steps that a unit is worth in whole blocks, and that one block of each kind is worth.
    grain
        Steps that searches need not tell apart: 1, but where several resources count and steps are
        tiny, a part of the least block.
    safe
        Whether newcomers must fit in what is free now, or only in what is free then.
    moves
        The most moves.
    """

    problem: PlacementProblem
    terms: tuple[Term, ...]
    free: Ints
    shapes: Shapes
    cells: CellTypes
    hosts: HostTypes
    allowed: Bools
    rows: int
    takes: Ints
    low: int
    high: int
    weight: Floats
    step: int
    value: int
    prize: int
    unit_worth: float
    block_worth: float
    grain: int
    safe: bool
    moves: int

    @cached_property
    def allowed_narrow(self) -> Bools:
        """(G, N) of `allowed`, contiguous as the kernels are compiled."""
        return np.ascontiguousarray(self.allowed[:, : self.shapes.narrow])

    @cached_property
    def allowed_wide(self) -> Bools:
        """(G, W) of `allowed`, contiguous as the kernels are compiled."""
        return np.ascontiguousarray(self.allowed[:, self.shapes.narrow :])

    @property
    def most_else(self) -> int:
        """The most steps that all but prizes can gain or lose."""
        return self.prize // 2 - 1

    @property
    def apart(self) -> bool:
        """Whether cells of a host meet in nothing but wide items."""
        return not len(self.weight)
