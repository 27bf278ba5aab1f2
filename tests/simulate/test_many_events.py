"""However much happens, the list of what is to come has room, and nobody is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optsched.errors import InputError
from optsched.kernels import event_tables as tables
from optsched.kernels import events as kernel
from optsched.simulate import Knobs, Online, World
from optsched.tasks import Network, Nodes, TaskProblem, Tasks, check_schedule

from .playing import at_random

Make = Callable[[Random, int], TaskProblem]
SEEDS = st.integers(0, 1 << 32).map(Random)
BROKEN = Knobs(failures=1e5, repair=1)  # a failure each 36 ms


def patiently(run: Online) -> None:
    """Decide until the end: on the first node that is open, as soon as one is."""
    while not run.over:
        open_ = np.flatnonzero(run.begins() >= 0).tolist()
        if open_:
            run.place(open_[0])
        elif kernel.may_defer(run.live):
            run.defer()
        else:
            run.reject()


def test_many_wait_behind_one_whose_data_are_slow() -> None:
    """A node that looks anew whenever a task comes and none may begin yet."""
    many = 60
    problem = TaskProblem(
        Network.of(["here", "far"], [(0, 1)], latency=10_000),
        Nodes.of([1000]),
        Tasks.of(
            [1000] + [20_000] * many, 1, source=[1] + [0] * many, arrival=list(range(many + 1))
        ),
        horizon=10_000_000,
    )
    run = Online(World.of(problem))
    patiently(run)
    played = run.score()
    assert played.schedule.start.tolist() == [10_000, *range(11_000, 1_211_000, 20_000)]
    assert played.evaluation.violations == ()


def slow_link(tasks: int, nodes: int) -> TaskProblem:
    """Inputs take ten seconds of the one link, one after another."""
    return TaskProblem(
        Network.of(["here", "there"], [(0, 1)], latency=5, bandwidth=1, shared=True),
        Nodes.of([1000] * nodes, site=1, cores=2),
        Tasks.of([20] * tasks, nodes, input=10_000, arrival=np.arange(tasks) * 1000),
        horizon=tasks * 20_000,
    )


def test_nodes_fail_again_and_again_before_anything_is_sent() -> None:
    """What waits for its turn on the link is put on a node, and off it, thousands of times."""
    problem = slow_link(3, 1)
    run = Online(World.of(problem, BROKEN, 1))
    patiently(run)
    played = run.score()
    assert len(run.world.failures) > 1000
    assert len(played.lost) >= 3
    assert played.evaluation.violations == ()
    assert check_schedule(played.problem, played.schedule).faults == ()
    assert played.evaluation.levels == run.values


@pytest.mark.parametrize("nodes", [1, 9])
def test_few_tasks_are_tried_again_on_many_nodes_too(nodes: int) -> None:
    """How often a lost task is tried again does not depend on how many nodes there are."""
    problem = slow_link(1, nodes).without_turns()
    times = [(at + late, j, not late) for at in (50, 60) for late in (0, 5) for j in range(nodes)]
    run = Online(World(problem, problem, np.array(times, np.int64)))
    patiently(run)
    played = run.score()
    assert played.lost.begin.tolist() == [50, 60]
    assert played.schedule.start.tolist() == [65 + 10_005]


@settings(max_examples=60, deadline=None)
@given(random=SEEDS)
def test_a_list_that_is_always_full_forgets_nobody(random: Random, tiny_tasks: Make) -> None:
    """With room for no more than is needed, every run ends and is allowed."""
    problem = tiny_tasks(random, 8)
    shared = np.array([random.random() < 0.7 for _ in problem.network.ends], bool)
    network = Network(**{**vars(problem.network), "shared": shared})
    if not len(problem.underway):
        problem = problem.replace(network=network)
    wild = Knobs(noise=0.6, drift=0.5, stale=2000, failures=40_000.0, repair=40)
    run = Online(World.of(problem, wild if random.random() < 0.8 else None, random.randrange(9)))
    run.rewind()
    least = 3 * run.live.task.shape[1] + 1
    run.live = run.live._replace(heap=np.zeros((2, least), np.int64))
    run.reset()
    at_random(run, random)
    played = run.score()
    assert run.live.clock[tables.HEAP] < least
    assert not run.live.clock[tables.ACTIVE]
    assert played.evaluation.violations == ()
    assert check_schedule(played.problem, played.schedule).faults == ()
    assert played.evaluation.levels == run.values


def test_bandwidths_that_all_but_vanish_are_refused() -> None:
    """Bytes that would take longer than can be counted, in words; never wrapped around."""
    problem = slow_link(30, 1)
    for drift in (50.0, 1e5):
        with pytest.raises(InputError, match="drift"):
            World.of(problem, Knobs(drift=drift), 1)
