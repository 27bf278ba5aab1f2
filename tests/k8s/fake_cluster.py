"""What runs in a cluster, on the fake API server: controllers, kubelets and a small scheduler.

Nothing runs by itself: `settle` lets everybody act until nothing changes, by the simulated clock.
The scheduler asks the real guard of the extender, through a real board.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from typing import Any

from optsched.k8s.simulator.api_objects import desired, is_ready, stamp
from optsched.k8s.simulator.api_server import FakeApi
from optsched.k8s.simulator.clock import SimulatedClock
from optsched.k8s.simulator.front import FrontEnd

Tree = dict[str, Any]


@dataclass
class FakeCluster:
    """Everybody but us.

    Attributes
    ----------
    placements
        (pod, node) of every binding.
    """

    api: FakeApi
    clock: SimulatedClock
    front: FrontEnd
    rng: random.Random = field(default_factory=random.Random)
    placements: list[tuple[str, str]] = field(default_factory=list)
    gates: tuple[str, ...] = ()  # of the pods that owners make from now on
    _serial: int = 0

    # Making things

    def node(self, name: str, cpu: int = 2000, **labels: str) -> None:
        """A ready node with so many milli-CPUs."""
        room = {"cpu": f"{cpu}m", "memory": "64Gi", "pods": "110"}
        self.api.put(
            "nodes",
            {
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
                "spec": {},
                "status": {
                    "allocatable": room,
                    "capacity": room,
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            },
        )

    def namespace(self, name: str = "shop", **annotations: str) -> None:
        """A namespace."""
        self.api.put("namespaces", {"metadata": {"name": name, "annotations": annotations}})

    def owner(self, name: str, cpu: int, replicas: int, priority: int = 0, grace: int = 0) -> Tree:
        """A ReplicaSet; its pods come with `settle`, or `pod_of`."""
        return self.api.put(
            "replicasets",
            {
                "metadata": {"name": name, "namespace": "shop", "labels": {}},
                "spec": {
                    "replicas": replicas,
                    "cpu": cpu,
                    "priority": priority,
                    "grace": grace,
                    "template": {"spec": {"schedulingGates": self._gates()}},
                },
                "status": {},
            },
        )

    def pod_of(self, owner: Tree, node: str = "") -> Tree:
        """A pod of an owner, running if it has a node."""
        self._serial += 1
        spec, name = owner["spec"], owner["metadata"]["name"]
        tree: Tree = {
            "metadata": {
                "name": f"{name}-{self._serial}",
                "namespace": owner["metadata"]["namespace"],
                "labels": {"app": name, "pod-template-hash": "h1"},
                "ownerReferences": [
                    {
                        "kind": "ReplicaSet",
                        "name": name,
                        "uid": owner["metadata"]["uid"],
                        "controller": True,
                    }
                ],
            },
            "spec": {
                "priority": spec["priority"],
                "schedulerName": "default-scheduler",
                "terminationGracePeriodSeconds": spec["grace"],
                "containers": [
                    {"name": "c", "resources": {"requests": {"cpu": f"{spec['cpu']}m"}}}
                ],
            },
            "status": {"phase": "Pending"},
        }
        gates = spec["template"]["spec"].get("schedulingGates")
        if gates and not node:
            tree["spec"]["schedulingGates"] = copy.deepcopy(gates)
        if node:
            tree["spec"]["nodeName"] = node
            tree["status"] = _running()
        return self.api.put("pods", tree)

    def _gates(self) -> list[Tree]:
        return [{"name": name} for name in self.gates]

    def budget(self, app: str, least: int) -> None:
        """A disruption budget over the pods of an owner."""
        self.api.put(
            "poddisruptionbudgets",
            {
                "metadata": {"name": app, "namespace": "shop", "generation": 1},
                "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": app}}},
                "status": {"disruptionsAllowed": 0, "observedGeneration": 1},
            },
        )
        self._budgets()

    # Letting things happen

    def settle(self) -> None:
        """Everybody acts until nothing changes."""
        for _ in range(100):
            before = self.api.version
            self._kubelets()
            self._owners()
            self.front.look()
            self._schedule()
            self._budgets()
            if self.api.version == before:
                return
        raise AssertionError("the cluster does not come to rest")

    def pending(self) -> list[Tree]:
        """Pods without a node."""
        return [pod for pod in self.api.all("pods") if not pod["spec"].get("nodeName")]

    def free(self, node: str) -> int:
        """Milli-CPUs that no pod has."""
        room = self.api.get("nodes", "", node)
        assert room is not None
        return int(room["status"]["allocatable"]["cpu"][:-1]) - sum(
            cpu_of(pod) for pod in self.api.all("pods") if pod["spec"].get("nodeName") == node
        )

    def _kubelets(self) -> None:
        for pod in self.api.all("pods"):
            meta = pod["metadata"]
            if "deletionTimestamp" in meta and stamp(self.clock.now()) >= meta["deletionTimestamp"]:
                self.api.remove("pods", meta["namespace"], meta["name"])
            elif pod["spec"].get("nodeName") and not is_ready(pod):
                new = copy.deepcopy(pod)
                new["status"] = {**new["status"], **_running()}
                self.api.put("pods", new)

    def _owners(self) -> None:
        for owner in self.api.all("replicasets"):
            live = [
                pod for pod in self.pods_of(owner) if "deletionTimestamp" not in pod["metadata"]
            ]
            for _ in range(owner["spec"]["replicas"] - len(live)):
                self.pod_of(owner)

    def pods_of(self, owner: Tree) -> list[Tree]:
        """All pods of an owner."""
        uid = owner["metadata"]["uid"]
        return [
            pod
            for pod in self.api.all("pods")
            if pod["metadata"]["ownerReferences"][0]["uid"] == uid
        ]

    def _budgets(self) -> None:
        for budget in self.api.all("poddisruptionbudgets"):
            allowed = max(0, self.api.healthy(budget) - desired(budget))
            if budget["status"]["disruptionsAllowed"] != allowed:
                new = copy.deepcopy(budget)
                new["status"]["disruptionsAllowed"] = allowed
                self.api.put("poddisruptionbudgets", new)

    def _schedule(self) -> None:
        waiting = [
            pod
            for pod in self.pending()
            if "deletionTimestamp" not in pod["metadata"] and not pod["spec"].get("schedulingGates")
        ]
        waiting.sort(key=lambda pod: (-pod["spec"]["priority"], pod["metadata"]["name"]))
        for pod in waiting:
            fits = [
                node["metadata"]["name"]
                for node in self.api.all("nodes")
                if not node["spec"].get("unschedulable")
                and (pod["spec"].get("nodeSelector") or {}).items()
                <= node["metadata"]["labels"].items()
                and self.free(node["metadata"]["name"]) >= cpu_of(pod)
            ]
            kept = self.front.filter(pod, fits) if fits else []
            new = copy.deepcopy(pod)
            if kept:
                wish = pod["status"].get("nominatedNodeName")
                node = wish if wish in kept else self.rng.choice(sorted(kept))
                new["spec"]["nodeName"] = node
                new["status"].pop("nominatedNodeName", None)
                new["status"]["conditions"] = [{"type": "PodScheduled", "status": "True"}]
                self.placements.append((pod["metadata"]["name"], node))
                self.api.put("pods", new)
            elif not pod["status"].get("conditions"):
                new["status"]["conditions"] = [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "lastTransitionTime": stamp(self.clock.now()),
                    }
                ]
                self.api.put("pods", new)


def cpu_of(pod: Tree) -> int:
    """Milli-CPUs."""
    return int(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"][:-1])


def _running() -> Tree:
    return {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
