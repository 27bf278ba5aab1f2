"""The colony keeps every rule, is never worse than the rules, and finds what is best."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.generate.tasks import tasks as draw
from optsched.kernels import ants
from optsched.kernels import schedules as kernel
from optsched.kernels.jit import plain
from optsched.solvers.scheduling import RULES
from optsched.solvers.scheduling.colony import (
    ELITES,
    GOALS,
    Colony,
    colonise,
    tables,
)
from optsched.solvers.scheduling.exact import improve
from optsched.solvers.scheduling.timelines import Timelines
from optsched.tasks import Goal, Objective, Schedule, TaskProblem, check_schedule, evaluate

Make = Callable[[Random, int], TaskProblem]
LONG = 1000.0  # s; the rounds end it


def values(problem: TaskProblem, schedule: Schedule) -> list[int]:
    """The kernel's four columns, from the evaluator."""
    return [*evaluate(problem.replace(objective=Objective(GOALS)), schedule).levels]


@pytest.mark.parametrize("seed", range(40))
def test_the_kernel_builds_what_timelines_build(seed: int, tiny_tasks: Make) -> None:
    """The same starts for the same order and nodes, and the values of the evaluator."""
    random = Random(seed)
    problem = tiny_tasks(random, 7)
    flat = tables(problem)
    lines = kernel.lines(flat)
    out = np.empty(4, np.int64)
    for _ in range(5):
        order = random.sample(range(7), 7)
        choice = [random.randrange(-1, len(problem.nodes)) for _ in range(7)]
        twin = Timelines(problem)
        for task in order:
            option = twin.option(task, choice[task]) if choice[task] >= 0 else None
            if option is not None:
                twin.place(task, option)
        kernel.decode(flat, lines, np.array(order), np.array(choice))
        assert lines.node.tolist() == twin.node
        assert lines.start.tolist() == twin.start
        kernel.goals(flat, lines, out)
        assert out.tolist() == values(problem, twin.schedule())


@pytest.mark.parametrize("seed", range(15))
def test_never_worse_than_the_rules(seed: int, tiny_tasks: Make) -> None:
    """Allowed by both readings, and the same for the same seed and rounds."""
    random = Random(seed)
    problem = tiny_tasks(random, 7)
    for text in ("sla,response,energy", "response:2+energy:3+lateness"):
        problem = problem.replace(objective=Objective.parse(text))
        found = colonise(problem, Budget.of(LONG), seed, rounds=3)
        told = evaluate(problem, found)
        assert told.violations == ()
        assert check_schedule(problem, found).levels == told.levels
        for name in ELITES:
            assert told.levels <= evaluate(problem, RULES[name](problem, seed)).levels
        again = colonise(problem, Budget.of(LONG), seed, rounds=3)
        assert again.start.tolist() == found.start.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_as_good_as_proven(seed: int) -> None:
    """On small instances the mean response is within a hundredth of CP-SAT's optimum."""
    problem = draw(seed, nodes=4, count=10, load=1.1)
    problem = problem.replace(objective=Objective((Goal.RESPONSE,)))
    best, _ = improve(problem, RULES["eft"](problem, 0), Budget.of(10))
    found = colonise(problem, Budget.of(LONG), seed, rounds=30)
    best_value, value = (evaluate(problem, one).levels[0] for one in (best, found))
    assert value <= 1.01 * best_value


def test_an_elite_is_never_lost() -> None:
    """Built again in the order of its starts, each schedule is at least as good."""
    problem = draw(1, nodes=6, count=60, load=1.2, burst=True, sleeping=0)
    for name, rule in RULES.items():
        schedule = rule(problem, 0)
        colony = Colony(problem, elites=[schedule])
        assert colony.best.values[1] <= values(problem, schedule)[1], name
        assert (colony.schedule().start <= schedule.start).all()


def test_a_scorer_leads_the_ants() -> None:
    """A worth of nodes that names one for each task is followed by nearly every ant."""
    problem = draw(2, nodes=5, count=20, load=0.3)
    wanted = np.argmax(problem.fits, axis=1)
    worth = np.full(problem.fits.shape, 1e-9)
    worth[np.arange(20), wanted] = 1.0
    colony = Colony(problem, elites=[], scorer=lambda _: worth)
    lines = colony.lines
    order = np.array(colony.rank)
    ants.walk(
        colony.tables, lines, order, colony.tau, colony.eta, 1.0, 0.0, colony.stream,
        colony.chances,
    )  # fmt: skip
    assert (lines.node == wanted).mean() > 0.9
    with pytest.raises(ValueError, match="one number above 0"):
        Colony(problem, scorer=lambda _: worth * 0)


def test_the_plain_twin_is_equal(tiny_tasks: Make) -> None:
    """Compiled or not, an ant of the same seed goes the same way."""
    problem = tiny_tasks(Random(5), 7)
    flat, order = tables(problem), np.arange(7)
    ones = np.ones(problem.fits.shape)
    found = []
    for walk in (ants.walk, plain(ants.walk)):
        lines, stream = kernel.lines(flat), np.array([9], np.uint64)
        chances = np.zeros_like(ones)
        walk(flat, lines, order, ones, ones, 1.0, 1.0, stream, chances)
        found.append((lines.node.tolist(), lines.start.tolist(), chances.tolist()))
    assert found[0] == found[1]
