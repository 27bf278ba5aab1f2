"""All placements of a tiny problem, and so its optima, by trying everything."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from optsched.check import check_placement
from optsched.levels import (
    Term,
    TermKind,
)
from optsched.plan import Placement
from optsched.problem import (
    PlacementProblem,
    Scope,
)


class Everything:
    """All placements of a tiny problem, with their values; allowed ones by the checker.

    What no wave may disturb, or no wave may bring, is left where it is; the rest of what binds
    single waves is not looked at.

    Attributes
    ----------
    host
        (N, I), the hosts; rules 1 and 2 are kept.
    values
        (N, L), the value of every level.
    """

    def __init__(self, problem: PlacementProblem) -> None:
        self.problem = problem
        count = range(len(problem.items))
        self._ways = [self._ways_of(item) for item in count]
        numbers = list(itertools.product(*(range(len(ways)) for ways in self._ways)))
        self._chosen = np.array(numbers, dtype=np.int64).reshape(-1, len(count))
        self.host = self._per_way(lambda item, way: way[0])
        self._home = self._per_way(lambda item, way: way == self._now(item))
        self.values = np.column_stack(
            [
                np.maximum(sum(t.weight * self._term(t) for t in level.terms) - level.goal, 0)
                for level in problem.objective
            ]
        )
        self.order = np.lexsort(self.values.T[::-1])
        self._allowed: dict[int, bool] = {}

    def _now(self, item: int) -> tuple[int, tuple[int, ...]]:
        cells = sorted(c for c in self.problem.items.cells0[item].tolist() if c >= 0)
        return int(self.problem.items.host0[item]), tuple(cells)

    def _ways_of(self, item: int) -> list[tuple[int, tuple[int, ...]]]:
        """Where an item may sit, as (host, cells)."""
        items, cells = self.problem.items, self.problem.cells
        now = self._now(item)
        if now[0] >= 0 and (not items.movable[item] or self._held(item)):
            return [now]
        ways = {now}
        if now[0] < 0 or (self.problem.evict and items.evictable[item]):
            ways.add((-1, ()))
        shut = self.problem.where.excluded[self.problem.where.item_eligible[item]] != 0
        for host in np.flatnonzero(~shut & ~self.problem.hosts.drain).tolist():
            if 0 <= self.problem.hosts.moves_in[host] <= self._flying("to", host):
                continue
            right = (cells.host == host) & (
                (cells.kind == items.cell_kind[item]) | (items.cell_kind[item] < 0)
            )
            needed = int(items.cells_needed[item])
            some = itertools.combinations(np.flatnonzero(right).tolist(), needed)
            ways |= {(host, chosen) for chosen in some}
        return sorted(ways)

    def _flying(self, end: str, host: int) -> int:
        """Moves in flight "to" or "from" a host."""
        flying, items = self.problem.inflight, self.problem.items
        ends = items.host0[flying.item] if end == "to" else flying.source
        return int((ends == host).sum())

    def _held(self, item: int) -> bool:
        """Whether a rule that binds every wave leaves no room to disturb an item."""
        problem, items = self.problem, self.problem.items
        flying, budgets = set(problem.inflight.item.tolist()), problem.budgets
        for row in np.flatnonzero(budgets.scope == Scope.WAVE).tolist():
            group = set(budgets.groups[row].tolist())
            if item in group and budgets.allowed[row] <= len(group & flying):
                return True
        owner, home = int(items.owner[item]), int(items.host0[item])
        of_owner = [i for i in flying if items.owner[i] == owner >= 0]
        if owner >= 0 and 0 <= problem.owner_at_once <= len(of_owner):
            return True
        throttled = 0 <= problem.hosts.moves_out[home] <= self._flying("from", home)
        return throttled and not items.cells_needed[item]

    def _per_way(self, read: Callable[[int, tuple[int, tuple[int, ...]]], object]) -> np.ndarray:
        """(N, I, ...) what `read` says of each item's way."""
        columns = [
            np.array([read(item, way) for way in ways])[self._chosen[:, item]]
            for item, ways in enumerate(self._ways)
        ]
        return np.stack(columns, axis=1)

    def _term(self, term: Term) -> np.ndarray:
        items, hosts, host = self.problem.items, self.problem.hosts, self.host
        mine = (items.tier == term.tier) | (term.tier < 0)
        if term.kind is TermKind.UNPLACED:
            return ((host < 0) * items.weight)[:, mine].sum(axis=1)
        if term.kind is TermKind.EVICTED:
            return ((host < 0) & (items.host0 >= 0))[:, mine].sum(axis=1)
        if term.kind is TermKind.MOVED:
            away = (host >= 0) & (items.host0 >= 0) & ~self._home
            return away[:, mine].sum(axis=1)
        if term.kind is TermKind.DRAINED:
            here = (host >= 0) & hosts.drain[host] & items.occupies
            return here[:, mine].sum(axis=1)
        if term.kind is TermKind.HOST_COST:
            held = [((host == h) & items.occupies).any(axis=1) for h in range(len(hosts))]
            return np.column_stack(held) @ hosts.cost
        return self._fragments(term)

    def _fragments(self, term: Term) -> np.ndarray:
        cells, items = self.problem.cells, self.problem.items
        count = range(len(cells))
        on_cell = self._per_way(lambda item, way: [int(cell in way[1]) for cell in count])
        used = (on_cell * items.cell_demand[:, term.resource][None, :, None]).sum(axis=1)
        free = (cells.capacity - cells.fixed_use)[:, term.resource] - used
        free = np.maximum(free, 0)
        total = free.sum(axis=1)
        for host in range(len(self.problem.hosts)):
            whole = (free // term.size)[:, cells.host == host]
            most = int(whole.sum(axis=1).max(initial=0))
            possible = [
                np.minimum(whole, q).sum(axis=1) >= term.cells * q for q in range(1, most + 1)
            ]
            total = total - term.size * term.cells * np.sum(possible, axis=0, dtype=np.int64)
        return total

    def placement(self, row: int) -> Placement:
        """One of the placements."""
        cells = np.full(self.problem.items.cells0.shape, -1)
        for item, ways in enumerate(self._ways):
            chosen = ways[self._chosen[row, item]][1]
            cells[item, : len(chosen)] = chosen
        return Placement.of(self.problem, self.host[row], cells)

    def allowed(self, row: int) -> bool:
        """Whether the checker lets the placement through."""
        if row not in self._allowed:
            self._allowed[row] = not check_placement(self.problem, self.placement(row))
        return self._allowed[row]

    def rows(self, prefix: Sequence[int] = ()) -> list[int]:
        """The placements whose first values are `prefix`, best first."""
        alike = (self.values[self.order, : len(prefix)] == list(prefix)).all(axis=1)
        return [int(row) for row in self.order[alike]]

    def best(self, prefix: Sequence[int] = ()) -> tuple[int, ...] | None:
        """The least values of any allowed placement whose first values are `prefix`."""
        found = next((row for row in self.rows(prefix) if self.allowed(row)), None)
        return None if found is None else tuple(self.values[found].tolist())
