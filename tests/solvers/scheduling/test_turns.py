"""Links on which inputs take turns: both readings, rules and their twins, ants and CP-SAT."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations, product
from random import Random

import numpy as np
import pytest

from optsched.api import schedule as solve
from optsched.budget import Budget
from optsched.errors import ProblemError
from optsched.generate.tasks import tasks as draw
from optsched.result import Status
from optsched.snapshot.task_files import (
    decode_schedule,
    decode_tasks,
    encode_schedule,
    encode_tasks,
)
from optsched.solvers.scheduling import RULES
from optsched.solvers.scheduling.bounds import free_bounds
from optsched.solvers.scheduling.exact import improve
from optsched.solvers.scheduling.rules import TWINS
from optsched.solvers.scheduling.timelines import Timelines
from optsched.tasks import (
    Goal,
    Mix,
    Network,
    Nodes,
    Objective,
    Schedule,
    TaskProblem,
    Tasks,
    Underway,
    check_schedule,
    evaluate,
)

Make = Callable[[Random, int], TaskProblem]


def one_link(**tasks: object) -> TaskProblem:
    """Two inputs of 1,000 bytes each need 10 ms of the one link, and 5 ms to get through it."""
    given = {"input": 1000, "output": 0} | tasks
    return TaskProblem(
        Network.of(["here", "there"], [(0, 1)], latency=5, bandwidth=100, shared=True),
        Nodes.of([1000], site=1, cores=2),
        Tasks.of([20, 20], 1, **given),  # type: ignore[arg-type]
        horizon=1000,
        objective=Objective((Goal.RESPONSE,)),
    )


def with_turns(problem: TaskProblem, random: Random) -> TaskProblem:
    """The same with most links shared, and something under way on some of them."""
    shared = np.array([random.random() < 0.8 for _ in problem.network.ends], bool)
    rows = []
    for link in np.flatnonzero(shared).tolist():
        if random.random() < 0.4:
            begin = random.randint(0, 30)
            rows.append((2 * link + random.randint(0, 1), begin, begin + random.randint(0, 30)))
    network = replace(problem.network, shared=shared)
    return problem.replace(network=network, underway=Underway.of(rows))


def test_by_hand() -> None:
    """The second waits for the first: sent 10 ms later, it answers 10 ms later."""
    problem = one_link()
    assert problem.route.tolist() == [[[[0, 0, 10]]], [[[0, 0, 10]]]]
    found = RULES["eft"](problem, 0)
    assert found.sent is not None
    assert found.sent.tolist() == [0, 10]
    assert found.start.tolist() == [15, 25]
    assert evaluate(problem, found).levels == (40 + 50,)
    at_once = Schedule.of([0, 0], [15, 15])
    assert evaluate(problem, at_once).violations == (
        "the link from 'here' to 'there' has several inputs at 0 ms",
    )
    assert check_schedule(problem, at_once).faults == (
        ("link here-there", "several inputs at a time"),
    )
    assert evaluate(problem.without_turns(), at_once).levels == (40 + 40,)


def test_both_ways_at_once() -> None:
    """A link carries an input in each direction."""
    problem = TaskProblem(
        Network.of(["here", "there"], [(0, 1)], latency=5, bandwidth=100, shared=True),
        Nodes.of([1000, 1000], site=[0, 1]),
        Tasks.of([20, 20], 2, source=[0, 1], input=1000, eligible=[[False, True], [True, False]]),
        horizon=1000,
    )
    assert evaluate(problem, Schedule.of([1, 0], [15, 15])).violations == ()


@pytest.mark.parametrize("seed", range(40))
def test_rules_and_twins(seed: int, tiny_tasks: Make) -> None:
    """Every rule gives what both readings allow; compiled ones what their twins give."""
    random = Random(seed)
    small = with_turns(tiny_tasks(random, 6), random)
    for problem in (small, draw(seed, nodes=4, count=14, load=3.0, turns=True)):
        for name, rule in RULES.items():
            found = rule(problem, seed)
            told, read = evaluate(problem, found), check_schedule(problem, found)
            assert told.violations == read.faults == ()
            assert told.levels == read.levels
            if name in TWINS:
                twin = TWINS[name](problem, seed)
                assert twin.node.tolist() == found.node.tolist()
                assert twin.start.tolist() == found.start.tolist()
                on = found.node >= 0
                assert problem.sent(twin)[on].tolist() == problem.sent(found)[on].tolist()


@pytest.mark.parametrize("seed", range(60))
def test_readings_agree_on_what_is_wrong(seed: int, tiny_tasks: Make) -> None:
    """On schedules that are moved a little."""
    random = Random(seed)
    problem = with_turns(tiny_tasks(random, 6), random)
    found = RULES["eft"](problem, 0)
    sent = problem.sent(found) + np.array([random.randint(0, 4) for _ in found.node])
    moved = Schedule.of(found.node, np.where(found.node >= 0, found.start + 40, -1), sent)
    told, read = evaluate(problem, moved), check_schedule(problem, moved)
    assert bool(told.violations) == bool(read.faults), (told.violations, read.faults)


def every(problem: TaskProblem) -> Iterator[Schedule]:
    """Each choice of nodes, each order of sending and each order of running.

    A best schedule is among them where nobody sleeps, needs memory or waits for others.
    """
    count, nodes = len(problem.tasks), len(problem.nodes)
    for choice in product(range(-1, nodes), repeat=count):
        own = [i for i in range(count) if choice[i] >= 0]
        if not all(problem.fits[i, choice[i]] for i in own):
            continue
        for sending in permutations(own):
            link = Timelines(problem)
            for i in sending:
                option = link.option(i, choice[i])
                if option is not None:
                    link.place(i, option)
            sent = link.sent
            for running in permutations(own):
                start, free = [-1] * count, [[0] * int(n) for n in problem.nodes.cores]
                for i in running:
                    j = choice[i]
                    need = int(problem.tasks.cores[i])
                    cores = sorted(free[j])
                    start[i] = max(cores[need - 1], sent[i] + int(problem.upload[i, j]))
                    end = start[i] + int(problem.run[i, j])
                    free[j] = [end] * need + cores[need:]
                yield Schedule.of(choice, start, sent)


@pytest.mark.parametrize("seed", range(8))
def test_cpsat_is_optimal(seed: int) -> None:
    """It proves the best of all schedules, and cheap bounds are no higher."""
    random = Random(seed)
    network = Network.of(
        ["devices", "gateway", "cloud"], [(0, 1), (1, 2)], latency=[2, 7],
        bandwidth=[random.randint(5, 20), random.randint(5, 20)],
        shared=[True, random.random() < 0.5], energy=[1000, 90_000],
    )  # fmt: skip
    nodes = Nodes.of(
        [400, 1500], site=[1, 2], cores=[1, 2], idle=[10, 50], busy=[300, 400], tier=[0, 2]
    )
    tasks = Tasks.of(
        [random.randint(1, 30) for _ in range(3)], 2,
        arrival=[random.randint(0, 20) for _ in range(3)],
        input=[random.randint(0, 400) for _ in range(3)], output=10,
        deadline=[random.randint(60, 120) for _ in range(3)],
    )  # fmt: skip
    mix = Mix(((Goal.RESPONSE, 3), (Goal.ENERGY, 1), (Goal.LATENESS, 2)))
    problem = TaskProblem(network, nodes, tasks, 500, Objective((Goal.SLA, mix)))
    told = (evaluate(problem, one) for one in every(problem))
    best = min(one.levels for one in told if not one.violations)
    found, bounds = improve(problem, RULES["eft"](problem, 0), Budget.of(30))
    assert evaluate(problem, found).violations == ()
    assert evaluate(problem, found).levels == best
    assert tuple(bound.value for bound in bounds) == best
    assert all(a.value <= b for a, b in zip(free_bounds(problem, best), best, strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_cpsat_knows_memory_and_sleep(seed: int, tiny_tasks: Make) -> None:
    """What it finds is allowed and no worse than any rule, and its bounds are below it."""
    random = Random(300 + seed)
    problem = with_turns(tiny_tasks(random, 5), random)
    rules = [evaluate(problem, rule(problem, 0)).levels for rule in RULES.values()]
    found = solve(problem, time_limit=20, workers=1)
    assert found.status is Status.OPTIMAL
    assert tuple(level.value for level in found.levels) <= min(rules)
    assert found.notes == ()


@pytest.mark.parametrize("solver", ["colony", "policy", "hybrid"])
def test_solvers_plan_turns(solver: str) -> None:
    """Ants, agent and both together, on problems where many share one link."""
    problem = draw(3, nodes=6, count=40, load=1.2, turns=True)
    found = solve(problem, solver=solver, time_limit=0.5, workers=1)
    assert check_schedule(problem, found.schedule).faults == ()
    assert found.notes == ()
    assert found.schedule.sent is not None
    assert (found.schedule.sent > problem.tasks.arrival).any()
    if solver != "policy":
        rules = (evaluate(problem, rule(problem, 0)).levels for rule in RULES.values())
        assert tuple(level.value for level in found.levels) <= min(rules)


def test_files_keep_them() -> None:
    """Links that are shared, and when inputs are sent; a problem without them hashes as before."""
    problem = draw(3, nodes=4, count=8, turns=True)
    again = decode_tasks(encode_tasks(problem))
    assert again.digest() == problem.digest() != problem.without_turns().digest()
    found = RULES["eft"](problem, 0)
    read = decode_schedule(encode_schedule(problem, found), problem)
    assert problem.sent(read).tolist() == problem.sent(found).tolist()
    busy = problem.replace(underway=Underway.of([(5, 5, 9), (5, 9, 9), (0, 0, 7)]))
    again = decode_tasks(encode_tasks(busy))
    assert again.digest() == busy.digest() != problem.digest()
    assert again.underway.lane.tolist() == [5, 5, 0]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(9, 0, 5)], "a link that does not exist"),
        ([(2, 0, 5)], "the link b-c is not shared"),
        ([(0, 5, 0)], "ends before it begins"),
        ([(0, 0, 9), (0, 8, 12)], "before another that is there has passed"),
    ],
)
def test_what_cannot_be_under_way(rows: list[tuple[int, int, int]], words: str) -> None:
    """One sentence each."""
    problem = TaskProblem(
        Network.of(["a", "b", "c"], [(0, 1), (1, 2)], shared=[True, False]),
        Nodes.of([1000], site=1), Tasks.of([1], 1), horizon=99,
    )  # fmt: skip
    with pytest.raises(ProblemError, match=words):
        problem.replace(underway=Underway.of(rows))
