"""The cluster that `make demo` solves, as `kubectl get ... -o json` prints one.

A web shop on 16 nodes. A scheduler that spreads load evenly, as the default one does, has filled
them, so every node has a little room and none has much; one node is cordoned for an upgrade. Then
came the morning's changes, and seven pods found no node, although there is room in total: the
third indexer, which needs almost half a node; a checkout, whose zones must stay even; an analytics
shard for the memory nodes, where pods sit that merely like it there; a training job that wants all
GPUs of one node; two report builders; and an importer that asks for more than any node has that
it may use.

    python -m optsched.generate.demo datasets/demo-cluster.json.gz
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from datetime import UTC, datetime

from optsched.snapshot import write_atomically

from .kube_objects import Maker, NodeShape, Object, Workload
from .kube_pods import pod
from .kube_workloads import DRIVER, STORAGE_CLASS, claim, own

SEED = 3
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
PRIORITIES = {
    "system-node-critical": 2000001000,
    "system-cluster-critical": 2000000000,
    "shop-critical": 10000,
    "standard": 1000,
    "batch": 100,
}
GPU = "nvidia.com/gpu"
SPOT = {"pool": "spot"}
MEMORY = {"pool": "memory"}
CRITICAL = "shop-critical"

# fmt: off
NODES = (
    *(NodeShape(f"general-{z}-{n}", "general", f"eu-1{z}", 8, 32, cordoned=(z, n) == ("c", 3))
      for z in "abc" for n in (1, 2, 3)),
    *(NodeShape(f"memory-{z}-1", "memory", f"eu-1{z}", 8, 64) for z in "ab"),
    *(NodeShape(f"spot-{z}-1", "spot", f"eu-1{z}", 8, 32, 0, ("spot", "true")) for z in "abc"),
    *(NodeShape(f"gpu-{z}-1", "gpu", f"eu-1{z}", 16, 64, 4, (GPU, "present")) for z in "ab"),
)

DAEMONS = tuple(
    Workload(name, namespace, len(NODES), cpu, memory, kind="DaemonSet", host_port=port,
             priority="system-node-critical", tolerates=("spot", GPU), days=120)
    for name, namespace, cpu, memory, port in (
        ("kube-proxy", "kube-system", 50, 64, 0),
        ("network-agent", "kube-system", 100, 128, 0),
        ("node-exporter", "monitoring", 50, 64, 9100),
        ("log-shipper", "monitoring", 100, 192, 0),
    )
)
WORKLOADS = (
    Workload("coredns", "kube-system", 2, 100, 72, priority="system-cluster-critical", days=119),
    Workload("postgres", "data", 3, 2000, 8192, kind="StatefulSet", apart=True, storage=200,
             budget={"maxUnavailable": 1}, days=110, priority=CRITICAL),
    Workload("events", "data", 3, 1000, 6144, kind="StatefulSet", apart=True, storage=100,
             budget={"maxUnavailable": 1}, days=100),
    Workload("ingress", "edge", 3, 600, 1024, apart=True, budget={"minAvailable": 2}, days=95,
             priority=CRITICAL),
    Workload("analytics", "data", 3, 1500, 24576, kind="StatefulSet", selector=MEMORY, days=90),
    Workload("feature-store", "ml", 4, 300, 10240, prefers=MEMORY, budget={"maxUnavailable": 1},
             days=85),
    Workload("session-cache", "shop", 3, 500, 6144, kind="StatefulSet",
             budget={"maxUnavailable": 1}, days=80),
    Workload("metrics", "monitoring", 1, 1000, 6144, kind="StatefulSet", storage=300, days=79),
    Workload("dashboards", "monitoring", 1, 200, 512, days=78),
    Workload("deployer", "platform", 1, 300, 512, days=75),
    Workload("search", "shop", 4, 1500, 4096, apart=True, budget={"maxUnavailable": 1}, days=60),
    Workload("catalog", "shop", 6, 600, 1024, sidecar=(100, 128), spread="ScheduleAnyway",
             budget={"maxUnavailable": 2}, days=50),
    Workload("payment", "shop", 3, 800, 2048, apart=True, budget={"minAvailable": 3}, days=45,
             priority=CRITICAL),
    Workload("checkout", "shop", 6, 1400, 2048, sidecar=(100, 128), spread="DoNotSchedule",
             budget={"maxUnavailable": 1}, days=40, priority=CRITICAL),
    Workload("frontend", "shop", 8, 400, 512, sidecar=(100, 128), spread="ScheduleAnyway",
             budget={"maxUnavailable": 2}, days=35),
    Workload("cart", "shop", 4, 500, 1024, sidecar=(100, 128), days=34),
    Workload("images", "shop", 3, 700, 1024, scratch=True, days=33),
    Workload("recommender", "shop", 4, 1200, 3072, days=30),
    Workload("accounts", "shop", 4, 400, 768, sidecar=(100, 128), days=28),
    Workload("notifier", "shop", 3, 250, 256, days=25),
    Workload("feed-sync", "data", 3, 700, 2048, days=21,
             annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}),
    Workload("reviews", "shop", 5, 600, 1024, days=22),
    Workload("pricing", "shop", 3, 900, 1536, days=21),
    Workload("ranker", "ml", 2, 2000, 8192, gpus=1, tolerates=(GPU,), days=20),
    Workload("embedder", "ml", 2, 2000, 8192, gpus=1, tolerates=(GPU,), days=19),
    Workload("runner", "ci", 6, 1500, 2048, selector=SPOT, tolerates=("spot",), priority="batch",
             days=12),
    Workload("nightly-tests", "ci", 4, 1000, 4096, kind="Job", selector=SPOT, tolerates=("spot",),
             priority="batch", days=1),
    Workload("toolbox", "platform", 1, 250, 256, kind="Pod", days=3),
    Workload("indexer", "shop", 3, 3200, 8192, days=0, priority=CRITICAL),
    Workload("train-embeddings", "ml", 1, 6000, 32768, gpus=4, tolerates=(GPU,), kind="Job",
             days=0),
    Workload("report-builder", "data", 2, 2800, 6144, days=0),
    Workload("importer", "data", 1, 12000, 24576, days=0),
)
# What came this morning: pods, and for how many minutes they have waited.
ARRIVALS = {"indexer": (3, 42), "checkout": (2, 31), "analytics": (1, 55),
            "train-embeddings": (1, 25), "report-builder": (2, 12), "importer": (1, 64)}
# What ran when the nodes were filled, and is gone.
DEPARTED = (
    Workload("old-search", "shop", 2, 1200, 4096),
    Workload("campaign", "shop", 3, 500, 1024),
)
# fmt: on


class Scheduler:
    """Spreads pods as the default scheduler does: to the node that is left with the most room."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.late = False  # the node was cordoned after most pods were placed
        self.free = [dict(node.allocatable) for node in NODES]
        self._pods: dict[str, list[int]] = {}

    def reasons(self, w: Workload, at: int) -> list[str]:
        """Why the node cannot take another pod, in the scheduler's words; empty: it can."""
        node, daemon = NODES[at], w.kind == "DaemonSet"
        if node.cordoned and self.late and not daemon:
            return ["node(s) were unschedulable"]
        if node.taint and node.taint[0] not in w.tolerates:
            return ["node(s) had untolerated taint(s)"]
        if any(getattr(node, key) != value for key, value in w.selector.items()):
            return ["node(s) didn't match Pod's node affinity/selector"]
        names = {"gpus": GPU}
        short = [what for what, need in w.requests().items() if need > self.free[at][what]]
        if short:
            return [f"Insufficient {names.get(what, what)}" for what in short]
        if w.spread == "DoNotSchedule" and self._uneven(w, node.zone):
            return ["node(s) didn't match pod topology spread constraints"]
        if w.apart and at in self._pods.get(w.name, ()):
            return ["node(s) didn't match pod anti-affinity rules"]
        return []

    def _uneven(self, w: Workload, zone: str) -> bool:
        inside = Counter({node.zone: 0 for node in NODES})
        inside.update(NODES[at].zone for at in self._pods.get(w.name, ()))
        return inside[zone] + 1 - min(inside.values()) > 1

    def message(self, w: Workload) -> str:
        """What the scheduler says about a pod that fits nowhere."""
        counts = Counter(reason for at in range(len(NODES)) for reason in self.reasons(w, at))
        parts = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
        return (
            f"0/{len(NODES)} nodes are available: {parts}. no new claims to deallocate, "
            "preemption: not eligible due to preemptionPolicy=Never."
        )

    def place(self, w: Workload) -> int | None:
        """The node of one more pod, which takes its room there; None: it fits nowhere."""
        fits = [at for at in range(len(NODES)) if not self.reasons(w, at)]
        if not fits:
            return None
        best = max(fits, key=lambda at: (self._score(w, at), self._random.random()))
        self.put(w, best)
        return best

    def put(self, w: Workload, at: int) -> None:
        """Take the room of one pod on the node."""
        for what, need in w.requests().items():
            self.free[at][what] -= need
        self._pods.setdefault(w.name, []).append(at)

    def remove(self, w: Workload) -> None:
        """Give back the room of all pods of the workload."""
        for at in self._pods.pop(w.name, []):
            for what, need in w.requests().items():
                self.free[at][what] += need

    def _score(self, w: Workload, at: int) -> float:
        room = NODES[at].allocatable
        left = [
            (self.free[at][what] - w.requests()[what]) / room[what] for what in ("cpu", "memory")
        ]
        same = self._pods.get(w.name, [])
        zone = sum(NODES[one].zone == NODES[at].zone for one in same)
        liked = bool(w.prefers) and all(getattr(NODES[at], k) == v for k, v in w.prefers.items())
        return liked + sum(left) / 2 - 0.2 * same.count(at) - 0.05 * zone


