"""A placement in the making: put items down, take them off, undo; counts are kept up to date."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import NONE, Ints
from .counters import Counters
from .plan import Placement, Violation
from .problem import PlacementProblem, When
from .rules import cell_fits, violations


class State:
    """Mutable placement of one problem.

    Attributes
    ----------
    problem, counters
        The tables and the static index of what limits count.
    host, cells
        (I,) and (I, W) int64, the placement.
    use
        (H, R) int64: fixed use, room that moves in flight still hold, and the items' demand.
    gone
        (H, R) int64: demand of items that left, in DURING rows, unless they let go first.
    cell_use
        (C, S) int64.
    counts, floor
        Flat counts, see `Counters`; here both are the same array.
    """

    def __init__(
        self,
        problem: PlacementProblem,
        placement: Placement | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.problem = problem
        self.counters = counters if counters is not None else Counters.of(problem)
        shape = problem.hosts.capacity.shape
        self.host = np.full(len(problem.items), NONE, np.int64)
        self.cells = np.full(problem.items.cells0.shape, NONE, np.int64)
        self.use = problem.hosts.fixed_use.copy()
        for item, source in zip(problem.inflight.item, problem.inflight.source, strict=True):
            self.use[source] += problem.items.demand[item]
        self.gone = np.zeros(shape, np.int64)
        self.cell_use = problem.cells.fixed_use.copy()
        self.counts = np.zeros(int(self.counters.offset[-1]), np.int64)
        self.floor = self.counts
        self._during = problem.when == When.DURING
        self._trail: list[tuple[int, int, Ints]] = []
        self._fill(placement if placement is not None else Placement.current(problem))

    def _fill(self, placement: Placement) -> None:
        """Take over a whole placement at once."""
        items = self.problem.items
        self.host[:] = placement.host
        self.cells[:] = placement.cells
        placed = np.flatnonzero(self.host >= 0)
        np.add.at(self.use, self.host[placed], items.demand[placed])
        item, column = np.nonzero(self.cells >= 0)
        np.add.at(self.cell_use, self.cells[item, column], items.cell_demand[item])
        np.add.at(self.counts, self.counters.fed(placed, self.host[placed]), 1)
        if self._during.any():
            left = np.flatnonzero((items.host0 >= 0) & (self.host != items.host0))
            left = left[~items.lets_go_first[left]]
            np.add.at(self.gone, items.host0[left], items.demand[left] * self._during)

    def placement(self) -> Placement:
        """A read-only copy."""
        return Placement.of(self.problem, self.host.copy(), self.cells.copy())

    def violations(self) -> list[Violation]:
        """What the placement breaks; empty if it is allowed."""
        return violations(self)

    def mark(self) -> int:
        """A point to which `undo` can return."""
        return len(self._trail)

    def undo(self, mark: int) -> None:
        """Return to the placement at `mark`."""
        while len(self._trail) > mark:
            item, host, cells = self._trail.pop()
            self._take_off(item)
            self._put_down(item, host, cells)

    def place(self, item: int, host: int, cells: Sequence[int] | Ints | None = None) -> None:
        """Put `item` on `host` (-1: on none), wherever it was; no rule is looked at.

        Without `cells`, an item that needs them takes its current ones if it returns home, else the
        fullest that fit.

        Raises
        ------
        ValueError
            The host has not enough cells with room for the item, which stays where it is.
        """
        mark = self.mark()
        self._trail.append((item, int(self.host[item]), self.cells[item].copy()))
        self._take_off(item)
        try:
            chosen = self._choose(item, host) if cells is None else cells
        except ValueError:
            self.undo(mark)
            raise
        self._put_down(item, host, chosen)

    def _choose(self, item: int, host: int) -> Ints:
        items = self.problem.items
        needed = int(items.cells_needed[item])
        if host < 0 or not needed:
            return np.zeros(0, np.int64)
        fits = np.flatnonzero(cell_fits(self, item) & (self.problem.cells.host == host))
        home = items.cells0[item][:needed]
        if host == items.host0[item] and np.isin(home, fits).all():
            return home
        if len(fits) < needed:
            name = self.problem.items.names[item]
            raise ValueError(f"{name!r}: the host has {len(fits)} cells with room, {needed} needed")
        free = (self.problem.cells.capacity - self.cell_use)[fits].sum(axis=1)
        return fits[np.argsort(free, kind="stable")[:needed]]

    def _take_off(self, item: int) -> None:
        host = int(self.host[item])
        if host < 0:
            return
        items = self.problem.items
        self.use[host] -= items.demand[item]
        own = self.cells[item][self.cells[item] >= 0]
        np.subtract.at(self.cell_use, own, items.cell_demand[item])  # one may be there twice
        self.counters.feed(self.counts, item, host, -1)
        if host == items.host0[item] and self._during.any() and not items.lets_go_first[item]:
            self.gone[host] += items.demand[item] * self._during
        self.host[item] = NONE
        self.cells[item] = NONE

    def _put_down(self, item: int, host: int, cells: Sequence[int] | Ints) -> None:
        if host < 0:
            return
        items = self.problem.items
        self.use[host] += items.demand[item]
        chosen = np.asarray(cells, dtype=np.int64)
        chosen = chosen[chosen >= 0]
        self.cells[item, : len(chosen)] = chosen
        np.add.at(self.cell_use, chosen, items.cell_demand[item])
        self.counters.feed(self.counts, item, host, 1)
        if host == items.host0[item] and self._during.any() and not items.lets_go_first[item]:
            self.gone[host] -= items.demand[item] * self._during
        self.host[item] = host


def placement_violations(problem: PlacementProblem, placement: Placement) -> list[Violation]:
    """What `placement` breaks; empty if it is allowed."""
    return State(problem, placement).violations()
