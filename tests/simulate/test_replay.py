"""Replay: the third reading of a plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.errors import PlanError
from optsched.generate.vm import snapshot
from optsched.objective import evaluate
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import Cells, Hosts, Items, PlacementProblem
from optsched.registry import solver
from optsched.simulate import replay


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
