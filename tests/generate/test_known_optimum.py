"""Instances with a known optimum: it can be reached, and nothing fits without the moves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from optsched.errors import ProblemError
from optsched.generate.known_optimum import known_optimum
from optsched.objective import evaluate
from optsched.plan import Placement
from optsched.rules import candidates
from optsched.state import State, placement_violations

SIZES = [(1, 2, 0, 1), (2, 2, 1, 1), (6, 5, 3, 2), (9, 8, 4, 3)]


@pytest.mark.parametrize("unit", [1, 250])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_the_goal_is_worth_the_optimum(
    seed: int, size: tuple[int, int, int, int], unit: int
) -> None:
    """The goal placement keeps every rule and has the values that are claimed."""
    hosts, items, moves, tiers = size
    known = known_optimum(
        seed, hosts=hosts, items_per_host=items, moves=moves, tiers=tiers, unit=unit
    )
    goal = Placement.of(known.problem, known.goal)
    assert placement_violations(known.problem, goal) == []
    assert evaluate(known.problem, goal) == known.values
    assert sum(known.values) == moves
    assert (np.bincount(known.goal, minlength=hosts) == items).all()


@pytest.mark.parametrize("seed", range(5))
def test_hosts_are_cut_without_rest(seed: int) -> None:
    """In the goal every host is full to the last unit."""
    problem, goal = known_optimum(seed).problem, known_optimum(seed).goal
    use = np.zeros_like(problem.hosts.capacity)
    np.add.at(use, goal, problem.items.demand)
    assert (use == problem.hosts.capacity).all()


@pytest.mark.parametrize("seed", range(5))
def test_nothing_fits_without_moves(seed: int) -> None:
    """No pending item fits as it is, and two of them never share a host: the lower bound."""
    problem = known_optimum(seed, hosts=10, moves=4).problem
    pending = np.flatnonzero(problem.items.host0 < 0)
    assert len(pending) == 4
    for item in pending:
        assert not candidates(State(problem), int(item)).any()
    for one, two in itertools.combinations(pending, 2):
        both = problem.items.demand[one] + problem.items.demand[two]
        assert (both > problem.hosts.capacity.max(axis=0)).any()


def test_a_tiny_instance_has_no_better_answer() -> None:
    """Trying all placements of three hosts finds nothing better than what is claimed."""
    known = known_optimum(2, hosts=3, items_per_host=2, moves=1, tiers=2)
    best = min(
        evaluate(known.problem, placement)
        for hosts in itertools.product(range(-1, 3), repeat=6)
        if not placement_violations(
            known.problem, placement := Placement.of(known.problem, np.array(hosts))
        )
    )
    assert best == known.values


def test_a_seed_is_an_instance() -> None:
    """The same seed gives the same tables, another seed others."""
    assert known_optimum(1).problem.digest() == known_optimum(1).problem.digest()
    assert known_optimum(1).problem.digest() != known_optimum(2).problem.digest()


@pytest.mark.parametrize(
    "sizes",
    [{"hosts": 3, "moves": 2}, {"items_per_host": 1}, {"tiers": 0}, {"unit": 3000}, {"unit": 7}],
)
def test_impossible_sizes_are_refused(sizes: dict[str, int]) -> None:
    """Too few hosts for the moves, or nothing to cut and no way to, is bad input."""
    with pytest.raises(ProblemError):
        known_optimum(1, **sizes)
