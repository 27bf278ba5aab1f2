"""Why tasks are rejected."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optsched.tasks import (
    Network,
    Nodes,
    Objective,
    Schedule,
    Taken,
    TaskProblem,
    Tasks,
    check_schedule,
    evaluate,
    reasons,
)

from .conftest import tiny_tasks

SEEDS = st.integers(0, 1 << 32).map(Random)
IMPOSSIBLE = ("it may run on no", "no node that it may use", "it needs", "its hard deadline is")


def test_what_no_node_gives() -> None:
    """The first thing that is missing everywhere, and what hangs on it."""
    names = ("banned", "cut off", "wide", "heavy", "urgent", "after")
    network = Network.of(["here", "there", "island"], [(0, 1)], latency=5)
    nodes = Nodes.of(
        [1000, 2000, 9000], names=["slow", "fast", "far"], site=[0, 1, 2], cores=[2, 4, 64],
        memory=[512, 256, 1 << 20],
    )  # fmt: skip
    tasks = Tasks.of(
        [100] * 6, 3, names=names, cores=[1, 1, 5, 1, 1, 1], memory=[0, 0, 0, 600, 0, 0],
        deadline=[-1, -1, -1, -1, 40, -1], hard=[False] * 4 + [True, False],
        eligible=[[False] * 3, [False, False, True], *[[True] * 3] * 4], before=[(2, 5)],
    )  # fmt: skip
    problem = TaskProblem(network, nodes, tasks, 1000)
    told = reasons(problem, Schedule.nothing(6))
    assert {names[i]: why for i, why in told.items()} == {
        "banned": "it may run on no node",
        "cut off": "no node that it may use can be reached from 'here'",
        "wide": "it needs 5 cores, and no node that it may use has more than 4",
        "heavy": "it needs 600 MiB of memory, and no node that it may use has more than 512",
        # to 'fast' and back 5 ms each, 50 ms there; 100 ms on 'slow'
        "urgent": "its hard deadline is 40 ms, and even alone it would answer at 60 ms, from "
        "'fast'",
        "after": "it needs 'wide', which is rejected",
    }


@pytest.fixture
def shop() -> TaskProblem:
    """One node with one core and 2 W when busy; a task of 100 ms, and one of 50 ms due at 120."""
    nodes = Nodes.of([1000], names=["till"], busy=[2000], memory=[100])
    tasks = Tasks.of(
        [100, 50], 1, names=["long", "due"], deadline=[-1, 120], hard=[False, True], memory=[60, 60]
    )
    return TaskProblem(Network.of(["here"]), nodes, tasks, 1000)


def test_what_the_plan_has_no_use_for(shop: TaskProblem) -> None:
    """No room beside the others, worth more left out, or overlooked."""
    assert reasons(shop, Schedule.of([0, -1], [0, -1])) == {
        1: "the others leave it no room by its hard deadline, 120 ms; alone 'till' would answer it "
        "at 50 ms"
    }
    apart = Schedule.of([0, -1], [60, -1])  # its memory is taken at once, so no room before it
    assert "the others leave it no room" in reasons(shop, apart)[1]
    apart = Schedule.of([0, -1], [60, -1], [60, 0])
    assert reasons(shop, apart) == {
        1: "left out, though there is room on 'till' from 0 ms on: a longer search may place it"
    }
    thrifty = shop.replace(objective=Objective.parse("energy,sla"))
    assert reasons(thrifty, apart) == {
        1: "left out for the objective: on 'till' from 0 ms on, energy would rise by 100"
    }
    unasked = "left out; alone 'till' would answer it at 50 ms"
    assert reasons(thrifty, apart, tried=0) == {1: unasked}
    late = Schedule.of([-1, 0], [-1, 50], [0, 50])
    assert "room on 'till' from 100 ms on" in reasons(shop, late)[0]


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_the_checker_agrees(random: Random) -> None:
    """Impossible is what it refuses on every node, alone, at the earliest moment."""
    drawn = tiny_tasks(random)
    loose = replace(drawn.tasks, before=drawn.tasks.before[:0], data=drawn.tasks.data[:0])
    awake = replace(drawn.nodes, asleep=np.zeros_like(drawn.nodes.asleep))
    problem = drawn.replace(tasks=loose, nodes=awake, taken=Taken.of())
    count = len(loose)
    for i, why in reasons(problem, Schedule.nothing(count)).items():
        fine = []
        for j in range(len(awake)):
            node, start = np.full(count, -1), np.full(count, -1)
            node[i], start[i] = j, problem.earliest[i, j]
            fine.append(not check_schedule(problem, Schedule.of(node, start)).faults)
        assert any(fine) != why.startswith(IMPOSSIBLE)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_what_is_told_of_room_is_true(random: Random) -> None:
    """A task taken out of a schedule had room there, so room is found, at the worth it had."""
    problem = tiny_tasks(random)
    if problem.route.size:
        return
    from optsched.solvers.scheduling import RULES

    full = RULES["eft"](problem, 0)
    if evaluate(problem, full).violations:
        return
    for i in np.flatnonzero(full.node >= 0).tolist():
        if (problem.tasks.before[:, 0] == i).any():
            continue
        node, start = full.node.copy(), full.start.copy()
        node[i] = start[i] = -1
        rest = Schedule.of(node, start, full.sent, full.woken)
        if evaluate(problem, rest).violations:
            continue  # it had turned its node on for others
        assert reasons(problem, rest)[i].startswith("left out")
