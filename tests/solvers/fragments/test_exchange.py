"""Exchanges against trying everything."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optsched.api import read
from optsched.budget import Budget
from optsched.check import check
from optsched.objective import evaluate
from optsched.options import with_drain
from optsched.plan import Order, Placement
from optsched.problem import Evict, PlacementProblem
from optsched.result import Bound, Result, Status
from optsched.solvers.cell_search import renew
from optsched.solvers.fragments.building import build, most_memory
from optsched.solvers.fragments.exchange import Fragments, Outcome, _Run
from optsched.solvers.fragments.goals import Goals
from optsched.solvers.fragments.model import Model
from optsched.solvers.ladder import Ladder

Draw = Callable[..., PlacementProblem]
Best = Callable[..., tuple[int, ...]]

SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "scarce memory": {"memory": 14, "ratios": (1, 2, 4)},
    "blocks over both cells": {"terms": ((4, 2, 1),)},
    "two block sizes": {"terms": ((3, 1, 2), (4, 2, 1), (5, 1, 1))},
    "odd size": {"terms": ((5, 1, 1),), "size": 9},
    "pins": {"pinned": (0, 2), "moved": True},
    "closed host": {"excluded": [[0, 1, 0]]},
    "fewest moves": {"moved": True},
    "goal": {"goal": 6, "moved": True},
    "goal for blocks over both cells": {"terms": ((4, 2, 1),), "goal": 6, "moved": True},
    "overfull": {"fixed": {0: 5, 3: 6}},
    "overfull, blocks over both cells": {"fixed": {0: 5, 3: 6}, "terms": ((3, 2, 1), (4, 1, 1))},
    "drain": {"drain": (1,), "moves": 4, "vms": 6, "moved": True},
    "more to drain than can leave": {"drain": (0, 2), "moves": 3, "vms": 7},
    "drain to a goal": {"drain": (1, 2), "moves": 3, "vms": 6, "moved": True, "goal": 8},
}


def solve(problem: PlacementProblem, order: Order = Order.SAFE) -> Result:
    """The result of a patient solve, with its plan checked once more."""
    result = Fragments().solve(problem, Budget.of(20), order=order)
    report = check(problem, result.plan)
    assert not report.violations
    assert report.levels == tuple(level.value for level in result.levels)
    assert not result.notes
    return result


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(6))
def test_order_safe_plans_are_proven_optimal(draw: Draw, best: Best, shape: str, seed: int) -> None:
    """The value is that of the best order-safe plan of all, and never below the bound."""
    problem = draw(seed, **SHAPES[shape])
    result = solve(problem)
    truth = best(problem)
    assert result.levels[0].bound <= truth[0]
    assert tuple(level.value for level in result.levels) == truth
    assert result.status is Status.OPTIMAL


@pytest.mark.parametrize("seed", [7, 10, 12, 14, 15, 18])
def test_only_what_leaves_frees_memory(draw: Draw, best: Best, seed: int) -> None:
    """Where newcomers need the memory of those who leave, waves are proven optimal as well."""
    problem = draw(seed, memory=14, ratios=(1, 2, 4))
    result = solve(problem, Order.WAVES)
    assert result.status is Status.OPTIMAL
    assert result.levels[0].value == best(problem, safe=False)[0]


def test_the_most_memory_of_so_many_units() -> None:
    """As by trying every set of residents."""
    residents, units, memory = np.array([[2, 1, 0], [0, 3, 1]]), (2, 3, 1), (5, 1, 4)
    found = most_memory(residents, np.array(units), np.array(memory), 9)
    for row, counts in zip(found.tolist(), residents.tolist(), strict=True):
        sets = list(product(*(range(count + 1) for count in counts)))
        for a, most in enumerate(row):
            fits = [n for n in sets if sum(x * u for x, u in zip(n, units, strict=True)) <= a]
            assert most == max(sum(x * m for x, m in zip(n, memory, strict=True)) for n in fits)


def test_evictions_are_left_to_others(draw: Draw) -> None:
    """Who may leave without a place makes room that no exchange knows of."""
    problem = draw(0, evict=Evict.ANY)
    assert "evicted" in str(Fragments().supports(problem))
    assert solve(problem).plan.waves == ()


@pytest.mark.parametrize("seed", [76, 129, 243])
def test_impossible_drains_are_proven(draw: Draw, best: Best, seed: int) -> None:
    """What cannot leave stays; that no plan lets it go is proven by prices, not by free room."""
    problem = draw(seed, drain=(0, 2), moves=3, vms=7)
    result = solve(problem)
    assert result.status is Status.OPTIMAL
    assert result.levels[0].value == best(problem)[0] >= 1


def test_real_hosts_are_drained_as_far_as_can_be(data_path: Callable[[str], Path]) -> None:
    """A nearly full cluster: of two hosts' VMs two find no room, and all of it is proven."""
    problem = read(data_path("vmr/reset_vm_pm_id_clear2.json"))
    assert isinstance(problem, PlacementProblem)
    drained = with_drain(problem, ["pm_232", "pm_72"]).replace(max_moves=50)
    result = solve(drained)
    assert result.status is Status.OPTIMAL
    assert (result.levels[0].value, result.levels[0].stay) == (2, 11)


def test_vms_without_units_make_room_in_waves(make: Draw, best: Best) -> None:
    """One that takes memory alone goes first; no bound may hold it in place."""
    vms = [(0, (0,), 2, 2), (1, (0,), 0, 5), (1, (0,), 2, 0)]
    problem = make(vms, 2, memory=5, moves=2, pinned=(2,))
    assert best(problem, safe=False) == (0,)
    assert solve(problem, Order.WAVES).levels[0].bound == 0


