"""Replay: the third reading of a plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.errors import PlanError
from optsched.generate.vm import snapshot
from optsched.limits import Limit, LimitKind, Where
from optsched.objective import evaluate, fragments
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import Cells, Hosts, Items, PlacementProblem
from optsched.rates import with_objective
from optsched.registry import solver
from optsched.simulate import Replay, replay


def two_pms(*, lets_go_first: bool = False) -> PlacementProblem:
    """Two PMs with one cell of 10 each, and two VMs of 6 that could only swap."""
    hosts = Hosts.of(np.zeros((2, 0), np.int64))
    cells = Cells.of([0, 1], [[10], [10]])
    items = Items.of(
        np.zeros((2, 0), np.int64),
        cells_needed=1,
        cell_demand=[[6], [6]],
        host0=[0, 1],
        cells0=[[0], [1]],
        lets_go_first=lets_go_first,
    )
    return PlacementProblem.of(hosts, items, cells=cells, resources=())


def test_a_swap_that_needs_room_first_is_refused() -> None:
    """What the target still holds when the move starts is in the way."""
    problem = two_pms()
    swap = (Move(0, 0, 1, (1,)), Move(1, 1, 0, (0,)))
    with pytest.raises(PlanError, match="does not fit"):
        replay(problem, Plan(problem.digest(), Order.SAFE, (Wave(swap),)))


def test_a_move_from_elsewhere_is_refused() -> None:
    """A plan for another state of the cluster is found out."""
    problem = two_pms()
    with pytest.raises(PlanError, match="not where its move starts"):
        replay(problem, Plan(problem.digest(), Order.SAFE, (Wave((Move(0, 1, 0, (0,)),)),)))


@pytest.mark.parametrize("order", [Order.SAFE, Order.WAVES])
def test_every_order_of_moves_ends_where_the_objective_says(order: Order) -> None:
    """Random orders within waves find room, and the fragments are those of the objective."""
    problem = replace(snapshot(3, pms=40), max_moves=12)
    result = solver("fragments").solve(problem, Budget.of(10), order=order)
    assert result.plan.waves
    for seed in range(5):
        end = replay(problem, result.plan, seed)
        assert end.moves == len(result.plan.moves()) <= 12
        assert (end.fragments(0, 16),) == evaluate(problem, result.plan.placement(problem))
        assert end.host == tuple(result.plan.placement(problem).host.tolist())


def test_vms_that_must_be_apart_do_not_meet_on_the_way() -> None:
    """Who still sits where its partner goes is in the way in some orders, in two waves in none."""
    hosts = Hosts.of(np.zeros((3, 0), np.int64))
    cells = Cells.of([0, 1, 2], [[10], [10], [10]])
    items = Items.of(
        np.zeros((2, 0), np.int64),
        cells_needed=1,
        cell_demand=[[4], [4]],
        host0=[0, 1],
        cells0=[[0], [1]],
        lets_go_first=False,
    )
    where = Where.of(hosts, items, groups=[[0, 1]])
    limit = Limit(LimitKind.CONFLICT, key=0, subject=0, counted=0)
    problem = PlacementProblem.of(
        hosts, items, cells=cells, where=where, limits=[limit], resources=()
    )
    follow, leave = Move(0, 0, 1, (1,)), Move(1, 1, 2, (2,))
    at_once = Plan(problem.digest(), Order.SAFE, (Wave((follow, leave)),))
    met = []
    for seed in range(8):
        try:
            assert replay(problem, at_once, seed).host == (1, 2)
        except PlanError as error:
            met.append(str(error))
    assert 0 < len(met) < 8
    assert "meets" in met[0]
    apart = Plan(problem.digest(), Order.WAVES, (Wave((leave,)), Wave((follow,))))
    assert replay(problem, apart).host == (1, 2)


@pytest.mark.parametrize(
    ("free", "cells", "left"),
    [
        ([44, 44], 1, 24),  # two blocks of 16 on each: 12 are left of each
        ([44, 44], 2, 24),  # two blocks of two halves
        ([44, 20], 2, 32),  # one block
        ([44, 15], 2, 59),  # none: no second half
        ([-3, 33], 1, 1),  # less than nothing free is nothing
        ([48, 32, 16], 2, 0),  # three blocks, the first cell in each
        ([160, 16, 16], 2, 128),
    ],
)
def test_fragments_by_hand(free: list[int], cells: int, left: int) -> None:
    """Blocks of 16 on one cell, or of twice 16 on two cells of a PM."""
    end = Replay(0, (), tuple((one,) for one in free), (0,) * len(free))
    assert end.fragments(0, 16, cells) == left


def test_fragments_are_those_of_the_objective() -> None:
    """On hosts of one to five cells, with blocks of one to four."""
    rng = np.random.default_rng(7)
    for _ in range(300):
        host = np.sort(rng.integers(0, 4, int(rng.integers(1, 12))))
        free = rng.integers(-5, 60, len(host))
        end = Replay(0, (), tuple((one,) for one in free.tolist()), tuple(host.tolist()))
        size, cells = int(rng.integers(1, 12)), int(rng.integers(1, 5))
        assert end.fragments(0, size, cells) == fragments(free, host, size, cells)


@pytest.mark.parametrize("order", [Order.SAFE, Order.WAVES])
@pytest.mark.parametrize("rates", ["fr64", "mem64", "fr16:2,fr64"])
def test_other_rates_end_where_the_solver_says(rates: str, order: Order) -> None:
    """64 cores over two cells, memory, and rates weighed together."""
    made = snapshot(3, pms=20, load="middle", memory="mixed" if "mem" in rates else "slack")
    problem = with_objective(made, rates).replace(max_moves=6)
    result = solver("portfolio").solve(problem, Budget.of(5, workers=1), order=order)
    assert result.plan.waves
    (level,) = problem.objective
    for seed in range(3):
        end = replay(problem, result.plan, seed)
        value = sum(
            one.weight * end.fragments(one.resource, one.size, one.cells) for one in level.terms
        )
        assert value == result.levels[0].value < result.levels[0].stay
