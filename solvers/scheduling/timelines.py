"""What every node does when, while tasks are put on it one after another."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from optsched.arrays import NONE
from optsched.tasks import Schedule, TaskProblem


class Option(NamedTuple):
    """One way to run a task: node, start, when it has answered and is sent, in milliseconds."""

    node: int
    start: int
    answer: int
    sent: int


@dataclass
class _Busy:
    """Times at which something of a node is taken, as (begin, end, amount)."""

    most: int
    spans: list[tuple[int, int, int]] = field(default_factory=list)

    def level(self, begin: int, end: int) -> int:
        """The most that is taken at any time between `begin` and `end`."""
        touching = [one for one in self.spans if one[0] < end and one[1] > begin]
        moments = {begin, *(one[0] for one in touching if one[0] > begin)}
        return max(
            (sum(a for b, e, a in touching if b <= now < e) for now in moments),
            default=0,
        )

    def first(self, ready: int, length: int, amount: int) -> int:
        """The earliest begin from `ready` on at which so much is free for so long."""
        if not length:
            return ready  # what takes no time takes no core
        for begin in sorted({ready, *(e for _, e, _ in self.spans if e > ready)}):
            if self.level(begin, begin + length) + amount <= self.most:
                return begin
        raise AssertionError("after the last end everything is free")

    def take(self, begin: int, end: int, amount: int) -> None:
        """Take so much from `begin` to `end`."""
        if end > begin and amount:
            insort(self.spans, (begin, end, amount))


class Timelines:
    """A schedule in the making; nothing that is placed moves any more."""

    def __init__(self, problem: TaskProblem) -> None:
        self.problem = problem
        nodes, tasks = problem.nodes, problem.tasks
        self.cores = [_Busy(n) for n in nodes.cores.tolist()]
        self.memory = [_Busy(n) for n in nodes.memory.tolist()]
        for j, held, begin, end, cores, memory in zip(
            *(column.tolist() for column in vars(problem.taken).values()), strict=True
        ):
            self.cores[j].take(begin, end, cores)
            self.memory[j].take(held, end, memory)
        self.woken: list[int | None] = [None] * len(nodes)  # when its first task is sent
        self.lanes = {int(lane): _Busy(1) for lane in np.unique(problem.route[..., 0])}
        for lane, begin, end in zip(
            *(column.tolist() for column in vars(problem.underway).values()), strict=True
        ):
            self.lanes.setdefault(lane, _Busy(1)).take(begin, end, 1)
        self.node = [NONE] * len(tasks)
        self.start = [NONE] * len(tasks)
        self.sent = tasks.arrival.tolist()
        self._before: list[list[int]] = [[] for _ in tasks.names]
        for row, (_, second) in enumerate(tasks.before.tolist()):
            self._before[second].append(row)

    def option(self, task: int, node: int) -> Option | None:
        """The earliest way to run a task on a node; None: it cannot, or must not."""
        problem, tasks = self.problem, self.problem.tasks
        if not problem.fits[task, node]:
            return None
        sent = self._leaves(task, node)
        arrived = sent + int(problem.upload[task, node])
        ready = self._ready(task, node, sent, arrived)
        if ready is None:
            return None
        length = int(problem.run[task, node])
        start = self.cores[node].first(ready, length, int(tasks.cores[task]))
        end = start + length
        memory, asked = self.memory[node], int(tasks.memory[task])
        if asked and memory.level(arrived, max(end, arrived + 1)) + asked > memory.most:
            return None
        answer = end + int(problem.download[task, node])
        if tasks.hard[task] and answer > tasks.deadline[task]:
            return None
        return Option(node, start, answer, sent)

    def options(self, task: int) -> list[Option]:
        """The earliest way on each node that can run the task."""
        found = (self.option(task, j) for j in range(len(self.problem.nodes)))
        return [one for one in found if one is not None]

    def place(self, task: int, option: Option) -> None:
        """Run the task as the option says."""
        problem, tasks, j = self.problem, self.problem.tasks, option.node
        end = option.start + int(problem.run[task, j])
        self.cores[j].take(option.start, end, int(tasks.cores[task]))
        arrived, woken = option.sent + int(problem.upload[task, j]), self.woken[j]
        self.memory[j].take(arrived, end, int(tasks.memory[task]))
        for lane, after, takes in self._route(task, j):
            self.lanes[lane].take(option.sent + after, option.sent + after + takes, 1)
        self.woken[j] = option.sent if woken is None else min(woken, option.sent)
        self.node[task], self.start[task], self.sent[task] = j, option.start, option.sent

    def cost(self, task: int, node: int) -> int:
        """Millijoules that the task adds, the waking of its node included."""
        problem, nodes = self.problem, self.problem.nodes
        spent = int(problem.energy[task, node])
        if nodes.asleep[node] and self.woken[node] is None:
            off, on = (
                -(-int(p[node]) * problem.horizon // 1000) for p in (nodes.sleep, nodes.idle)
            )
            spent += on - off + int(nodes.wake_energy[node])
        return spent

    def load(self, node: int) -> float:
        """Milliseconds of work that the node has been given, for each of its cores."""
        spans = self.cores[node].spans
        return sum((e - b) * a for b, e, a in spans) / self.cores[node].most

    def schedule(self) -> Schedule:
        """What is placed; the rest is rejected."""
        sent = self.sent if self.problem.route.size else None
        return Schedule.of(self.node, self.start, sent)

    def _route(self, task: int, node: int) -> list[tuple[int, int, int]]:
        """Lane, time to get there and time there of every link on which the input takes turns."""
        rows = self.problem.route[task, node].tolist()
        return [(lane, after, takes) for lane, after, takes in rows if lane != NONE]

    def _leaves(self, task: int, node: int) -> int:
        """When the input can leave so that every link on its way is free when it gets there."""
        sent, route = int(self.problem.tasks.arrival[task]), self._route(task, node)
        while True:
            late = [
                self.lanes[lane].first(sent + after, takes, 1) - sent - after
                for lane, after, takes in route
            ]
            if not any(late):
                return sent
            sent += max(late)

    def _ready(self, task: int, node: int, sent: int, arrived: int) -> int | None:
        """When data, predecessors and the node are ready; None: a predecessor is rejected."""
        problem, ready = self.problem, arrived
        nodes, tasks = problem.nodes, problem.tasks
        if nodes.asleep[node]:
            woken = self.woken[node]
            first = sent if woken is None else min(woken, sent)
            ready = max(ready, first + int(nodes.wake_time[node]))
        for row in self._before[task]:
            other = int(tasks.before[row, 0])
            where = self.node[other]
            if where == NONE or problem.between[row, where, node] == NONE:
                return None
            end = self.start[other] + int(problem.run[other, where])
            ready = max(ready, end + int(problem.between[row, where, node]))
        return ready
