"""Neighbourhoods: what is drawn may be packed anew, and is about what is still wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.generate.cluster import cluster
from optsched.plan import Placement
from optsched.problem import PlacementProblem
from optsched.solvers.ejection import Ejection
from optsched.solvers.fitting import Fitting
from optsched.solvers.local import Improvement
from optsched.solvers.neighbourhoods import MOST_ITEMS, Choice, Neighbourhoods
from optsched.solvers.rounds import Rounds
from optsched.solvers.search import Search

Make = Callable[..., PlacementProblem]
KINDS = ("waiting", "moved", "wide", "hosts")


@pytest.fixture(scope="module")
def search() -> Search:
    """A cluster in which half of what waited has been placed by moving others."""
    problem = cluster(3, nodes=30, pods_per_node=8, pending=12)
    search = Search(problem)
    ejection = Ejection(search, Fitting(search), Budget.of(60))
    for item in np.flatnonzero(problem.items.host0 < 0).tolist()[::2]:
        ejection.insert(item)
    return search


def drawn(search: Search, kind: str, seed: int, size: int = 8) -> Choice:
    """A neighbourhood of a kind."""
    draw = Neighbourhoods(search, Fitting(search), np.random.default_rng(seed))
    if kind == "waiting":
        return draw.around_waiting(np.flatnonzero(search.state.host < 0), size)
    if kind == "hosts":
        return draw.around_hosts(search.occupants.astype(float), size)
    return {"moved": draw.around_moved, "wide": draw.wide}[kind](size)


@pytest.mark.parametrize("kind", KINDS)
def test_items_are_free_and_on_the_hosts(search: Search, kind: str) -> None:
    """Items may be disturbed, sit on the hosts drawn or wait, and are drawn once."""
    for seed in range(20):
        items, hosts = drawn(search, kind, seed)
        assert items
        assert hosts
        assert len(set(items)) == len(items)
        assert len(set(hosts)) == len(hosts)
        assert all(search.loose[i] or search.problem.items.host0[i] < 0 for i in items)
        assert {int(search.state.host[i]) for i in items} <= {-1, *hosts}
        assert len(items) <= MOST_ITEMS or len(hosts) == 1


@pytest.mark.parametrize("kind", ["waiting", "moved", "hosts"])
def test_all_that_is_free_on_a_host_takes_part(search: Search, kind: str) -> None:
    """Nothing that could leave a drawn host is left out."""
    items, hosts = drawn(search, kind, 1)
    for host in hosts:
        free = {i for i in search.on[host] if search.loose[i] or i in search.entered}
        assert free <= set(items)


def test_something_that_waits_takes_part(search: Search) -> None:
    """Around what waits, some of it is drawn, with hosts that it may enter."""
    for seed in range(20):
        items, hosts = drawn(search, "waiting", seed)
        waiting = [i for i in items if search.state.host[i] < 0]
        assert waiting
        row = search.problem.where.item_eligible[waiting[0]]
        assert (search.problem.where.excluded[row, hosts] == 0).any()


def test_around_what_moved(search: Search) -> None:
    """An item that entered a host takes part, with the host that it is on."""
    for seed in range(20):
        items, hosts = drawn(search, "moved", seed)
        entered = search.entered & set(items)
        assert entered
        assert {int(search.state.host[i]) for i in entered} <= set(hosts)


def test_same_seed_same_choice(search: Search) -> None:
    """The generator is the only chance there is."""
    for kind in KINDS:
        assert drawn(search, kind, 7) == drawn(search, kind, 7)
    assert len({tuple(drawn(search, "moved", seed)[1]) for seed in range(9)}) > 1


def test_gangs_are_whole(on: Make) -> None:
    """With one member come all, and the hosts they are on."""
    problem = on([0, 1, 2, -1], [1, 1, 1, 1], gang=[0, 0, 0, -1], gangs=["g"])
    draw = Neighbourhoods(search := Search(problem), Fitting(search), np.random.default_rng(0))
    items, hosts = draw.around_hosts(np.array([1.0, 0.0, 0.0, 0.0]), 2)
    assert {0, 1, 2} <= set(items)
    assert {0, 1, 2} <= set(hosts)


def test_a_round_that_would_not_end_in_time_is_not_begun(
    on: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As much time as the last one took to be prepared must be left for the next."""
    problem = on([0, 1, -1], [2, 2], demand=[[1], [1], [2]])
    begun: list[Rounds] = []

    def some(rounds: Rounds, budget: Budget) -> None:
        del budget
        begun.append(rounds)
        rounds.preparing = 61.0

    monkeypatch.setattr(Rounds, "some", some)
    Improvement(problem, Placement.current(problem)).search_on(Budget.of(60))
    assert len(begun) == 1
