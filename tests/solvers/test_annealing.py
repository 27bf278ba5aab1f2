"""Annealing as an improver: what it moves, and what it leaves alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.check import check_placement
from optsched.generate.known_optimum import known_optimum
from optsched.kernels.jit import COMPILED
from optsched.problem import Budgets, Evict, Limit, LimitKind, PlacementProblem, Scope
from optsched.solvers.annealing import Annealing
from optsched.solvers.ladder import Ladder

pytestmark = pytest.mark.skipif(not COMPILED, reason="annealing needs compiled kernels (numba)")

Make = Callable[..., PlacementProblem]
Climb = Callable[..., Ladder]

SHORT = 400  # batches of the longest run


def test_it_solves_what_fits_to_the_last_unit(climb: Climb) -> None:
    """Full hosts, two of which must exchange items before anything fits."""
    known = known_optimum(0, hosts=4, items_per_host=4, moves=1, tiers=1, unit=500)
    ladder = climb(known.problem, Annealing(seed=1, longest=SHORT))
    assert ladder.values == known.values


def test_a_crowded_host_is_no_obstacle(on: Make, climb: Climb) -> None:
    """An overcommitted host keeps what it holds, and the rest is solved beside it."""
    problem = on([0, 0, -1, 1], [1, 2, 2], fixed_use=[[0], [0], [1]], demand=[[1], [1], [2], [1]])
    assert climb(problem, Annealing(longest=SHORT)).values == (0, 0, 1)
    fixed = on([-1, 1], [1, 2, 0], fixed_use=[[9], [0], [3]])
    assert climb(fixed, Annealing(longest=SHORT)).values == (0, 0, 0)


def test_drained_and_excluded_hosts_are_not_entered(on: Make, climb: Climb) -> None:
    """Closed hosts can be left and returned to, by those that are at home there."""
    problem = on([0, -1, -1], [2, 2, 1], drain=[True, False, False], excluded=[[0, 1, 0]])
    ladder = climb(problem, Annealing(longest=SHORT))
    assert check_placement(problem, ladder.placement) == ()
    assert ladder.values == (1, 0, 0)


def test_what_may_not_be_evicted_is_not(on: Make, climb: Climb) -> None:
    """With ANY, evictable items give way to a higher one, others do not."""
    of_two = {"tier": [1, 1, 0], "evict": Evict.ANY, "evictable": [False, True, True]}
    ladder = climb(on([0, 1, -1], [1, 1], **of_two), Annealing(longest=SHORT))
    assert ladder.placement.host.tolist() == [0, -1, 1]


TIED: dict[str, dict[str, Any]] = {
    "gang": {"gang": [0, 0, -1], "gangs": ("g",)},
    "limit": {
        "groups": [[0]],
        "limits": [Limit(LimitKind.MAX, key=0, subject=0, counted=0, bound=9)],
    },
    "budget": {"budgets": Budgets.of([[0]], [9], scope=int(Scope.PLAN))},
}


@pytest.mark.parametrize("what", sorted(TIED))
def test_items_bound_by_more_than_room_keep_their_place(on: Make, climb: Climb, what: str) -> None:
    """The kernel does not know these rules, so it does not touch whom they bind."""
    problem = on([0, -1, -1], [2, 1], demand=[[1], [2], [1]], **TIED[what])
    ladder = climb(problem, Annealing(longest=SHORT))
    assert ladder.placement.host[0] == 0
    assert check_placement(problem, ladder.placement) == ()


@pytest.mark.parametrize(
    "options",
    [{"evict": Evict.LOWER}, {"protect_higher": True}, {"max_moves": 1}, {"movable": False}],
)
def test_problems_that_it_does_not_serve(on: Make, climb: Climb, options: dict[str, Any]) -> None:
    """Rules over whole plans are for others; so is a problem in which nothing moves."""
    host0 = [0] if "movable" in options else [0, -1]
    problem = on(host0, [2], **options)
    assert climb(problem, Annealing(longest=SHORT)).placement.host.tolist() == host0


def test_the_same_seed_takes_the_same_way(climb: Climb) -> None:
    """Two runs end alike."""
    problem = known_optimum(3, hosts=6, items_per_host=5, moves=2).problem
    ways = [climb(problem, Annealing(seed=5, longest=SHORT)).placement.host for _ in range(2)]
    assert np.array_equal(*ways)


def test_roaming_ends_with_its_budget_or_its_work() -> None:
    """In a thread of its own it works on whatever is open, until all is proven or it is stopped."""
    known = known_optimum(0, hosts=4, items_per_host=4, moves=1, tiers=1, unit=500)
    ladder = Ladder(known.problem)
    stop = threading.Event()
    budget = Budget.of(60, stop=lambda: stop.is_set() or ladder.values == known.values)
    thread = threading.Thread(target=Annealing(seed=1).roam, args=(ladder, budget))
    thread.start()
    thread.join(30)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert ladder.values == known.values
