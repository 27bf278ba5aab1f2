"""The master problem of column generation: which patterns the hosts take, as an LP (GLOP).

A *pattern* says how many items of each class a host holds and how many of those were there before.
Hosts in the same state form a *group* and share their patterns. Rows and signs as in
`Master.__init__`; all duals are rounded to whole multiples of 1 / SCALE, so that the Lagrangian
bound is computed in exact integers.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ortools.math_opt.python import mathopt

from optsched.arrays import Bools, Ints
from optsched.classes import ItemClasses
from optsched.levels import TermKind
from optsched.problem import Evict, PlacementProblem

Floats = npt.NDArray[np.float64]

SCALE = 1 << 24


@dataclass(frozen=True)
class Group:
    """Hosts that the level in work cannot tell apart.

    Attributes
    ----------
    hosts
        Their indices.
    room
        (R,) what pinned items leave, at least what movable ones use now.
    now
        (K,) items of each class on each of them; all zero where stays do not matter.
    most
        (K,) how many items of each class may sit there.
    """

    hosts: Ints
    room: Ints
    now: Ints
    most: Ints


@dataclass(frozen=True)
class Lock:
    """A level as a row: kind and the classes it counts, with the value it must keep."""

    kind: TermKind
    mask: Bools
    value: int


@dataclass(frozen=True)
class Duals:
    """Prices of the rows as whole multiples of 1 / SCALE; sign as of a minimisation.

    `size` (K,) <= 0, `keep` (K,) >= 0 (evict rows), `lock` one per lock.
    """

    size: Ints
    keep: Ints
    lock: Ints

    @classmethod
    def of(cls, size: Floats, keep: Floats, lock: Floats) -> Duals:
        """Rounded from an LP's duals, with the signs they must have."""
        return cls(
            np.minimum(np.rint(size * SCALE).astype(np.int64), 0),
            np.maximum(np.rint(keep * SCALE).astype(np.int64), 0),
            np.maximum(np.rint(lock * SCALE).astype(np.int64), 0),
        )


