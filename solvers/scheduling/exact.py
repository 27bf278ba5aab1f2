"""CP-SAT for schedules: where each task runs and when, one level of the objective after another.

One start per task, and one optional interval of fixed length for each node that can run it. Where
inputs take turns on links, a task is also sent at a time of its own, with an optional interval for
each link on its way. What the solver finds is valued by `evaluate` like any other schedule; its
bounds hold under the values of the levels before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import NONE
from optsched.budget import Budget
from optsched.result import Bound
from optsched.solvers import cpsat
from optsched.solvers.linear import total, weighted
from optsched.solvers.scheduling.alone import alone_begins
from optsched.solvers.scheduling.bounds import free_bounds
from optsched.tasks import Goal, Schedule, TaskProblem, evaluate

SOURCE = "CP-SAT on nodes and starts"
SHARE = 0.6  # of what is left, for one level
# Milliseconds, 24 days. Where times are longer their products outgrow 64 bits, and the presolve of
# OR-Tools 9.15 loses solutions: it calls optimal what is at twice the optimum (1 % of tiny problems
# at 2**33 ms, 4 % at 2**36, none of 200 up to 2**31). Schedules are checked anyway, such bounds are
# not taken.
LONGEST = 1 << 31

Linear = cp_model.LinearExpr | int
Nodes = dict[int, cp_model.IntVar]


class ScheduleModel:
    """Variables and rules of a problem."""

    def __init__(self, problem: TaskProblem) -> None:
        self.problem, self.model = problem, cp_model.CpModel()
        self.begins = alone_begins(problem)
        tasks, nodes = problem.tasks, problem.nodes
        self.on = [self.model.new_bool_var("") for _ in nodes.names]
        self.at: list[Nodes] = []
        self.start: list[cp_model.IntVar] = []
        self.out: list[cp_model.IntVar] = []
        self.end: list[Linear] = []
        self.answer: list[Linear] = []
        self.seen: list[cp_model.IntVar] = []
        self.alone: list[dict[int, int]] = []  # when the task answers if nobody else is there
        # What follows from the others, to be hinted with them.
        self.finish: dict[int, cp_model.IntVar] = {}
        self.held: dict[tuple[int, int], cp_model.IntVar] = {}
        self.wakes: dict[int, Nodes] = {}
        self.late: dict[int, cp_model.IntVar] = {}
        self.sent: dict[int, cp_model.IntVar] = {}  # of tasks that may have to wait for a link
        self.turn: list[tuple[cp_model.IntVar, int, list[int]]] = []  # taken from some nodes
        self.first: dict[int, cp_model.IntVar] = {}  # when the first task of a sleeper is sent
        for i in range(len(tasks)):
            self._task(i)
        self._turns()
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
        at = {j: model.new_bool_var("") for j in np.flatnonzero(self.begins[i] != NONE).tolist()}
        out = model.new_bool_var("")
        model.add_exactly_one([*at.values(), out])
        arrival, horizon = int(tasks.arrival[i]), problem.horizon
        start = model.new_int_var(arrival, horizon, "")
        ways = list(at.values())
        earliest = [int(self.begins[i, j]) for j in at]
        length = [int(problem.run[i, j]) for j in at]
        back = [int(problem.download[i, j]) for j in at]
        model.add(start >= weighted([*ways, out], [*earliest, arrival]))
        model.add(start == arrival).only_enforce_if(out)
        end = start + weighted(ways, length)
        answer = end + weighted(ways, back)
        followed = (tasks.before[:, 0] == i).any()
        last = int(tasks.deadline[i]) if tasks.hard[i] else 0
        if tasks.hard[i]:
            model.add(answer <= last).only_enforce_if(~out)
        top = horizon + max((a + b for a, b in zip(length, back, strict=True)), default=0)
        alone = {
            j: sum(one) for j, one in zip(at, zip(earliest, length, back, strict=True), strict=True)
        }
        seen = model.new_int_var(0, horizon, "")
        self.seen.append(seen)
        self._no_wait(at, out, alone, seen, 0)
        if followed:  # it may have to run, even where its answer comes too late
            late = model.new_int_var(0, top, "")
            model.add(late == answer).only_enforce_if(~out)
            model.add(late == horizon).only_enforce_if(out)
            model.add_min_equality(seen, [late, horizon])
            self.finish[i] = late
        else:  # unfinished is worth no more than rejected
            model.add(seen >= answer).only_enforce_if(~out)
        if (problem.route[i, list(at), :, 0] != NONE).any():
            sent = self.sent[i] = model.new_int_var(arrival, horizon, "")
            model.add(sent == arrival).only_enforce_if(out)
            model.add(start >= sent + weighted(ways, problem.upload[i, list(at)].tolist()))
        self.at.append(at)
        self.start.append(start)
        self.out.append(out)
        self.end.append(end)
        self.answer.append(answer)
        self.alone.append(alone)

    def _no_wait(
        self,
        at: Nodes,
        out: cp_model.IntVar,
        alone: dict[int, int],
        value: cp_model.IntVar,
        due: int,
    ) -> None:
        """A cut: what is seen after `due` is at least that of the task alone on its node."""
        horizon = self.problem.horizon
        least = [max(0, min(alone[j], horizon) - due) for j in at]
        self.model.add(value >= weighted([*at.values(), out], [*least, max(0, horizon - due)]))

    def _turns(self) -> None:
        """On each shared link, one input at a time each way."""
        lanes: dict[int, list[cp_model.IntervalVar]] = {}
        for i, sent in self.sent.items():
            ways: dict[tuple[int, int, int], list[int]] = {}
            for j in self.at[i]:
                for lane, after, takes in self.problem.route[i, j].tolist():
                    if lane != NONE:
                        ways.setdefault((lane, after, takes), []).append(j)
            for (lane, after, takes), nodes in ways.items():
                there = self.model.new_bool_var("")
                self.model.add(total([self.at[i][j] for j in nodes]) == there)
                self.turn.append((there, i, nodes))
                lanes.setdefault(lane, []).append(
                    self.model.new_optional_fixed_size_interval_var(sent + after, takes, there, "")
                )
        more = self.problem.underway
        for lane, begin, end in zip(more.lane, more.begin, more.end, strict=True):
            lanes.setdefault(int(lane), []).append(self._busy(int(begin), int(end)))
        for spans in lanes.values():
            self.model.add_no_overlap(spans)

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
        begin, length = self._sent(i) + int(problem.upload[i, j]), int(problem.run[i, j])
        size = self.held[i, j] = self.model.new_int_var(0, problem.horizon + length, "")
        end = self.start[i] + length
        self.model.add(size == end - begin).only_enforce_if(there)
        return self.model.new_optional_interval_var(begin, size, end, there, "")

    def _sent(self, i: int) -> Linear:
        """When the input of a task leaves its source."""
        return self.sent.get(i, int(self.problem.tasks.arrival[i]))

    def _wake(self, j: int) -> None:
        """A sleeping node is ready some time after the first of its tasks is sent."""
        problem, model = self.problem, self.model
        own = [i for i in range(len(problem.tasks)) if j in self.at[i]]
        wakes = self.wakes[j] = {i: model.new_bool_var("") for i in own}
        model.add(total(wakes.values()) == self.on[j])
        first: Linear = weighted(list(wakes.values()), problem.tasks.arrival[own].tolist())
        if self.sent:
            first = self.first[j] = model.new_int_var(0, problem.horizon, "")
            for i in own:
                model.add(first >= self._sent(i)).only_enforce_if(wakes[i])
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
        model = self.model
        wrong = model.new_bool_var("")
        last = self._last(i)
        model.add(self.answer[i] <= last).only_enforce_if([~wrong, ~self.out[i]])
        late = [var for j, var in self.at[i].items() if self.alone[i][j] > last]
        model.add(wrong >= total([*late, self.out[i]]))
        return wrong

    def _last(self, i: int) -> int:
        """The last moment at which an answer violates nothing."""
        due, horizon = int(self.problem.tasks.deadline[i]), self.problem.horizon
        return horizon if due == NONE else min(due, horizon)

    def level(self, goal: Goal) -> Linear:
        """The value of a level, or more."""
        tasks, _problem = self.problem.tasks, self.problem
        if goal is Goal.SLA:
            return weighted(self.violated, tasks.weight.tolist())
        if goal is Goal.RESPONSE:
            return total(self.seen) - int(tasks.arrival.sum())
        if goal is Goal.ENERGY:
            return self._energy()
        parts = []
        for i in np.flatnonzero(tasks.deadline != NONE).tolist():
            parts.append(self._lateness(i) * int(tasks.weight[i]))
        return total(parts)

    def _lateness(self, i: int) -> cp_model.IntVar:
        """Milliseconds after the deadline, or more."""
        if i not in self.late:
            due = int(self.problem.tasks.deadline[i])
            late = self.late[i] = self.model.new_int_var(0, self.problem.horizon, "")
            self.model.add(late >= self.seen[i] - due)
            self._no_wait(self.at[i], self.out[i], self.alone[i], late, due)
        return self.late[i]

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
        """Begin at a schedule: a value for every variable there is by now."""
        told, tasks = evaluate(self.problem, schedule), self.problem.tasks
        node, start = schedule.node.tolist(), schedule.start.tolist()
        sent = self.problem.sent(schedule).tolist()
        self.model.clear_hints()  # type: ignore[no-untyped-call]
        hint = self.model.add_hint
        for i, j in enumerate(node):
            for k, var in self.at[i].items():
                hint(var, k == j)
            hint(self.out[i], j == NONE)
            hint(self.start[i], start[i] if j != NONE else int(tasks.arrival[i]))
            hint(self.seen[i], int(told.response[i] + tasks.arrival[i]))
            hint(self.violated[i], bool(told.violated[i]))
        for i, var in self.finish.items():
            hint(var, int(told.finish[i]) if node[i] != NONE else self.problem.horizon)
        for i, var in self.late.items():
            hint(var, int(told.late[i]))
        for (i, j), var in self.held.items():
            ended = start[i] + int(self.problem.run[i, j]) - int(self.problem.upload[i, j])
            hint(var, max(0, ended - sent[i]) if node[i] == j else 0)
        for i, var in self.sent.items():
            hint(var, sent[i] if node[i] != NONE else int(tasks.arrival[i]))
        for var, i, nodes in self.turn:
            hint(var, node[i] in nodes)
        for j, var in enumerate(self.on):
            hint(var, j in node)
        for j, wakes in self.wakes.items():
            own = [i for i in wakes if node[i] == j]
            first = min(own, key=lambda i: sent[i], default=NONE)
            for i, var in wakes.items():
                hint(var, i == first)
            if j in self.first:
                hint(self.first[j], sent[first] if own else 0)

    def read(self, solver: cp_model.CpSolver) -> Schedule:
        """The schedule that was found."""
        node = [
            next((j for j, var in at.items() if solver.boolean_value(var)), NONE) for at in self.at
        ]
        start = [
            solver.value(var) if j != NONE else NONE
            for var, j in zip(self.start, node, strict=True)
        ]
        sent = [
            solver.value(self.sent[i]) if i in self.sent and j != NONE else int(arrival)
            for i, (j, arrival) in enumerate(zip(node, self.problem.tasks.arrival, strict=True))
        ]
        return Schedule.of(node, start, sent if self.sent else None)


def improve(
    problem: TaskProblem,
    schedule: Schedule,
    budget: Budget,
    seed: int = 0,
    known: Sequence[Bound] = (),
) -> tuple[Schedule, list[Bound]]:
    """A schedule that is no worse, and a bound of each level given the values before it.

    `known` are bounds given the values of `schedule`: CP-SAT need not find them again.
    """
    first = values = evaluate(problem, schedule).levels
    bounds = free_bounds(problem, values)
    model, sure = ScheduleModel(problem), _last_end(problem) < LONGEST
    for k in range(len(values)):
        weights = problem.objective.weights(k)
        value = total(weight * model.level(goal) for goal, weight in weights.items())
        bounds[k:] = free_bounds(problem, values)[k:]
        if known and values[:k] == first[:k]:
            bounds[k] = max(bounds[k], known[k], key=lambda one: one.value)
        model.model.add(value >= bounds[k].value)
        if values[k] > bounds[k].value and not budget.over():
            model.hint(schedule)
            model.model.minimize(value)
            share = SHARE if k + 1 < len(values) else 1.0
            solver = cpsat.prepared(budget.share(share), seed=seed)
            status = cpsat.run(solver, model.model, budget)
            if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
                found = model.read(solver)
                told = evaluate(problem, found)
                if not told.violations and told.levels < values:
                    schedule, values = found, told.levels
            if sure and status in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.UNKNOWN):
                low = cpsat.bound(solver, model.model)
                bounds[k] = max(bounds[k], Bound(low, SOURCE), key=lambda one: one.value)
        model.model.add(value <= values[k])
    return schedule, bounds


def _last_end(problem: TaskProblem) -> int:
    """What no time in a model is beyond, in milliseconds."""
    longest = np.where(problem.fits, problem.run + problem.download, 0).max(initial=0)
    return int(problem.horizon + longest)
