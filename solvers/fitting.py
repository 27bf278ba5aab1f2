"""Which hosts have room for one more item of a kind, kept up to date as the search goes.

Items of one kind ask for the same and are eligible for the same hosts. A row of the table is made
when it is first asked for and mended, where hosts have changed, when it is asked for again. Limits
bind items by their groups; they are read anew each time, through `rules`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optsched.arrays import Bools, Ints, row_numbers
from optsched.rules import limit_blocks
from optsched.solvers.search import Search
from optsched.tables import Items

BINDING = 8  # power of the load in a resource's weight
MOST_HOSTS = 512  # compared to find the best; of more, every second, third ...
CHUNK = 128  # items asked about at once
TIGHTNESS = 0.05  # of the room left beside its shape


class Fitting:
    """Rows of hosts per kind of item.

    Attributes
    ----------
    kind
        (I,) the kind of each item.
    allowed
        (H,) bool: hosts that may receive anything at all; change it with `allow`.
    sought
        (H,) bool: hosts better left to others; they come last among the best.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        problem = search.problem
        self.kind = item_kinds(problem.items, problem.where.item_eligible)
        self.allowed = ~search.closed
        self.sought = np.zeros(len(problem.hosts), bool)
        self._rows: dict[int, tuple[int, Bools]] = {}
        self._eligible: dict[int, Bools] = {}
        self._rarity = 1.0 - (problem.hosts.capacity > 0).mean(axis=0)
        self._scale = 1.0 / np.maximum(problem.hosts.capacity.max(axis=0, initial=1), 1)
        self._size = problem.items.demand @ self._scale
        self.allow(self.allowed)
        self._opening = problem.hosts.cost * bool(search.worth.host_cost.any())

    def allow(self, hosts: Bools) -> None:
        """Let items enter only `hosts` (H,) from now on, all of which may be opened freely."""
        problem = self.search.problem
        self.allowed = hosts & ~self.search.closed
        capacity = np.maximum(problem.hosts.capacity[self.allowed].sum(axis=0), 1)
        load = np.minimum(problem.items.demand.sum(axis=0) / capacity, 1.0)
        # What is nearly used up decides whether the rest can be placed; what is plenty does not.
        self._weight = self._scale * load**BINDING
        self._opening = np.zeros(len(problem.hosts), np.int64)

    def size(self, item: int) -> float:
        """Demand as a sum of shares of the largest capacities."""
        return float(self._size[item])

    def sizes(self, items: Ints) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """(n,) `size` of several items."""
        return np.asarray(self._size[items])

    def eligible(self, item: int) -> Bools:
        """(H,) the hosts that requirements let `item` enter."""
        row = int(self.search.problem.where.item_eligible[item])
        if row not in self._eligible:
            self._eligible[row] = self.search.problem.where.excluded[row] == 0
        return self._eligible[row] & self.allowed

    def has_room(self, item: int) -> Bools:
        """(H,) the hosts, `item`'s own included, with room for one more like it."""
        kind = int(self.kind[item])
        if kind not in self._rows:
            row = self._fresh(item, np.arange(len(self.search.problem.hosts)))
        else:
            since, row = self._rows[kind]
            changed = np.flatnonzero(self.search.stamp > since)
            if changed.size:
                row[changed] = self._fresh(item, changed)
        self._rows[kind] = (self.search.clock, row)
        return row & self.eligible(item)

    def with_room(self, items: Ints) -> Iterator[int]:
        """Those of `items`, in their order, that some host (perhaps their own) has room for.

        Cells and limits are not looked at.
        """
        problem, free = self.search.problem, self.search.free()
        frontiers: dict[int, Ints] = {}
        for some in np.split(items, range(CHUNK, len(items), CHUNK)):
            rows = problem.where.item_eligible[some]
            found = np.zeros(len(some), bool)
            for row in np.unique(rows).tolist():
                mine = np.flatnonzero(rows == row)
                if row not in frontiers:
                    open_to = free[self.eligible(int(some[mine[0]]))]
                    frontiers[row] = open_to[frontier_rows(open_to)]
                demand = problem.items.demand[some[mine]][:, None]
                fits = (frontiers[row][None] >= demand) | (demand == 0)
                found[mine] = fits.all(axis=2).any(axis=1)
            yield from some[found].tolist()

    def hosts(self, item: int) -> Bools:
        """(H,) the hosts other than its own that `item` may enter now (rules 2 to 5)."""
        free = self.has_room(item)
        state = self.search.state
        for row in state.counters.rows_of_item[item].tolist():
            if not free.any():
                break
            blocked = limit_blocks(state, item, row)
            if blocked is not None:
                free &= ~blocked
        if state.host[item] >= 0:
            free[state.host[item]] = False
        return free

    def _fresh(self, item: int, hosts: Ints) -> Bools:
        problem, state = self.search.problem, self.search.state
        demand = problem.items.demand[item]
        asked = np.flatnonzero(demand)
        room = problem.hosts.capacity[hosts] - state.use[hosts] - state.gone[hosts]
        fits = (room[:, asked] >= demand[asked]).all(axis=1)
        needed = int(problem.items.cells_needed[item])
        if needed:
            of_cell = problem.items.cell_demand[item]
            used = np.flatnonzero(of_cell)
            free = (problem.cells.capacity - state.cell_use)[:, used] >= of_cell[used]
            ready = free.all(axis=1)
            if problem.items.cell_kind[item] >= 0:
                ready &= problem.cells.kind == problem.items.cell_kind[item]
            number = np.bincount(problem.cells.host[ready], minlength=len(problem.hosts))
            fits &= number[hosts] >= needed
        return np.asarray(fits)

    def best(self, item: int, hosts: Bools) -> list[int]:
        """`hosts` (H,) bool from the one where `item` wastes least; at most eight of them.

        A host wastes what is scarce and `item` does not ask for. Of hosts that waste alike, one
        with occupants comes before an empty one that costs something, and then that whose free
        room has the shape of the demand, so that what is left can be used together; the fuller
        one if that says little.
        """
        at = np.flatnonzero(hosts)
        if not at.size:
            return []
        at = at[:: 1 + len(at) // MOST_HOSTS]
        problem, search = self.search.problem, self.search
        demand = problem.items.demand[item]
        capacity = problem.hosts.capacity[at]
        waste = (capacity > 0) @ np.where(demand == 0, self._rarity, 0.0)
        free = capacity - search.state.use[at] - search.state.gone[at]
        wanted, offered = demand * self._weight, free * self._weight
        norm = np.sqrt((wanted**2).sum() * (offered**2).sum(axis=1)) + 1e-12
        loose = np.where(demand > 0, (free - demand) * self._weight, 0.0).sum(axis=1)
        misfit = TIGHTNESS * loose - offered @ wanted / norm
        opens = np.where(search.occupants[at] == 0, self._opening[at], 0)
        order = np.lexsort((misfit, self.sought[at], opens, waste))
        return [int(h) for h in at[order[:8]]]


def frontier_rows(points: Ints) -> list[int]:
    """Rows of `points` (n, R) that no other row is at least as large as everywhere."""
    left = np.argsort(-points.sum(axis=1), kind="stable")
    rows: list[int] = []
    while len(left):
        rows.append(int(left[0]))
        left = left[(points[left] > points[left[0]]).any(axis=1)]
    return rows


def item_kinds(items: Items, row: Ints) -> Ints:
    """(I,) number of each item's kind."""
    table = np.column_stack(
        [
            items.demand,
            items.cells_needed,
            items.cell_demand,
            items.cell_kind,
            row,
        ]
    )
    return row_numbers(table)
