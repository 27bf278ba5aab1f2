"""Why tasks are rejected: what the rules ask and no node gives, or what the plan had no use for.

What is possible is read from `TaskProblem.needs`, and what a plan could still take is tried on
`evaluate`; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optsched.tasks.evaluation import evaluate
from optsched.tasks.problem import TaskProblem
from optsched.tasks.schedule import Schedule

TRIED = 1000  # schedules that are evaluated at most, and tasks in all of them together
READ = 200_000


def reasons(problem: TaskProblem, schedule: Schedule, *, tried: int = TRIED) -> dict[int, str]:
    """Per rejected task of a schedule a clause that says why.

    Parameters
    ----------
    tried
        How many schedules may be evaluated to see whether the rest leaves a task room; 0 where
        the schedule was not planned as a whole.
    """
    needs = problem.needs()
    rejected = np.flatnonzero(schedule.node == -1).tolist()
    room = _Room(problem, schedule, min(tried, READ // max(1, len(problem.tasks))))
    return {
        i: _impossible(problem, needs, i) or _follows(problem, schedule, i) or room.told(i)
        for i in rejected
    }


def _impossible(problem: TaskProblem, needs: dict[str, np.ndarray], i: int) -> str | None:
    """The first thing that no node gives that gives all before."""
    tasks, nodes = problem.tasks, problem.nodes
    left = np.ones(len(nodes), bool)
    for what, given in needs.items():
        before, left = left, left & given[i]
        if left.any():
            continue
        if what == "allowed":
            return "it may run on no node"
        if what == "reachable":
            site = problem.network.sites[int(tasks.source[i])]
            return f"no node that it may use can be reached from {site[:80]!r}"
        if what == "deadline":
            j, answer = _alone(problem, i, before)
            return (
                f"its hard deadline is {int(tasks.deadline[i]):,} ms, and even alone it would "
                f"answer at {answer:,} ms, from {nodes.names[j][:80]!r}"
            )
        unit = " MiB of memory" if what == "memory" else " cores"
        asked, most = int(getattr(tasks, what)[i]), int(getattr(nodes, what)[before].max())
        return f"it needs {asked:,}{unit}, and no node that it may use has more than {most:,}"
    return None


def _alone(problem: TaskProblem, i: int, nodes: np.ndarray) -> tuple[int, int]:
    """Which of some nodes (J,) answers first, if nobody else is there, and when."""
    answer = (problem.earliest + problem.run + problem.download)[i]
    j = int(np.where(nodes, answer, np.iinfo(np.int64).max).argmin())
    return j, int(answer[j])


def _follows(problem: TaskProblem, schedule: Schedule, i: int) -> str | None:
    """What it needs and does not run."""
    before = problem.tasks.before
    for first in before[before[:, 1] == i, 0].tolist():
        if schedule.node[first] == -1:
            return f"it needs {problem.tasks.names[first][:80]!r}, which is rejected"
    return None


class _Room:
    """Whether the rest of a schedule leaves a task room, and what that would be worth."""

    def __init__(self, problem: TaskProblem, schedule: Schedule, tried: int) -> None:
        self.problem, self.schedule, self.left = problem, schedule, tried
        told = evaluate(problem, schedule)
        self.levels = told.levels
        if told.violations or problem.route.size:  # inputs that take turns could be sent later
            self.left = 0

    def told(self, i: int) -> str:
        """Why a task that some node could run does not."""
        tasks, nodes = self.problem.tasks, self.problem.nodes
        j, answer = _alone(self.problem, i, self.problem.fits[i])
        alone = f"alone {nodes.names[j][:80]!r} would answer it at {answer:,} ms"
        found = [one for one in self._best(i) if one is not None]
        if self.left <= 0:
            return f"left out; {alone}"
        if not found:
            due = f" by its hard deadline, {int(tasks.deadline[i]):,} ms" if tasks.hard[i] else ""
            return f"the others leave it no room{due}; {alone}"
        levels, j, start = min(found)
        where = f"on {nodes.names[j][:80]!r} from {start:,} ms on"
        for k, (new, old) in enumerate(zip(levels, self.levels, strict=True)):
            goal = self.problem.objective.levels[k].value
            if new > old:
                return f"left out for the objective: {where}, {goal} would rise by {new - old:,}"
            if new < old:
                return f"left out, though there is room {where}: a longer search may place it"
        return f"left out; {where}, the objective would be the same"

    def _best(self, i: int) -> Iterator[tuple[tuple[int, ...], int, int] | None]:
        """On each node that may run it, the levels, the node and the earliest start with room."""
        for j in np.flatnonzero(self.problem.fits[i]).tolist():
            yield next(
                (one for start in self._starts(i, j) if (one := self._try(i, j, start))), None
            )

    def _starts(self, i: int, j: int) -> list[int]:
        """When it could begin: when it is ready, and whenever something ends there."""
        problem, schedule = self.problem, self.schedule
        there = np.flatnonzero(schedule.node == j)
        ends = [schedule.start[there] + problem.run[there, j]]
        ends.append(problem.taken.end[problem.taken.node == j])
        ready = int(problem.ready(self._with(i, j, 0, 0))[i])
        starts = np.unique(np.concatenate([[ready], *ends]))
        answers = starts + problem.run[i, j] + problem.download[i, j]
        fine = starts >= ready
        if problem.tasks.hard[i]:
            fine &= answers <= problem.tasks.deadline[i]
        return [int(one) for one in starts[fine]]

    def _try(self, i: int, j: int, start: int) -> tuple[tuple[int, ...], int, int] | None:
        """Sent at once or, so that its data take memory later, just in time."""
        late = max(0, start - int(self.problem.come(self._with(i, j, start, 0))[i]))
        for wait in {0, late}:
            if self.left <= 0:
                return None
            self.left -= 1
            told = evaluate(self.problem, self._with(i, j, start, wait))
            if not told.violations:
                return told.levels, j, start
        return None

    def _with(self, i: int, j: int, start: int, wait: int) -> Schedule:
        """The schedule with the task in it, sent so many ms after it arrives."""
        one, arrival = self.schedule, self.problem.tasks.arrival
        node, begin, sent = one.node.copy(), one.start.copy(), self.problem.sent(one).copy()
        node[i], begin[i], sent[i] = j, start, arrival[i] + wait
        return Schedule.of(node, begin, sent, one.woken)
