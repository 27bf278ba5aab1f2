"""The bound of single cores over time; that it holds for all schedules is in test_exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.generate.tasks import tasks as draw
from optsched.kernels import paths
from optsched.kernels.jit import plain
from optsched.simulate.episodes import weighed
from optsched.solvers.scheduling import cores
from optsched.solvers.scheduling.alone import Alone
from optsched.solvers.scheduling.bounds import free_bounds
from optsched.solvers.scheduling.colony import colonise
from optsched.solvers.scheduling.cores import Cores
from optsched.tasks import Goal, Mix, Network, Nodes, Objective, TaskProblem, Tasks, evaluate

LONG = 1000.0  # s; nothing here takes so long


def crowd(seed: int, count: int = 12) -> TaskProblem:
    """Tasks that come nearly at once, to nodes of one core each, some of them asleep."""
    drawn = draw(seed, nodes=4, count=count, load=20.0)
    one = np.ones(4, np.int64)
    one.setflags(write=False)
    return weighed(drawn.replace(nodes=replace(drawn.nodes, cores=one)))


def batch(**nodes: object) -> TaskProblem:
    """Tasks of 10, 20 and 30 ms, known from the start, and one node, for the mean response."""
    return TaskProblem(
        Network.of(["here"]),
        Nodes.of([1000], **nodes),  # type: ignore[arg-type]
        Tasks.of([10, 20, 30], 1, deadline=[-1, -1, 40]),
        horizon=1000,
        objective=Objective((Mix(((Goal.RESPONSE, 1), (Goal.LATENESS, 3))),)),
    )


@pytest.mark.parametrize(("count", "best"), [(1, 10 + 40 + 60), (2, 10 + 30 + 30)])
def test_by_hand(count: int, best: int) -> None:
    """One core: 10 first, then 30, in time at 40, then 20; no other order is as good."""
    problem = batch(cores=count)
    assert Cores(Alone(problem), 0).bound(None, Budget.of(LONG)).value == best


def test_a_node_wakes_wholly_or_not_at_all() -> None:
    """Three tasks on one core, or another core woken for 1 J, as much as 100 ms of response.

    With both cores the tasks answer after 10, 30 and 20 ms, 60 in all, and 160 with the waking; on
    one after 10, 30 and 60 ms: it is better not to wake. The mixture of ways alone would wake a
    part of a node.
    """
    problem = TaskProblem(
        Network.of(["here"]),
        Nodes.of([1000, 1000], asleep=[False, True], wake_energy=[0, 1000], cores=[1, 4]),
        Tasks.of([10, 20, 30], 2),
        horizon=1000,
        objective=Objective((Mix(((Goal.RESPONSE, 10), (Goal.ENERGY, 1))),)),
    )
    found = Cores(Alone(problem), 0)
    assert found.sleeping == [1]
    assert found.bound(None, Budget.of(LONG)).value == 10 * (10 + 30 + 60)


@pytest.mark.parametrize("seed", range(4))
def test_schedules_of_ants_are_proven(seed: int) -> None:
    """What 20 rounds find for 12 tasks that come at once is within a hundredth of the bound."""
    problem = crowd(seed)
    value = evaluate(problem, colonise(problem, Budget.of(LONG), seed, rounds=20)).levels[0]
    bound = Cores(Alone(problem), 0).bound(value, Budget.of(LONG)).value
    assert free_bounds(problem)[0].value < bound <= value <= 1.01 * bound


def test_longer_slots_weaken_it_and_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where time is long, several milliseconds are one slot; the bound may only fall."""
    problem = crowd(1)
    fine = Cores(Alone(problem), 0).bound(None, Budget.of(LONG)).value
    monkeypatch.setattr(cores, "WORK", 10_000)
    coarse = Cores(Alone(problem), 0)
    assert min(node.step for node in coarse.nodes) > 1
    assert free_bounds(problem)[0].value < coarse.bound(None, Budget.of(LONG)).value <= fine


def test_no_time_says_nothing() -> None:
    """Then there is no bound, and none that is wrong."""
    assert Cores(Alone(batch()), 0).bound(None, Budget.of(0)).value == 0


def test_numbers_that_are_too_large_say_nothing() -> None:
    """Whole numbers of 64 bits could not hold the sums."""
    problem = batch().replace(objective=Objective((Mix(((Goal.RESPONSE, 10**15),)),)))
    assert Cores(Alone(problem), 0).bound(None, Budget.of(LONG)).value == 0


def test_the_plain_twin_is_equal() -> None:
    """Compiled or not, the same ways at the same cost."""
    made = Cores(Alone(crowd(2, 6)), 0)
    node = made.nodes[0]
    node.task[paths.PRICE] = 64 * made.cheapest[node.own] * 3 // 2
    found = []
    for sweep in (paths.sweep, plain(paths.sweep)):
        least, pick = np.zeros_like(node.least), np.zeros_like(node.pick)
        sweep(node.task, made.haste, 10_000, 64, node.step, least, pick)
        found.append((least.tolist(), pick.tolist()))
    assert found[0] == found[1]
    assert found[0][0][0] < 0