def test_what_split_vms_leave_behind_is_there_for_others(make: Draw, best: Best) -> None:
    """A VM on two cells goes first, and one on one cell then has the memory that it needs."""
    vms = [(2, (0,), 5, 2), (0, (0, 1), 1, 2), (1, (0, 1), 5, 1), (2, (1,), 3, 3)]
    vms += [(1, (0, 1), 0, 1), (2, (0, 1), 0, 1)]
    fixed = {0: 4, 1: 4, 2: 2, 4: 2}
    problem = make(
        vms, 3, size=14, memory=4, terms=((6, 1, 1),), moves=2, pinned=(4, 5), fixed=fixed
    )
    assert best(problem, safe=False) == (10,)
    result = solve(problem, Order.WAVES)
    assert result.levels[0].bound == 10


def test_vms_without_units_may_leave_a_drained_host(make: Draw, best: Best) -> None:
    """Nor may a bound say that they stay."""
    vms = [(0, (0,), 0, 1), (0, (1,), 2, 2)]
    problem = make(vms, 2, drain=(0,), moves=2)
    assert best(problem)[0] == 0
    assert solve(problem).levels[0].bound == 0


def test_without_vms_there_is_nothing_to_do(make: Draw) -> None:
    """Empty hosts: as they are is the best there is."""
    result = solve(make([], 2))
    assert result.status is Status.OPTIMAL
    assert result.plan.waves == ()


def test_what_finds_no_room_is_proven_to_stay(make: Draw, best: Best) -> None:
    """Two wide VMs leave a host for one free pair of cells: order-safe, one of them stays."""
    vms = [(0, (0, 1), 4, 4), (0, (0, 1), 4, 4), (1, (0,), 5, 5), (2, (0,), 1, 1), (2, (1,), 2, 2)]
    problem = make(vms, 3, drain=(0,), moves=4)
    result = solve(problem)
    level = result.levels[0]
    assert (level.value, level.bound) == (1, 1) == (best(problem)[0], 1)
    assert "order-safe" in result.certificate.text
    assert solve(problem, Order.WAVES).levels[0].bound == 0


def test_the_certificate_says_which_plans_it_covers(draw: Draw) -> None:
    """A bound for order-safe plans says so, and is not given for other plans."""
    problem = draw(1)
    safe, free = solve(problem), solve(problem, Order.WAVES)
    assert "order-safe plans" in safe.certificate.text
    assert "whatever the order of moves" in free.certificate.text


@pytest.mark.parametrize("seconds", [0.0, 0.002])
def test_no_time_gives_an_allowed_plan(draw: Draw, seconds: float) -> None:
    """Out of time at once, the plan is checked and the bound is not above it."""
    problem = draw(3)
    result = Fragments().solve(problem, Budget.of(seconds), order=Order.SAFE)
    assert not check(problem, result.plan).violations
    assert all(level.bound <= level.value <= level.stay for level in result.levels)


def test_any_seed_and_any_wish_to_stop_get_an_answer(draw: Draw) -> None:
    """However large a seed, and stopped at once, the plan is allowed and the bounds hold."""
    problem = draw(4)
    budget = Budget.of(20, stop=lambda: True)
    result = Fragments().solve(problem, budget, seed=1 << 70, order=Order.SAFE)
    assert not check(problem, result.plan).violations
    assert all(level.bound <= level.value for level in result.levels)


def test_a_start_is_kept_if_there_is_no_time(draw: Draw) -> None:
    """The plan is no worse than the one that was given."""
    problem = draw(5)
    best = solve(problem)
    assert best.plan.moves()
    again = Fragments().solve(problem, Budget.of(0), start=best.plan, order=Order.SAFE)
    assert again.levels[0].value == best.levels[0].value


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_other_orders_stay_above_their_bound(draw: Draw, best: Best, shape: str, seed: int) -> None:
    """The bound holds for every placement; the plan is at least as good as an order-safe one."""
    problem = draw(seed + 100, **SHAPES[shape])
    result = solve(problem, Order.WAVES)
    assert result.levels[0].bound <= best(problem, safe=False)[0]
    assert tuple(level.value for level in result.levels) <= best(problem)


def test_a_bound_outlasts_a_host_that_is_emptied_further(draw: Draw, best: Best) -> None:
    """The fewest fragments beside a worse drain are no more than beside a better one."""
    drained = (draw(seed, **SHAPES["drain"]) for seed in range(100, 200))
    problem = next(one for one in drained if best(one)[0] < evaluate_now(one)[0] and best(one)[1])
    model = build(problem, problem.objective[1], safe=True)
    assert isinstance(model, Model)
    run = _Run(model, Goals(0, 1, 2), Budget.of(20), 0)
    run.bound(model)
    early = run.outcome([model])  # nothing has left yet
    ladder = Ladder(problem, solve(problem).plan.placement(problem))
    assert ladder.values == best(problem)
    renew(ladder, early)
    assert ladder.bounds[1].value == early.lasting[1].value <= best(problem)[1]
    worse = Outcome(ladder.placement, [None] * 3, lasting={1: Bound(1 << 40, "of the better one")})
    behind = Ladder(problem)
    renew(behind, worse)
    assert behind.bounds[1].value == 0


def evaluate_now(problem: PlacementProblem) -> tuple[int, ...]:
    """The values of staying."""
    return evaluate(problem, Placement.current(problem))
