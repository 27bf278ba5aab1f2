"""The second reading of a schedule: task by task, in plain Python, sharing nothing with `evaluate`.

Only the tables of the problem are read; times, energies and values are worked out anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from optsched.errors import ProblemError
from optsched.tasks.problem import TaskProblem
from optsched.tasks.schedule import Schedule
from optsched.tasks.tables import Goal, Mix

MEGA = 10**6


@dataclass(frozen=True)
class Reading:
    """What the second reading found.

    Attributes
    ----------
    faults
        (task or node, what is wrong with it).
    levels
        Values of the objective.
    """

    faults: tuple[tuple[str, str], ...]
    levels: tuple[int, ...]


def check_schedule(problem: TaskProblem, schedule: Schedule) -> Reading:
    """Read a schedule against the tables."""
    return _Reader(problem, schedule).read()


class _Reader:
    def __init__(self, problem: TaskProblem, schedule: Schedule) -> None:
        self.problem = problem
        self.node = [int(n) for n in schedule.node]
        self.start = [int(s) for s in schedule.start]
        sent = problem.tasks.arrival if schedule.sent is None else schedule.sent
        self.leaves = [int(s) for s in sent]  # when a task's input leaves its source
        woken = schedule.woken
        self.woken = [-1] * len(problem.nodes) if woken is None else [int(t) for t in woken]
        self.faults: list[tuple[str, str]] = []
        self.sent = 0
        self.answer: dict[int, int] = {}
        self.arrived: dict[int, int] = {}  # when a task's input is on its node
        self.ended: dict[int, int] = {}
        self.spent = [0] * len(problem.nodes)  # mJ of running

    def read(self) -> Reading:
        """Everything, one task after another."""
        for i in range(len(self.problem.tasks)):
            self._run(i)
        self._wake()
        self._order()
        self._capacity()
        self._turns()
        goals = self._values()
        return Reading(tuple(self.faults), tuple(_worth(one, goals) for one in self._levels()))

    def _levels(self) -> tuple[Goal | Mix, ...]:
        return self.problem.objective.levels

    def _send(self, source: int, target: int, size: int) -> tuple[int, int]:
        """Milliseconds and millijoules of sending so many bytes."""
        network, time, energy = self.problem.network, 0, 0
        for link in network.path(source, target):
            time += int(network.latency[link]) + _up(size, int(network.bandwidth[link]))
            energy += _up(size * int(network.energy[link]), MEGA)
        return time, energy

    def _fault(self, name: str, what: str) -> None:
        self.faults.append((name, what))

    def _run(self, i: int) -> None:
        """One task: where it goes, what that takes, when it answers."""
        tasks, nodes, j = self.problem.tasks, self.problem.nodes, self.node[i]
        name = tasks.names[i]
        if j == -1:
            if self.start[i] != -1:
                self._fault(name, "rejected with a start")
            return
        if not 0 <= j < len(nodes):
            self._fault(name, "no such node")
            return
        source, site = int(tasks.source[i]), int(nodes.site[j])
        if not tasks.eligible[i, j]:
            self._fault(name, "not eligible")
        if tasks.cores[i] > nodes.cores[j] or tasks.memory[i] > nodes.memory[j]:
            self._fault(name, "larger than its node")
        try:
            up, _ = self._send(source, site, int(tasks.input[i]))
            down, _ = self._send(source, site, int(tasks.output[i]))  # back the way of the input
        except ProblemError:
            self._fault(name, "unreachable node")
            up = down = 0
        else:
            _, energy_both = self._send(source, site, int(tasks.input[i]) + int(tasks.output[i]))
            self.sent += energy_both
        length = _up(int(tasks.work[i]) * 1000, int(nodes.speed[j]))
        if self.leaves[i] < tasks.arrival[i]:
            self._fault(name, "sent before it arrives")
        self.arrived[i] = self.leaves[i] + up
        self.ended[i] = self.start[i] + length
        self.answer[i] = self.ended[i] + down
        power = (int(nodes.busy[j]) - int(nodes.idle[j])) * int(tasks.cores[i])
        self.spent[j] += _up(power * length, 1000 * int(nodes.cores[j]))
        if self.start[i] < self.arrived[i]:
            self._fault(name, "begins before its input is there")
        if tasks.hard[i] and self.answer[i] > tasks.deadline[i]:
            self._fault(name, "hard deadline")

    def _wake(self) -> None:
        tasks, nodes = self.problem.tasks, self.problem.nodes
        for j in range(len(nodes)):
            own = [i for i in self.ended if self.node[i] == j]
            if not nodes.asleep[j] or not own:
                continue
            awake = min(self.leaves[i] for i in own) + int(nodes.wake_time[j])
            if self.woken[j] != -1:
                awake = self.woken[j] + int(nodes.wake_time[j])
            for i in own:
                if self.start[i] < awake:
                    self._fault(tasks.names[i], "begins before its node is awake")

    def _order(self) -> None:
        tasks, nodes = self.problem.tasks, self.problem.nodes
        for p, (first, second) in enumerate(tasks.before.tolist()):
            if second not in self.ended:
                continue
            if first not in self.ended:
                self._fault(tasks.names[second], "needs what does not run")
                continue
            here, there = int(nodes.site[self.node[first]]), int(nodes.site[self.node[second]])
            try:
                time, _ = self._send(here, there, int(tasks.data[p]))
            except ProblemError:
                self._fault(tasks.names[second], "cannot get what it needs")
                continue
            if self.start[second] < self.ended[first] + time:
                self._fault(tasks.names[second], "begins before what it needs is there")

    def _turns(self) -> None:
        """On a shared link one input at a time goes each way."""
        tasks, network = self.problem.tasks, self.problem.network
        spans: dict[tuple[int, int], list[tuple[int, int]]] = {}
        more = self.problem.underway
        for k in range(len(more)):
            link, way = divmod(int(more.lane[k]), 2)
            if more.end[k] > more.begin[k]:
                span = int(more.begin[k]), int(more.end[k])
                spans.setdefault((link, int(network.ends[link, way])), []).append(span)
        for i in self.ended:
            here, now = int(tasks.source[i]), self.leaves[i]
            try:
                links = network.path(here, int(self.problem.nodes.site[self.node[i]]))
            except ProblemError:
                continue  # told before
            for link in links:
                takes = _up(int(tasks.input[i]), int(network.bandwidth[link]))
                if network.shared[link] and takes:
                    spans.setdefault((link, here), []).append((now, now + takes))
                now += int(network.latency[link]) + takes
                here = sum(int(end) for end in network.ends[link]) - here
        for (link, _), own in spans.items():
            own.sort()
            if any(one[1] > two[0] for one, two in pairwise(own)):
                one, two = (network.sites[int(end)] for end in network.ends[link])
                self._fault(f"link {one}-{two}", "several inputs at a time")

    def _capacity(self) -> None:
        """At every start and every arrival of data, what a node holds must fit."""
        tasks, nodes = self.problem.tasks, self.problem.nodes
        held = {i: min(self.arrived[i], self.start[i]) for i in self.ended}
        taken = self.problem.taken
        on: list[list[int]] = [[] for _ in nodes.names]
        for i in self.ended:
            on[self.node[i]].append(i)
        for j, own in enumerate(on):
            runs = [(self.start[i], self.ended[i], int(tasks.cores[i])) for i in own]
            holds = [(held[i], self.ended[i], int(tasks.memory[i])) for i in own]
            for k in [k for k in range(len(taken)) if taken.node[k] == j]:
                end = int(taken.end[k])
                runs.append((int(taken.begin[k]), end, int(taken.cores[k])))
                holds.append((int(taken.held[k]), end, int(taken.memory[k])))
            for what, spans, most in (
                ("cores", runs, int(nodes.cores[j])),
                ("memory", holds, int(nodes.memory[j])),
            ):
                for now, _, _ in spans:
                    if sum(n for begin, end, n in spans if begin <= now < end) > most:
                        self._fault(nodes.names[j], what)

    def _values(self) -> dict[Goal, int]:
        tasks, horizon = self.problem.tasks, self.problem.horizon
        sla = response = lateness = 0
        for i in range(len(tasks)):
            weight, due = int(tasks.weight[i]), int(tasks.deadline[i])
            open_ = i not in self.answer or self.answer[i] > horizon
            seen = horizon if open_ else self.answer[i]
            late = max(0, seen - due) if due != -1 else 0
            response += seen - int(tasks.arrival[i])
            lateness += weight * late
            sla += weight if open_ or late else 0
        return {
            Goal.SLA: sla,
            Goal.RESPONSE: response,
            Goal.LATENESS: lateness,
            Goal.ENERGY: self._energy(),
        }

    def _energy(self) -> int:
        nodes, horizon = self.problem.nodes, self.problem.horizon
        total = self.sent
        used = {self.node[i] for i in self.ended}
        for j in range(len(nodes)):
            on = j in used or not nodes.asleep[j] or self.woken[j] != -1
            power = int(nodes.idle[j]) if on else int(nodes.sleep[j])
            total += _up(power * horizon, 1000) + self.spent[j]
            if on and nodes.asleep[j]:
                total += int(nodes.wake_energy[j])
        return total


def _worth(level: Goal | Mix, goals: dict[Goal, int]) -> int:
    """The value of one level."""
    if isinstance(level, Goal):
        return goals[level]
    return sum(goals[goal] * weight for goal, weight in level.terms)


def _up(number: int, unit: int) -> int:
    """Division, rounded up."""
    return -(-number // unit)
