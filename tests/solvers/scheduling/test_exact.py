"""CP-SAT against trying every order on every node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations, product
from random import Random

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.solvers.scheduling import RULES
from optsched.solvers.scheduling.bounds import crowded_bounds, free_bounds
from optsched.solvers.scheduling.exact import improve
from optsched.solvers.scheduling.positions import releases
from optsched.solvers.scheduling.timelines import Timelines
from optsched.tasks import (
    Goal,
    Mix,
    Network,
    Nodes,
    Objective,
    Schedule,
    Taken,
    TaskProblem,
    Tasks,
    evaluate,
)

Make = Callable[[Random, int], TaskProblem]
ORDERS = (
    (Goal.SLA, Goal.RESPONSE, Goal.ENERGY),
    (Goal.ENERGY, Goal.LATENESS),
    (Goal.RESPONSE, Goal.ENERGY),
    (Mix(((Goal.RESPONSE, 2), (Goal.ENERGY, 1))), Goal.SLA),
)


def active(problem: TaskProblem) -> Iterator[Schedule]:
    """Every order on every choice of nodes, each task as early as it can.

    Some best schedule is among them: every level is the better the earlier a task answers.
    """
    count, nodes = len(problem.tasks), len(problem.nodes)
    for order in permutations(range(count)):
        for choice in product(range(-1, nodes), repeat=count):
            lines = Timelines(problem)
            for task in order:
                option = lines.option(task, choice[task]) if choice[task] >= 0 else None
                if option is not None:
                    lines.place(task, option)
            yield lines.schedule()


@pytest.mark.parametrize("seed", range(12))
def test_optimal_and_proven(seed: int, tiny_tasks: Make) -> None:
    """The values are those of the best schedule of all, and the bounds meet them."""
    random = Random(seed)
    problem = tiny_tasks(random, 3).replace(objective=Objective(random.choice(ORDERS)))
    best = min(
        told.levels
        for told in (evaluate(problem, one) for one in active(problem))
        if not told.violations
    )
    found, bounds = improve(problem, RULES["eft"](problem, 0), Budget.of(30))
    told = evaluate(problem, found)
    assert told.violations == ()
    assert told.levels == best
    assert tuple(bound.value for bound in bounds) == best


@pytest.mark.parametrize("seed", range(12))
def test_free_bounds_hold(seed: int, tiny_tasks: Make) -> None:
    """For every schedule and every level on its own."""
    random = Random(100 + seed)
    problem = tiny_tasks(random, 3)
    for goal in Goal:
        alone = problem.replace(objective=Objective((goal,)))
        (bound,), (crowded,) = free_bounds(alone), crowded_bounds(alone)
        assert crowded.value >= bound.value
        for schedule in active(alone):
            told = evaluate(alone, schedule)
            assert told.violations or crowded.value <= told.levels[0]


@pytest.mark.parametrize("seed", range(12))
def test_bounds_hold_under_the_levels_before(seed: int, tiny_tasks: Make) -> None:
    """For all that reach the same values, whatever the order of goals."""
    random = Random(200 + seed)
    problem = tiny_tasks(random, 3).replace(objective=Objective(random.choice(ORDERS)))
    every = [evaluate(problem, one) for one in active(problem)]
    reached = {told.levels for told in every if not told.violations}
    for values in reached:
        for k, bound in enumerate(crowded_bounds(problem, values)):
            alike = (other[k] for other in reached if other[:k] == values[:k])
            assert bound.value <= min(alike)


def test_a_crowd_on_one_node_by_hand() -> None:
    """Three tasks of 10, 20 and 30 ms on one core: 10, 30 and 60 ms; on two cores 10, 20, 40.

    Alone they answer after 10, 20 and 30 ms.
    """
    for cores, answers in ((1, 100), (2, 70)):
        problem = TaskProblem(
            Network.of(["here"]),
            Nodes.of([1000], cores=cores),
            Tasks.of([10, 20, 30], 1),
            horizon=1000,
            objective=Objective((Goal.RESPONSE,)),
        )
        assert free_bounds(problem)[0].value == 60
        assert crowded_bounds(problem)[0].value == answers


def test_cores_that_are_taken_make_a_crowd_by_hand() -> None:
    """Two cores, one busy until 50: tasks of 10, 20 and 30 ms end at 10, 30 and 60, not sooner."""
    problem = TaskProblem(
        Network.of(["here"]),
        Nodes.of([1000], cores=2),
        Tasks.of([10, 20, 30], 1),
        horizon=1000,
        objective=Objective((Goal.RESPONSE,)),
        taken=Taken.of([(0, 0, 0, 50, 1, 0)]),
    )
    assert releases(problem, 0, 0) == [(0, 1), (50, 1)]
    assert free_bounds(problem)[0].value == 60
    assert crowded_bounds(problem)[0].value == 100


def test_no_time_keeps_the_schedule(tiny_tasks: Make) -> None:
    """What it was given, with bounds that hold."""
    problem = tiny_tasks(Random(5), 6)
    eft = RULES["eft"](problem, 0)
    found, bounds = improve(problem, eft, Budget.of(0))
    assert evaluate(problem, found).levels == evaluate(problem, eft).levels
    assert [bound.value for bound in bounds] == [b.value for b in free_bounds(problem)]


@pytest.mark.parametrize(("seed", "by"), [(44, 10**9), (50, 10**8), (50, 10**6)])
def test_no_bound_of_long_times_is_above_a_schedule(seed: int, by: int, tiny_tasks: Make) -> None:
    """Times of years: CP-SAT's presolve loses the best schedules; those of days it keeps."""
    small = tiny_tasks(Random(seed), 5)
    nothing = np.zeros(len(small.tasks), np.int64)
    tasks = replace(small.tasks, input=nothing, output=nothing, data=0 * small.tasks.data)
    nodes = replace(small.nodes, speed=np.full(len(small.nodes), 1000))
    small = small.replace(tasks=tasks, nodes=nodes, taken=Taken.of())
    due = np.where(tasks.deadline < 0, -1, tasks.deadline * by)
    large = small.replace(
        horizon=small.horizon * by,
        network=replace(small.network, latency=small.network.latency * by),
        nodes=replace(nodes, wake_time=nodes.wake_time * by),
        tasks=replace(tasks, work=tasks.work * by, arrival=tasks.arrival * by, deadline=due),
    )
    best = improve(small, Schedule.nothing(5), Budget.of(60))[0]
    longer = Schedule.of(best.node, np.where(best.start < 0, -1, best.start * by))
    told = evaluate(large, longer)
    assert told.violations == ()
    found, bounds = improve(large, Schedule.nothing(5), Budget.of(60))
    assert evaluate(large, found).levels[0] == told.levels[0]
    assert bounds[0].value <= told.levels[0]
    assert bounds[1].value <= told.levels[1]
    if by == 10**6:
        assert bounds[1].value == told.levels[1]
