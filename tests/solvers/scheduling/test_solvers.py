"""Every solver keeps the contract: allowed, graded, anytime, no worse than the reference."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from optsched import registry
from optsched.api import schedule
from optsched.arrays import NONE
from optsched.budget import Budget
from optsched.errors import UnsupportedError
from optsched.generate.tasks import tasks as draw
from optsched.outcome import settle
from optsched.result import Bound, Status
from optsched.solvers.scheduling import RULES
from optsched.solvers.scheduling.rules import TWINS
from optsched.tasks import Objective, Schedule, TaskProblem, check_schedule, evaluate

# Those with an agent are tested where they are, with one.
SOLVERS = [name for name in registry.TASK_SOLVERS if name not in ("policy", "hybrid")]
Make = Callable[[Random, int], TaskProblem]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("seed", range(4))
def test_contract(solver: str, seed: int, tiny_tasks: Make) -> None:
    """Levels are those of the checker, bounds are below them, EFT is not better."""
    problem = tiny_tasks(Random(seed), 5)
    if seed % 2:
        problem = problem.replace(objective=Objective.parse("response:2+energy,sla"))
    found = schedule(problem, solver=solver, time_limit=0.4, workers=1, seed=seed)
    read = check_schedule(problem, found.schedule)
    assert read.faults == ()
    assert read.levels == tuple(level.value for level in found.levels)
    assert read.levels <= evaluate(problem, RULES["eft"](problem, seed)).levels
    assert all(level.bound <= level.value for level in found.levels)
    assert (found.status is Status.OPTIMAL) == all(level.proven for level in found.levels)
    assert found.notes == ()


@pytest.mark.parametrize("solver", SOLVERS)
def test_no_time_gives_the_reference_or_better(solver: str) -> None:
    """With no time at all there is still a schedule."""
    problem = draw(1, nodes=4, count=15)
    found = schedule(problem, solver=solver, time_limit=0, workers=1)
    assert evaluate(problem, found.schedule).violations == ()


@pytest.mark.parametrize("solver", ["greedy", "colony", "cpsat", "portfolio", "hybrid"])
@pytest.mark.parametrize("seed", range(3))
def test_no_rule_is_better_however_little_time(solver: str, seed: int) -> None:
    """Every compiled rule has been asked when the time is over, even if there was none."""
    drawn = draw(seed, nodes=16, count=60, load=1.1, turns=seed == 2)
    problem = drawn.replace(objective=Objective.parse("response:300+energy+lateness:300"))
    found = schedule(problem, solver=solver, time_limit=0, workers=1)
    rules = [evaluate(problem, RULES[name](problem, 0)).levels for name in TWINS]
    assert tuple(level.value for level in found.levels) <= min(rules)


def test_small_ones_are_proven() -> None:
    """The portfolio closes ten tasks on four nodes."""
    found = schedule(draw(0, nodes=4, count=10), time_limit=20, workers=1)
    assert found.status is Status.OPTIMAL
    assert all(level.gap == 0 for level in found.levels)


def test_one_rule_alone_is_given_as_it_is() -> None:
    """Even where EFT is better; an unknown one is refused."""
    problem = draw(0, nodes=4, count=10)
    found = schedule(problem, solver="greedy:random", time_limit=1, seed=3)
    assert found.schedule.node.tolist() == RULES["random"](problem, 3).node.tolist()
    eft = evaluate(problem, RULES["eft"](problem, 3)).levels
    assert tuple(level.stay for level in found.levels) == eft
    with pytest.raises(UnsupportedError, match="no rule 'magic'"):
        schedule(problem, solver="greedy:magic")


def test_what_is_not_allowed_is_replaced() -> None:
    """A solver whose schedule breaks a rule answers with the reference, and says so."""
    problem = draw(0, nodes=4, count=10)
    reference = RULES["eft"](problem, 0)
    wrong = Schedule.of(reference.node, reference.start * 0)
    found = settle(problem, wrong, reference, [Bound(0, "x")] * 3, solver="mine", started=0.0)
    assert found.schedule is reference
    assert "mine: its schedule was refused by the checker" in found.notes[0]


def test_what_replaces_is_read_too() -> None:
    """Where the reference breaks a rule as well no task runs; what is allowed is not replaced."""
    problem = draw(0, nodes=4, count=10)
    good = RULES["random"](problem, 3)
    wrong = Schedule.of(good.node, good.start * 0)
    found = settle(problem, wrong, wrong, [Bound(0, "x")] * 3, solver="mine", started=0.0)
    assert found.schedule.node.tolist() == [NONE] * 10
    assert tuple(level.value for level in found.levels) == evaluate(problem, found.schedule).levels
    assert "no task runs" in found.notes[-1]
    kept = settle(problem, good, wrong, [Bound(0, "x")] * 3, solver="mine", started=0.0)
    assert kept.schedule is good
    idle = evaluate(problem, Schedule.nothing(10)).levels
    assert tuple(level.stay for level in kept.levels) == idle


def test_a_bound_that_is_refuted_is_dropped() -> None:
    """It does not make an answer optimal."""
    problem = draw(0, nodes=4, count=10)
    reference = RULES["eft"](problem, 0)
    high = [Bound(1 << 50, "x")] * 3
    found = settle(problem, reference, reference, high, solver="mine", started=0.0)
    assert found.status is Status.FEASIBLE
    assert [level.source for level in found.levels] == ["no bound"] * 3
    assert len(found.notes) == 3


def test_stopped_at_once() -> None:
    """`Budget.stop` is obeyed."""
    problem = draw(3, nodes=6, count=40)
    colony = registry.task_solver("colony")
    found = colony.solve(problem, Budget.of(1000, stop=lambda: True))
    assert evaluate(problem, found.schedule).violations == ()
