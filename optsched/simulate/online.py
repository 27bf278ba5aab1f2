"""Tasks placed while they arrive: one decision at a time on a world that goes on by events.

    run = Online(World.of(problem, Knobs(noise=0.2), seed=1))
    while not run.over:
        begin = run.begins()  # (J,) when the next task would begin on each node, -1: not there
        run.place(int(begin.argmin())) if ... else run.defer() or run.reject()
    run.score().evaluation

Decisions see estimates; what happens is the world's. The evaluator alone says what it was worth.
`optsched.simulate.rolling` plans many tasks at a time instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.errors import InputError
from optsched.kernels import event_tables as tables
from optsched.kernels import events as kernel
from optsched.kernels import running
from optsched.simulate.worlds import World, lanes
from optsched.tasks import Evaluation, Lost, Schedule, Taken, TaskProblem, Underway, evaluate

AHEAD = 1000  # ms
ORDERS = ("arrival", "deadline", "length")


@dataclass(frozen=True)
class Played:
    """What was done, and what it was worth.

    Attributes
    ----------
    problem
        As it turned out. Tasks whose hard deadline passed against all estimates are soft in it:
        they are violated, the schedule is not forbidden.
    schedule, lost
        The last run of every task, and those that failures cut short.
    evaluation
        Of both, by `optsched.tasks.evaluate`.
    """

    problem: TaskProblem
    schedule: Schedule
    lost: Lost
    evaluation: Evaluation


class Online:
    """One run over a world.

    Parameters
    ----------
    world
        What happens.
    order
        Which task is next when several wait: "arrival", "deadline" or "length" (least work).

    Attributes
    ----------
    setting, live
        The kernel's tables, see `optsched.kernels.event_tables`.
    """

    def __init__(self, world: World, order: str = "arrival") -> None:
        self.world = world
        self.setting = world.setting(ranks(world.seen, order))
        self.live = kernel.fresh(self.setting)
        self.reset()

    def reset(self) -> None:
        """To the first decision."""
        self.rewind()
        self._advance()

    def rewind(self) -> None:
        """To before the first event."""
        kernel.begin(self.setting, self.live)

    # -------------------------------------------------------------------- state

    @property
    def now(self) -> int:
        """The time in milliseconds."""
        return int(self.live.clock[tables.NOW])

    @property
    def task(self) -> int:
        """The task that is to be decided on; -1: none."""
        return int(self.live.clock[tables.CURRENT])

    @property
    def over(self) -> bool:
        """Whether every task has ended or is rejected."""
        return not self.live.clock[tables.OPEN]

    @property
    def values(self) -> tuple[int, ...]:
        """The levels of the objective over what is decided, by what is believed of it now.

        When the run is over they are those of the evaluator; before, tasks that are not decided on
        count nothing.
        """
        sla, response, energy, late = self.live.total.tolist()
        goals = {"sla": sla, "response": response, "energy": energy, "lateness": late}
        return self.world.seen.objective.read(goals)  # type: ignore[arg-type] # a Goal is a str

    def begins(self, task: int = NONE) -> Ints:
        """(J,) when a task (the next one) would begin on each node; -1: it cannot go there now."""
        i = self.task if task == NONE else task
        found = np.empty(self.setting.host.shape[1], np.int64)
        kernel.begins(self.setting, self.live, i, 0, 0, 0, found)
        return found

    def waiting(self) -> Ints:
        """The tasks that have arrived, have all they need, and are not decided on."""
        return self.live.waiting[: self.live.clock[tables.WAITING]].copy()

    # ---------------------------------------------------------------- decisions

    def place(self, node: int) -> None:
        """Send the task to a node, and go on to the next decision.

        Raises
        ------
        InputError
            It cannot go there now.
        """
        i = self._decided()
        if not 0 <= node < self.setting.host.shape[1]:
            raise InputError(f"there is no node {node}")
        if not kernel.place(self.setting, self.live, i, node, 0, 0):
            names = self.world.seen.tasks.names[i], self.world.seen.nodes.names[node]
            raise InputError(f"{names[0]!r} cannot go to {names[1]!r} now")
        self._advance()

    def defer(self) -> None:
        """Look at the task again when a task has ended or a node is back.

        Raises
        ------
        InputError
            Neither will happen.
        """
        i = self._decided()
        if not kernel.may_defer(self.live):
            raise InputError("nothing runs and no node is down: there is nothing to wait for")
        kernel.defer(self.live, i)
        self._advance()

    def reject(self) -> None:
        """Never run the task, nor what needs it."""
        running.reject(self.setting, self.live, self._decided())
        self._advance()

    def _decided(self) -> int:
        if self.task == NONE:
            raise InputError("no task is to be decided on")
        return self.task

    def _advance(self) -> None:
        kernel.advance(self.setting, self.live)
        running.renew(self.setting, self.live)

    # ------------------------------------------------------------------ windows

    def until(self, time: int) -> None:
        """Let everything happen up to a moment, without decisions."""
        kernel.until(self.setting, self.live, time)
        running.renew(self.setting, self.live)

    def next_time(self) -> int:
        """When something happens next; far away: nothing does."""
        return kernel.next_time(self.setting, self.live)

    def window(self, tasks: Ints, ahead: int = AHEAD) -> TaskProblem:
        """What is to be planned now for tasks that wait: they can be sent from now on.

        A node that is turned on stays so to the end, and tasks of later windows run there too. So a
        plan is charged its power for `ahead` milliseconds alone; were it charged all of it, no
        window would ever turn a node on, and work would pile up.

        What is on the nodes is taken, as far as it is believed to last; and the turns on links of
        inputs that are under way or have been promised theirs. Results that a task needs
        are treated as if they were everywhere already; where they are not, it begins later.
        """
        live, seen = self.live, self.world.seen
        nodes = slice(len(seen.nodes))
        awake, down = live.host[tables.AWAKE, nodes], live.host[tables.DOWN_NOW, nodes] > 0
        asleep, idle = seen.nodes.asleep & (awake < 0), seen.nodes.idle
        share = min(1.0, ahead / max(seen.horizon, 1))
        spared = np.rint((idle - seen.nodes.sleep) * (1 - share)).astype(np.int64)
        sleep = np.where(asleep, seen.nodes.sleep + np.maximum(spared, 0), seen.nodes.sleep)
        sleep.setflags(write=False)
        asleep.setflags(write=False)
        state = replace(seen.nodes, asleep=asleep, sleep=sleep)
        eligible = seen.tasks.eligible[tasks] & ~down
        taken, underway = Taken.of(self._taken()), Underway.of(self._underway())
        return seen.window(tasks, self.now, state, eligible, taken, underway)

    def _underway(self) -> list[tuple[int, int, int]]:
        """Rows of the turns on links that have not passed."""
        live, rows, row = self.live, list[tuple[int, int, int]](), len(self.world.seen.nodes)
        for lane in lanes(self.world.seen).tolist():
            own = live.on[row : row + 2, : live.host[tables.ON_IT, row]].T
            rows += [(lane, begin, end) for begin, end in own.tolist() if end > self.now]
            row += tables.TURNS
        return rows

    def _taken(self) -> list[tuple[int, ...]]:
        """Rows of what is on the nodes; promised memory gives way where it is short."""
        live, setting, rows = self.live, self.setting, list[tuple[int, ...]]()
        for j in range(setting.host.shape[1]):
            own = live.on[j, : live.host[tables.ON_IT, j]]
            task, given = live.task[:, own], setting.task[:, own]
            promised = given[tables.MEMORY].sum() > setting.host[tables.HOST_MEMORY, j]
            memory = np.where(promised & (task[tables.HELD] == 0), 0, given[tables.MEMORY])
            begin, end = task[tables.BEGIN], task[tables.END]
            held = np.minimum(task[tables.DATA_SEEN], begin)
            table = (np.full(len(own), j), held, begin, end, given[tables.CORES], memory)
            rows += zip(*(column.tolist() for column in table), strict=True)
            awake = int(live.host[tables.AWAKE, j])
            if awake > self.now:
                cores = int(setting.host[tables.HOST_CORES, j])
                rows.append((j, self.now, self.now, awake, cores, 0))
        return rows

    def hopeless(self, tasks: Ints) -> Bools:
        """(n,) bool: no node may run the task any more, whatever else ends."""
        seen = self.world.seen
        answer = self.now + (seen.upload + seen.run + seen.download)[tasks]
        late = seen.tasks.hard[tasks, None] & (answer > seen.tasks.deadline[tasks, None])
        return np.asarray(~(seen.fits[tasks] & ~late).any(axis=1))

    def lead(self, task: int, node: int) -> int:
        """Milliseconds from sending a task to its begin if nobody is there: upload, or waking."""
        asleep = self.live.host[tables.AWAKE, node] < 0
        wake = int(self.setting.host[tables.WAKE_TIME, node]) if asleep else 0
        return max(int(self.setting.pair[tables.UP, task, node]), wake)

    def commit(self, task: int, node: int, start: int, sent: int = 0) -> bool:
        """Send a waiting task to a node, to begin not before `start`; False: it cannot go there.

        Its input leaves not before `sent`, and when its turns on links come.
        """
        return bool(kernel.place(self.setting, self.live, task, node, start, sent))

    def drop(self, task: int) -> None:
        """Reject a waiting task."""
        running.reject(self.setting, self.live, task)

    # ------------------------------------------------------------------ the end

    def schedule(self) -> Schedule:
        """What was done so far; what is not decided on is rejected."""
        task = self.live.task[:, : len(self.world.true.tasks)]
        placed = task[tables.NODE] >= 0
        return Schedule.of(
            task[tables.NODE].copy(),
            np.where(placed, task[tables.BEGIN], NONE),
            np.where(placed, task[tables.SENT], self.world.true.tasks.arrival),
            self.live.host[tables.WOKEN, : len(self.world.true.nodes)].copy(),
        )

    def score(self) -> Played:
        """What was done so far and what it is worth; what is not decided on counts as rejected."""
        true, schedule = self.world.true, self.schedule()
        lost = Lost.of(self.live.lost[: self.live.clock[tables.LOST]])
        placed = schedule.node >= 0
        row, node = np.arange(len(placed)), np.maximum(schedule.node, 0)
        answer = schedule.start + true.run[row, node] + true.download[row, node]
        hard = true.tasks.hard & ~(placed & (answer > true.tasks.deadline))
        hard.setflags(write=False)
        problem = true.replace(tasks=replace(true.tasks, hard=hard), taken=self._went())
        return Played(problem, schedule, lost, evaluate(problem, schedule, lost))

    def _went(self) -> Taken:
        """What nodes are busy with besides, as it went: later, or cut short where a node broke."""
        taken, rows = self.world.true.taken, self.live.task[:, len(self.world.true.tasks) :]
        times = rows[tables.DATA], rows[tables.BEGIN], rows[tables.END]
        return Taken.of(np.stack([taken.node, *times, taken.cores, taken.memory], axis=1))


def ranks(problem: TaskProblem, order: str) -> Ints:
    """(I,) the rank of each task: the smallest is next.

    Raises
    ------
    InputError
        There is no such order.
    """
    if order not in ORDERS:
        raise InputError(f"no order {order[:40]!r} (there are: {', '.join(ORDERS)})")
    tasks = problem.tasks
    due = np.where(tasks.deadline == NONE, tables.NEVER, tasks.deadline)
    key = {"arrival": tasks.arrival, "deadline": due, "length": tasks.work}[order]
    rank = np.empty(len(tasks), np.int64)
    rank[np.lexsort((tasks.arrival, key))] = np.arange(len(tasks))
    return rank