class Master:
    """Columns, rows and the incremental LP."""

    def __init__(
        self,
        problem: PlacementProblem,
        classes: ItemClasses,
        groups: list[Group],
        locks: list[Lock],
        goal: Lock,
    ) -> None:
        self.classes, self.groups, self.locks, self.goal = classes, groups, locks, goal
        items = problem.items
        self.weight = items.weight[classes.first]
        evictable = items.evictable[classes.first] & (problem.evict is not Evict.NEVER)
        self.most_evicted = np.where(evictable, classes.running, 0)
        disturbs = [lv for lv in (*locks, goal) if lv.kind is not TermKind.UNPLACED]
        tracked = np.zeros(len(classes), bool)
        for lock in disturbs:
            tracked |= lock.mask
        self.tracked = (tracked | ~evictable) & (classes.running > 0)
        self.columns: list[tuple[int, Ints, Ints]] = []
        self._table: list[list[Ints]] = [[] for _ in groups]
        self._seen: set[bytes] = set()
        self.model = mathopt.Model()
        self._build()
        self.solver = mathopt.IncrementalSolver(self.model, mathopt.SolverType.GLOP)
        # Only duals are read; turning everything else into Python objects takes longer than GLOP.
        nothing = mathopt.VariableFilter(filtered_items=())
        self._wanted = mathopt.ModelSolveParameters(
            variable_values_filter=nothing, reduced_costs_filter=nothing
        )
        self.z: list[mathopt.Variable] = []

    def _build(self) -> None:
        model, classes = self.model, self.classes
        inf = math.inf
        self.conv = [model.add_linear_constraint(lb=-inf, ub=len(g.hosts)) for g in self.groups]
        self.size = [model.add_linear_constraint(lb=-inf, ub=int(n)) for n in classes.size]
        self.keep: dict[int, mathopt.LinearConstraint] = {}
        self.ev: dict[int, mathopt.Variable] = {}
        for k in np.flatnonzero(self.tracked).tolist():
            self.keep[k] = model.add_linear_constraint(lb=int(classes.running[k]), ub=inf)
            if self.most_evicted[k]:
                self.ev[k] = model.add_variable(lb=0.0, ub=float(self.most_evicted[k]))
                self.keep[k].set_coefficient(self.ev[k], 1.0)
        self.rows = [
            model.add_linear_constraint(lb=float(self.floor(lock)), ub=inf) for lock in self.locks
        ]
        for row, lock in zip(self.rows, self.locks, strict=True):
            for k, ev in self.ev.items():
                if lock.mask[k] and lock.kind is not TermKind.UNPLACED:
                    row.set_coefficient(ev, self.ev_coefficient(lock.kind))
        model.objective.is_maximize = False
        for k, ev in self.ev.items():
            if self.goal.mask[k] and self.goal.kind is not TermKind.UNPLACED:
                # EVICTED: sum of ev; MOVED: running - ev - stays.
                cost = 1.0 if self.goal.kind is TermKind.EVICTED else -1.0
                model.objective.set_linear_coefficient(ev, cost)

    @staticmethod
    def ev_coefficient(kind: TermKind) -> float:
        """EVICTED rows read -sum ev >= -value; MOVED rows sum ev + stays >= running - value."""
        return -1.0 if kind is TermKind.EVICTED else 1.0

    def floor(self, lock: Lock) -> int:
        """Right-hand side of a lock as a >= row."""
        if lock.kind is TermKind.UNPLACED:
            return int((self.weight * self.classes.size)[lock.mask].sum()) - lock.value
        if lock.kind is TermKind.EVICTED:
            return -lock.value
        return int(self.classes.running[lock.mask].sum()) - lock.value

    # ----------------------------------------------------------------- columns

    def add(self, group: int, counts: Ints, stays: Ints) -> bool:
        """Add a pattern of a group; whether it is new."""
        key = group.to_bytes(4, "little") + counts.tobytes()
        if key in self._seen:
            return False
        self._seen.add(key)
        z = self.model.add_variable(lb=0.0)
        self.conv[group].set_coefficient(z, 1.0)
        for k in np.flatnonzero(counts).tolist():
            self.size[k].set_coefficient(z, float(counts[k]))
            if k in self.keep:
                self.keep[k].set_coefficient(z, float(counts[k]))
        for row, lock in zip(self.rows, self.locks, strict=True):
            worth = self._worth(lock, counts, stays)
            if worth:
                row.set_coefficient(z, float(worth))
        cost = -self._worth(self.goal, counts, stays)
        if cost:
            self.model.objective.set_linear_coefficient(z, float(cost))
        self.z.append(z)
        self.columns.append((group, counts, stays))
        self._table[group].append(np.concatenate([counts, stays]))
        return True

    def _worth(self, lock: Lock, counts: Ints, stays: Ints) -> int:
        """What a pattern adds to a lock's row (and takes off the goal)."""
        if lock.kind is TermKind.UNPLACED:
            return int((self.weight * counts)[lock.mask].sum())
        return int(stays[lock.mask].sum()) if lock.kind is TermKind.MOVED else 0

    def offset(self) -> int:
        """The constant part of the goal."""
        if self.goal.kind is TermKind.UNPLACED:
            return int((self.weight * self.classes.size)[self.goal.mask].sum())
        if self.goal.kind is TermKind.MOVED:
            return int(self.classes.running[self.goal.mask].sum())
        return 0

    # ---------------------------------------------------------------------- LP

    def solve(self, seconds: float) -> tuple[float, Duals] | None:
        """Value of the LP (with the offset) and rounded duals; None if it was not solved."""
        result = self._solve(seconds, self._wanted)
        return (
            None
            if result is None
            else (result.objective_value() + self.offset(), self._duals(result))
        )

    def solve_fully(self, seconds: float) -> tuple[Floats, Duals] | None:
        """How much of each column the LP takes, and rounded duals; None if it was not solved."""
        result = self._solve(seconds, mathopt.ModelSolveParameters())
        if result is None:
            return None
        return np.array(result.variable_values(self.z)), self._duals(result)

    def fix(self, column: int, least: int) -> None:
        """Make the LP take a column at least so many times (0: as it likes)."""
        self.z[column].lower_bound = float(least)

    def _duals(self, result: mathopt.SolveResult) -> Duals:
        size = np.array(result.dual_values(self.size))
        keep = np.zeros(len(self.classes))
        if self.keep:
            keep[list(self.keep)] = result.dual_values(list(self.keep.values()))
        lock = np.array(result.dual_values(self.rows)) if self.rows else np.zeros(0)
        return Duals.of(size, keep, lock)

    def _solve(
        self, seconds: float, wanted: mathopt.ModelSolveParameters
    ) -> mathopt.SolveResult | None:
        """One LP; where GLOP gives up on the numbers, again from scratch."""
        params = mathopt.SolveParameters(time_limit=_seconds(seconds))
        for _ in range(2):
            try:
                result = self.solver.solve(params=params, model_params=wanted)
            except (RuntimeError, AttributeError):
                # MathOpt turns GLOP's ABNORMAL into an exception (ortools 9.15: AttributeError).
                self.solver = mathopt.IncrementalSolver(self.model, mathopt.SolverType.GLOP)
                continue
            solved = result.termination.reason is mathopt.TerminationReason.OPTIMAL
            return result if solved else None
        return None

    def prices(self, duals: Duals) -> tuple[Ints, Ints]:
        """(K,) worth of one more copy in a pattern, and of a copy that was there before."""
        copy = duals.size + duals.keep
        stay = np.zeros(len(self.classes), np.int64)
        for price, lock in zip(
            (*duals.lock.tolist(), SCALE), (*self.locks, self.goal), strict=True
        ):
            if lock.kind is TermKind.UNPLACED:
                copy = copy + np.where(lock.mask, price * self.weight, 0)
            elif lock.kind is TermKind.MOVED:
                stay = stay + np.where(lock.mask, price, 0)
        return copy, stay

    def best_known(self, group: int, copy: Ints, stay: Ints) -> int:
        """The most that a known pattern of the group is worth at these prices, at least 0."""
        rows = self._table[group]
        if not rows:
            return 0
        return max(0, int((np.stack(rows) @ np.concatenate([copy, stay])).max()))

    def bound(self, duals: Duals, best: list[int]) -> int:
        """The Lagrangian bound, times SCALE, given the best (or more) pattern value per group."""
        total = SCALE * self.offset()
        total += sum(int(d) * int(n) for d, n in zip(duals.size, self.classes.size, strict=True))
        total += sum(int(duals.keep[k]) * int(self.classes.running[k]) for k in self.keep)
        prices = duals.lock.tolist()
        total += sum(p * self.floor(lock) for p, lock in zip(prices, self.locks, strict=True))
        for group, value in zip(self.groups, best, strict=True):
            total -= len(group.hosts) * max(0, value)
        for k in self.ev:
            reduced = -int(duals.keep[k])
            for price, lock in zip((*prices, SCALE), (*self.locks, self.goal), strict=True):
                if lock.mask[k] and lock.kind is not TermKind.UNPLACED:
                    reduced -= int(self.ev_coefficient(lock.kind)) * price
            total += min(0, reduced) * int(self.most_evicted[k])
        return total

    def integer(self, seconds: float) -> list[int] | None:
        """How often each column is taken in the best whole solution found (HiGHS); None: none."""
        for variable in (*self.z, *self.ev.values()):
            variable.integer = True
        params = mathopt.SolveParameters(time_limit=_seconds(seconds), absolute_gap_tolerance=0.99)
        try:
            result = mathopt.solve(self.model, mathopt.SolverType.HIGHS, params=params)
        finally:
            for variable in (*self.z, *self.ev.values()):
                variable.integer = False
        if not result.solutions or result.solutions[0].primal_solution is None:
            return None
        return [round(x) for x in result.variable_values(self.z)]


def _seconds(seconds: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=max(seconds, 0.001))
