"""Whatever placement is asked for, the waves that lead there are safe, and say what they drop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from optsched.check import check, check_placement
from optsched.plan import Order, Placement
from optsched.problem import PlacementProblem
from optsched.sequence import sequence

Make = Callable[..., PlacementProblem]
Draw = Callable[..., Placement]

SEEDS = st.integers(0, 2**32 - 1).map(Random)


@settings(max_examples=150)
@given(random=SEEDS)
def test_every_plan_passes_the_checker(
    random: Random, make_problem: Make, make_placement: Draw
) -> None:
    """Each item reaches its goal or is reported as dropped and left alone, in all three orders."""
    problem = squeezed(random, make_problem(random, items=(4, 8)))
    goal = reachable(random, problem, make_placement)
    meant = [i for i in range(len(problem.items)) if not same(problem, goal, i)]
    for order in Order:
        sequenced = sequence(problem, goal, order)
        report = check(problem, sequenced.plan)
        event(f"{order}: {len(sequenced.plan.waves)} waves, drops: {bool(sequenced.dropped)}")
        assert report.violations == ()
        assert set(sequenced.dropped) <= set(meant)
        for item in range(len(problem.items)):
            home = item in sequenced.dropped
            end = Placement.current(problem) if home else goal
            assert report.placement.host[item] == end.host[item]
            assert set(report.placement.cells[item]) == set(end.cells[item])


def same(problem: PlacementProblem, goal: Placement, item: int) -> bool:
    """Whether the goal leaves the item where it is."""
    items = problem.items
    return goal.host[item] == items.host0[item] and set(goal.cells[item]) == set(items.cells0[item])


def squeezed(random: Random, problem: PlacementProblem) -> PlacementProblem:
    """The problem with little room beside what runs, so that moves wait for each other."""
    items, hosts = problem.items, problem.hosts
    use, runs = hosts.fixed_use.copy(), items.host0 >= 0
    np.add.at(use, items.host0[runs], items.demand[runs])
    use += np.array([[random.choice([0, 0, 1, 2, 3]) for _ in row] for row in use.tolist()])
    use.setflags(write=False)
    return problem.replace(hosts=replace(hosts, capacity=use))


def reachable(random: Random, problem: PlacementProblem, draw: Draw) -> Placement:
    """An allowed placement, by random steps and exchanges."""
    best = Placement.current(problem)
    for _ in range(6):
        other = draw(random, problem, 0.0)
        for size in (1, 1, 1, 2, 3):
            some = random.sample(range(len(best.host)), size)
            host, cells = best.host.copy(), best.cells.copy()
            host[some], cells[some] = other.host[some], other.cells[some]
            best = better(problem, best, host, cells)
        for size in (2, 2, 3):
            turn = random.sample(range(len(host)), size)
            host, cells = best.host.copy(), best.cells.copy()
            host[turn], cells[turn] = host[turn[1:] + turn[:1]], cells[turn[1:] + turn[:1]]
            best = better(problem, best, host, cells)
    return best


def better(
    problem: PlacementProblem, best: Placement, host: np.ndarray, cells: np.ndarray
) -> Placement:
    """The placement given as arrays, if it is allowed."""
    placement = Placement.of(problem, host, cells)
    return best if check_placement(problem, placement) else placement
