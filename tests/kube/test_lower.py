"""Nodes and pods as the tables carry them, and what is not modelled or cannot be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from optsched.errors import FormatError
from optsched.kube import KubeOptions, lower
from optsched.kube.words import why_excluded, why_pinned

from .conftest import affinity, spread, term


def test_requirements_name_what_excludes(kube: SimpleNamespace) -> None:
    """Each excluded node says by which of the pod's requirements, in words."""
    nodes = [
        kube.node("plain"),
        kube.node("ssd", {"disk": "ssd"}),
        kube.node("tainted", {"disk": "ssd"}, [{"key": "gpu", "effect": "NoSchedule"}]),
        kube.node("cordoned", {"disk": "ssd"}, unschedulable=True),
        kube.node(
            "leaving", {"disk": "ssd"}, [{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]
        ),
    ]
    pods = [
        kube.pod("p", nodeSelector={"disk": "ssd"}),
        kube.pod("all", tolerations=[{"operator": "Exists"}]),
    ]
    found = kube.problem(*nodes, *pods)
    assert kube.open_nodes(found, "p") == {"ssd"}
    assert kube.open_nodes(found, "all") == {"plain", "ssd", "tainted", "cordoned"}
    assert [why_excluded(found, 0, h) for h in range(5)] == [
        "plain is excluded by node selector",
        "",
        "tainted is excluded by taint",
        "cordoned is excluded by cordon",
        "leaving is excluded by taint, node being removed",
    ]


def test_finished_pods_hold_nothing(kube: SimpleNamespace) -> None:
    """Succeeded and Failed pods are no items; terminating ones are, and stay."""
    done = kube.pod("done", "n1", status={"phase": "Succeeded"})
    going = kube.pod("going", "n1", meta={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    found = kube.problem(kube.node("n1"), done, going)
    assert found.items.names == ("shop/going",)
    assert kube.pin(found, "going") == "it is terminating"


def test_what_is_not_modelled_stays_and_is_named(kube: SimpleNamespace) -> None:
    """A field that is not known makes a pod unmodelled, wherever in the rules it stands."""
    odd = [
        kube.pod("claim", resourceClaims=[{"name": "gpu"}]),
        kube.pod("new", "n1", cpu="2", galaxy={"arm": 1}),
        kube.pod("deep", affinity=affinity("podAffinity", term("x", moon="full"))),
        kube.pod("operator", tolerations=[{"key": "a", "operator": "Gt", "value": "1"}]),
        kube.pod("disk", volumes=[{"name": "v", "gcePersistentDisk": {"pdName": "d"}}]),
        kube.pod("gang", labels={"scheduling.x-k8s.io/pod-group": "g"}),
    ]
    found = kube.problem(kube.node("n1"), *odd)
    assert all(kube.open_nodes(found, p["metadata"]["name"]) == set() for p in odd)
    assert found.items.demand[1, 0] == 2000
    text = "\n".join(found.warnings)
    for field in (
        "resourceClaims: shop/claim",
        "spec.galaxy: shop/new",
        "requiredDuringSchedulingIgnoredDuringExecution[].moon: shop/deep",
        "toleration operator Gt: shop/operator",
        "spec.volumes[].gcePersistentDisk: shop/disk",
        "pod group: shop/gang",
    ):
        assert field in text


def test_gates_and_other_schedulers(kube: SimpleNamespace) -> None:
    """Gated pods and pods of other schedulers stay pending, and the warnings say so."""
    pods = [
        kube.pod("gated", schedulingGates=[{"name": "wait"}]),
        kube.pod("foreign", schedulerName="volcano"),
        kube.pod("foreign2", "n1", schedulerName="volcano"),
    ]
    found = kube.problem(kube.node("n1"), *pods)
    assert kube.open_nodes(found, "gated") == kube.open_nodes(found, "foreign") == set()
    assert kube.pin(found, "foreign2") == "scheduler volcano placed it"
    assert any("scheduling gates: shop/gated" in one for one in found.warnings)
    both = KubeOptions(scheduler_names=frozenset(("volcano",)))
    assert kube.open_nodes(kube.problem(kube.node("n1"), *pods, options=both), "foreign") == {"n1"}


def test_tiers_follow_priorities(kube: SimpleNamespace) -> None:
    """The highest priority is tier 0; classes that share a value share a tier and its name."""
    classes = [
        {"kind": "PriorityClass", "metadata": {"name": n}, "value": v, "globalDefault": v == 5}
        for n, v in (("high", 9), ("prod", 5), ("prod2", 5))
    ]
    pods = [
        kube.pod("a", priority=5, priorityClassName="prod"),
        kube.pod("b", priorityClassName="high", preemptionPolicy="Never"),
        kube.pod("c", priority=5, priorityClassName="prod2"),
        kube.pod("d"),
        kube.pod("e", priority=-1),
    ]
    found = kube.problem(kube.node("n1"), *classes, *pods)
    assert found.tiers == ("high (9)", "prod, prod2 (5)", "priority -1")
    assert found.items.tier.tolist() == [1, 0, 1, 1, 2]
    assert found.items.may_evict_others.tolist() == [True, False, True, True, True]


def test_resources(kube: SimpleNamespace) -> None:
    """Columns are what pods ask for; allocatable counts, and a missing resource is none of it."""
    gpu = {"requests": {"nvidia.com/gpu": "1", "hugepages-2Mi": "0"}}
    found = kube.problem(
        kube.node("n1", allocatable={"nvidia.com/gpu": "2", "example.com/unused": "7"}),
        kube.node("n2"),
        kube.pod("p", containers=[{"name": "c", "resources": gpu}]),
    )
    assert found.resources == ("cpu", "memory", "pods", "nvidia.com/gpu")
    assert found.hosts.capacity.tolist() == [[4000, 8 << 30, 10, 2], [4000, 8 << 30, 10, 0]]
    assert found.items.demand.tolist() == [[0, 0, 1, 1]]


def test_owners_and_pods_on_every_node(kube: SimpleNamespace) -> None:
    """Pods of one controller share an owner; DaemonSet and static pods do not occupy a node."""
    pods = [
        kube.pod("a", "n1"),
        kube.pod("b", "n1"),
        kube.pod("c", "n1", owner=("DaemonSet", "agent")),
        kube.pod("d", "n1", owner=None, meta={"annotations": {"kubernetes.io/config.mirror": "x"}}),
    ]
    found = kube.problem(kube.node("n1"), *pods)
    assert found.owners == ("ReplicaSet shop/web", "DaemonSet shop/agent")
    assert found.items.owner.tolist() == [0, 0, 1, -1]
    assert found.items.occupies.tolist() == [True, True, False, False]


def test_odd_clusters_are_warned_about(kube: SimpleNamespace) -> None:
    """What can really be so is no error: overcommitted nodes, pods of nodes that went away."""
    found = kube.problem(
        kube.node("n1"),
        *(kube.pod(f"p{i}", "n1", cpu="3") for i in range(2)),
        kube.pod("orphan", "gone"),
        kube.pod("vast", cpu="8E"),
    )
    assert "shop/orphan" not in found.items.names
    text = "\n".join(found.warnings)
    assert "n1 (cpu)" in text
    assert "node is not there: shop/orphan" in text
    assert "more than any node can have: shop/vast" in text
    assert "no PodDisruptionBudget" in text
    assert kube.open_nodes(found, "vast") == set()


def test_empty_clusters(kube: SimpleNamespace) -> None:
    """No pods, or no nodes yet, are problems like any other."""
    assert len(kube.problem(kube.node("n1")).items) == 0
    rule = affinity("podAffinity", term("x"))
    waiting = kube.problem(
        kube.pod("p", affinity=rule, topologySpreadConstraints=spread(), nodeSelector={"a": "b"})
    )
    assert len(waiting.hosts) == 0
    assert kube.open_nodes(waiting, "p") == set()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda k: [k.node("n1"), k.node("n1")], "node 'n1' is listed twice"),
        (lambda k: [k.pod("p"), k.pod("p")], "pod 'shop/p' is listed twice"),
        (lambda k: [k.pod("p", "n1")], "pod 'shop/p' runs on node 'n1', but the input holds no n"),
        (lambda k: [k.node("n1", allocatable={"cpu": "-1"})], "node 'n1': the quantity '-1' is ne"),
        (lambda k: [k.node("n1", allocatable={"cpu": "9Ei"})], "node 'n1': 9Ei of cpu is absurd"),
        (lambda k: [k.node("n1"), k.pod("p", cpu="lots")], "pod 'shop/p': 'lots' is not a Kuber"),
        (
            lambda k: [k.disruption_budget("b", 1), k.disruption_budget("b", 1)],
            "PodDisruptionBudget 'shop/b' is listed twice",
        ),
        (lambda k: [k.pod("p" * 300)], "has a name of 300 characters"),
        (lambda k: [{"kind": "Node", "metadata": {}}], "Node '' has no name"),
        (lambda k: [k.node("n1", taints="none")], "Node 'n1': Expected `array"),
    ],
)
def test_bad_input_is_named(kube: SimpleNamespace, change: Any, message: str) -> None:
    """What cannot be is an error of one sentence that names the object."""
    with pytest.raises(FormatError, match=message.replace("(", r"\(")):
        kube.problem(*change(kube))


def test_the_same_objects_give_the_same_problem(kube: SimpleNamespace) -> None:
    """Translation is deterministic."""
    objects = [
        kube.node("n1"),
        kube.disruption_budget("b", 1, {"app": "web"}),
        *(kube.pod(f"p{i}", "n1", labels={"app": "web"}) for i in range(3)),
    ]
    assert lower(kube.cluster(*objects)).digest() == lower(kube.cluster(*objects)).digest()


def test_a_pin_in_words(kube: SimpleNamespace) -> None:
    """The reason completes a sentence; pods that may move have none."""
    found = kube.problem(
        kube.node("n1"),
        kube.replica_set(),
        kube.pod("a", "n1", owner=None),
        kube.pod("b", "n1"),
    )
    assert why_pinned(found, 0) == "shop/a stays because no controller would recreate it"
    assert why_pinned(found, 1) == why_excluded(found, 1, 0) == ""
