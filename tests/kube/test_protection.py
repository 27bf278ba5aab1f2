"""The never-move list, reason by reason, and disruption budgets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from optsched.errors import FormatError
from optsched.kube import KubeOptions
from optsched.problem import Scope


def reason(
    kube: SimpleNamespace, *others: Any, options: KubeOptions | None = None, **pod: Any
) -> str:
    """Why the pod "p" of a ReplicaSet with three replicas stays on node n1."""
    objects = [kube.node("n1"), kube.replica_set(), *others, kube.pod("p", "n1", **pod)]
    return str(kube.pin(kube.problem(*objects, options=options), "p"))


def notes(**annotations: str) -> dict[str, Any]:
    """Metadata with annotations; __ stands for / and _ for -."""
    keys = {k.replace("__", "/").replace("_", "-"): v for k, v in annotations.items()}
    return {"annotations": keys}


def test_a_plain_replica_may_move(kube: SimpleNamespace) -> None:
    """With a controller, ready, not alone, without local data: nothing holds it."""
    assert reason(kube) == ""


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({"meta": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, "it is terminating"),
        ({"owner": ("Node", "n1")}, "it is a static pod"),
        ({"meta": notes(**{"kubernetes.io__config.mirror": "h"})}, "it is a static pod"),
        ({"owner": ("DaemonSet", "d")}, "it belongs to a DaemonSet"),
        ({"owner": None}, "no controller would recreate it"),
        ({"owner": ("Frob", "f")}, "it is not known whether a Frob recreates it"),
        ({"owner": ("Job", "j")}, "it would lose the work of a Job"),
        ({"restartPolicy": "Never"}, "it would lose the work of a Job"),
        ({"status": {"phase": "Running"}}, "it is not ready"),
        ({"status": {"phase": "Pending"}}, "it is not ready"),
        ({"labels": {"kubevirt.io": "virt-launcher"}}, "it holds a virtual machine"),
        ({"labels": {"scheduling.x-k8s.io/pod-group": "g"}}, "it belongs to a pod group"),
        ({"priority": 2_000_000_000}, "it has a system priority"),
        ({"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}, "it uses a path on its node"),
        (
            {"volumes": [{"name": "e", "emptyDir": {}}]},
            "it keeps scratch data on its node's disk",
        ),
        ({"volumes": [{"name": "e", "emptyDir": {"medium": "Memory"}}]}, ""),
        ({"volumes": [{"name": "c", "configMap": {"name": "x"}}]}, ""),
    ],
)
def test_reasons(kube: SimpleNamespace, pod: dict[str, Any], expected: str) -> None:
    """Each entry of the list by itself."""
    assert reason(kube, **pod) == expected


@pytest.mark.parametrize(
    ("key", "value", "held"),
    [
        ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false", True),
        ("cluster-autoscaler.kubernetes.io/safe-to-evict", "on-completion", True),
        ("cluster-autoscaler.kubernetes.io/safe-to-evict", "true", False),
        ("karpenter.sh/do-not-disrupt", "true", True),
        ("karpenter.sh/do-not-disrupt", "5m", True),
        ("karpenter.sh/do-not-disrupt", "false", False),
        ("descheduler.alpha.kubernetes.io/prefer-no-eviction", "", True),
        ("scheduling.koordinator.sh/refuse-to-migrate", "true", True),
        ("optsched.io/movable", "false", True),
        ("optsched.io/movable", "true", False),
    ],
)
def test_annotations(kube: SimpleNamespace, key: str, value: str, held: bool) -> None:
    """What other tools respect is respected here."""
    meta = {"annotations": {key: value}}
    assert reason(kube, meta=meta) == ("an annotation forbids it" if held else "")


def test_wishes_open_what_settings_close(kube: SimpleNamespace) -> None:
    """An opt-in overrides the caution about replicas, jobs and scratch data, and nothing else."""
    meta = notes(**{"optsched.io__movable": "true"})
    disk = [{"name": "e", "emptyDir": {}}]
    assert reason(kube, owner=("Job", "j"), volumes=disk, meta=meta) == ""
    few = kube.replica_set("few", replicas=1)
    assert reason(kube, few, owner=("ReplicaSet", "few"), meta=meta) == ""
    named = notes(**{"cluster-autoscaler.kubernetes.io__safe-to-evict-local-volumes": "e, f"})
    assert reason(kube, volumes=disk, meta=named) == ""
    assert reason(kube, meta=meta | {"deletionTimestamp": "2026-01-01T00:00:00Z"}) != ""


def test_settings_open_too(kube: SimpleNamespace) -> None:
    """Each caution has its setting."""
    disk = [{"name": "e", "emptyDir": {}}]
    assert reason(kube, volumes=disk, options=KubeOptions(move_local_storage=True)) == ""
    assert reason(kube, owner=("Job", "j"), options=KubeOptions(move_jobs=True)) == ""
    everywhere = KubeOptions(protected_namespaces=frozenset(("shop",)))
    assert reason(kube, options=everywhere) == "namespace shop is protected"


def test_owners(kube: SimpleNamespace) -> None:
    """Too few replicas, a named node or a rollout under way hold a pod."""
    few = kube.replica_set("few", replicas=1)
    assert reason(kube, few, owner=("ReplicaSet", "few")).endswith("fewer than 2 replicas")
    one = KubeOptions(min_replicas=1)
    assert reason(kube, few, owner=("ReplicaSet", "few"), options=one) == ""
    assert reason(kube, owner=("StatefulSet", "no-kind")).endswith("fewer than 2 replicas")
    fixed = kube.replica_set("fixed", template={"spec": {"nodeName": "n1"}})
    assert reason(kube, fixed, owner=("ReplicaSet", "fixed")) == "its owner names the node"
    rolling = {
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"replicas": 3},
        "status": {"updateRevision": "db-2"},
    }
    old = {"controller-revision-hash": "db-1"}
    assert "another revision" in reason(kube, rolling, owner=("StatefulSet", "db"), labels=old)


def test_ages_are_taken_from_the_newest_timestamp(kube: SimpleNamespace) -> None:
    """A young pod stays where a least age is set; `now` can be given."""
    born = {"creationTimestamp": "2026-01-01T00:00:00Z"}
    newer = kube.pod("q", "n1", meta={"creationTimestamp": "2026-01-01T00:05:00Z"})
    assert reason(kube, newer, meta=born) == ""
    assert "younger than 301 s" in reason(kube, newer, meta=born, options=KubeOptions(min_age=301))
    assert reason(kube, newer, meta=born, options=KubeOptions(min_age=300)) == ""
    later = KubeOptions(min_age=301, now="2026-01-01T01:00:00+00:00")
    assert reason(kube, newer, meta=born, options=later) == ""
    with pytest.raises(FormatError, match="'noon' is not a time"):
        reason(kube, meta=born, options=KubeOptions(min_age=1, now="noon"))


def test_a_guarded_node_keeps_its_pods(kube: SimpleNamespace) -> None:
    """Karpenter's annotation holds for a whole node, too."""
    node = kube.node("n1")
    node["metadata"]["annotations"] = {"karpenter.sh/do-not-disrupt": "true"}
    found = kube.problem(node, kube.replica_set(), kube.pod("p", "n1"))
    assert kube.pin(found, "p") == "its node must not be disrupted"


