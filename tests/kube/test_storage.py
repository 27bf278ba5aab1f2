"""Volumes: which nodes they exclude, whom they pin, how many fit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from optsched.kube import KubeOptions

ZONE = "topology.kubernetes.io/zone"
Json = dict[str, Any]


def claim(name: str, volume: str = "", storage: str = "fast", **more: Any) -> Json:
    """A claim, bound to a volume or not."""
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "shop", **more.pop("meta", {})},
        "spec": {"volumeName": volume, "storageClassName": storage, **more},
        "status": {"phase": "Bound" if volume else "Pending"},
    }


def volume(name: str, labels: Json | None = None, **spec: Any) -> Json:
    """A PersistentVolume."""
    return {
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"storageClassName": "fast", **spec},
    }


def in_zone(zone: str) -> Json:
    """The node affinity of a volume that lives in a zone."""
    row = {"key": ZONE, "operator": "In", "values": [zone]}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [row]}]}}


def storage_class(name: str = "fast", mode: str = "WaitForFirstConsumer", **more: Any) -> Json:
    """A StorageClass."""
    return {
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "csi.example.com",
        "volumeBindingMode": mode,
        **more,
    }


def csi_node(name: str, count: int | None = None) -> Json:
    """What a node can attach of the driver csi.example.com."""
    driver = {"name": "csi.example.com", "allocatable": {"count": count} if count else None}
    return {"kind": "CSINode", "metadata": {"name": name}, "spec": {"drivers": [driver]}}


def using(kube: SimpleNamespace, pod: str, *claims: str, node: str = "", **more: Any) -> Json:
    """A pod with claims."""
    volumes = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
    return dict(kube.pod(pod, node, volumes=volumes, **more))


@pytest.fixture
def base(kube: SimpleNamespace) -> list[Json]:
    """Nodes a1 (zone a), b1 (zone b) and x1 (no zone), and drivers without limits."""
    nodes = [kube.node("a1", {ZONE: "a"}), kube.node("b1", {ZONE: "b"}), kube.node("x1")]
    return [*nodes, *(csi_node(n) for n in ("a1", "b1", "x1")), kube.replica_set()]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([claim("c", "v"), volume("v")], {"a1", "b1", "x1"}),
        ([claim("c", "v"), volume("v", nodeAffinity=in_zone("b"))], {"b1"}),
        ([claim("c", "v"), volume("v", {ZONE: "a__c"})], {"a1", "x1"}),
        (
            [claim("c", "v"), volume("v", {"failure-domain.beta.kubernetes.io/zone": "b"})],
            {"b1", "x1"},
        ),
        ([claim("c"), storage_class()], {"a1", "b1", "x1"}),
        ([claim("c"), storage_class(mode="Immediate")], set()),
        (
            [
                claim("c"),
                storage_class(
                    allowedTopologies=[{"matchLabelExpressions": [{"key": ZONE, "values": ["a"]}]}]
                ),
            ],
            {"a1"},
        ),
        (
            [
                claim(
                    "c",
                    meta={"annotations": {"volume.kubernetes.io/selected-node": "b1"}},
                ),
                storage_class(),
            ],
            {"b1"},
        ),
        ([claim("c", meta={"deletionTimestamp": "2026-01-01T00:00:00Z"})], set()),
        ([claim("other", "v"), volume("v")], set()),
        ([claim("c", "v"), volume("w")], set()),
    ],
)
def test_where_volumes_can_be_used(
    kube: SimpleNamespace, base: list[Json], objects: list[Json], expected: set[str]
) -> None:
    """Bound volumes keep to their nodes, unbound ones to where they can be made, others nowhere."""
    found = kube.problem(*base, *objects, using(kube, "p", "c"))
    assert kube.open_nodes(found, "p") == expected
    assert not any("not modelled" in one for one in found.warnings)


@pytest.mark.parametrize(
    ("objects", "field"),
    [
        ([], "claims (the input has no PersistentVolumeClaim)"),
        ([claim("c", "v")], "claims (the input has no PersistentVolume)"),
        ([claim("c")], "unbound claims without a known StorageClass"),
        (
            [claim("c"), storage_class() | {"provisioner": "kubernetes.io/no-provisioner"}],
            "unbound claims of local volumes",
        ),
    ],
)
def test_kinds_that_are_absent(
    kube: SimpleNamespace, base: list[Json], objects: list[Json], field: str
) -> None:
    """Without the objects that decide, a pod stays pending and is named."""
    found = kube.problem(*base, *objects, using(kube, "p", "c"))
    assert kube.open_nodes(found, "p") == set()
    assert any(f"{field}: shop/p" in one for one in found.warnings)


def test_csi_volumes_need_csi_nodes(kube: SimpleNamespace) -> None:
    """Limits are unknown if no CSINode is there."""
    objects = [claim("c", "v"), volume("v", csi={"driver": "csi.example.com"})]
    found = kube.problem(kube.node("n1"), *objects, using(kube, "p", "c"))
    assert any("no CSINode" in one for one in found.warnings)


def test_volume_limits_are_a_resource(kube: SimpleNamespace) -> None:
    """A node takes as many volumes as its driver says; one without a limit takes all."""
    objects = [
        kube.node("full"),
        kube.node("room"),
        kube.node("free"),
        csi_node("full", 1),
        csi_node("room", 2),
        csi_node("free"),
        *(claim(f"c{i}", f"v{i}") for i in range(3)),
        *(volume(f"v{i}", csi={"driver": "csi.example.com"}) for i in range(3)),
        using(kube, "there", "c0", node="full"),
        using(kube, "p", "c1", "c2"),
    ]
    found = kube.problem(*objects)
    assert found.resources[-1] == "attachable-volumes-csi.example.com"
    assert found.items.demand[:, -1].tolist() == [1, 2]
    assert kube.open_nodes(found, "p") == {"room", "free"}


def test_read_write_once_pod(kube: SimpleNamespace, base: list[Json]) -> None:
    """Whoever holds such a claim stays, and nobody else can use it."""
    once = claim("c", "v", accessModes=["ReadWriteOncePod"])
    pods = [using(kube, "holder", "c", node="a1"), using(kube, "waiter", "c")]
    found = kube.problem(*base, once, volume("v"), *pods)
    assert kube.pin(found, "holder") == "its claim c is ReadWriteOncePod"
    assert kube.open_nodes(found, "waiter") == set()
    alone = kube.problem(*base, once, volume("v"), pods[1])
    assert kube.open_nodes(alone, "waiter") == {"a1", "b1", "x1"}


def test_generic_ephemeral_volumes_are_claims(kube: SimpleNamespace, base: list[Json]) -> None:
    """Their claim is named after the pod and the volume."""
    pod = kube.pod("p", volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}])
    bound = [claim("p-scratch", "v"), volume("v", nodeAffinity=in_zone("a"))]
    assert kube.open_nodes(kube.problem(*base, *bound, pod), "p") == {"a1"}


def test_claims_move_only_where_their_class_is_allowed(
    kube: SimpleNamespace, base: list[Json]
) -> None:
    """Storage classes are opted in one by one; local volumes never move."""
    allowed = KubeOptions(movable_storage_classes=frozenset(("fast",)))

    def why(options: KubeOptions | None, **spec: Any) -> str:
        objects = [claim("c", "v"), volume("v", **spec), using(kube, "p", "c", node="a1")]
        return str(kube.pin(kube.problem(*base, *objects, options=options), "p"))

    assert "storage class is not allowed to move" in why(None)
    assert why(allowed) == ""
    assert why(allowed, local={"path": "/data"}) == "it has a local volume"


def test_a_running_pod_whose_claim_is_gone_stays(kube: SimpleNamespace, base: list[Json]) -> None:
    """Its replacement could not start."""
    objects = [claim("other", "v"), volume("v"), using(kube, "p", "c", node="a1")]
    assert "its claim c is missing" in kube.pin(kube.problem(*base, *objects), "p")
