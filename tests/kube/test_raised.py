"""Objects that a problem could have come from: what `lower` makes of them is the problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from optsched import read, solve
from optsched.arrays import Bools
from optsched.errors import FormatError
from optsched.kube import lower, objects_of
from optsched.kube.warn import Warnings
from optsched.problem import (
    Budgets,
    Hosts,
    Inflight,
    Items,
    Limit,
    LimitKind,
    PlacementProblem,
    Scope,
    Where,
)
from optsched.result import Status

GROUPS = ((0, 1), (2,))
NOT_C = 0  # the set of hosts that lacks c, which the pending item may enter


def eligible(problem: PlacementProblem) -> Bools:
    """(I, H) where the items may go."""
    rows = (problem.where.excluded == 0) & ~problem.hosts.drain
    return rows[problem.where.item_eligible]


def limits(problem: PlacementProblem) -> list[tuple[Any, ...]]:
    """The limits, with groups and keys written out."""
    rows, where = problem.limits, problem.where
    return [
        (
            int(rows.kind[r]),
            where.keys[rows.key[r]],
            tuple(where.groups[rows.subject[r]].tolist()),
            tuple(where.groups[rows.counted[r]].tolist()),
            *(int(column[r]) for column in (rows.bound, rows.min_domains, rows.self_counts)),
        )
        for r in range(len(rows))
    ]


def assert_same(problem: PlacementProblem, again: PlacementProblem) -> None:
    """Hosts, free room, items, where they may go, limits and budgets agree."""
    assert again.hosts.names == problem.hosts.names
    free = np.maximum(problem.hosts.capacity - problem.hosts.fixed_use, 0)
    assert (again.hosts.capacity == free).all()
    for name in (
        "demand", "host0", "tier", "owner", "movable", "evictable", "may_evict_others", "occupies",
    ):  # fmt: skip
        assert (getattr(again.items, name) == getattr(problem.items, name)).all(), name
    assert again.items.names == problem.items.names
    assert again.owners == problem.owners
    enters = problem.items.movable
    assert (eligible(again)[enters] == eligible(problem)[enters]).all()
    assert limits(again) == limits(problem)
    assert again.budgets.names == problem.budgets.names
    assert (again.budgets.allowed == problem.budgets.allowed).all()
    assert (again.budgets.groups.values == problem.budgets.groups.values).all()


def demo() -> PlacementProblem:
    """The cluster that is shipped."""
    problem = read(str(files("optsched.datasets") / "demo-cluster.json.gz"))
    assert isinstance(problem, PlacementProblem)
    return problem


def test_the_demo_comes_back(kube: SimpleNamespace) -> None:
    """All tables are the same, and so is the optimum that a solver proves."""
    problem = demo()
    again = lower(kube.cluster(*objects_of(problem)))
    assert_same(problem, again)
    assert again.tiers == problem.tiers
    one, other = (solve(each, solver="counts", time_limit=60) for each in (problem, again))
    assert one.status is other.status is Status.OPTIMAL
    assert [level.value for level in one.levels] == [level.value for level in other.levels]


def test_a_realistic_cluster_comes_back(
    kube: SimpleNamespace, data_path: Callable[[str], Path]
) -> None:
    """30 nodes with spreading, anti-affinity and budgets."""
    problem = read(data_path("kubectl-dumps") / "cluster-30.json.gz")
    assert isinstance(problem, PlacementProblem)
    warnings = Warnings()
    assert_same(problem, lower(kube.cluster(*objects_of(problem, warnings))))
    assert warnings.sentences() == ()


def small(*rows: Limit, **more: Any) -> PlacementProblem:
    """Three items on three hosts of two zones; the last is pending and may not go to the first."""
    hosts = Hosts.of(
        [[4, 9], [4, 9], [4, 9]], names=["a", "b", "c"], fixed_use=[[1, 0]] * 2 + [[9, 0]]
    )
    items = more.pop("items", None) or Items.of(
        [[1, 0], [2, 0], [1, 0]],
        names=["shop/x", "shop/y", "z" if "z" in more else "shop/z"],
        host0=[0, 1, -1],
        tier=[1, 1, 0],
        **more.pop("item", {}),
    )
    where = Where.of(
        hosts,
        items,
        excluded=[[0, 0, 0], [1, 0, 0]],
        item_eligible=[0, 0, 1],
        keys=("zone",),
        domain=[[0, 1, -1]],
        domain_names=(("z1", "z2"),),
        groups=GROUPS,
        host_sets=[[True, True, False], [False, True, True]],
    )
    options: dict[str, Any] = {"resources": ("cpu", "memory"), "tiers": ("high", "low"), **more}
    return PlacementProblem.of(hosts, items, where=where, limits=rows, **options)


def raised(kube: SimpleNamespace, problem: PlacementProblem) -> tuple[PlacementProblem, str]:
    """What is lowered again, and the warnings."""
    warnings = Warnings()
    objects = objects_of(problem, warnings)
    return lower(kube.cluster(*objects)), " ".join(warnings.sentences())


def test_hosts_tiers_and_owners(kube: SimpleNamespace) -> None:
    """Fixed use is taken off, order gives priorities, what may move gets an owner of its own."""
    again, told = raised(kube, small())
    assert told == ""
    assert again.hosts.capacity[:, 0].tolist() == [3, 3, 0]
    assert again.tiers == ("tier-0 (1000)", "tier-1 (0)")
    assert again.items.movable.all()
    assert again.owners == ("ReplicaSet shop/x-rs", "ReplicaSet shop/y-rs")
    assert eligible(again)[2].tolist() == [False, True, True]
    never, _ = raised(kube, small(item={"movable": [True, False, True], "may_evict_others": False}))
    assert never.items.movable.tolist() == [True, False, True]
    assert not never.items.may_evict_others.any()


def test_limits_come_back(kube: SimpleNamespace) -> None:
    """Conflicts, requirements, and spreading over all nodes or over a set around the pod's."""
    rows = (
        Limit(LimitKind.CONFLICT, 0, 0, 0),
        Limit(LimitKind.REQUIRE, 1, 1, 0, bundle=0),
        Limit(LimitKind.SKEW, 1, 1, 1, 1, 2, host_set=1, bundle=1, self_counts=True),
        Limit(LimitKind.SKEW, 0, 1, 0, 2, bundle=1),
    )
    problem = small(*rows)
    again, told = raised(kube, problem)
    assert told == ""
    assert limits(again) == limits(problem)
    sets = [again.where.host_sets[s].tolist() for s in again.limits.host_set if s >= 0]
    assert sets == [[False, True, True]]
    wide = small(replace(rows[2], host_set=NOT_C, bundle=2))
    assert "spreading over nodes that the pod may not enter" in raised(kube, wide)[1]


