"""CP-SAT for schedules: where each task runs and when, one level of the objective after another.

One start per task, and one optional interval of fixed length for each node that can run it. What
the solver finds is valued by `evaluate` like any other schedule; its bounds hold under the values
of the levels before.
"""

from __future__ import annotations

import math

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import NONE
from optsched.budget import Budget
from optsched.result import Bound
from optsched.solvers import cpsat
from optsched.solvers.linear import total, weighted
from optsched.solvers.scheduling.bounds import free_bounds
from optsched.tasks import Goal, Schedule, TaskProblem, evaluate

SOURCE = "CP-SAT on nodes and starts"
SHARE = 0.6  # of what is left, for one level

Linear = cp_model.LinearExpr | int


class ScheduleModel:
    """Variables and rules of a problem."""

    def __init__(self, problem: TaskProblem) -> None:
        self.problem, self.model = problem, cp_model.CpModel()
        tasks, nodes = problem.tasks, problem.nodes
        self.on = [self.model.new_bool_var("") for _ in nodes.names]
        self.at: list[dict[int, cp_model.IntVar]] = []
        self.start: list[cp_model.IntVar] = []
        self.out: list[cp_model.IntVar] = []
        self.end: list[Linear] = []
        self.answer: list[Linear] = []
        self.seen: list[Linear] = []
        for i in range(len(tasks)):
            self._task(i)
        for j in range(len(nodes)):
            self._node(j)
            if nodes.asleep[j]:
                self._wake(j)
        for row in range(len(tasks.before)):
            self._order(row)
        self.violated = [self._violation(i) for i in range(len(tasks))]

    def _task(self, i: int) -> None:
        """Nodes, start and answer of a task; without any it is rejected."""
        problem, model, tasks = self.problem, self.model, self.problem.tasks
        at = {j: model.new_bool_var("") for j in np.flatnonzero(problem.fits[i]).tolist()}
        out = model.new_bool_var("")
        model.add_exactly_one([*at.values(), out])
        start = model.new_int_var(int(tasks.arrival[i]), problem.horizon, "")
        ways = list(at.values())
        earliest = [int(problem.earliest[i, j]) for j in at]
        length = [int(problem.run[i, j]) for j in at]
        back = [int(problem.download[i, j]) for j in at]
        model.add(start >= weighted(ways, earliest))
        model.add(start == int(tasks.arrival[i])).only_enforce_if(out)
        end = start + weighted(ways, length)
        answer = end + weighted(ways, back)
        followed = (tasks.before[:, 0] == i).any()
        last = int(tasks.deadline[i]) if tasks.hard[i] else 0
        if tasks.hard[i]:
            model.add(answer <= last).only_enforce_if(~out)
        top = problem.horizon + max((a + b for a, b in zip(length, back, strict=True)), default=0)
        seen = model.new_int_var(0, problem.horizon, "")
        model.add(seen >= problem.horizon).only_enforce_if(out)
        if followed:  # it may have to run, even where its answer comes too late
            late = model.new_int_var(0, top, "")
            model.add(late == answer).only_enforce_if(~out)
            model.add(late == problem.horizon).only_enforce_if(out)
            model.add_min_equality(seen, [late, problem.horizon])
        else:  # unfinished is worth no more than rejected
            model.add(seen >= answer).only_enforce_if(~out)
        self.at.append(at)
        self.start.append(start)
        self.out.append(out)
        self.end.append(end)
        self.answer.append(answer)
        self.seen.append(seen)

    def _node(self, j: int) -> None:
        """Cores and memory of a node, and that it is on if anybody runs there."""
        problem, model, nodes = self.problem, self.model, self.problem.nodes
        tasks = problem.tasks
        own = [i for i in range(len(tasks)) if j in self.at[i]]
        spans = []
        for i in own:
            length = int(problem.run[i, j])
            there = self.at[i][j]
            spans.append(
                model.new_optional_fixed_size_interval_var(self.start[i], length, there, "")
            )
            model.add_implication(there, self.on[j])
        taken = problem.taken
        busy = np.flatnonzero(taken.node == j)
        spans += [self._busy(int(taken.begin[k]), int(taken.end[k])) for k in busy]
        cores = [*tasks.cores[own].tolist(), *taken.cores[busy].tolist()]
        model.add_cumulative(spans, cores, int(nodes.cores[j]))
        memory = [*tasks.memory[own].tolist(), *taken.memory[busy].tolist()]
        if sum(memory) > nodes.memory[j]:
            holds = [self._hold(i, j) for i in own]
            holds += [self._busy(int(taken.held[k]), int(taken.end[k])) for k in busy]
            model.add_cumulative(holds, memory, int(nodes.memory[j]))

    def _busy(self, begin: int, end: int) -> cp_model.IntervalVar:
        return self.model.new_fixed_size_interval_var(begin, end - begin, "")

    def _hold(self, i: int, j: int) -> cp_model.IntervalVar:
        """From the end of the upload to the end of the run."""
        problem, there = self.problem, self.at[i][j]
        begin, length = int(problem.earliest[i, j]), int(problem.run[i, j])
        size = self.model.new_int_var(0, problem.horizon + length, "")
        self.model.add(size == self.start[i] + length - begin).only_enforce_if(there)
        return self.model.new_optional_interval_var(begin, size, begin + size, there, "")

    def _wake(self, j: int) -> None:
        """A sleeping node is ready some time after the first of its tasks arrives."""
        problem, model = self.problem, self.model
        own = [i for i in range(len(problem.tasks)) if j in self.at[i]]
        wakes = {i: model.new_bool_var("") for i in own}
        model.add(total(wakes.values()) == self.on[j])
        arrival = problem.tasks.arrival
        first = weighted(list(wakes.values()), [int(arrival[i]) for i in own])
        for i in own:
            model.add_implication(wakes[i], self.at[i][j])
            ready = first + int(problem.nodes.wake_time[j])
            model.add(self.start[i] >= ready).only_enforce_if(self.at[i][j])

    def _order(self, row: int) -> None:
        """What a task needs has ended and is there; without it, it is rejected."""
        problem, model = self.problem, self.model
        first, second = problem.tasks.before[row].tolist()
        model.add_implication(self.out[first], self.out[second])
        for j, here in self.at[first].items():
            for k, there in self.at[second].items():
                time = int(problem.between[row, j, k])
                if time == NONE:
                    model.add_bool_or([~here, ~there])
                else:
                    model.add(self.start[second] >= self.end[first] + time).only_enforce_if(
                        [here, there]
                    )

    def _violation(self, i: int) -> cp_model.IntVar:
        """Whether a task is late, rejected or unfinished."""
        tasks, model = self.problem.tasks, self.model
        wrong = model.new_bool_var("")
        model.add_implication(self.out[i], wrong)
        due = int(tasks.deadline[i])
        last = self.problem.horizon if due == NONE else min(due, self.problem.horizon)
        model.add(self.answer[i] <= last).only_enforce_if([~wrong, ~self.out[i]])
        return wrong

    def level(self, goal: Goal) -> Linear:
        """The value of a level, or more."""
        tasks, problem = self.problem.tasks, self.problem
        if goal is Goal.SLA:
            return weighted(self.violated, tasks.weight.tolist())
        if goal is Goal.RESPONSE:
            return total(self.seen) - int(tasks.arrival.sum())
        if goal is Goal.ENERGY:
            return self._energy()
        parts = []
        for i in np.flatnonzero(tasks.deadline != NONE).tolist():
            late = self.model.new_int_var(0, problem.horizon, "")
            self.model.add(late >= self.seen[i] - int(tasks.deadline[i]))
            parts.append(late * int(tasks.weight[i]))
        return total(parts)

    def _energy(self) -> Linear:
        problem, nodes = self.problem, self.problem.nodes
        asleep = np.flatnonzero(nodes.asleep)
        idle, sleep = (-(-p * problem.horizon // 1000) for p in (nodes.idle, nodes.sleep))
        fixed = int(idle[~nodes.asleep].sum() + sleep[asleep].sum())
        more = (idle - sleep + nodes.wake_energy)[asleep].tolist()
        woken = weighted([self.on[j] for j in asleep.tolist()], more)
        pairs = [(i, j) for i, at in enumerate(self.at) for j in at]
        ran = weighted(
            [self.at[i][j] for i, j in pairs], [int(problem.energy[i, j]) for i, j in pairs]
        )
        return fixed + woken + ran

    def hint(self, schedule: Schedule) -> None:
        """Begin at a schedule."""
        self.model.clear_hints()  # type: ignore[no-untyped-call]
        for i, (node, start) in enumerate(
            zip(schedule.node.tolist(), schedule.start.tolist(), strict=True)
        ):
            for j, var in self.at[i].items():
                self.model.add_hint(var, j == node)
            self.model.add_hint(self.out[i], node == NONE)
            begin = start if node != NONE else int(self.problem.tasks.arrival[i])
            self.model.add_hint(self.start[i], begin)

    def read(self, solver: cp_model.CpSolver) -> Schedule:
        """The schedule that was found."""
        node = [
            next((j for j, var in at.items() if solver.boolean_value(var)), NONE) for at in self.at
        ]
        start = [
            solver.value(var) if j != NONE else NONE
            for var, j in zip(self.start, node, strict=True)
        ]
        return Schedule.of(node, start)


def improve(
    problem: TaskProblem, schedule: Schedule, budget: Budget, seed: int = 0
) -> tuple[Schedule, list[Bound]]:
    """A schedule that is no worse, and a bound of each level given the values before it."""
    bounds = free_bounds(problem)
    values = evaluate(problem, schedule).levels
    model = ScheduleModel(problem)
    for k in range(len(values)):
        weights = problem.objective.weights(k)
        value = total(weight * model.level(goal) for goal, weight in weights.items())
        if values[k] > bounds[k].value and not budget.over():
            model.hint(schedule)
            model.model.minimize(value)
            solver = cpsat.prepared(budget.share(SHARE), seed=seed)
            status = cpsat.run(solver, model.model, budget)
            if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
                found = model.read(solver)
                told = evaluate(problem, found)
                if not told.violations and told.levels < values:
                    schedule, values = found, told.levels
            if status in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.UNKNOWN):
                low = math.ceil(solver.best_objective_bound - 1e-6)
                bounds[k] = max(bounds[k], Bound(low, SOURCE), key=lambda one: one.value)
        model.model.add(value <= values[k])
    return schedule, bounds
