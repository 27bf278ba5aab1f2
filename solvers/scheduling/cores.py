"""A bound that knows when everything begins: every core on its own, by column generation.

A schedule gives each core a way through time: one task after another, none before its data are
there, at the cost of its answer then. The linear program that mixes such ways and asks that every
task is run once or rejected is the time-indexed one (Dyer and Wolsey 1990), made column by column
(van den Akker, Hurkens and Savelsbergh 2000). A way may run a task twice, which keeps the search
for the cheapest a shortest path; what it costs to wake a node is paid in the share in which it is
used, and branched on where that is neither nothing nor all. Memory and precedences are left out; a
task of several cores is a part on each of them, which may begin at different times. Every price of
a task gives a valid bound by Lagrange's relaxation, so the search may end at any time.

No task is priced below what it costs alone where it is cheapest, since to leave it out saves that
much (columns that sell it back, dual-optimal inequalities as of Ben Amor, Desrosiers and Valerio de
Carvalho 2006); nor, at first, by more above that than a share of the room below a known schedule: a
box around the prices (du Merle, Villeneuve, Desrosiers and Hansen 1999) that grows for the tasks
whose price it holds down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.budget import Budget
from optsched.kernels import paths as kernel
from optsched.result import Bound
from optsched.solvers.programs import LinearProgram
from optsched.solvers.scheduling.alone import LARGE, Alone, asleep_base, sleepers, wake_costs
from optsched.solvers.scheduling.positions import releases
from optsched.tasks import Goal

SOURCE = "each core on its own, over time"
WHOLE = 64  # prices are in parts of this
WORK = 3_000_000  # slots times tasks of one look at all cores; longer times get longer slots
LONGEST = 60_000  # slots of a node at most
ROUNDS, BRANCHES = 500, 60  # looks at one setting of sleeping nodes, and settings
BOX = 4  # the first box is so much smaller than the room; twice as large then where it is too small
TINY = 1e-6  # of a column
CALM = 0.5  # share of the best prices so far in the next ones (Wentges 1997)


class _Node(NamedTuple):
    """One node: tasks that may run there, its cores by when they are free, and its tables."""

    number: int
    own: Ints
    task: Ints  # (kernel.ROWS, n)
    groups: list[tuple[int, int]]  # first slot, cores
    step: int
    least: Ints
    pick: Ints


@dataclass
class _Look:
    """What was found for one setting of sleeping nodes: a bound times `WHOLE`, the prices of it,
    and the share in which each sleeping node is awake in the linear program."""

    bound: int
    prices: Ints
    awake: dict[int, float]


class Cores:
    """The bound of one level for schedules whose levels before it have these values."""

    def __init__(self, alone: Alone, level: int, values: tuple[int, ...] = ()) -> None:
        self.problem = problem = alone.problem
        tasks, weight = problem.tasks, problem.objective.weights(level)
        self.haste, thrift = weight.get(Goal.RESPONSE, 0), weight.get(Goal.ENERGY, 0)
        self.sleeping = sleepers(problem) if thrift else []
        self.wake = thrift * wake_costs(problem)
        self.base = thrift * asleep_base(problem)
        given = alone.choices(level, values, tuple(sleepers(problem)))
        self.allowed = given.allowed[:, :-1]
        cost = np.where(given.allowed, given.response + given.rest, LARGE // WHOLE)
        # What runs on no core at a time pays at most this: rejection, or what takes no time.
        self.free = np.where(tasks.work > 0, cost[:, -1], cost.min(axis=1, initial=LARGE // WHOLE))
        self.cheapest = cost.min(axis=1, initial=LARGE // WHOLE)
        self.nodes = self._nodes(alone, weight)
        self.cap = self.free * WHOLE // tasks.cores
        self.low = np.minimum(self.cheapest * WHOLE // tasks.cores, self.cap)
        self.high = self.cap.copy()  # the box around prices is from `low` to here
        most = {
            Goal.SLA: int(tasks.weight.max(initial=0)),
            Goal.RESPONSE: problem.horizon,
            Goal.ENERGY: int(problem.energy.max(initial=0)) + int(wake_costs(problem).max()),
            Goal.LATENESS: int(tasks.weight.max(initial=0)) * problem.horizon,
        }
        top = sum(one * most[goal] for goal, one in weight.items())
        self.fits = top * WHOLE * (len(tasks) + 1) < LARGE and len(self.nodes) > 0
        if self.fits:
            self._master()

    def _nodes(self, alone: Alone, weight: dict[Goal, int]) -> list[_Node]:
        problem, tasks = self.problem, self.problem.tasks
        begins = alone.answer - problem.run - problem.download
        plans = []
        for j in np.flatnonzero(self.allowed.any(axis=0)).tolist():
            own = np.flatnonzero(self.allowed[:, j] & (tasks.work > 0))
            if not len(own):
                continue
            groups = releases(problem, j, int(begins[own, j].min()))
            used = problem.run[own, j] * tasks.cores[own]
            # By then even the last has begun, if the node does nothing for no reason.
            length = int(begins[own, j].max()) - groups[0][0]
            length = max(length, groups[-1][0] - groups[0][0])
            length += int(used.sum()) // int(problem.nodes.cores[j]) + int(used.max()) + 1
            plans.append((j, own, groups, length))
        work = sum(length * len(own) for _, own, _, length in plans)
        return [self._node(begins, weight, *plan, work) for plan in plans]

    def _node(
        self, begins: Ints, weight: dict[Goal, int], j: int, own: Ints,
        groups: list[tuple[int, int]], length: int, work: int,
    ) -> _Node:  # fmt: skip
        problem, tasks = self.problem, self.problem.tasks
        origin, run = groups[0][0], problem.run[own, j]
        step = max(1, min(int(run.min()), -(-work // WORK)))
        slots = min(-(-length // step), LONGEST)
        due = np.where(tasks.deadline[own] == NONE, LARGE, tasks.deadline[own])
        task = np.zeros((kernel.ROWS, len(own)), np.int64)
        task[kernel.FIRST] = begins[own, j] - origin
        task[kernel.LENGTH], task[kernel.BACK] = run, problem.download[own, j]
        task[kernel.ARRIVAL], task[kernel.DUE] = tasks.arrival[own] - origin, due - origin
        task[kernel.LAST] = np.minimum(due, problem.horizon) - origin
        task[kernel.MUST] = np.where(tasks.hard[own], due, LARGE) - origin
        task[kernel.FIXED] = weight.get(Goal.ENERGY, 0) * problem.energy[own, j]
        task[kernel.TARDY] = weight.get(Goal.LATENESS, 0) * tasks.weight[own]
        task[kernel.SLA] = weight.get(Goal.SLA, 0) * tasks.weight[own]
        task[kernel.CORES] = tasks.cores[own]
        # What begins after the last slot is taken to need no core, at the cost of that moment.
        late = np.maximum(step * slots, task[kernel.FIRST]) + run + task[kernel.BACK]
        seen = np.minimum(late, problem.horizon - origin)
        cost = task[kernel.FIXED] + self.haste * (seen - task[kernel.ARRIVAL])
        cost += task[kernel.TARDY] * np.maximum(seen - task[kernel.DUE], 0)
        cost += np.where(late > task[kernel.LAST], task[kernel.SLA], 0)
        able = late <= task[kernel.MUST]
        self.free[own[able]] = np.minimum(self.free[own[able]], cost[able])
        slot = [((free - origin) // step, cores) for free, cores in groups]
        return _Node(
            j, own, task, [one for one in slot if one[0] < slots], step,
            np.zeros(slots + 1, np.int64), np.zeros(slots + 1, np.int64),
        )  # fmt: skip

    def _master(self) -> None:
        """Rows of tasks and of groups of cores; columns of rejections and of waking."""
        cores = self.problem.tasks.cores
        many = [number for node in self.nodes for _, number in node.groups]
        self.waking: dict[int, int] = {}
        high = np.array([math.inf] * len(cores) + many)
        row = len(cores)
        rows: dict[int, list[tuple[int, int]]] = {}
        self.row: list[list[int]] = []
        for node in self.nodes:
            self.row.append([row + k for k in range(len(node.groups))])
            if node.number in self.sleeping:
                rows[node.number] = [(row + k, n) for k, (_, n) in enumerate(node.groups)]
                high[row : row + len(node.groups)] = 0
            row += len(node.groups)
        low = np.concatenate([cores.astype(float), np.full(len(many), -math.inf)])
        self.program = LinearProgram(low, high)
        for sign, price in ((1.0, self.high), (-1.0, self.low)):
            for i in range(len(cores)):
                self.program.add(sign * float(price[i]), np.array([i]), np.array([sign]))
        for j, parts in rows.items():
            self.waking[j] = self.program.add(
                float(WHOLE * self.wake[j]), np.array([r for r, _ in parts]),
                np.array([-float(n) for _, n in parts]), upper=1.0,
            )  # fmt: skip

    @property
    def exact(self) -> bool:
        """Whether numbers are small enough, and every slot is one millisecond."""
        return self.fits and all(node.step == 1 for node in self.nodes)

    # ------------------------------------------------------------------ search

    def bound(self, known: int | None, budget: Budget) -> Bound:
        """The highest bound found; 0 where numbers are too large, or there was no time.

        `known` is the value of a schedule: what is no lower need not be looked at closer.
        """
        if not self.fits or budget.over():
            return Bound(0, "")
        goal = LARGE if known is None else WHOLE * (known - self.base)
        if known is not None:
            room = max(goal - self._price(self.low, {}), 0)
            self._box(np.minimum(self.cap, self.low + room // BOX + 1))
        root = self._look({}, self.low, goal, budget)
        order, open_ = 0, [(root.bound, 0, dict[int, bool](), root)]
        while order < 2 * BRANCHES and not budget.over():
            low, _, fixed, look = open_[0]
            split = [j for j, share in look.awake.items() if j not in fixed and 0 < share < 1]
            if low >= goal or not split:
                break
            heappop(open_)
            j = max(
                split, key=lambda one: self.wake[one] * min(look.awake[one], 1 - look.awake[one])
            )
            for wakes in (False, True):
                order += 1
                found = self._look(fixed | {j: wakes}, look.prices, goal, budget)
                # A child is no lower than its parent, whatever was found in the time.
                heappush(open_, (max(found.bound, low), order, fixed | {j: wakes}, found))
        return Bound(self.base - (-open_[0][0] // WHOLE), SOURCE)

    def _look(self, fixed: dict[int, bool], prices: Ints, goal: int, budget: Budget) -> _Look:
        """Column generation where some sleeping nodes are told to wake or not."""
        for j, column in self.waking.items():
            self.program.change("lower", column, float(fixed.get(j) is True))
            self.program.change("upper", column, float(fixed.get(j) is not False))
        best = _Look(-LARGE, prices, {})
        for _ in range(ROUNDS):
            value = self._price(prices, fixed)
            if value > best.bound:
                best = _Look(value, prices, best.awake)
            if best.bound >= goal or budget.over():
                break
            found = self.program.solve(budget.remaining())
            if found is None:
                break
            best.awake = {j: _share(found.x[column]) for j, column in self.waking.items()}
            told = CALM * best.prices + (1 - CALM) * found.dual[: len(prices)]
            new = np.minimum(np.maximum(np.rint(told).astype(np.int64), 0), self.cap)
            done = math.ceil(found.value / WHOLE - 1e-3) <= -(-best.bound // WHOLE)
            if not done and (new != prices).any():
                prices = new
            elif not self._grow(found.x):
                break
        return best

    def _box(self, high: Ints) -> None:
        """Let prices rise to here."""
        self.high = high
        for i, price in enumerate(high.tolist()):
            self.program.change("cost", i, float(price))

    def _grow(self, x: np.ndarray) -> bool:
        """Give more room to the prices that the box holds down; whether there are any."""
        held = (x[: len(self.high)] > TINY) & (self.high < self.cap)
        more = np.minimum(self.cap, self.low + 2 * (self.high - self.low))
        self._box(np.where(held, more, self.high))
        return bool(held.any())

    def _price(self, prices: Ints, fixed: dict[int, bool]) -> int:
        """The bound of these prices, times `WHOLE`; the cheapest ways become columns."""
        total = int((prices * self.problem.tasks.cores).sum())
        for node, rows in zip(self.nodes, self.row, strict=True):
            wakes = fixed.get(node.number) if node.number in self.waking else True
            if wakes is False:
                continue
            node.task[kernel.PRICE] = prices[node.own]
            kernel.sweep(
                node.task, self.haste, self.problem.horizon - self._origin(node), WHOLE, node.step,
                node.least, node.pick,
            )  # fmt: skip
            own = sum(int(node.least[slot]) * cores for slot, cores in node.groups)
            if node.number in self.waking:
                own += WHOLE * int(self.wake[node.number])
                own = own if wakes else min(own, 0)
            total += own
            for (slot, _), row in zip(node.groups, rows, strict=True):
                if node.least[slot] < 0:
                    self._add(node, slot, row, prices)
        return total

    def _origin(self, node: _Node) -> int:
        return int(self.problem.tasks.arrival[node.own[0]] - node.task[kernel.ARRIVAL, 0])

    def _add(self, node: _Node, slot: int, row: int, prices: Ints) -> None:
        times = np.zeros(len(node.own), np.int64)
        kernel.trace(node.task, node.step, node.pick, slot, times)
        cost = int(node.least[slot]) + int((times * prices[node.own]).sum())
        seen = np.flatnonzero(times)
        self.program.add(float(cost), np.append(node.own[seen], row), np.append(times[seen], 1))


def _share(x: float) -> float:
    """A share without the solver's last digits."""
    return float(min(max(round(x, 6), 0), 1))
