"""The event loop does what the plan model says, and the evaluator agrees with its sums."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optsched.errors import InputError
from optsched.generate.tasks import tasks as draw
from optsched.kernels import event_tables as tables
from optsched.simulate import Knobs, Online, World
from optsched.solvers.scheduling.rules import RULES
from optsched.tasks import Schedule, TaskProblem, check_schedule, evaluate

from .playing import at_random

SEEDS = st.integers(0, 1 << 32).map(Random)
WILD = Knobs(noise=0.4, drift=0.4, stale=2000, failures=300.0, repair=3000)


Make = Callable[[Random, int], TaskProblem]


def soonest(run: Online) -> int:
    """The node that answers first; -1: none can."""
    begin, i = run.begins(), run.task
    seen = run.world.seen
    answer = np.where(begin < 0, tables.NEVER, begin + seen.run[i] + seen.download[i])
    return int(answer.argmin()) if (begin >= 0).any() else -1


@pytest.mark.parametrize("seed", range(6))
def test_without_noise_it_is_what_the_rule_plans(seed: int) -> None:
    """Sending each task at once to where it answers first begins when EFT says, everywhere."""
    problem = draw(seed, nodes=6, count=120, load=(0.6, 1.5)[seed % 2], burst=seed % 3 == 0)
    run = Online(World.of(problem))
    while not run.over:
        node = soonest(run)
        if node < 0:
            run.reject()
        else:
            run.place(node)
    played = run.score()
    planned = RULES["eft"](problem, 0)
    assert played.schedule.node.tolist() == planned.node.tolist()
    assert played.schedule.start.tolist() == planned.start.tolist()
    assert played.evaluation.levels == evaluate(problem, planned).levels == run.values
    assert played.evaluation.violations == ()


@settings(max_examples=80)
@given(random=SEEDS)
def test_what_is_done_is_allowed_and_summed_up_right(random: Random, tiny_tasks: Make) -> None:
    """Random decisions, with noise and failures: both readings accept it, and the sums agree."""
    problem = tiny_tasks(random, 8)
    world = World.of(problem, WILD if random.random() < 0.5 else None, random.randrange(9))
    if len(world.failures) == 0 and random.random() < 0.5 and world.seen is not world.true:
        down = [(random.randint(0, 60), 0, 1), (random.randint(61, 99), 0, 0)]
        world = World(world.seen, world.true, np.array(down), random.random() < 0.5)
    run = Online(world, random.choice(["arrival", "deadline", "length"]))
    at_random(run, random)
    played = run.score()
    assert played.evaluation.violations == ()
    assert played.evaluation.levels == run.values
    told = check_schedule(played.problem, played.schedule)
    assert told.faults == ()
    if not len(played.lost):
        assert told.levels == run.values
    for _, node, broke, back in _down(world):
        own = played.schedule.node == node
        begin = played.schedule.start[own]
        end = begin + played.problem.run[own, node]
        assert ((end <= broke) | (begin >= back)).all()


def _down(world: World) -> list[tuple[int, int, int, int]]:
    """(row, node, from, until) of every failure."""
    rows = world.failures.tolist()
    return [
        (k, node, time, next(t for t, n, b in rows[k:] if n == node and not b))
        for k, (time, node, breaks) in enumerate(rows)
        if breaks
    ]


def test_what_happens_does_not_depend_on_decisions() -> None:
    """The same seed gives the same world, and each knob leaves the draws of the others alone."""
    problem = draw(0, nodes=6, count=50)
    one, two = (World.of(problem, WILD, 3) for _ in range(2))
    assert one.true.digest() == two.true.digest()
    assert one.failures.tolist() == two.failures.tolist()
    calm = World.of(problem, Knobs(noise=0.4), 3)
    assert calm.true.tasks.work.tolist() == one.true.tasks.work.tolist()
    assert calm.seen is problem
    assert (one.seen.tasks.input != one.true.tasks.input).any()
    assert World.of(problem, WILD, 4).failures.tolist() != one.failures.tolist()


def test_noise_is_about_what_is_believed() -> None:
    """The mean of true work is the believed one; bandwidth wanders about its nominal value."""
    problem = draw(1, nodes=8, count=4000)
    world = World.of(problem, Knobs(noise=0.5, drift=0.3), 0)
    ratio = world.true.tasks.work / problem.tasks.work
    assert abs(ratio.mean() - 1) < 0.05
    assert 0.4 < np.log(ratio).std() < 0.6
    slower = np.log(world.true.tasks.input / problem.tasks.input)
    assert 0.1 < slower.std() < 0.5


def test_a_node_that_fails_costs_what_it_did_in_vain(two_nodes: TaskProblem) -> None:
    """By hand: 2 W for 50 ms at the edge, then the task runs again in the cloud."""
    world = World(two_nodes, two_nodes, np.array([(50, 0, 1), (700, 0, 0)]))
    run = Online(world)
    run.place(0)  # the small one, 0 to 100 ms
    assert run.task == 1
    run.place(1)
    assert (run.now, run.task) == (50, 0)
    assert run.begins().tolist() == [-1, 50 + 60]
    run.place(1)
    played = run.score()
    assert played.lost.begin.tolist() == [0]
    assert played.lost.end.tolist() == [50]
    assert played.schedule.start.tolist() == [110, 260]
    assert played.evaluation.response.tolist() == [110 + 10 + 51, 410]
    assert played.evaluation.node_energy.tolist() == [1000 + 100, 50_000 + 100 + 1000]
    assert played.evaluation.violations == ()
    again = Online(World(two_nodes, two_nodes, world.failures, requeue=False))
    again.place(0)
    again.place(1)
    assert again.over
    assert again.score().evaluation.rejected.tolist() == [True, False]


def test_it_tells_what_cannot_be() -> None:
    """Wrong decisions and wrong knobs are refused in one sentence."""
    problem = draw(0, nodes=4, count=3)
    run = Online(World.of(problem))
    with pytest.raises(InputError, match="nothing to wait for"):
        run.defer()
    with pytest.raises(InputError, match="no node 9"):
        run.place(9)
    while not run.over:
        run.reject()
    with pytest.raises(InputError, match="no task is to be decided on"):
        run.reject()
    with pytest.raises(InputError, match="no order"):
        Online(World.of(problem), "luck")
    with pytest.raises(InputError, match="noise is nan"):
        Knobs(noise=float("nan"))
    nothing = evaluate(problem, Schedule.nothing(3))
    assert run.score().evaluation.levels == nothing.levels
