"""Builders of Kubernetes objects as JSON, with just what a test is about; fixture `kube`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from optsched.kube import Cluster, KubeOptions, lower
from optsched.problem import PlacementProblem
from optsched.rules import candidates
from optsched.state import State

Json = dict[str, Any]
ZONE = "topology.kubernetes.io/zone"


def node(
    name: str, labels: Json | None = None, taints: list[Json] | None = None, **more: Any
) -> Json:
    """A node with 4 CPUs, 8 GiB and 10 pods, unless `allocatable` says otherwise."""
    allocatable = {"cpu": "4", "memory": "8Gi", "pods": "10"} | more.pop("allocatable", {})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name} | (labels or {})},
        "spec": {"taints": taints or [], **more},
        "status": {"allocatable": allocatable},
    }


def pod(
    name: str,
    node_name: str = "",
    *,
    cpu: str = "1",
    labels: Json | None = None,
    owner: tuple[str, str] | None = ("ReplicaSet", "web"),
    meta: Json | None = None,
    status: Json | None = None,
    **spec: Any,
) -> Json:
    """A pod of one container; running and ready if it has a node."""
    owners = []
    if owner:
        owners = [
            {"kind": owner[0], "name": owner[1], "uid": f"uid-{owner[1]}", "controller": True}
        ]
    ready = [{"type": "Ready", "status": "True"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": labels or {},
            "ownerReferences": owners,
            **(meta or {}),
        },
        "spec": {
            "containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}],
            "nodeName": node_name,
            **spec,
        },
        "status": status or ({"phase": "Running", "conditions": ready} if node_name else {}),
    }


def replica_set(name: str = "web", replicas: int = 3, **spec: Any) -> Json:
    """A ReplicaSet."""
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"replicas": replicas, **spec},
    }


def disruption_budget(name: str, allowed: int, labels: Json | None = None, **meta: Any) -> Json:
    """A PodDisruptionBudget over the pods with these labels."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "shop", **meta},
        "spec": {"selector": {"matchLabels": labels or {}}},
        "status": {"disruptionsAllowed": allowed},
    }


def namespace(name: str, **labels: str) -> Json:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def cluster(*objects: Json) -> Cluster:
    """The objects, read from JSON."""
    found = Cluster()
    for one in objects:
        found.add(msgspec.Raw(msgspec.json.encode(one)))
    return found


def problem(*objects: Json, options: KubeOptions | None = None) -> PlacementProblem:
    """The placement problem of the objects."""
    return lower(cluster(*objects), options)


def open_nodes(found: PlacementProblem, item: str) -> set[str]:
    """The nodes that the pod "shop/<item>" may enter as things stand."""
    mask = candidates(State(found), found.items.names.index(f"shop/{item}"))
    return {found.hosts.names[h] for h in np.flatnonzero(mask).tolist()}


def pin(found: PlacementProblem, item: str) -> str:
    """Why the pod "shop/<item>" stays, or ""."""
    row = found.items.names.index(f"shop/{item}")
    reason = int(found.items.pinned_by[row])
    assert bool(found.items.movable[row]) == (reason < 0)
    return found.pin_reasons[reason] if reason >= 0 else ""


def term(app: str, key: str = ZONE, **more: Any) -> Json:
    """A required affinity term."""
    return {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, **more}


def affinity(kind: str, *terms: Json) -> Json:
    """An affinity of one kind."""
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def spread(**more: Any) -> list[Json]:
    """A constraint over zones."""
    base = {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    return [base | more]


@pytest.fixture(scope="session")
def kube() -> SimpleNamespace:
    """The builders above."""
    return SimpleNamespace(
        node=node,
        pod=pod,
        replica_set=replica_set,
        disruption_budget=disruption_budget,
        namespace=namespace,
        cluster=cluster,
        problem=problem,
        open_nodes=open_nodes,
        pin=pin,
    )