def test_disruption_budgets(kube: SimpleNamespace) -> None:
    """What a budget allows is a limit per wave; nothing allowed, or two budgets, hold the pods."""
    pods = [
        kube.pod("open", "n1", labels={"app": "open"}),
        kube.pod("shut", "n1", labels={"app": "shut"}),
        kube.pod("both", "n1", labels={"app": "both", "x": "y"}),
        kube.pod("free", "n1"),
    ]
    budgets = [
        kube.disruption_budget("open", 2, {"app": "open"}),
        kube.disruption_budget("shut", 0, {"app": "shut"}),
        kube.disruption_budget("both1", 1, {"app": "both"}),
        kube.disruption_budget("both2", 1, {"x": "y"}),
    ]
    found = kube.problem(kube.node("n1"), kube.replica_set(), *pods, *budgets)
    assert kube.pin(found, "open") == kube.pin(found, "free") == ""
    assert kube.pin(found, "shut") == "disruption budget shop/shut allows no disruption"
    assert "more than one disruption budget" in kube.pin(found, "both")
    assert found.budgets.names == ("shop/open",)
    assert found.budgets.allowed.tolist() == [2]
    assert found.budgets.scope.tolist() == [Scope.WAVE]
    assert found.budgets.groups[0].tolist() == [0]


def test_a_budget_that_lags_allows_nothing(kube: SimpleNamespace) -> None:
    """The eviction API refuses while the controller has not seen the newest spec."""
    budget = kube.disruption_budget("b", 2, {}, generation=2)
    found = kube.problem(kube.node("n1"), kube.replica_set(), kube.pod("p", "n1"), budget)
    assert kube.pin(found, "p") == "disruption budget shop/b allows no disruption"
