"""Generated clusters are such that pending pods need moves, and the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optsched.errors import ProblemError
from optsched.generate.cluster import Mix, cluster
from optsched.limits import LimitKind
from optsched.problem import PlacementProblem
from optsched.rules import candidates
from optsched.state import State

SIZES: list[dict[str, Any]] = [
    {"nodes": 1},
    {"nodes": 7, "pods_per_node": 2, "pending": 3, "tiers": 1, "zones": 1},
    {"nodes": 40, "pods_per_node": 10},
    {"nodes": 40, "pods_per_node": 36, "usage": 80, "mix": Mix(apart=50, spread=50, pinned=0)},
    {"nodes": 300, "pods_per_node": 20, "usage": 98, "pending": 30},
]


@pytest.fixture(params=SIZES, ids=str, scope="module")
def problem(request: pytest.FixtureRequest) -> PlacementProblem:
    """A cluster of each size."""
    return cluster(5, **request.param)


def use(problem: PlacementProblem) -> np.ndarray:
    """What running pods ask for, per node."""
    placed = problem.items.host0 >= 0
    total = problem.hosts.fixed_use.copy()
    np.add.at(total, problem.items.host0[placed], problem.items.demand[placed])
    return total


def test_no_node_is_overcommitted(problem: PlacementProblem) -> None:
    """Running pods fit on their nodes, and only where their rules admit them."""
    items, where = problem.items, problem.where
    assert (use(problem) <= problem.hosts.capacity).all()
    placed = items.host0 >= 0
    assert not where.excluded[where.item_eligible[placed], items.host0[placed]].any()


def test_no_pending_pod_fits_as_things_are(problem: PlacementProblem) -> None:
    """Every pending pod needs a move, but would fit on an empty node."""
    state = State(problem)
    pending = np.flatnonzero(problem.items.host0 < 0)
    assert len(pending)
    for item in pending:
        assert not candidates(state, int(item)).any()
        need = problem.items.demand[item]
        assert (need <= problem.hosts.capacity.min(axis=0)).all()


def test_limits_hold_at_the_start(problem: PlacementProblem) -> None:
    """Pods that keep apart are apart, and zones are as even as asked for."""
    where, limits = problem.where, problem.limits
    for row in range(len(limits)):
        members = where.groups[limits.counted[row]]
        running = problem.items.host0[members]
        domains = where.domain[limits.key[row], running[running >= 0]]
        count = np.bincount(domains, minlength=len(where.domain_names[limits.key[row]]))
        if limits.kind[row] == LimitKind.CONFLICT:
            assert count.max(initial=0) <= 1
        else:
            assert count.max() - count.min() <= limits.bound[row]


def test_sizes_are_about_as_asked() -> None:
    """Nodes and pending pods exactly, pods per node and usage about."""
    problem = cluster(3, nodes=200, pods_per_node=12, pending=11, usage=90)
    running = int((problem.items.host0 >= 0).sum())
    assert len(problem.hosts) == 200
    assert len(problem.items) - running == 11
    assert 200 * 11 <= running <= 200 * 14
    share = use(problem)[:, 0].sum() / problem.hosts.capacity[:, 0].sum()
    assert 0.85 <= share <= 0.97


def test_a_seed_is_a_cluster() -> None:
    """The same seed gives the same tables, another seed others."""
    assert cluster(1, nodes=20).digest() == cluster(1, nodes=20).digest()
    assert cluster(1, nodes=20).digest() != cluster(2, nodes=20).digest()


@pytest.mark.parametrize(
    "sizes", [{"nodes": 0}, {"pods_per_node": 1}, {"usage": 99}, {"tiers": 0}, {"zones": 0}]
)
def test_impossible_sizes_are_refused(sizes: dict[str, int]) -> None:
    """The message names the size and its range."""
    with pytest.raises(ProblemError, match=next(iter(sizes))):
        cluster(1, **sizes)