def test_a_set_wider_than_what_is_eligible(kube: SimpleNamespace) -> None:
    """Nodes that a taint closes still count in spreading."""
    rows = Limit(LimitKind.SKEW, 1, 0, 0, 1, host_set=0, bundle=0, self_counts=True)
    problem = small(rows)
    where = problem.where
    closed = replace(
        where,
        item_eligible=np.array([2, 2, 1]),
        excluded=np.array([[0, 0, 0], [1, 0, 0], [1, 0, 1]], dtype=np.uint32),
    )
    problem = problem.replace(where=closed)
    again, told = raised(kube, problem)
    assert told == ""
    assert eligible(again)[:2].tolist() == [[False, True, False]] * 2
    assert eligible(again)[2].tolist() == [False, True, True]
    assert again.where.host_sets.tolist() == [[True, True, False]]


@pytest.mark.parametrize(
    ("problem", "why", "kept"),
    [
        (small(Limit(LimitKind.MAX, 0, 0, 0, 1)), "how many share a domain", (0, 1)),
        (small(Limit(LimitKind.REQUIRE, 1, 1, 0, self_counts=True)), "no template", (2,)),
        (small(item={"gang": [-1, 0, 0]}, gangs=("g",)), "gangs", (1, 2)),
        (small(inflight=Inflight.of([0], [2]), item={"movable": [False, True, True]}),
         "moves in flight", (0,)),
        (small(budgets=Budgets.of([[0, 1]], [1], scope=int(Scope.PLAN))), "whole plan", (0, 1)),
    ],
)  # fmt: skip
def test_what_has_no_form_keeps_still(
    kube: SimpleNamespace, problem: PlacementProblem, why: str, kept: tuple[int, ...]
) -> None:
    """Items of such rules are neither moved nor placed, and are named; the others are free."""
    again, told = raised(kube, problem)
    assert why in told
    for item in range(3):
        free = again.items.movable[item] and eligible(again)[item].any()
        assert free == (item not in kept)


def test_budgets_are_per_namespace(kube: SimpleNamespace) -> None:
    """One over pods of two namespaces has no form."""
    again, told = raised(kube, small(budgets=Budgets.of([[0, 1]], [1], names=["shop/web"])))
    assert told == ""
    assert again.budgets.names == ("shop/web",)
    assert again.budgets.allowed.tolist() == [1]
    items = replace(small().items, names=("x", "shop/y", "shop/z"))
    _, told = raised(kube, small(items=items, budgets=Budgets.of([[0, 1]], [1])))
    assert "several namespaces" in told


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("a", "default/a", "b"), "two items would be the pod 'default/a'"),
        (("a b", "c", "d"), "a name that no pod may have"),
        (("a/b/c", "d", "e"), "a name that no pod may have"),
    ],
)
def test_names(names: tuple[str, ...], why: str) -> None:
    """Names must be those of pods."""
    problem = small(items=replace(small().items, names=names))
    with pytest.raises(FormatError, match=why):
        objects_of(problem)


def test_no_pods() -> None:
    """Items that move as VMs do are none."""
    with pytest.raises(FormatError, match="holds two hosts while it moves"):
        objects_of(small(item={"lets_go_first": False}))
