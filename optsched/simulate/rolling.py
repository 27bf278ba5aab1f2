"""Rolling windows: again and again any solver plans what waits, and the near part is done.

    played = roll(World.of(problem, Knobs(noise=0.2), seed=1), decide, window=50)

`decide` gets a `TaskProblem` of the tasks that wait (what runs is in its `taken`; times are
absolute) and gives a `Schedule` of it. Tasks that must be sent before the next window are sent, the
others wait and are planned again. The clock of the simulation stands still while `decide` thinks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.errors import InputError
from optsched.kernels import event_tables as tables
from optsched.simulate.online import Online, Played
from optsched.simulate.worlds import World
from optsched.tasks import Schedule, TaskProblem

Decide = Callable[[TaskProblem], Schedule]


@dataclass(frozen=True)
class Window:
    """What is known after a window's plan; for live tables.

    Attributes
    ----------
    now
        In milliseconds of the simulation.
    planned, sent, rejected
        Tasks in the window's problem, sent to nodes, and rejected for good.
    waiting, active, ended
        Tasks that wait, are on nodes, and have ended.
    values
        Levels of the objective so far, see `Online.values`.
    seconds
        Wall time of the decision.
    """

    now: int
    planned: int
    sent: int
    rejected: int
    waiting: int
    active: int
    ended: int
    values: tuple[int, ...]
    seconds: float


def roll(
    world: World,
    decide: Decide,
    *,
    window: int = 50,
    most: int = 500,
    on_window: Callable[[Window], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Played:
    """Run a world to its end by windows of so many milliseconds.

    Parameters
    ----------
    world
        What happens.
    decide
        Plans a window.
    window
        In milliseconds; windows in which nothing waits are skipped.
    most
        Tasks in a window's problem; of more, those that have waited longest.
    on_window
        Called after every plan.
    stop
        Asked before every window; True ends the run there, and what is not decided on is rejected.

    Raises
    ------
    InputError
        The window is not above 0.
    """
    if window <= 0 or most <= 0:
        raise InputError("a window takes some milliseconds and some tasks: give numbers above 0")
    run, now = Online(world), 0
    run.rewind()
    while not run.over and not stop():
        run.until(now)
        waits = run.waiting()
        if len(waits):
            first = waits[np.argsort(world.seen.tasks.arrival[waits], kind="stable")][:most]
            told = _plan(run, np.sort(first), decide, window)
            if on_window is not None:
                on_window(told)
        now += window
        if not len(run.waiting()) and run.next_time() < tables.NEVER:
            now = max(now, window * -(-run.next_time() // window))
    return run.score()


def _plan(run: Online, tasks: Ints, decide: Decide, window: int) -> Window:
    """Plan one window and do what is near."""
    problem = run.window(tasks)
    began = time.perf_counter()
    plan = decide(problem)
    seconds = time.perf_counter() - began
    if len(plan) != len(tasks):
        raise ValueError(f"a plan of {len(plan)} tasks for a window of {len(tasks)}")
    hopeless, sent, rejected = run.hopeless(tasks), 0, 0
    leaves = problem.sent(plan)
    for k in np.lexsort((plan.start, leaves)).tolist():
        task, node, start = int(tasks[k]), int(plan.node[k]), int(plan.start[k])
        if node == NONE:
            # Left out though it could go somewhere: that is meant. Else there may be room later.
            if hopeless[k] or (run.begins(task) >= 0).any():
                run.drop(task)
                rejected += 1
        elif _due(run, problem, k, task, node, start, int(leaves[k])) < run.now + window:
            sent += run.commit(task, node, start, int(leaves[k]))
    clock = run.live.clock
    return Window(
        now=run.now,
        planned=len(tasks),
        sent=sent,
        rejected=rejected,
        waiting=int(clock[tables.WAITING]),
        active=int(clock[tables.ACTIVE]),
        ended=int((run.live.task[tables.STATUS] == tables.DONE).sum()),
        values=run.values,
        seconds=seconds,
    )


def _due(
    run: Online, problem: TaskProblem, k: int, task: int, node: int, start: int, sent: int
) -> int:
    """By when a planned task must be decided on: its turn on a link would be lost to others."""
    if (problem.route[k, node, :, 0] != NONE).any():
        return sent
    return start - run.lead(task, node)
