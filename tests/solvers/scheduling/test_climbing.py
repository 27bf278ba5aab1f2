"""The local search that builds two nodes again takes the steps of the one that builds all."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

from optsched.generate.tasks import tasks as draw
from optsched.kernels import climbing
from optsched.kernels import schedules as kernel
from optsched.kernels.jit import plain
from optsched.solvers.scheduling.colony import tables, weights
from optsched.tasks import Goal, Objective, TaskProblem

Make = Callable[[Random, int], TaskProblem]
Found = list[list[int]]


def climbed(
    flat: kernel.Tables, given: TaskProblem, steps: int, seed: int, climb: Any = climbing.climb
) -> Found:
    """Order, nodes, values and stream after some rounds of steps from a random beginning."""
    rng = np.random.default_rng(seed)
    count, nodes = given.fits.shape
    order, choice = rng.permutation(count), rng.integers(-1, nodes, count)
    lines, values = kernel.lines(flat), np.empty(4, np.int64)
    kernel.decode(flat, lines, order, choice)
    kernel.goals(flat, lines, values)
    before = (weights(given) @ values).tolist()
    stream, better = np.array([seed + 1], np.uint64), 0
    for _ in range(4):
        better += climb(flat, lines, order, choice, values, weights(given), steps, stream)
        told = values.tolist()
        kernel.decode(flat, lines, order, choice)
        kernel.goals(flat, lines, values)
        assert values.tolist() == told  # what was counted step by step is what there is
    assert ((weights(given) @ values).tolist() < before) == (better > 0)
    return [order.tolist(), choice.tolist(), values.tolist(), stream.tolist()]


def whole(flat: kernel.Tables) -> kernel.Tables:
    """The same problem with links on which nobody takes turns: every step builds all."""
    made = flat._replace(route=np.full((*flat.pair.shape[1:], 1, 3), -1))
    assert climbing.apart(flat)
    assert not climbing.apart(made)
    return made


@pytest.mark.parametrize("seed", range(60))
def test_same_steps(seed: int, tiny_tasks: Make) -> None:
    """With memory that binds, sleeping nodes, hard deadlines and nodes that are busy besides."""
    random = Random(seed)
    given = draw(seed, nodes=3 + seed % 9, count=6 + seed, load=0.5 + 0.2 * (seed % 5))
    if seed % 2:
        given = tiny_tasks(random, 7)
        while len(given.tasks.before) or given.route.size:
            given = tiny_tasks(random, 7)
    levels = [(Goal.SLA, Goal.RESPONSE, Goal.ENERGY), (Goal.ENERGY,), (Goal.LATENESS, Goal.ENERGY)]
    given = given.replace(objective=Objective(levels[seed % 3]))
    flat = tables(given)
    assert climbed(flat, given, 100, seed) == climbed(whole(flat), given, 100, seed)


@pytest.mark.parametrize("seed", range(8))
def test_what_hangs_together_is_built_as_a_whole(seed: int, tiny_tasks: Make) -> None:
    """With tasks that wait for others, and with links on which inputs take turns."""
    random = Random(seed)
    given = tiny_tasks(random, 7)
    while not len(given.tasks.before) and not given.route.size:
        given = tiny_tasks(random, 7)
    assert not climbing.apart(tables(given))
    climbed(tables(given), given, 100, seed)


def test_compiled_and_plain_agree() -> None:
    """Both take the same steps."""
    given = draw(5, nodes=5, count=20)
    flat = tables(given)
    assert climbed(flat, given, 30, 5) == climbed(flat, given, 30, 5, plain(climbing.climb))
