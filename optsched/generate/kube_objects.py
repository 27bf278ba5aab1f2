"""Kubernetes objects as an API server returns them, made from short descriptions.

Defaults that the server, the controllers, the scheduler and the kubelet fill in are filled in, so
that a reader of `kubectl get -o json` meets here what it meets in a cluster. Names, hashes, UIDs
and times come from one seed.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Object = dict[str, Any]

ZONE = "topology.kubernetes.io/zone"
HOSTNAME = "kubernetes.io/hostname"
SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # what Kubernetes makes name suffixes of
API_VERSIONS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Job": "batch/v1",
}
NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
PRESSURES = ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")


@dataclass(frozen=True)
class NodeShape:
    """A node; `cores` and `gibibytes` before what the system keeps for itself."""

    name: str
    pool: str
    zone: str
    cores: int
    gibibytes: int
    gpus: int = 0
    taint: tuple[str, str] | None = None
    cordoned: bool = False

    @property
    def allocatable(self) -> dict[str, int]:
        """What pods may ask for: milli-CPU, MiB, GPUs, pods."""
        memory = self.gibibytes * 1024 - 255 - self.gibibytes * 40
        return {"cpu": self.cores * 1000 - 90, "memory": memory, "gpus": self.gpus, "pods": 110}


@dataclass(frozen=True)
class Workload:
    """Equal pods of one owner.

    Attributes
    ----------
    cpu, memory, gpus
        Requests of the main container in milli-CPU, MiB and whole GPUs.
    sidecar
        Milli-CPU and MiB of a container that starts first and runs along.
    kind
        Deployment, StatefulSet, DaemonSet, Job, or Pod for a pod without an owner.
    apart
        Whether two of its pods must not share a node.
    spread
        "", or what happens if zones get uneven: DoNotSchedule or ScheduleAnyway.
    budget
        Spec of its PodDisruptionBudget, without the selector.
    storage
        GiB of a claim per pod; 0: none.
    scratch
        Whether it keeps data on the node's disk.
    selector, prefers
        Labels that its nodes must have, or had better have.
    tolerates
        Taint keys.
    days
        Age.
    """

    name: str
    namespace: str
    replicas: int
    cpu: int
    memory: int
    gpus: int = 0
    sidecar: tuple[int, int] | None = None
    kind: str = "Deployment"
    priority: str = "standard"
    selector: Mapping[str, str] = field(default_factory=dict)
    prefers: Mapping[str, str] = field(default_factory=dict)
    tolerates: tuple[str, ...] = ()
    apart: bool = False
    spread: str = ""
    budget: Mapping[str, Any] = field(default_factory=dict)
    storage: int = 0
    scratch: bool = False
    host_port: int = 0
    annotations: Mapping[str, str] = field(default_factory=dict)
    days: int = 30

    def requests(self) -> dict[str, int]:
        """What one pod asks for, as in `NodeShape.allocatable`."""
        cpu, memory = self.sidecar or (0, 0)
        return {
            "cpu": self.cpu + cpu,
            "memory": self.memory + memory,
            "gpus": self.gpus,
            "pods": 1,
        }


@dataclass
class Maker:
    """Makes objects with names, UIDs and versions of their own.

    Attributes
    ----------
    now
        The time at which the dump is taken.
    priorities
        Value of each priority class.
    """

    seed: int
    now: datetime
    priorities: Mapping[str, int]

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._version = 1000
        self._addresses: dict[str, int] = {}

    def letters(self, count: int) -> str:
        """A name suffix."""
        return "".join(self._random.choice(SAFE_LETTERS) for _ in range(count))

    def time(self, **ago: float) -> str:
        """A time before now."""
        return (self.now - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def metadata(self, name: str, created: str, namespace: str = "", **more: Any) -> Object:
        """Metadata with a new UID and resource version."""
        self._version += self._random.randint(1, 40)
        made = {
            "creationTimestamp": created,
            "name": name,
            "resourceVersion": str(self._version),
            "uid": str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            **{key: value for key, value in more.items() if value},
        }
        return {**made, "namespace": namespace} if namespace else made

    def address(self, node: int) -> str:
        """The next pod address of a node."""
        key = f"10.244.{node}"
        self._addresses[key] = self._addresses.get(key, 1) + 1
        return f"{key}.{self._addresses[key]}"

    def node(self, shape: NodeShape, number: int) -> Object:
        """A ready node."""
        created = self.time(days=120, minutes=7 * number)
        labels = {
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/os": "linux",
            HOSTNAME: shape.name,
            "node.kubernetes.io/instance-type": f"{shape.pool}-{shape.cores}x{shape.gibibytes}",
            "topology.kubernetes.io/region": "eu-1",
            ZONE: shape.zone,
            "pool": shape.pool,
        }
        taints = []
        if shape.taint:
            taints.append({"effect": "NoSchedule", "key": shape.taint[0], "value": shape.taint[1]})
        if shape.cordoned:
            taints.append(
                {
                    "effect": "NoSchedule",
                    "key": "node.kubernetes.io/unschedulable",
                    "timeAdded": self.time(hours=20),
                }
            )
        cidr = f"10.244.{number}.0/24"
        spec: Object = {"podCIDR": cidr, "podCIDRs": [cidr]}
        if taints:
            spec["taints"] = taints
        if shape.cordoned:
            spec["unschedulable"] = True
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": self.metadata(shape.name, created, labels=labels),
            "spec": spec,
            "status": self._node_status(shape, number, created),
        }

    def _node_status(self, shape: NodeShape, number: int, created: str) -> Object:
        gpus = {"nvidia.com/gpu": str(shape.gpus)} if shape.gpus else {}
        room = shape.allocatable
        beat = self.time(seconds=20 + 3 * number)
        healthy = {
            "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
            "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
            "PIDPressure": ("False", "KubeletHasSufficientPID"),
            "Ready": ("True", "KubeletReady"),
        }
        return {
            "addresses": [
                {"address": f"10.0.{number // 200}.{number % 200 + 10}", "type": "InternalIP"},
                {"address": shape.name, "type": "Hostname"},
            ],
            "allocatable": {
                "cpu": f"{room['cpu']}m",
                "ephemeral-storage": "95551679124",
                "hugepages-1Gi": "0",
                "hugepages-2Mi": "0",
                "memory": f"{room['memory'] * 1024}Ki",
                "pods": "110",
                **gpus,
            },
            "capacity": {
                "cpu": str(shape.cores),
                "ephemeral-storage": "103684480Ki",
                "hugepages-1Gi": "0",
                "hugepages-2Mi": "0",
                "memory": f"{shape.gibibytes * 1048576 - 412340}Ki",
                "pods": "110",
                **gpus,
            },
            "conditions": [
                {
                    "lastHeartbeatTime": beat,
                    "lastTransitionTime": created,
                    "message": reason,
                    "reason": reason,
                    "status": status,
                    "type": kind,
                }
                for kind, (status, reason) in healthy.items()
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": self.letters(12),
                "containerRuntimeVersion": "containerd://2.1.4",
                "kernelVersion": "6.12.0",
                "kubeProxyVersion": "",
                "kubeletVersion": "v1.36.2",
                "machineID": self.letters(12),
                "operatingSystem": "linux",
                "osImage": "Linux",
                "systemUUID": self.letters(12),
            },
        }


def owner_reference(owner: Object) -> Object:
    """How an object points to its controller."""
    return {
        "apiVersion": owner["apiVersion"],
        "blockOwnerDeletion": True,
        "controller": True,
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
