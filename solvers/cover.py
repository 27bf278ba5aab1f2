"""Which hosts to use: the cheapest set whose room covers what must be placed.

A cover is a relaxation (items divisible over the chosen hosts), so its cost is a lower bound; with
some room to spare it is also a good guess at a set of hosts into which everything can be packed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import Bools, Ints, row_numbers
from optsched.budget import Budget
from optsched.problem import Evict, PlacementProblem
from optsched.solvers import cpsat
from optsched.solvers.lp import ROUNDING, Floats, minimize
from optsched.solvers.relaxed import Lock, Relaxed

MOST_TYPES = 600  # of hosts, for whole numbers of them; beyond, the LP's bound is used
MOST_ROWS = 24  # requirements, and sizes of items, with a row each


@dataclass(frozen=True)
class Chosen:
    """A set of hosts: (H,) bool, and a lower bound of what any cover costs."""

    hosts: Bools
    bound: int


@dataclass(frozen=True)
class Load:
    """What is to be covered.

    Attributes
    ----------
    items
        Items that hosts in use must hold, all but `spare` of them.
    room
        (H, R) what each host has for them.
    forced
        (H,) bool: hosts that are in use anyway.
    spare
        How many items may be left out.
    """

    items: Ints
    room: Ints
    forced: Bools
    spare: int = 0


class Cover:
    """The covering problem: hosts are chosen so that every row of `need` is met.

    Attributes
    ----------
    give, need
        (N, H) and (N,): what each host gives to a row, and what the row needs.
    """

    def __init__(self, problem: PlacementProblem, load: Load) -> None:
        self.problem, self.load = problem, load
        self.cost, self.forced = problem.hosts.cost, load.forced
        rows = [row for row in (*self._totals(), *self._sizes()) if row[1] > 0]
        self.give = np.array([give for give, _ in rows], dtype=np.int64)
        self.give = self.give.reshape(len(rows), len(problem.hosts))
        self.need = np.array([need for _, need in rows], dtype=np.int64)

    def _less_spare(self, amounts: Ints) -> int:
        """Sum of `amounts` without the largest that may be left out."""
        kept = max(0, len(amounts) - self.load.spare)
        return int(np.sort(amounts)[:kept].sum())

    def _totals(self) -> Iterator[tuple[Ints, int]]:
        """Per resource, for all items and for those of the commonest requirements."""
        problem, items, who = self.problem, self.problem.items, self.load.items
        row = problem.where.item_eligible[who]
        sets: list[tuple[Ints, Bools]] = [(who, np.ones(len(problem.hosts), bool))]
        for one in np.argsort(-np.bincount(row), kind="stable")[:MOST_ROWS].tolist():
            mine = who[row == one]
            open_to = (problem.where.excluded[one] == 0) & ~problem.hosts.drain
            open_to[items.host0[mine[items.host0[mine] >= 0]]] = True
            if not open_to.all():
                sets.append((mine, open_to))
        for mine, open_to in sets:
            for r in range(items.demand.shape[1]):
                give = np.where(open_to, self.load.room[:, r], 0)
                yield give, self._less_spare(items.demand[mine, r])

    def _sizes(self) -> Iterator[tuple[Ints, int]]:
        """For the largest demands: how many items at least as large each host can hold."""
        demand = self.problem.items.demand[self.load.items]
        share = (demand / np.maximum(self.load.room.max(axis=0, initial=1), 1)).max(axis=1)
        sizes = np.unique(demand[np.argsort(-share, kind="stable")[: 8 * MOST_ROWS]], axis=0)
        for size in sizes[:: max(1, len(sizes) // MOST_ROWS)]:
            as_large = int((demand >= size).all(axis=1).sum())
            fit = np.full(len(self.load.room), as_large)
            for r in np.flatnonzero(size).tolist():
                fit = np.minimum(fit, self.load.room[:, r] // size[r])
            yield fit, as_large - self.load.spare

    # -- solving ---------------------------------------------------------------------------------

    def solve(self, budget: Budget, spare_room: float = 0.0, effort: float = 2.0) -> Chosen | None:
        """The cheapest cover, each row needing `spare_room` (a share) more; None if there is none.

        `effort` is in CP-SAT's deterministic seconds.
        """
        kind = row_numbers(np.vstack([self.give, self.cost, self.forced]).T)
        first = np.unique(kind, return_index=True)[1]
        if len(first) > MOST_TYPES:
            return self._divisible(spare_room, budget)
        model = cp_model.CpModel()
        number = np.bincount(kind)
        used = [
            model.new_int_var(int(n) if self.forced[h] else 0, int(n), "")
            for h, n in zip(first.tolist(), number.tolist(), strict=True)
        ]
        for row, need in zip(self.give[:, first].tolist(), self.need.tolist(), strict=True):
            wanted = math.ceil(need * (1 + spare_room))
            model.add(cp_model.LinearExpr.weighted_sum(used, row) >= wanted)
        model.minimize(cp_model.LinearExpr.weighted_sum(used, self.cost[first].tolist()))
        solver = cpsat.prepared(budget, workers=1, effort=effort)
        if cpsat.run(solver, model, budget) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return None
        hosts = np.zeros(len(kind), bool)
        for k, var in enumerate(used):
            hosts[np.flatnonzero(kind == k)[: solver.value(var)]] = True
        return Chosen(hosts, cpsat.bound(solver, model))

    def _divisible(self, spare_room: float, budget: Budget) -> Chosen | None:
        """The LP over single hosts, rounded up."""
        scale = np.maximum(self.give.max(axis=1), 1).astype(float)
        row, column = np.nonzero(self.give)
        entries: list[tuple[Ints, Ints, Floats]] = [
            (row, column, self.give[row, column] / scale[row])
        ]
        start = len(self.need)
        forced = np.flatnonzero(self.forced)
        entries.append((start + np.arange(len(forced)), forced, np.ones(len(forced))))
        low = np.concatenate([self.need * (1 + spare_room) / scale, np.ones(len(forced))])
        found = minimize(
            self.cost.astype(float),
            np.ones(len(self.cost)),
            low.tolist(),
            [math.inf] * len(low),
            entries,
            budget.remaining(),
        )
        if found is None:
            return None
        slack = ROUNDING * max(1.0, float(self.cost.sum()))
        return Chosen(found.x > 1e-9, math.ceil(found.sure - slack))


def least_cost(relaxed: Relaxed, locks: Sequence[Lock], budget: Budget) -> int:
    """A lower bound of the cost of the hosts in use, given how much may be left unplaced."""
    problem, items = relaxed.problem, relaxed.problem.items
    forced = np.zeros(len(problem.hosts), bool)
    forced[items.host0[~relaxed.free & items.occupies & (items.host0 >= 0)]] = True
    locked = np.zeros(len(items), bool)
    for lock in locks:
        locked |= lock.factor[items.tier] > 0
    stays = items.host0 >= 0
    if problem.evict is not Evict.NEVER:
        stays &= ~items.evictable
    must = np.flatnonzero(relaxed.free & items.occupies & (locked | stays))
    # Each item weighs at least one, so no more items than weight may be left out.
    spare = sum(lock.value for lock in locks)
    room = relaxed.room[:, : items.demand.shape[1]]
    cover = Cover(problem, Load(must, room, forced, spare))
    certain = int(cover.cost[forced].sum())
    if not cover.need.size or budget.over():
        return certain
    chosen = cover.solve(budget)
    return certain if chosen is None else max(certain, chosen.bound)
