"""Placements and plans: data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from .arrays import NONE, Ints, ints
from .errors import PlanError
from .problem import PlacementProblem


class Order(StrEnum):
    """What the order of a plan's moves is allowed to be.

    SAFE   one wave: whatever enters fits in the *initial* room; any order, fully parallel.
    WAVES  several waves, each safe on the state that the one before leaves; an item may hop
           over a third host to break a cycle.
    PARK   as WAVES, and an item that lets go first may also wait without a host from the wave in
           which it leaves to a later wave in which it is placed (what evicting first and letting
           the scheduler place the replacement amounts to).
    """

    SAFE = "order-safe"
    WAVES = "waves"
    PARK = "park"


@dataclass(frozen=True)
class Placement:
    """Who sits where.

    Attributes
    ----------
    host
        (I,) int64; -1: nowhere.
    cells
        (I, W) int64, padded with -1; W is the largest `items.cells_needed`.
    """

    host: Ints
    cells: Ints

    @classmethod
    def of(cls, problem: PlacementProblem, host: object, cells: object = None) -> Placement:
        """Read-only arrays; without `cells`, stayers keep theirs and others have none."""
        items = problem.items
        where = ints(host, (len(items),), "placement.host")
        if len(where) and (where.min() < NONE or where.max() >= len(problem.hosts)):
            raise PlanError("the placement names a host that the problem does not have")
        if cells is None:
            stays = (where == items.host0)[:, None]
            cells = np.where(stays, items.cells0, NONE)
        table = ints(cells, items.cells0.shape, "placement.cells")
        if table.size and (table.min() < NONE or table.max() >= len(problem.cells)):
            raise PlanError("the placement names a cell that the problem does not have")
        return cls(where, table)

    @classmethod
    def current(cls, problem: PlacementProblem) -> Placement:
        """Where everything sits now."""
        return cls(problem.items.host0, problem.items.cells0)


@dataclass(frozen=True)
class Move:
    """One item changes its host (or the cells on it).

    Attributes
    ----------
    item
        Index of the item.
    source, target
        Hosts; source -1: the item is pending, target -1: it is left without a host.
    cells
        Cells on the target, `items.cells_needed` of them.
    """

    item: int
    source: int
    target: int
    cells: tuple[int, ...] = ()


@dataclass(frozen=True)
class Wave:
    """Moves that may run in any order and all at once."""

    moves: tuple[Move, ...]


@dataclass(frozen=True)
class Plan:
    """Ordered waves that lead from the current placement to another.

    Attributes
    ----------
    problem
        `PlacementProblem.digest()` of the problem the plan is for.
    order
        Which freedom of order the plan uses.
    waves
        First to last; empty: everything stays.
    """

    problem: str
    order: Order = Order.WAVES
    waves: tuple[Wave, ...] = ()

    def moves(self) -> tuple[Move, ...]:
        """All moves, first wave first."""
        return tuple(move for wave in self.waves for move in wave.moves)

    def placement(self, problem: PlacementProblem) -> Placement:
        """The placement after the last wave.

        Raises
        ------
        PlanError
            A move names an item, host or cell that the problem does not have.
        """
        host, cells = problem.items.host0.copy(), problem.items.cells0.copy()
        for move in self.moves():
            if not (0 <= move.item < len(host) and NONE <= move.target < len(problem.hosts)):
                raise PlanError(f"a move names an unknown item {move.item} or host {move.target}")
            if len(move.cells) > cells.shape[1]:
                raise PlanError(
                    f"{problem.items.names[move.item][:80]!r}: a move gives too many cells"
                )
            host[move.item] = move.target
            cells[move.item] = NONE
            cells[move.item, : len(move.cells)] = move.cells
        return Placement.of(problem, host, cells)


@dataclass(frozen=True)
class Violation:
    """A rule that a placement or plan breaks, in words.

    Attributes
    ----------
    rule
        Short name: "movable", "eligible", "capacity", "cells", "limit", "evict", "protect",
        "gang", "budget", "wave", "throttle", "format".
    text
        One sentence that names the objects.
    item, host
        Indices, or -1.
    wave
        Index of the wave; -1: the placement after the plan.
    """

    rule: str
    text: str
    item: int = NONE
    host: int = NONE
    wave: int = NONE
