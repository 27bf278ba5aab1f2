"""Fewer fragments by single migrations, the best one first; for every objective that counts them.

A migration takes an item off one host and puts it on another, so what it gains is the sum of what
its release and its entry gain, and the best pair of a class is found without looking at all pairs.
Where no migration gains a block, one that gathers free units in fewer cells may prepare one:
therefore the squares of what blocks leave on each cell count a little.

Whatever enters a cell fits into its initial free room, so the migrations may run in any order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optsched.arrays import NONE, Bools, Ints
from optsched.budget import Budget
from optsched.levels import Level
from optsched.objective import blocks, cell_use
from optsched.plan import Placement
from optsched.rates import fragment_level
from optsched.solvers.search import Search

Floats = NDArray[np.float64]

TIE = 0.5  # of a block: the most that gathered free units count
BEST = 4  # releases and entries of a class that are combined
PATIENCE = 3  # hosts that may refuse an item before it is left alone
LEAST = 1e-6  # gain, in units of the level


@dataclass(frozen=True)
class Step:
    """A migration that may be worth making."""

    gain: float
    item: int
    host: int
    cells: tuple[int, ...]


def migrate(search: Search, budget: Budget) -> None:
    """Improve the level that counts fragments, as far as single migrations do."""
    at = fragment_level(search.problem)
    if at is None or not len(search.problem.cells):
        return
    run = _Migration(search, search.problem.objective[at])
    best, least = search.mark(), search.value
    while not budget.over() and search.value[at] and run.moves_left():
        if not run.step():
            break
        if tuple(search.value) < tuple(least):
            best, least = search.mark(), search.value
    search.undo(best)


class _Migration:
    """What every release and every entry gains now."""

    def __init__(self, search: Search, level: Level) -> None:
        self.search, self.problem, self.level = search, search.problem, level
        problem, items, cells = search.problem, search.problem.items, search.problem.cells
        self.free = cells.capacity - search.state.cell_use
        self.safe = cells.capacity - cell_use(problem, Placement.current(problem))
        for item in search.entered:
            own = search.state.cells[item]
            self.safe[own[own >= 0]] -= items.cell_demand[item]
        counts = np.bincount(cells.host, minlength=len(problem.hosts))
        self.table = np.full((len(problem.hosts), int(counts.max())), NONE)
        first = np.cumsum(counts) - counts
        self.table[cells.host, np.arange(len(cells)) - first[cells.host]] = np.arange(len(cells))
        ready = search.loose & (items.host0 >= 0) & (items.cells_needed > 0)
        ready[sorted(search.disturbed)] = False
        self.ready = ready & (search.state.host >= 0)
        self.banned: set[tuple[int, int]] = set()
        self.refused: Counter[int] = Counter()
        self._class_items()
        self.out = np.full(len(items), -np.inf)
        self._release(np.flatnonzero(self.ready))
        self.into: list[Floats] = [
            np.full(len(self._options(k)), -np.inf) for k in range(len(self.shapes))
        ]
        self._enter(np.ones(len(problem.hosts), bool))

    def _class_items(self) -> None:
        """Items that only their names tell apart, as far as cells and eligible hosts go."""
        items = self.problem.items
        rows = np.column_stack(
            [
                items.cells_needed,
                items.cell_kind,
                self.problem.where.item_eligible,
                items.cell_demand,
                items.demand,
            ]
        )
        at = np.flatnonzero(self.ready)
        self.shapes, inverse = np.unique(rows[at], axis=0, return_inverse=True)
        self.members = [at[inverse.ravel() == k] for k in range(len(self.shapes))]

    def moves_left(self) -> bool:
        """Whether the limit of moves leaves room for one more."""
        limit = self.problem.max_moves
        return limit < 0 or len(self.search.disturbed & self.search.entered) < limit

    # -- gains -----------------------------------------------------------------------------------

    def _worth(self, free: Ints) -> Floats:
        """(N,) what hosts with so much free on their cells (N, W, S) are worth; less is better."""
        count, wide = free.shape[:2]
        total = np.zeros(count)
        for term in self.level.terms:
            units = np.maximum(free[:, :, term.resource], 0)
            whole, rest = np.divmod(units, term.size)
            if term.cells == 1:
                wasted = rest.sum(axis=1)
            else:
                rows = np.repeat(np.arange(count), wide)
                held = blocks(whole.ravel(), rows, term.cells)
                wasted = units.sum(axis=1) - term.size * term.cells * held
            gathered = TIE * (rest.astype(float) ** 2).sum(axis=1) / term.size
            total += term.weight * (wasted - gathered)
        return total

    def _room(self, hosts: Ints) -> Ints:
        """(N, W, S) what is free on the cells of hosts; nothing where there is no cell."""
        own = self.table[hosts]
        return np.where((own >= 0)[:, :, None], self.free[own], 0)

    def _release(self, some: Ints) -> None:
        """What taking some items off their hosts gains."""
        host = self.search.state.host[some]
        room = self._room(host)
        before = self._worth(room)
        sits = (self.table[host][:, :, None] == self.search.state.cells[some][:, None, :]) & (
            self.table[host] >= 0
        )[:, :, None]
        room = room + sits.any(axis=2)[:, :, None] * self.problem.items.cell_demand[some][:, None]
        self.out[some] = before - self._worth(room)

    def _options(self, shape: int) -> Ints:
        """Where a class may enter: each cell, or each host for items of several cells."""
        return np.arange(len(self.free) if self.shapes[shape][0] == 1 else len(self.table))

    def _enter(self, touched: Bools) -> None:
        """What entering the cells of some hosts gains, for all classes."""
        for k in range(len(self.shapes)):
            options = self._options(k)
            single = self.shapes[k][0] == 1
            hosts = self.problem.cells.host[options] if single else options
            some = touched[hosts]
            self.into[k][options[some]] = self._entry(k, options[some], hosts[some])

    def _entry(self, shape: int, options: Ints, hosts: Ints) -> Floats:
        needed, kind, row = self.shapes[shape][:3].tolist()
        demand = self._demand(shape)
        own = self.table[hosts]
        fits = (own >= 0) & (np.minimum(self.free, self.safe)[own] >= demand).all(axis=2)
        if kind >= 0:
            fits &= self.problem.cells.kind[own] == kind
        if needed == 1:
            takes = fits & (own == options[:, None])
        else:
            takes = fits & (fits.cumsum(axis=1) <= needed)
        room = self._room(hosts)
        gain = self._worth(room) - self._worth(room - takes[:, :, None] * demand)
        shut = self.search.closed[hosts] | (self.problem.where.excluded[row, hosts] != 0)
        shut |= self.problem.hosts.drain[hosts] | (takes.sum(axis=1) < needed)
        return np.where(shut, -np.inf, gain)

    def _demand(self, shape: int) -> Ints:
        return np.asarray(self.shapes[shape][3 : 3 + self.free.shape[1]])

    # -- steps -----------------------------------------------------------------------------------

    def step(self) -> bool:
        """Make the best migration that the rules allow; whether there was one."""
        while True:
            found = max(self._steps(), key=lambda one: one.gain, default=None)
            if found is None or found.gain < LEAST:
                return False
            if self._make(found):
                return True
            self.banned.add((found.item, found.host))
            self.refused[found.item] += 1
            if self.refused[found.item] == PATIENCE:
                self.ready[found.item], self.out[found.item] = False, -np.inf

    def _steps(self) -> list[Step]:
        """The best migration of each class."""
        out = []
        for k, members in enumerate(self.members):
            items = _largest(self.out[members], members)
            options = _largest(self.into[k], self._options(k))
            best = None
            for item in items:
                for option in options:
                    host = self._host(k, option)
                    gain = float(self.out[item] + self.into[k][option])
                    apart = host != self.search.state.host[item]
                    if not apart or (item, host) in self.banned:
                        continue
                    if best is None or gain > best.gain:
                        best = Step(gain, item, host, self._cells(k, option))
            if best is not None:
                out.append(best)
        return out

    def _host(self, shape: int, option: int) -> int:
        return int(self.problem.cells.host[option]) if self.shapes[shape][0] == 1 else option

    def _cells(self, shape: int, option: int) -> tuple[int, ...]:
        needed, kind = self.shapes[shape][:2].tolist()
        if needed == 1:
            return (option,)
        own = self.table[option][self.table[option] >= 0]
        fits = (np.minimum(self.free, self.safe)[own] >= self._demand(shape)).all(axis=1)
        if kind >= 0:
            fits &= self.problem.cells.kind[own] == kind
        return tuple(own[fits][:needed].tolist())

    def _make(self, step: Step) -> bool:
        """Make a migration if all rules hold; whether they do."""
        search, mark = self.search, self.search.mark()
        left = int(search.state.host[step.item])
        off = search.state.cells[step.item].copy()
        if not search.may_enter(step.item, step.host):
            return False
        search.put(step.item, step.host, step.cells)
        if not search.holds(mark):
            search.undo(mark)
            return False
        demand = self.problem.items.cell_demand[step.item]
        self.free[off[off >= 0]] += demand
        self.free[list(step.cells)] -= demand
        self.safe[list(step.cells)] -= demand
        self.ready[step.item], self.out[step.item] = False, -np.inf
        touched = np.zeros(len(self.table), bool)
        touched[[left, step.host]] = True
        self._release(np.flatnonzero(self.ready & touched[search.state.host]))
        self._enter(touched)
        return True


def _largest(gains: Floats, names: Ints) -> list[int]:
    """The names with the largest finite gains, best first."""
    some = np.argsort(-gains, kind="stable")[:BEST] if len(gains) <= BEST else None
    if some is None:
        some = np.argpartition(-gains, BEST - 1)[:BEST]
        some = some[np.argsort(-gains[some], kind="stable")]
    return [int(names[at]) for at in some.tolist() if np.isfinite(gains[at])]
