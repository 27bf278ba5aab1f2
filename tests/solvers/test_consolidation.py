"""Consolidation: cheaper hosts, nothing else worse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.levels import then_host_cost, tier_order
from optsched.objective import evaluate
from optsched.problem import PlacementProblem
from optsched.solvers import consolidation
from optsched.solvers.consolidation import Consolidation
from optsched.solvers.search import Search

Make = Callable[..., PlacementProblem]
COST_FIRST = then_host_cost(tier_order(1), before_moves=True)
WAYS = ("pack_all", "empty_hosts")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny instances need little annealing."""
    monkeypatch.setattr(consolidation, "BATCHES", 60)


def lowered(problem: PlacementProblem, way: str, seconds: float = 60.0) -> tuple[Search, bool]:
    """A search after one way of consolidating, and whether it says that it got better."""
    search = Search(problem)
    better = getattr(Consolidation(search), way)(Budget.of(seconds))
    return search, better


def cost_of(search: Search) -> int:
    """Cost of the hosts in use."""
    return int(search.problem.hosts.cost[search.occupants > 0].sum())


@pytest.mark.parametrize("way", WAYS)
def test_items_gather_on_one_host(on: Make, way: str) -> None:
    """Three hosts with one item each become one."""
    problem = on([0, 1, 2], [3, 3, 3], cost=[5, 5, 5], objective=COST_FIRST)
    search, better = lowered(problem, way)
    assert better
    assert cost_of(search) == 5
    assert search.state.violations() == []
    assert tuple(search.value.tolist()) == evaluate(problem, search.state.placement())


def test_the_cheapest_host_is_kept(on: Make) -> None:
    """All at once, everything goes to the host that costs least."""
    problem = on([0, 1, 2], [3, 3, 3], cost=[5, 9, 2], objective=COST_FIRST)
    search, _ = lowered(problem, "pack_all")
    assert search.state.host.tolist() == [2, 2, 2]


@pytest.mark.parametrize("way", WAYS)
def test_nothing_to_gain(on: Make, way: str) -> None:
    """Hosts that are needed stay in use, and nothing moves."""
    problem = on([0, 0, 1, 1], [2, 2], cost=[3, 4], objective=COST_FIRST)
    search, better = lowered(problem, way)
    assert not better
    assert search.state.host.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("way", WAYS)
def test_what_may_not_move_keeps_its_host(on: Make, way: str) -> None:
    """A pinned item's host stays in use; the others may join it."""
    problem = on(
        [0, 1, 2], [3, 3, 3], cost=[1, 9, 1], objective=COST_FIRST, movable=[True, False, True]
    )
    search, better = lowered(problem, way)
    assert better
    assert search.state.host.tolist() == [1, 1, 1]


@pytest.mark.parametrize("way", WAYS)
def test_moves_that_come_first_are_not_paid(on: Make, way: str) -> None:
    """Where moves count before cost, nobody moves for a cheaper host."""
    problem = on([0, 1], [2, 2], cost=[1, 1], objective=then_host_cost(tier_order(1)))
    search, better = lowered(problem, way)
    assert not better
    assert search.state.host.tolist() == [0, 1]


@pytest.mark.parametrize("way", WAYS)
def test_without_time_nothing_changes(on: Make, way: str) -> None:
    """The search is left as it was."""
    problem = on([0, 1, 2], [3, 3, 3], cost=[5, 5, 5], objective=COST_FIRST)
    search, better = lowered(problem, way, seconds=0.0)
    assert not better
    assert search.state.host.tolist() == [0, 1, 2]


@pytest.mark.parametrize("way", WAYS)
def test_stopped_at_any_look(on: Make, way: str) -> None:
    """Whenever the user stops it, the placement is whole, allowed and no worse."""
    hosts = 6
    problem = on([*range(hosts)] * 2, [4] * hosts, cost=[1] * hosts, objective=COST_FIRST)
    start = Search(problem).value.tolist()
    for most in range(0, 40, 3):
        looks = iter(range(most))
        budget = Budget.of(60, stop=lambda looks=looks: next(looks, None) is None)
        search = Search(problem)
        getattr(Consolidation(search), way)(budget)
        assert search.state.violations() == []
        assert search.value.tolist() <= start
        assert (search.state.host >= 0).all()
        assert np.array_equal(search.total, Search(problem, search.state.placement()).total)
