"""A bound for crowds: tasks matched with positions on cores.

A task that is the k-th from last on its core delays k - 1 others, so that it adds k of its lengths
to the sum of answers (Horn 1973; Bruno, Coffman and Sethi 1974, for unrelated machines). Here cores
are free from different times on. An answer is also no earlier than that of the task alone; so any
mean of both, with one share for each group of cores, is a bound, and the best shares are sought by
ascent: the bound is concave in them.
"""

from __future__ import annotations

import numpy as np
from ortools.graph.python import min_cost_flow  # type: ignore[import-untyped]

from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.result import Bound
from optsched.solvers.scheduling.alone import LARGE, Alone, Choices
from optsched.tasks import TaskProblem

ARCS = 400_000  # of a matching, at most
WHOLE = 64  # shares are in parts of this
ROUNDS, WORK = 30, 4_000_000  # matchings, and arcs of all of them, at most
FIRST, SLOWER = 32.0, 0.9  # parts by which a share changes in the first round; and ever less


def releases(problem: TaskProblem, node: int, first: int) -> list[tuple[int, int]]:
    """(time, cores) of a node: so many more are free from then on, at the earliest.

    Cores that what is taken frees and takes again are counted as free from the first time on.
    """
    taken, most = problem.taken, int(problem.nodes.cores[node])
    own = np.flatnonzero(taken.node == node)
    begin, end, cores = taken.begin[own], taken.end[own], taken.cores[own]
    found, free = list[tuple[int, int]](), 0
    for now in sorted({first, *end[end > first].tolist()}):
        here = most - int(cores[(begin <= now) & (now < end)].sum())
        if here > free:
            found.append((now, here - free))
            free = here
    return found


class Matching:
    """Tasks, positions on groups of like cores, and what each pairing costs.

    Attributes
    ----------
    groups
        Of cores; `single` is the share of the answer alone in each, in parts of `WHOLE`.
    """

    def __init__(self, problem: TaskProblem, alone: Alone, given: Choices) -> None:
        self.tasks = tasks = problem.tasks
        self.given = given
        # What takes no time needs no core: it is matched with the best node outright.
        self.instant = np.flatnonzero(tasks.work == 0)
        ways = given.allowed[:, :-1] & (tasks.work > 0)[:, None]
        begins = np.where(ways, alone.answer - problem.run - problem.download, LARGE)
        used = np.flatnonzero(ways.any(axis=0)).tolist()
        parts = [
            (j, free, cores, np.flatnonzero(ways[:, j]))
            for j in used
            for free, cores in releases(problem, j, int(begins[:, j].min()))
        ]
        self.groups = len(parts)
        most = {j: sum(cores for i, _, cores, _ in parts if i == j) for j in used}
        # Where all cores are alike, no chain need be longer than the others by more than one task.
        deep = [
            len(own) if cores < most[j] else -(-len(own) // cores) for j, _, cores, own in parts
        ]
        self.arcs = sum(k * len(own) for k, (_, _, _, own) in zip(deep, parts, strict=True))
        self.slots = sum(deep)
        if not 0 < self.arcs <= ARCS:
            return
        columns: list[list[Ints]] = [[] for _ in range(6)]
        slot = len(tasks)
        self.room = np.repeat([cores for _, _, cores, _ in parts], deep)
        for g, (depth, (j, free, _, own)) in enumerate(zip(deep, parts, strict=True)):
            length, ends = problem.run[own, j], problem.download[own, j] - tasks.arrival[own]
            begin, last = np.maximum(begins[own, j], free), problem.horizon - tasks.arrival[own]
            k = np.repeat(np.arange(1, depth + 1), len(own))
            many = (
                np.tile(own, depth),
                slot + k - 1,
                np.full(len(k), g),
                np.tile(given.haste * np.minimum(begin + length + ends, last), depth),
                given.haste * (free + k * np.tile(length, depth) + np.tile(ends, depth)),
                np.tile(given.rest[own, j], depth),
            )
            for column, values in zip(columns, many, strict=True):
                column.append(values)
            slot += depth
        self.task, self.slot, self.group, self.single, self.placed, self.rest = (
            np.concatenate(column) for column in columns
        )

    def solve(self, shares: Ints) -> tuple[int, np.ndarray]:
        """The least cost times `WHOLE`, and how it grows with the share of each group."""
        given, count = self.given, len(self.tasks)
        out = count + self.slots
        share = shares[self.group]
        cost = share * self.single + (WHOLE - share) * self.placed + WHOLE * self.rest
        may = np.flatnonzero(given.allowed[:, -1] & (self.tasks.work > 0))
        reject = WHOLE * (given.response[may, -1] + given.rest[may, -1])
        flow = min_cost_flow.SimpleMinCostFlow()
        add = flow.add_arcs_with_capacity_and_unit_cost
        arcs = add(self.task, self.slot, np.ones(self.arcs, np.int64), cost)
        sinks = np.arange(count, out)
        add(sinks, np.full(self.slots, out), self.room, np.zeros(self.slots, np.int64))
        add(may, np.full(len(may), out), np.ones(len(may), np.int64), reject)
        free = self.instant
        cost = np.where(given.allowed[free], given.response[free] + given.rest[free], LARGE)
        add(free, np.full(len(free), out), np.ones(len(free), np.int64), WHOLE * _least(cost))
        flow.set_nodes_supplies(np.arange(count), [1] * count)
        flow.set_node_supply(out, -count)
        if flow.solve() != flow.OPTIMAL:
            return 0, np.zeros(self.groups)
        taken = flow.flows(arcs)
        slope = np.bincount(
            self.group, weights=taken * (self.single - self.placed), minlength=self.groups
        )
        return int(flow.optimal_cost()), slope


def _least(cost: Ints) -> Ints:
    """(n,) the smallest of each row; 0 where nothing is allowed."""
    least = cost.min(axis=1, initial=LARGE)
    return np.where(least == LARGE, 0, least)


def matched(
    problem: TaskProblem, alone: Alone, given: Choices, budget: Budget | None = None
) -> Bound:
    """The highest bound of some matchings; 0 where they would be too large."""
    made = Matching(problem, alone, given)
    if not 0 < made.arcs <= ARCS:
        return Bound(0, "")
    shares, best, step = np.full(made.groups, WHOLE / 3), 0, FIRST
    for _ in range(max(1, min(ROUNDS, WORK // made.arcs))):
        value, slope = made.solve(np.rint(shares).astype(np.int64))
        best = max(best, value)
        steep = float(np.abs(slope).max(initial=0.0))
        if not steep or (budget is not None and budget.over()):
            break
        shares = np.clip(shares + step * slope / steep, 0, WHOLE)
        step *= SLOWER
    return Bound(given.base - (-best // WHOLE), "tasks matched with positions")
