"""Links on which inputs take turns, while it happens: what is played is what was planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optsched.arrays import NONE
from optsched.budget import Budget
from optsched.generate.tasks import tasks as draw
from optsched.kernels import event_tables as tables
from optsched.kernels import schedules
from optsched.simulate import Knobs, Online, World, roll
from optsched.simulate.online import Played
from optsched.solvers.scheduling import RULES
from optsched.solvers.scheduling.exact import improve
from optsched.solvers.scheduling.flat import schedule_of
from optsched.solvers.scheduling.flat import tables as tables_of
from optsched.tasks import (
    Goal,
    Network,
    Nodes,
    Objective,
    Schedule,
    Taken,
    TaskProblem,
    Tasks,
    Underway,
    check_schedule,
    evaluate,
)

from .playing import at_random

Make = Callable[[Random, int], TaskProblem]
SEEDS = st.integers(0, 1 << 32).map(Random)


def with_turns(problem: TaskProblem, random: Random, share: float = 0.8) -> TaskProblem:
    """The same with most links shared, and something under way on some of them."""
    shared = np.array([random.random() < share for _ in problem.network.ends], bool)
    rows = []
    for link in np.flatnonzero(shared).tolist():
        if random.random() < 0.5:
            begin = random.randint(0, 30)
            rows.append((2 * link + random.randint(0, 1), begin, begin + random.randint(0, 30)))
    network = replace(problem.network, shared=shared)
    return problem.replace(network=network, underway=Underway.of(rows))


def without_needs(problem: TaskProblem) -> TaskProblem:
    """The same where no task waits for another."""
    tasks = problem.tasks
    return problem.replace(tasks=replace(tasks, before=tasks.before[:0], data=tasks.data[:0]))


def in_turn(problem: TaskProblem, schedule: Schedule) -> list[int]:
    """The order of decisions: as tasks arrive; of what arrives together what is sent first."""
    arrival = problem.tasks.arrival
    if (arrival == arrival[0]).all():
        return np.lexsort((schedule.start, problem.sent(schedule))).tolist()
    return np.argsort(arrival, kind="stable").tolist()


def decided(problem: TaskProblem, order: list[int], node: np.ndarray) -> Schedule:
    """What becomes of a plan if its tasks are decided on in this order.

    A rule that looks at all tasks decides in another: a node may then wake for another task, and
    what is decided on first begins first though something else was planned before it.
    """
    lines = schedules.lines(tables_of(problem))
    schedules.decode(tables_of(problem), lines, np.array(order), node.copy())
    return schedule_of(problem, lines)


def play(problem: TaskProblem, schedule: Schedule, order: list[int]) -> Played:
    """Every task is decided on when it arrives: to its node, to be sent and begin as planned."""
    run, sent = Online(World.of(problem)), problem.sent(schedule)
    run.rewind()
    for i in order:
        run.until(int(problem.tasks.arrival[i]))
        if schedule.node[i] == NONE:
            run.drop(i)
        else:
            assert run.commit(i, int(schedule.node[i]), int(schedule.start[i]), int(sent[i]))
    run.until(tables.NEVER - 1)
    assert run.over
    return run.score()


@settings(max_examples=60, deadline=None)
@given(random=SEEDS)
def test_a_plan_is_played_as_it_is_valued(random: Random, tiny_tasks: Make) -> None:
    """Without drift, noise and failures: start, response and energy are the evaluator's.

    Rules that decide as tasks arrive; any rule where all arrive at once. (The simulation does not
    let a node wait for what has not arrived yet.)
    """
    problem = without_needs(tiny_tasks(random, 8))
    if random.random() < 0.7:
        problem = with_turns(problem, random)
    rules = ["eft", "energy", "least-loaded", "random"]
    if random.random() < 0.4:
        tasks = problem.tasks
        arrival, work = np.zeros_like(tasks.arrival), np.maximum(tasks.work, 1)
        problem = problem.replace(tasks=replace(tasks, arrival=arrival, work=work))
        rules += ["wspt", "edf", "min-min", "max-min"]
    for rule in rules:
        plan = RULES[rule](problem, 1)
        order = in_turn(problem, plan)
        if len(rules) > 4:
            plan = decided(problem, order, plan.node)
        told, played = evaluate(problem, plan), play(problem, plan, order)
        assert told.violations == played.evaluation.violations == ()
        assert played.schedule.start.tolist() == plan.start.tolist()
        on = plan.node != NONE
        assert problem.sent(played.schedule)[on].tolist() == problem.sent(plan)[on].tolist()
        assert played.evaluation.response.tolist() == told.response.tolist()
        assert played.evaluation.energy == told.energy
        assert played.evaluation.levels == told.levels


@pytest.mark.parametrize("seed", range(4))
def test_drawn_plans_are_played_as_they_are_valued(seed: int) -> None:
    """On larger instances, where links are crowded."""
    problem = draw(seed, nodes=6, count=60, load=1.5, turns=seed != 3)
    plan = RULES["energy"](problem, 0)
    told, played = evaluate(problem, plan), play(problem, plan, in_turn(problem, plan))
    assert played.schedule.start.tolist() == plan.start.tolist()
    assert played.evaluation.response.tolist() == told.response.tolist()
    assert played.evaluation.energy == told.energy
    if seed != 3:
        assert (problem.sent(plan) > problem.tasks.arrival).sum() > 5


@pytest.mark.parametrize("seed", range(4))
def test_sending_at_once_is_what_the_rule_plans(seed: int) -> None:
    """Each task to where it answers first, its turns included, begins when EFT says."""
    problem = draw(seed, nodes=6, count=120, load=(0.6, 1.5)[seed % 2], turns=True)
    run = Online(World.of(problem))
    while not run.over:
        begin, i = run.begins(), run.task
        answer = np.where(begin < 0, tables.NEVER, begin + problem.run[i] + problem.download[i])
        if (begin >= 0).any():
            run.place(int(answer.argmin()))
        else:
            run.reject()
    planned, played = RULES["eft"](problem, 0), run.score()
    assert played.schedule.node.tolist() == planned.node.tolist()
    assert played.schedule.start.tolist() == planned.start.tolist()
    assert played.evaluation.levels == evaluate(problem, planned).levels == run.values


@settings(max_examples=60, deadline=None)
@given(random=SEEDS)
def test_whatever_happens_links_carry_one_at_a_time(random: Random, tiny_tasks: Make) -> None:
    """Random decisions, stale bandwidths, noise, failures: both readings accept what was done."""
    problem = with_turns(tiny_tasks(random, 8), random)
    wild = Knobs(noise=0.6, drift=0.5, stale=2000, failures=40_000.0, repair=40)
    world = World.of(problem, wild if random.random() < 0.8 else None, random.randrange(9))
    run = Online(world)
    at_random(run, random)
    played = run.score()
    assert played.evaluation.violations == ()
    assert check_schedule(played.problem, played.schedule).faults == ()
    assert played.evaluation.levels == run.values


@settings(max_examples=60, deadline=None)
@given(random=SEEDS)
def test_windows_know_what_is_under_way(random: Random, tiny_tasks: Make) -> None:
    """Plans of windows are allowed beside it, and so is what came of them."""
    problem = with_turns(tiny_tasks(random, 8), random).replace(taken=Taken.of())
    wild = Knobs(noise=0.3, drift=0.4, stale=1000, failures=20_000.0, repair=40)
    name, seen = random.choice(["eft", "edf", "min-min"]), list[int]()

    def decide(window: TaskProblem) -> Schedule:
        plan = RULES[name](window, 0)
        seen.append(len(window.underway))
        assert (window.underway.end > window.tasks.arrival[0]).all()
        assert evaluate(window, plan).violations == ()
        assert check_schedule(window, plan).faults == ()
        return plan

    world = World.of(problem, wild if random.random() < 0.6 else None, 1)
    played = roll(world, decide, window=random.choice([1, 7, 50]))
    assert played.evaluation.violations == ()
    assert check_schedule(played.problem, played.schedule).faults == ()


def test_small_windows_are_as_good_as_deciding_at_once() -> None:
    """A window of a millisecond with EFT gives EFT, where inputs wait for links too."""
    problem = draw(3, nodes=6, count=60, load=0.7, turns=True)
    planned, crowd = RULES["eft"](problem, 0), list[int]()

    def decide(window: TaskProblem) -> Schedule:
        crowd.append(len(window.underway))
        return RULES["eft"](window, 0)

    played = roll(World.of(problem), decide, window=1)
    assert max(crowd) > 1
    assert played.evaluation.violations == ()
    assert played.evaluation.levels[0] <= evaluate(problem, planned).levels[0]


def one_link(underway: tuple[tuple[int, int, int], ...]) -> TaskProblem:
    """Two inputs of 1,000 bytes each need 10 ms of the one link, and 5 ms to get through it."""
    return TaskProblem(
        Network.of(["here", "there"], [(0, 1)], latency=5, bandwidth=100, shared=True),
        Nodes.of([1000], site=1, cores=2),
        Tasks.of([20, 20], 1, input=1000),
        horizon=1000,
        objective=Objective((Goal.RESPONSE,)),
        underway=Underway.of(underway),
    )


def test_what_is_under_way_by_hand() -> None:
    """Sent in the gap of 10 ms before it and when it has passed: by rules, CP-SAT and as played."""
    problem = one_link(((0, 12, 30), (1, 0, 99)))
    for plan in (RULES["eft"](problem, 0), improve(problem, Schedule.nothing(2), Budget.of(9))[0]):
        assert sorted(problem.sent(plan).tolist()) == [0, 30]
        assert sorted(plan.start.tolist()) == [15, 45]
        assert evaluate(problem, plan).levels == check_schedule(problem, plan).levels == (40 + 70,)
        assert play(problem, plan, in_turn(problem, plan)).evaluation.levels == (40 + 70,)
    wrong = Schedule.of([0, 0], [15, 35], [0, 20])
    assert evaluate(problem, wrong).violations == (
        "the link from 'here' to 'there' has several inputs at 20 ms",
    )
    assert check_schedule(problem, wrong).faults == (
        ("link here-there", "several inputs at a time"),
    )


def test_a_window_is_told_of_turns() -> None:
    """What is sent and what waits for its turn; the rest is planned behind it."""
    problem = one_link(())
    run = Online(World.of(problem))
    assert run.commit(0, 0, 0)
    window = run.window(np.array([1]))
    assert [column.tolist() for column in vars(window.underway).values()] == [[0], [0], [10]]
    plan = RULES["eft"](window, 0)
    assert problem.sent(plan).tolist() == [10]
    assert run.commit(1, 0, 0)
    run.until(10)
    window = run.window(np.array([1]))
    assert [column.tolist() for column in vars(window.underway).values()] == [[0], [10], [20]]
    run.until(99)
    assert run.score().schedule.start.tolist() == [15, 25]


def test_a_node_that_fails_before_the_input_is_sent() -> None:
    """Nothing is lost but time: its turn is given up, and the link is free for others."""
    problem = one_link(())
    world = World(problem, problem, np.array([(4, 0, 1), (6, 0, 0)]))
    run = Online(world)
    run.place(0)
    run.place(0)
    assert (run.now, run.task, run.begins().tolist()) == (4, 0, [-1])
    run.defer()
    run.defer()
    assert (run.now, run.task, run.begins().tolist()) == (6, 0, [10 + 15])
    run.place(0)
    run.place(0)
    played = run.score()
    assert played.evaluation.violations == ()
    assert played.lost.task.tolist() == [0]  # the second had not been sent
    assert problem.sent(played.schedule).tolist() == [10, 20]
    assert run.values == played.evaluation.levels
