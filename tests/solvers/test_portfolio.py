"""`portfolio`, the default: every problem, every deadline, known optima proven."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from optsched.budget import Budget, Progress
from optsched.check import check
from optsched.generate import paper
from optsched.generate.known_optimum import known_optimum
from optsched.generate.vm import snapshot as vm_snapshot
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import (
    Cells,
    Evict,
    Hosts,
    Items,
    Limit,
    LimitKind,
    PlacementProblem,
)
from optsched.result import Result, Status
from optsched.solvers.portfolio import Portfolio

Make = Callable[..., PlacementProblem]


def solve(problem: PlacementProblem, seconds: float = 60, **options: object) -> Result:
    """The result, its plan checked."""
    budget = Budget.of(seconds, workers=int(str(options.pop("workers", 1))))
    result = Portfolio().solve(problem, budget, **options)  # type: ignore[arg-type]
    assert check(problem, result.plan).violations == ()
    return result


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("size", [(2, 2, 1, 1), (8, 6, 2, 2), (12, 6, 4, 3)], ids=str)
def test_known_optima_are_proven(size: tuple[int, int, int, int], workers: int) -> None:
    """Everything is placed with the fewest moves, and that is proven."""
    hosts, items, moves, tiers = size
    known = known_optimum(3, hosts=hosts, items_per_host=items, moves=moves, tiers=tiers)
    result = solve(known.problem, workers=workers)
    assert tuple(level.value for level in result.levels) == known.values
    assert result.status is Status.OPTIMAL


@pytest.mark.parametrize("evict", list(Evict))
def test_a_paper_instance_is_proven(evict: Evict) -> None:
    """More pods than fit on three nodes, packed first-fit: proven in every setting.

    Hardly anything can move while all are full, so pods wait for their replacement.
    """
    drawn = paper.instance(2, nodes=3, ppn=4, priorities=2, usage=105)
    problem = paper.problem(drawn)
    host, room = np.full(len(problem.items), -1), problem.hosts.capacity.copy()
    for item, demand in enumerate(problem.items.demand):
        fits = np.flatnonzero((room >= demand).all(axis=1))
        if fits.size:
            host[item] = fits[0]
            room[fits[0]] -= demand
    assert (host < 0).any()
    result = solve(paper.problem(drawn, host).replace(evict=evict), order=Order.PARK)
    assert result.status is Status.OPTIMAL


def test_items_on_cells_are_placed_or_left(on: Make) -> None:
    """GPU pods get an honest answer, whether their cells are chosen well or not at all."""
    items = Items.of([[1]] * 3, cells_needed=[2, 1, 1], cell_demand=[[4]] * 3)
    problem = PlacementProblem.of(Hosts.of([[9]]), items, cells=Cells.of([0, 0, 0], [[4]] * 3))
    result = solve(problem, 5)
    assert result.levels[0].bound <= 1 <= result.levels[0].value <= 3


def test_the_deadline_may_be_over_already(on: Make) -> None:
    """Then the plan is to stay, or what was given to start from."""
    problem = on([0, -1], [1, 1])
    assert solve(problem, 0).levels[0].value <= 1
    start = Plan(problem.digest(), waves=(Wave((Move(1, -1, 1),)),))
    assert solve(problem, 0, start=start).plan.moves() == start.moves()


def test_who_stops_it_gets_the_incumbent() -> None:
    """A wish to stop ends it at once with a checked plan."""
    problem = known_optimum(1, hosts=20, items_per_host=8, moves=8).problem
    seen: list[Progress] = []
    budget = Budget.of(600, workers=2, stop=lambda: bool(seen), on_progress=seen.append)
    result = Portfolio().solve(problem, budget)
    assert check(problem, result.plan).violations == ()


def test_who_stops_it_at_its_first_placement_gets_that_one() -> None:
    """Nothing else is begun then: no bound, no local search."""
    problem = vm_snapshot(5, pms=30).replace(max_moves=8)
    told: list[Progress] = []
    stop = Budget.of(60, stop=lambda: bool(told), on_progress=told.append)
    result = Portfolio().solve(problem, stop, order=Order.SAFE)
    assert [one.stage for one in told] == ["greedy"]
    assert result.levels[0].value == told[0].value < result.levels[0].stay
    assert check(problem, result.plan).violations == ()


def test_progress_names_the_level_in_work(on: Make) -> None:
    """Value and bound of the level are told while it is climbed."""
    seen: list[Progress] = []
    problem = known_optimum(1, hosts=6, items_per_host=4, moves=2).problem
    Portfolio().solve(problem, Budget.of(60, on_progress=seen.append))
    assert {"unplaced[0]", "unplaced[1]"} & {one.stage for one in seen}
    assert any(one.value is not None for one in seen)


def test_one_worker_and_a_seed_give_one_plan() -> None:
    """Enough time, one worker: deterministic."""
    problem = known_optimum(5, hosts=6, items_per_host=5, moves=2).problem
    assert solve(problem, seed=4).plan == solve(problem, seed=4).plan


def test_limits_are_proven_too(on: Make) -> None:
    """One of each group per host: as many are left out as there are hosts too few."""
    alone = Limit(LimitKind.CONFLICT, key=0, subject=0, counted=0)
    result = solve(on([0, -1, -1, -1], [9] * 3, groups=[[0, 1, 2, 3]], limits=[alone]))
    assert result.status is Status.OPTIMAL
    assert result.levels[0].value == 1
