"""Which hosts to use: the cheapest set whose room covers what must be placed.

A cover is a relaxation (items divisible over the chosen hosts), so its cost is a lower bound; with
some room to spare it is also a good guess at a set of hosts into which everything can be packed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import Bools, Ints
from optsched.budget import Budget
from optsched.problem import Evict
from optsched.solvers.fitting import row_numbers
from optsched.solvers.lp import Floats, minimize
from optsched.solvers.relaxed import Lock, Relaxed

MOST_TYPES = 600  # of hosts, for whole numbers of them; beyond, the LP's bound is used
MOST_ROWS = 24  # requirements, and sizes of items, with a row each


@dataclass(frozen=True)
class Chosen:
    """A set of hosts: (H,) bool, and a lower bound of what any cover costs."""

    hosts: Bools
    bound: int


class Cover:
    """The covering problem: hosts are chosen so that every row of `need` is met.

    Attributes
    ----------
    give, need
        (N, H) and (N,): what each host gives to a row, and what the row needs.
    forced
        (H,) bool: hosts that hold what cannot leave.
    """

    def __init__(self, relaxed: Relaxed, locks: Sequence[Lock], must: Bools | None = None) -> None:
        self.relaxed = relaxed
        problem, items = relaxed.problem, relaxed.problem.items
        self.cost = problem.hosts.cost
        self.forced = np.zeros(len(problem.hosts), bool)
        pinned = ~relaxed.free & items.occupies & (items.host0 >= 0)
        self.forced[items.host0[pinned]] = True
        self._must = must if must is not None else self._placed_in_any_plan(locks)
        self._spare = 0 if must is not None else self._may_be_left(locks)
        give, need = [], []
        for rows in (self._totals(), self._sizes()):
            for row, wanted in rows:
                if wanted > 0:
                    give.append(row)
                    need.append(wanted)
        self.give = np.array(give, dtype=np.int64).reshape(len(give), len(problem.hosts))
        self.need = np.array(need, dtype=np.int64)

    def _placed_in_any_plan(self, locks: Sequence[Lock]) -> Bools:
        """(I,) free, occupying items of which all but `_spare` have a host in any plan."""
        items = self.relaxed.problem.items
        locked = np.zeros(len(items), bool)
        for lock in locks:
            locked |= lock.factor[items.tier] > 0
        stays = items.host0 >= 0
        if self.relaxed.problem.evict is not Evict.NEVER:
            stays &= ~items.evictable
        return np.asarray(self.relaxed.free & items.occupies & (locked | stays))

    def _may_be_left(self, locks: Sequence[Lock]) -> int:
        """How many of those items may still be left out; each weighs at least one."""
        return sum(lock.value for lock in locks)

    def _less_spare(self, amounts: Ints) -> int:
        """Sum of `amounts` without the largest that may be left out."""
        if not self._spare:
            return int(amounts.sum())
        return int(np.sort(amounts)[: max(0, len(amounts) - self._spare)].sum())

    def _totals(self) -> list[tuple[Ints, int]]:
        """Per resource, for all items and for those of the commonest requirements."""
        relaxed = self.relaxed
        problem, items = relaxed.problem, relaxed.problem.items
        who = np.flatnonzero(self._must)
        row = problem.where.item_eligible[who]
        common = np.argsort(-np.bincount(row), kind="stable")[:MOST_ROWS] if len(row) else row
        sets: list[tuple[Ints, Bools]] = [(who, np.ones(len(problem.hosts), bool))]
        for one in common.tolist():
            mine = who[row == one]
            open_to = relaxed.open_to[one].copy()
            open_to[items.host0[mine[items.host0[mine] >= 0]]] = True
            if not open_to.all():
                sets.append((mine, open_to))
        return [
            (np.where(open_to, relaxed.room[:, r], 0), self._less_spare(relaxed.demand[mine, r]))
            for mine, open_to in sets
            for r in range(relaxed.room.shape[1])
        ]

    def _sizes(self) -> list[tuple[Ints, int]]:
        """For the largest classes: how many items at least as large each host can hold."""
        relaxed = self.relaxed
        items = relaxed.problem.items
        who = np.flatnonzero(self._must)
        classes = np.unique(relaxed.of_item[who])
        share = relaxed.demand[relaxed.first[classes]] / np.maximum(relaxed.room.max(axis=0), 1)
        largest = classes[np.argsort(-share.max(axis=1, initial=0.0), kind="stable")[:MOST_ROWS]]
        rows = []
        for klass in largest.tolist():
            item = relaxed.first[klass]
            demand = items.demand[item]
            as_large = who[(items.demand[who] >= demand).all(axis=1)]
            fit = np.full(len(relaxed.room), len(as_large))
            for r in np.flatnonzero(demand).tolist():
                fit = np.minimum(fit, relaxed.room[:, r] // demand[r])
            rows.append((fit, max(0, len(as_large) - self._spare)))
        return rows

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
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.max_deterministic_time = effort
        solver.parameters.max_time_in_seconds = max(budget.remaining(), 0.01)
        if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return None
        hosts = np.zeros(len(kind), bool)
        for k, var in enumerate(used):
            hosts[np.flatnonzero(kind == k)[: solver.value(var)]] = True
        return Chosen(hosts, math.ceil(solver.best_objective_bound - 1e-6))

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
        return Chosen(found.x > 1e-9, math.ceil(found.value - 1e-4))


def least_cost(relaxed: Relaxed, locks: Sequence[Lock], budget: Budget) -> int:
    """A lower bound of the cost of the hosts in use, given how much may be left unplaced."""
    cover = Cover(relaxed, locks)
    certain = int(cover.cost[cover.forced].sum())
    if not cover.need.size or budget.over():
        return certain
    chosen = cover.solve(budget)
    return certain if chosen is None else max(certain, chosen.bound)
