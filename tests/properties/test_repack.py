"""Packing a neighbourhood anew beside trying everything, on tiny problems with every rule."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from optsched.budget import Budget
from optsched.check import check_placement
from optsched.levels import Level, Term, TermKind, tier_order
from optsched.objective import evaluate
from optsched.plan import Placement
from optsched.problem import Evict, Hosts, Items, PlacementProblem
from optsched.solvers.repack import Repacking
from optsched.solvers.search import Search

Make = Callable[..., PlacementProblem]

SEEDS = st.integers(0, 2**32 - 1).map(Random)
PATIENCE = 60.0  # seconds; all of these take milliseconds


def free_items(search: Search) -> list[int]:
    """All items that a plan may place or disturb."""
    free = search.loose | (search.problem.items.host0 < 0)
    return [int(i) for i in np.flatnonzero(free)]


@pytest.mark.parametrize("cells", [False, True])
@settings(max_examples=60)
@given(random=SEEDS)
def test_all_items_on_all_hosts_make_the_optimum(
    cells: bool, random: Random, make_problem: Make, everything: Any
) -> None:
    """The largest neighbourhood holds the optimum, and finds it where it says it is closed."""
    size = {"hosts": (2, 2), "items": (2, 4)} if cells else {"hosts": (2, 3), "items": (2, 5)}
    problem = make_problem(random, **size, cells=cells, waves=False, crowd=0.7)
    search = Search(problem)
    whole = Repacking(search, free_items(search), range(len(problem.hosts)))
    whole.solve(Budget.of(PATIENCE), effort=PATIENCE)
    outcome = whole.apply()
    event(f"changed: {outcome.changed}")
    assert outcome.closed
    assert tuple(search.value.tolist()) == everything(problem).best()
    assert check_placement(problem, search.state.placement()) == ()


@settings(max_examples=60)
@given(random=SEEDS)
def test_what_is_outside_stays(random: Random, make_problem: Make) -> None:
    """A smaller neighbourhood moves only its own items, onto its own hosts, and never worsens."""
    problem = make_problem(random, hosts=(2, 4), items=(3, 6), waves=False, crowd=0.7)
    search = Search(problem)
    before = search.state.host.copy()
    hosts = random.sample(range(len(problem.hosts)), 2)
    gang = problem.items.gang
    inside = [
        i
        for i in free_items(search)
        if gang[i] < 0 and (before[i] in hosts or before[i] < 0) and random.random() < 0.8
    ]
    some = Repacking(search, inside, hosts)
    some.solve(Budget.of(PATIENCE), seed=random.randrange(9), effort=PATIENCE)
    some.apply(sideways=random.random() < 0.5)
    changed = np.flatnonzero(search.state.host != before)
    assert set(changed.tolist()) <= set(inside)
    assert set(search.state.host[changed].tolist()) <= {-1, *hosts}
    placement = search.state.placement()
    assert evaluate(problem, placement) <= evaluate(problem, Placement.current(problem))
    assert check_placement(problem, placement) == ()
    assert tuple(search.value.tolist()) == evaluate(problem, placement)


def test_nobody_seated_is_a_solution() -> None:
    """Where it is best that the only free item loses its host, it does."""
    items = Items.of([[1]], host0=[0])
    objective = (Level("drained", (Term(TermKind.DRAINED),)), *tier_order(1))
    problem = PlacementProblem.of(
        Hosts.of([[1]], drain=[True]), items, objective=objective, evict=Evict.ANY
    )
    search = Search(problem)
    whole = Repacking(search, [0], [0])
    whole.solve(Budget.of(PATIENCE))
    assert whole.apply().changed
    assert search.state.host.tolist() == [-1]
