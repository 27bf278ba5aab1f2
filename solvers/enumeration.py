"""Closing a gap: all patterns that a better placement could use, and the integer program over them.

With prices that give the bound L, a placement worth at most T can only use patterns whose reduced
cost is at most T - L (Baldacci, Christofides and Mingozzi 2008 use the same argument for routes).
Where those are few, an integer program over them finds the better placement or proves that there
is none.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass

import numpy as np
from ortools.math_opt import model_pb2
from ortools.math_opt.python import mathopt

from optsched.arrays import Ints
from optsched.kernels.pricing import patterns_above
from optsched.levels import TermKind
from optsched.solvers.master import Lock, Master

MOST = 40_000  # patterns of all groups together
NODES = 20_000_000  # of one enumeration


@dataclass(frozen=True)
class Pool:
    """Patterns of all groups: group (P,), counts (P, K) and stays (P, K)."""

    group: Ints
    counts: Ints
    stays: Ints


def patterns_within(
    master: Master, demand: Ints, copy: Ints, stay: Ints, least: list[int]
) -> Pool | None:
    """All patterns worth at least `least` (per group) at the prices given; None: too many."""
    groups, counts, stays = [], [], []
    total = 0
    for g, group in enumerate(master.groups):
        here = np.minimum(group.now, group.most)
        bonus = np.flatnonzero((here > 0) & (stay > 0))
        split = np.zeros(len(copy), bool)
        split[bonus] = True
        rest_copies = np.where(split, group.most - here, group.most)
        rest = np.flatnonzero(rest_copies > 0)
        which = np.concatenate([bonus, rest])
        after = np.full(len(which), -1)
        position = np.full(len(copy), -1)
        position[bonus] = np.arange(len(bonus))
        after[len(bonus) :] = position[rest]
        value = np.concatenate([(copy + stay)[bonus], copy[rest]])
        copies = np.concatenate([here[bonus], rest_copies[rest]])
        found = np.zeros((MOST - total, len(which)), np.int64)
        number = patterns_above(
            group.room.astype(np.float64), demand[which].astype(np.float64), value, copies, after,
            least[g], NODES, found,
        )  # fmt: skip
        if number < 0:
            return None
        total += number
        table = np.zeros((number, len(copy)), np.int64)
        np.add.at(table.T, which, found[:number].T)
        groups.append(np.full(number, g))
        counts.append(table)
        stays.append(np.minimum(table, group.now))
    return Pool(np.concatenate(groups), np.concatenate(counts), np.concatenate(stays))


@dataclass(frozen=True)
class Verdict:
    """How often each pattern of the pool is taken, or None; and whether nothing better exists."""

    taken: Ints | None
    none_better: bool


def choose(master: Master, pool: Pool, target: int, seconds: float) -> Verdict:
    """Find whole multiples of patterns with a goal of at most `target` (HiGHS)."""
    program = _Program(master, pool, target)
    # No `threads`: HiGHS fails when two of its solves in one process ask for different numbers.
    params = mathopt.SolveParameters(time_limit=datetime.timedelta(seconds=max(seconds, 0.001)))
    model = mathopt.Model.from_model_proto(program.proto())
    try:
        result = mathopt.solve(model, mathopt.SolverType.HIGHS, params=params)
    except (RuntimeError, AttributeError):  # what MathOpt makes of a solver's error, see Master
        return Verdict(None, none_better=False)
    reason = result.termination.reason
    if reason in (
        mathopt.TerminationReason.INFEASIBLE,
        mathopt.TerminationReason.INFEASIBLE_OR_UNBOUNDED,
    ):
        return Verdict(None, none_better=True)
    if not result.has_primal_feasible_solution():
        return Verdict(None, none_better=False)
    values = result.variable_values(list(model.variables()))
    taken = np.rint(values[: len(pool.group)]).astype(np.int64)
    return Verdict(taken, none_better=False)


class _Program:
    """Columns: patterns, then evictions; rows: groups, sizes, keeps, locks, and the goal."""

    def __init__(self, master: Master, pool: Pool, target: int) -> None:
        self.master, self.pool, self.target = master, pool, target
        self.ek = np.flatnonzero(master.tracked & (master.most_evicted > 0))
        self.tracked = np.flatnonzero(master.tracked)

    def _worth(self, lock: Lock) -> Ints:
        """(P + E,) what each column adds to the row of a lock."""
        evicts = np.zeros(len(self.ek), np.int64)
        if lock.kind is TermKind.UNPLACED:
            own = self.pool.counts @ np.where(lock.mask, self.master.weight, 0)
        else:
            moved = lock.kind is TermKind.MOVED
            own = self.pool.stays @ (lock.mask & moved).astype(np.int64)
            evicts = lock.mask[self.ek] * int(self.master.ev_coefficient(lock.kind))
        return np.concatenate([own, evicts])

    def proto(self) -> model_pb2.ModelProto:
        """The integer program, without an objective."""
        master, pool = self.master, self.pool
        patterns, groups, classes = len(pool.group), len(master.groups), len(master.classes)
        columns = patterns + len(self.ek)
        many = np.array([len(group.hosts) for group in master.groups])
        goal = Lock(master.goal.kind, master.goal.mask, self.target)
        rows = np.zeros((groups + classes + len(self.tracked) + len(master.locks) + 1, columns))
        rows[pool.group, np.arange(patterns)] = 1
        rows[groups : groups + classes, :patterns] = pool.counts.T
        keep = groups + classes
        rows[keep : keep + len(self.tracked), :patterns] = pool.counts.T[self.tracked]
        at = np.searchsorted(self.tracked, self.ek)
        rows[keep + at, patterns + np.arange(len(self.ek))] = 1
        for row, lock in enumerate((*master.locks, goal), keep + len(self.tracked)):
            rows[row] = self._worth(lock)
        floors = [master.floor(lock) for lock in (*master.locks, goal)]
        low = np.concatenate(
            [
                np.full(groups + classes, -math.inf),
                master.classes.running[self.tracked],
                np.array(floors, dtype=np.float64),
            ]
        )
        free = np.full(len(self.tracked) + len(floors), math.inf)
        high = np.concatenate([many, master.classes.size, free])
        row, column = np.nonzero(rows)
        upper = np.concatenate([many[pool.group], master.most_evicted[self.ek]])
        return model_pb2.ModelProto(
            variables=model_pb2.VariablesProto(
                ids=range(columns),
                lower_bounds=np.zeros(columns),
                upper_bounds=upper.astype(np.float64),
                integers=[True] * columns,
            ),
            linear_constraints=model_pb2.LinearConstraintsProto(
                ids=range(len(low)), lower_bounds=low, upper_bounds=high.astype(np.float64)
            ),
            linear_constraint_matrix={
                "row_ids": row,
                "column_ids": column,
                "coefficients": rows[row, column],
            },
        )
