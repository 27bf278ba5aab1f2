"""Candidate hosts."""

from __future__ import annotations

import numpy as np
import pytest

import optsched
from optsched.errors import ProblemError
from optsched.growth import Candidate, candidates_used, with_candidate_hosts
from optsched.levels import TermKind
from optsched.problem import Cells, Hosts, Items, PlacementProblem, Where


def test_copies_are_like_their_model(small_cluster: PlacementProblem) -> None:
    """A copy has the capacity and the requirements of its model, and nothing on it."""
    grown = with_candidate_hosts(small_cluster, [Candidate("node-2", 2)])
    assert len(grown.hosts) == 5
    assert grown.hosts.capacity[3:].tolist() == [[4000, 8 << 30]] * 2
    assert not grown.hosts.fixed_use[3:].any()
    assert grown.where.excluded.tolist() == [[0, 0, 1, 0, 0]]
    assert grown.hosts.names[3] == "new-1-like-node-2"


def test_only_candidates_cost(small_cluster: PlacementProblem) -> None:
    """Hosts that exist are free, so the level counts the hosts to add, before moves."""
    grown = with_candidate_hosts(small_cluster, [Candidate("node-1", 1)])
    assert grown.hosts.cost.tolist() == [0, 0, 0, 1]
    kinds = [level.terms[0].kind for level in grown.objective]
    assert kinds.index(TermKind.HOST_COST) < kinds.index(TermKind.MOVED)


def test_daemons_run_on_copies() -> None:
    """What runs on every host takes its room on a new one too."""
    hosts = Hosts.of([[10]], names=["a"], fixed_use=[[3]])
    items = Items.of([[2], [4]], host0=[0, 0], occupies=[False, True])
    grown = with_candidate_hosts(PlacementProblem.of(hosts, items), [Candidate("a", 1)])
    assert grown.hosts.fixed_use.tolist() == [[3], [2]]


def test_domains() -> None:
    """A copy lies in its model's zone and is a host domain of its own."""
    hosts = Hosts.of([[10], [10]], names=["a", "b"])
    items = Items.of([[2], [2]])
    where = Where.of(
        hosts,
        items,
        keys=("zone", "kubernetes.io/hostname"),
        domain=[[0, 1], [0, 1]],
        domain_names=[("x", "y"), ("a", "b")],
    )
    grown = with_candidate_hosts(
        PlacementProblem.of(hosts, items, where=where), [Candidate("b", 2)]
    )
    assert grown.where.domain.tolist() == [[0, 1, 2, 3], [0, 1, 1, 1], [0, 1, 2, 3]]
    assert grown.where.domain_names[2][2] == "new-1-like-b"


def test_a_row_that_names_the_model_keeps_off_the_copy() -> None:
    """An item bound to one host by name does not fit a copy of that host."""
    hosts = Hosts.of([[10], [10]], names=["a", "b"])
    items = Items.of([[2], [2]])
    where = Where.of(
        hosts, items, excluded=[[0, 0], [0, 1]], item_eligible=[0, 1], rule_names=("node name",)
    )
    grown = with_candidate_hosts(
        PlacementProblem.of(hosts, items, where=where), [Candidate("a", 1)]
    )
    assert grown.where.excluded[:, 2].tolist() == [0, 1]


def test_cells_are_copied() -> None:
    """The GPUs of the model come along, free."""
    hosts = Hosts.of([[10], [10]], names=["a", "b"])
    cells = Cells.of([0, 1, 1], [[1000]] * 3, fixed_use=[[0], [500], [0]], resources=["gpu"])
    items = Items.of([[2]], cells_needed=[2], cell_demand=[[1000]])
    grown = with_candidate_hosts(
        PlacementProblem.of(hosts, items, cells=cells), [Candidate("b", 1)]
    )
    assert grown.cells.host.tolist() == [0, 1, 1, 2, 2]
    assert not grown.cells.fixed_use[3:].any()


def test_default_count_is_enough(small_cluster: PlacementProblem) -> None:
    """Without a number there are as many copies as the pending items fill, first fit."""
    hosts = Hosts.of([[10]], names=["a"])
    items = Items.of([[6]] * 5 + [[4]] * 5)
    grown = with_candidate_hosts(PlacementProblem.of(hosts, items), [Candidate("a")])
    assert len(grown.hosts) == 1 + 5
    named = with_candidate_hosts(small_cluster)
    assert {name.split("-like-")[1] for name in named.hosts.names[3:]} == {"node-1", "node-3"}


def test_needed_hosts_are_counted(small_cluster: PlacementProblem) -> None:
    """A solver uses the candidates it needs; they are counted by model."""
    items = Items.of([[3000, 0]] * 4)
    where = Where.of(small_cluster.hosts, items, excluded=[[0, 0, 1]])
    stuck = PlacementProblem.of(
        small_cluster.hosts, items, where=where, resources=small_cluster.resources
    )
    grown = with_candidate_hosts(stuck, [Candidate("node-1")])
    result = optsched.solve(grown, solver="counts", time_limit=5, workers=1)
    used = candidates_used(stuck, grown, result.plan.placement(grown))
    assert used == {"node-1": 2}
    assert np.all(result.plan.placement(grown).host >= 0)


def test_unknown_model(small_cluster: PlacementProblem) -> None:
    """A host that does not exist cannot be copied."""
    with pytest.raises(ProblemError, match="no host 'node-9'"):
        with_candidate_hosts(small_cluster, [Candidate("node-9", 1)])


def test_no_more_copies_than_items(small_cluster: PlacementProblem) -> None:
    """However many are offered, one for each item is enough."""
    grown = with_candidate_hosts(small_cluster, [Candidate("node-1", 10**12)])
    assert len(grown.hosts) == len(small_cluster.hosts) + len(small_cluster.items)


@pytest.mark.parametrize("count", [0, -2])
def test_no_copies_at_all(small_cluster: PlacementProblem, count: int) -> None:
    """A count that offers nothing is refused."""
    with pytest.raises(ProblemError, match="give 1 or more"):
        with_candidate_hosts(small_cluster, [Candidate("node-1", count)])