def demo_cluster(seed: int = SEED) -> Object:
    """The List that kubectl prints."""
    make, scheduler = Maker(seed, NOW, PRIORITIES), Scheduler(seed)
    for daemon in DAEMONS:
        for at in range(len(NODES)):
            scheduler.put(daemon, at)
    homes: dict[str, list[int | None]] = {w.name: [*range(len(NODES))] for w in DAEMONS}
    for w in (*DEPARTED, *WORKLOADS):
        old = w.replicas - ARRIVALS.get(w.name, (0, 0))[0]
        homes[w.name] = [scheduler.place(w) for _ in range(old)]
    for w in DEPARTED:
        scheduler.remove(w)
    scheduler.late = True
    for w in WORKLOADS:
        homes[w.name] += [scheduler.place(w) for _ in range(ARRIVALS.get(w.name, (0, 0))[0])]
    items = [*_cluster_objects(make)]
    for w in (*DAEMONS, *WORKLOADS):
        items += _objects(make, w, homes[w.name], scheduler.message(w))
    return {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}


def _objects(make: Maker, w: Workload, homes: list[int | None], message: str) -> list[Object]:
    """The workload's pods at their homes, with everything that belongs to them."""
    new, waited = ARRIVALS.get(w.name, (0, 0))
    old = len(homes) - new
    owned = own(make, w, sum(at is not None for at in homes), _created(make, w, waited))
    made = [*owned.objects]
    for ordinal, at in enumerate(homes):
        created = make.time(minutes=waited) if ordinal >= old else _created(make, w, waited)
        node = None if at is None else (at, NODES[at])
        made.append(pod(make, owned, ordinal, node, created, message))
        if w.storage and at is not None:
            made += claim(make, w, ordinal, NODES[at].zone)
    return made


