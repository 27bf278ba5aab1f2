"""Rules between pods, and between pods and the domains of nodes: affinity, spread, ports."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from optsched.problem import LimitKind

from .conftest import ZONE, affinity, spread, term


@pytest.fixture
def zones(kube: SimpleNamespace) -> list[dict[str, Any]]:
    """Nodes a1 and a2 in zone a, b1 in zone b, x1 in none."""
    return [
        kube.node("a1", {ZONE: "a"}),
        kube.node("a2", {ZONE: "a"}),
        kube.node("b1", {ZONE: "b"}),
        kube.node("x1"),
    ]


def test_hostname_is_the_host_itself(kube: SimpleNamespace) -> None:
    """A key that tells all hosts apart needs no domains of its own."""
    rule = affinity("podAntiAffinity", term("web", "kubernetes.io/hostname"))
    pods = [
        kube.pod(n, h, labels={"app": "web"}, affinity=rule) for n, h in (("a", "n1"), ("b", ""))
    ]
    found = kube.problem(kube.node("n1"), kube.node("n2"), kube.replica_set(), *pods)
    assert found.where.keys == ("host",)
    assert kube.open_nodes(found, "b") == {"n2"}


def test_anti_affinity_binds_both_sides(kube: SimpleNamespace, zones: list[dict[str, Any]]) -> None:
    """A pod without a rule of its own may not join one that forbids it; no key, no domain."""
    loner = kube.pod("loner", "a1", affinity=affinity("podAntiAffinity", term("web")))
    found = kube.problem(*zones, loner, kube.pod("web", labels={"app": "web"}))
    assert kube.open_nodes(found, "web") == {"b1", "x1"}
    (row,) = range(len(found.limits))
    assert found.limits.kind[row] == LimitKind.CONFLICT
    assert found.limits.names[row] == f"anti-affinity to pods app=web in shop, per {ZONE}"


def test_limits_that_can_bind_nobody_are_left_out(
    kube: SimpleNamespace, zones: list[dict[str, Any]]
) -> None:
    """Pods that stay are held by nothing, and a pod alone in its group by nobody."""
    rule = affinity("podAntiAffinity", term("web"))
    pods = [
        kube.pod(f"p{i}", "a1", labels={"app": "web"}, affinity=rule, owner=None) for i in range(2)
    ]
    alone = kube.pod("q", labels={"app": "q"}, affinity=affinity("podAntiAffinity", term("q")))
    assert len(kube.problem(*zones, *pods, alone).limits) == 0


def test_affinity_needs_all_terms_at_once(
    kube: SimpleNamespace, zones: list[dict[str, Any]]
) -> None:
    """A pod counts only if it matches every term; then for each of the keys."""
    both = {
        "labelSelector": {"matchLabels": {"tier": "db"}},
        "topologyKey": "kubernetes.io/hostname",
    }
    pods = [
        kube.pod("half", "b1", labels={"app": "db"}),
        kube.pod("whole", "a1", labels={"app": "db", "tier": "db"}),
        kube.pod("p", affinity=affinity("podAffinity", term("db"), both)),
    ]
    found = kube.problem(*zones, *pods)
    assert kube.open_nodes(found, "p") == {"a1"}
    assert len(set(found.limits.bundle.tolist())) == 1


def test_the_first_pod_of_a_group(kube: SimpleNamespace, zones: list[dict[str, Any]]) -> None:
    """A pod that its own terms match may be the first, on a node that has the key."""
    rule = affinity("podAffinity", term("web"))
    first = kube.pod("p", labels={"app": "web"}, affinity=rule)
    stranger = kube.pod("q", labels={"app": "other"}, affinity=rule)
    found = kube.problem(*zones, first, stranger)
    assert kube.open_nodes(found, "p") == {"a1", "a2", "b1"}
    assert kube.open_nodes(found, "q") == set()


def test_namespace_selectors(kube: SimpleNamespace, zones: list[dict[str, Any]]) -> None:
    """They look at the labels of Namespace objects; {} is all namespaces, none is the own one."""
    other = kube.pod("db", "a1", labels={"app": "db"}, meta={"namespace": "data"})
    other["metadata"]["labels"] = {"app": "db"}
    spaces = [kube.namespace("data", team="x"), kube.namespace("shop", team="y")]

    def opened(**more: Any) -> set[str]:
        pod = kube.pod("p", affinity=affinity("podAffinity", term("db", **more)))
        return set(kube.open_nodes(kube.problem(*zones, *spaces, other, pod), "p"))

    assert opened() == set()
    assert opened(namespaces=["data"]) == {"a1", "a2"}
    assert opened(namespaceSelector={}) == {"a1", "a2"}
    assert opened(namespaceSelector={"matchLabels": {"team": "x"}}) == {"a1", "a2"}
    assert opened(namespaceSelector={"matchLabels": {"team": "y"}}) == set()


def test_namespace_labels_that_are_not_there(
    kube: SimpleNamespace, zones: list[dict[str, Any]]
) -> None:
    """Without Namespace objects only the name label is known; what asks for more is unmodelled."""
    by_team = term("web", namespaceSelector={"matchLabels": {"team": "x"}})
    by_name = term(
        "web", namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "shop"}}
    )
    pods = [
        kube.pod("team", affinity=affinity("podAntiAffinity", by_team)),
        kube.pod("name", affinity=affinity("podAntiAffinity", by_name)),
        kube.pod("guard", "b1", affinity=affinity("podAntiAffinity", by_team)),
        kube.pod("web", labels={"app": "web"}),
    ]
    found = kube.problem(*zones, *pods)
    assert kube.open_nodes(found, "team") == set()
    assert len(kube.open_nodes(found, "name")) == 4
    assert "not modelled" in kube.pin(found, "guard")
    assert kube.open_nodes(found, "web") == {"a1", "a2", "x1"}, (
        "its guard might match any namespace"
    )
    assert any("namespaceSelector" in one and "shop/team" in one for one in found.warnings)


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ({}, {"b1"}),
        ({"maxSkew": 2}, {"a1", "a2", "b1"}),
        ({"minDomains": 3}, {"b1"}),
        ({"labelSelector": {}}, {"a1", "a2", "b1"}),
        ({"labelSelector": None}, {"a1", "a2", "b1"}),
        ({"whenUnsatisfiable": "ScheduleAnyway"}, {"a1", "a2", "b1", "x1"}),
        ({"whenUnsatisfiable": "Sometimes"}, set()),
        ({"nodeTaintsPolicy": "Maybe"}, set()),
    ],
)
def test_spread(
    kube: SimpleNamespace,
    zones: list[dict[str, Any]],
    constraint: dict[str, Any],
    expected: set[str],
) -> None:
    """Zone a holds one pod that counts and one that is terminating."""
    going = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    pods = [
        kube.pod("w1", "a1", labels={"app": "web"}),
        kube.pod("w2", "b1", labels={"app": "web"}, meta=going),
        kube.pod("p", labels={"app": "web"}, topologySpreadConstraints=spread(**constraint)),
    ]
    pods[1]["metadata"]["labels"] = {"app": "web"}
    assert kube.open_nodes(kube.problem(*zones, *pods), "p") == expected


def test_host_ports(kube: SimpleNamespace) -> None:
    """No address clashes with every address; protocols and other addresses are apart."""

    def taking(name: str, node: str, **port: Any) -> dict[str, Any]:
        ports = [{"containerPort": 80, "hostPort": 80, **port}]
        return dict(kube.pod(name, node, containers=[{"name": "c", "ports": ports}]))

    nodes = [kube.node("n1"), kube.node("n2"), kube.node("n3")]
    found = kube.problem(
        *nodes,
        taking("any", "n1"),
        taking("one", "n2", hostIP="10.0.0.1"),
        taking("udp", "n3", protocol="UDP"),
        taking("p", ""),
        taking("q", "", hostIP="10.0.0.2"),
    )
    assert kube.open_nodes(found, "p") == {"n3"}
    assert kube.open_nodes(found, "q") == {"n2", "n3"}


def test_equal_pods_share_rows(kube: SimpleNamespace) -> None:
    """A hundred replicas need one row of nodes and no limits of their own."""
    rule = affinity("podAntiAffinity", term("web"))
    pods = [kube.pod(f"p{i}", labels={"app": "web"}, affinity=rule) for i in range(100)]
    found = kube.problem(kube.node("n1", {ZONE: "a"}), *pods)
    assert len(found.limits) == 1
    assert len(np.unique(found.where.item_eligible)) == 1
