"""Bounds of schedules that need no search: each task alone on its node, and tasks in positions.

Alone a task waits for its data, its node and what the node is busy with, for no other task. The
best node by the whole weighted sum of a level bounds it; what earlier levels have reached rules
nodes and rejections out.

Where tasks crowd, positions are matched with tasks (Horn 1973; Bruno, Coffman and Sethi 1974, for
the sum of completion times on unrelated machines): a task that is the k-th from last on its core
delays k - 1 others, so it adds k times its length to the sum. Both hold for every schedule, and so
does any mean of the two, task by task: the answers are at least what each of them says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ortools.graph.python import min_cost_flow  # type: ignore[import-untyped]

from optsched.arrays import NONE, Bools, Ints
from optsched.budget import Budget
from optsched.kernels import schedules as kernel
from optsched.result import Bound
from optsched.solvers.scheduling.flat import tables
from optsched.tasks import Goal, Schedule, TaskProblem, evaluate

LARGE = np.iinfo(np.int64).max // 4
ARCS = 400_000  # of a matching, at most
QUICK = 1000  # pairs of a task and a node for which a matching takes a few milliseconds
MEANS = ((0, 1), (1, 1))  # shares of alone and of positions in a matching


def alone_begins(problem: TaskProblem) -> Ints:
    """(I, J) when each task can begin at the earliest if it is the only one; -1: it cannot.

    Cores that are taken count; a sleeping node may have been woken by any task. Memory is left out,
    and a task that has predecessors is treated as if it had none.
    """
    tasks, fits = problem.tasks, problem.fits
    flat = tables(problem)
    flat = flat._replace(
        since=np.zeros_like(flat.since),
        memory=np.zeros_like(flat.memory),  # data that are sent later hold it later
        cores=np.where(tasks.work > 0, flat.cores, 0),  # what takes no time finds a moment
    )
    out = np.empty(fits.shape, np.int64)
    woken = np.where(fits, tasks.arrival[:, None], LARGE).min(axis=0, initial=LARGE)
    lines = kernel.lines(fits.shape[0], fits.shape[1], len(problem.taken))
    kernel.begins(flat, lines, np.where(woken == LARGE, NONE, woken), out)
    return out


@dataclass(frozen=True)
class Choices:
    """What each task adds to a level, (I, J + 1) on each node and rejected (the last column).

    Attributes
    ----------
    allowed
        Bool: it may be there, given what earlier levels have reached.
    response, rest
        Weighted milliseconds of the response, and all else.
    base
        What the nodes add whatever is done.
    haste
        Weight of a millisecond of response.
    """

    allowed: Bools
    response: Ints
    rest: Ints
    base: int
    haste: int


class Alone:
    """The tasks of a problem, each on its own."""

    def __init__(self, problem: TaskProblem) -> None:
        self.problem = problem
        tasks, horizon = problem.tasks, problem.horizon
        begins = alone_begins(problem)
        self.fits = begins != NONE
        answer = np.where(self.fits, begins + problem.run + problem.download, LARGE)
        self.answer = answer
        rejected = np.full((len(tasks), 1), horizon)
        self.seen = np.minimum(np.hstack([answer, rejected]), horizon)
        due = np.where(tasks.deadline == NONE, LARGE, tasks.deadline)
        last = np.minimum(due, horizon)
        self.violated = np.hstack([answer > last[:, None], np.ones((len(tasks), 1), bool)])
        self.late = tasks.weight[:, None] * np.maximum(self.seen - due[:, None], 0)

    def choices(self, level: int, values: tuple[int, ...] = ()) -> Choices:
        """Of one level, for schedules whose earlier levels have these values."""
        problem, tasks = self.problem, self.problem.tasks
        weight = problem.objective.weights(level)
        nothing = np.zeros((len(tasks), 1), np.int64)
        haste = weight.get(Goal.RESPONSE, 0)
        rest = weight.get(Goal.SLA, 0) * self.violated * tasks.weight[:, None]
        rest = rest + weight.get(Goal.LATENESS, 0) * self.late
        thrift = weight.get(Goal.ENERGY, 0)
        rest = rest + thrift * np.hstack([problem.energy, nothing])
        allowed = np.hstack([self.fits, np.ones((len(tasks), 1), bool)])
        for before, value in enumerate(values[:level]):
            if problem.objective.levels[before] is Goal.SLA:
                allowed &= ~(self.violated & (tasks.weight[:, None] > value))
        return Choices(
            allowed=allowed,
            response=haste * (self.seen - tasks.arrival[:, None]),
            rest=rest,
            base=thrift * _base(problem),
            haste=haste,
        )


def _base(problem: TaskProblem) -> int:
    """Millijoules that the nodes take if no task runs."""
    nodes = problem.nodes
    least = np.where(nodes.asleep, np.minimum(nodes.sleep, nodes.idle), nodes.idle)
    return int((-(-least * problem.horizon // 1000)).sum())


def free_bounds(problem: TaskProblem, values: tuple[int, ...] = ()) -> list[Bound]:
    """One per level of the objective, each task alone.

    Parameters
    ----------
    values
        Of the levels of a schedule: the bounds then hold for every schedule that reaches the same
        values of the levels before. Without them they hold for all.
    """
    alone = Alone(problem)
    return [
        _alone(alone.choices(k, values), _words(problem, k))
        for k in range(len(problem.objective.levels))
    ]


def _words(problem: TaskProblem, level: int) -> str:
    one = problem.objective.levels[level]
    if one is Goal.SLA:
        return "deadlines that no node can meet, even alone"
    return "each task where it adds least" if one is Goal.ENERGY else "no task waits"


def _alone(given: Choices, words: str) -> Bound:
    cost = np.where(given.allowed, given.response + given.rest, LARGE)
    least = cost.min(axis=1, initial=LARGE)
    if (least == LARGE).any():  # then no schedule has these values, and nothing is said
        least = np.where(least == LARGE, 0, least)
    return Bound(given.base + int(least.sum()), words)


def crowded_bounds(problem: TaskProblem, values: tuple[int, ...] = ()) -> list[Bound]:
    """Those of `free_bounds`, raised by matching tasks with positions where responses count."""
    alone = Alone(problem)
    found = []
    for k in range(len(problem.objective.levels)):
        given = alone.choices(k, values)
        ways = [_alone(given, _words(problem, k))]
        if given.haste:
            ways += [_matched(problem, alone, given, *mean) for mean in MEANS]
        found.append(max(ways, key=lambda one: one.value))
    return found


def best_bounds(problem: TaskProblem, schedule: Schedule, budget: Budget) -> list[Bound]:
    """Given what a schedule reaches: the crowded ones where they matter and there is time."""
    values = evaluate(problem, schedule).levels
    bounds = free_bounds(problem, values)
    open_ = any(v > bound.value for v, bound in zip(values, bounds, strict=True))
    quick = int(problem.fits.sum()) <= QUICK
    if not open_ or (budget.over() and not quick):
        return bounds
    return crowded_bounds(problem, values)


def tighter(one: Sequence[Bound], two: Sequence[Bound]) -> list[Bound]:
    """The higher bound of every level; of equals the first."""
    return [max(pair, key=lambda bound: bound.value) for pair in zip(one, two, strict=True)]


def _matched(problem: TaskProblem, alone: Alone, given: Choices, single: int, placed: int) -> Bound:
    """The least cost of giving every task a position on a node, or rejecting it.

    A task in position k of node j answers, in the sum, k of its lengths after the first moment at
    which any task can begin there; mixed with its answer alone in the ratio `single` to `placed`.
    """
    tasks, nodes, share = problem.tasks, problem.nodes, single + placed
    ways = given.allowed[:, :-1]
    counts = ways.sum(axis=0)
    depth = np.minimum(-(-counts // nodes.cores), len(tasks))
    arcs = int((counts * depth).sum())
    if not 0 < arcs <= ARCS:
        return Bound(0, "")
    begins = np.where(ways, alone.answer - problem.run - problem.download, LARGE)
    first = begins.min(axis=0, initial=LARGE)
    flow = min_cost_flow.SimpleMinCostFlow()
    slot = len(tasks)
    supply = [1] * len(tasks)
    out = slot + int(depth.sum())
    add = flow.add_arcs_with_capacity_and_unit_cost
    for j in np.flatnonzero(depth).tolist():
        own = np.flatnonzero(ways[:, j])
        back = first[j] + problem.download[own, j] - tasks.arrival[own]
        for k in range(1, int(depth[j]) + 1):
            crowd = given.haste * (back + k * problem.run[own, j])
            cost = single * given.response[own, j] + placed * crowd + share * given.rest[own, j]
            add(own, np.full(len(own), slot), np.ones(len(own), np.int64), cost)
            add([slot], [out], [int(nodes.cores[j])], [0])
            slot += 1
    may = np.flatnonzero(given.allowed[:, -1])
    cost = share * (given.response[may, -1] + given.rest[may, -1])
    add(may, np.full(len(may), out), np.ones(len(may), np.int64), cost)
    flow.set_nodes_supplies(np.arange(len(tasks)), supply)
    flow.set_node_supply(out, -len(tasks))
    if flow.solve() != flow.OPTIMAL:
        return Bound(0, "")
    return Bound(given.base - (-flow.optimal_cost() // share), "tasks matched with positions")