def _created(make: Maker, w: Workload, waited: float) -> str:
    return make.time(days=w.days) if w.days else make.time(minutes=waited + 1)


def _cluster_objects(make: Maker) -> list[Object]:
    """Nodes, namespaces, priority and storage classes, and what CSI drivers can attach."""
    old = make.time(days=120)
    made = [make.node(shape, number) for number, shape in enumerate(NODES)]
    for name in sorted({w.namespace for w in (*DAEMONS, *WORKLOADS)} | {"default"}):
        labels = {"kubernetes.io/metadata.name": name}
        metadata = make.metadata(name, old, labels=labels)
        active = {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        made.append({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata, **active})
    for name, value in PRIORITIES.items():
        policy = "PreemptLowerPriority" if name.startswith("system-") else "Never"
        made.append(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": make.metadata(name, old, generation=1),
                "preemptionPolicy": policy,
                "value": value,
                **({"globalDefault": True} if name == "standard" else {}),
            }
        )
    made.append(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": make.metadata(STORAGE_CLASS, old),
            "provisioner": DRIVER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    )
    for shape in NODES:
        driver = {"allocatable": {"count": 24}, "name": DRIVER, "nodeID": shape.name}
        made.append(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "CSINode",
                "metadata": make.metadata(shape.name, old),
                "spec": {"drivers": [{**driver, "topologyKeys": ["topology.kubernetes.io/zone"]}]},
            }
        )
    return made


def dump(seed: int = SEED) -> bytes:
    """The text that kubectl prints."""
    return json.dumps(demo_cluster(seed), indent=4, sort_keys=True).encode() + b"\n"


if __name__ == "__main__":
    write_atomically(sys.argv[1], dump())
