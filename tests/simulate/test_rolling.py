"""Rolling windows: any solver plans what waits, and what is near is done."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optsched.errors import InputError
from optsched.generate.tasks import tasks as draw
from optsched.simulate import Knobs, Online, Window, World, roll
from optsched.solvers.scheduling import RULES
from optsched.tasks import Schedule, Taken, TaskProblem, check_schedule, evaluate

Make = Callable[[Random, int], TaskProblem]
SEEDS = st.integers(0, 1 << 32).map(Random)


def by(rule: str) -> Callable[[TaskProblem], Schedule]:
    """Windows planned by a rule, each plan allowed."""

    def decide(problem: TaskProblem) -> Schedule:
        plan = RULES[rule](problem, 0)
        assert evaluate(problem, plan).violations == ()
        return plan

    return decide


@settings(max_examples=40, deadline=None)
@given(random=SEEDS)
def test_every_task_is_done_or_told(random: Random, tiny_tasks: Make) -> None:
    """Plans of windows are allowed, and so is what came of them, with noise and failures too."""
    problem = tiny_tasks(random, 8).replace(taken=Taken.of())
    knobs = Knobs(noise=0.3, drift=0.3, failures=20_000.0, repair=40)
    world = World.of(problem, knobs if random.random() < 0.6 else None, 1)
    seen = list[Window]()
    played = roll(
        world, by(random.choice(["eft", "edf", "min-min"])), window=random.choice([1, 7, 50]),
        on_window=seen.append,
    )  # fmt: skip
    told = played.evaluation
    assert told.violations == ()
    assert check_schedule(played.problem, played.schedule).faults == ()
    assert [w.now for w in seen] == sorted({w.now for w in seen})
    assert sum(w.sent for w in seen) == (~told.rejected).sum() + len(played.lost)


def test_small_windows_are_as_good_as_deciding_at_once() -> None:
    """A window of a millisecond with EFT gives EFT, with what runs taken into account."""
    problem = draw(3, nodes=6, count=80, load=1.2)
    online = evaluate(problem, RULES["eft"](problem, 0))
    played = roll(World.of(problem), by("eft"), window=1)
    assert played.evaluation.levels == online.levels
    assert played.schedule.node.tolist() == RULES["eft"](problem, 0).node.tolist()


def test_windows_see_what_is_taken() -> None:
    """What runs is in the problem of the next window, and late tasks are planned again."""
    problem = draw(0, nodes=4, count=60, load=3.0, burst=True)
    taken, planned = list[int](), list[int]()

    def decide(window: TaskProblem) -> Schedule:
        taken.append(len(window.taken))
        planned.append(len(window.tasks))
        return RULES["wspt"](window, 0)

    played = roll(World.of(problem), decide, window=100)
    assert max(taken) > 4
    assert sum(planned) > 2 * len(problem.tasks)  # far tasks come again
    assert not (played.evaluation.rejected & ~problem.tasks.hard).any()
    few = roll(World.of(problem), by("wspt"), window=100, most=5)
    assert not (few.evaluation.rejected & ~problem.tasks.hard).any()
    with pytest.raises(InputError, match="above 0"):
        roll(World.of(problem), decide, window=0)


def test_what_a_plan_leaves_out_is_rejected() -> None:
    """A solver that wants a task to be rejected is heard."""
    problem = draw(0, nodes=4, count=10)
    played = roll(World.of(problem), lambda p: Schedule.nothing(len(p.tasks)), window=50)
    assert played.evaluation.rejected.all()
    assert played.evaluation.levels == evaluate(problem, Schedule.nothing(10)).levels
    assert np.array_equal(played.schedule.node, np.full(10, -1))


def test_a_window_pays_for_some_time_of_a_node_that_it_turns_on() -> None:
    """Not for all of it: the power of a second, and the energy of turning it on."""
    problem = draw(0, nodes=6, count=10, sleeping=1.0)
    run = Online(World.of(problem))
    nodes = run.window(run.waiting()).nodes
    assert nodes.asleep.all()
    charged = (nodes.idle - nodes.sleep) * problem.horizon / 1000
    assert np.allclose(charged, problem.nodes.idle - problem.nodes.sleep, rtol=0.01, atol=30)
    whole = run.window(run.waiting(), 10 * problem.horizon).nodes
    assert whole.sleep.tolist() == problem.nodes.sleep.tolist()
