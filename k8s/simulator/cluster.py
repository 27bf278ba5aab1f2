"""What runs in a cluster that was loaded from a dump: controllers, kubelets, a scheduler.

Nothing runs by itself: `settle` lets everybody act until nothing changes, by the simulated clock.
The scheduler knows the rules of `optsched.kube` and asks the real guard.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optsched.errors import FormatError
from optsched.k8s.mirror import RESOURCES, Mirror
from optsched.k8s.settings import Settings
from optsched.k8s.simulator.api_objects import covers, desired, is_ready, stamp
from optsched.k8s.simulator.api_server import FakeApi
from optsched.k8s.simulator.clock import SimulatedClock
from optsched.k8s.simulator.front import FrontEnd
from optsched.kube import KubeOptions, lower
from optsched.rules import candidates
from optsched.state import State

Tree = dict[str, Any]
Key = tuple[str, str]
AT_ONCE = ("ReplicaSet", "ReplicationController")  # make a replacement when a pod begins to end
LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_PLURALS = {one.kind: one.plural for one in RESOURCES}
_ENDED = ("Succeeded", "Failed")


@dataclass
class Loaded:
    """Everybody but us.

    Attributes
    ----------
    mirror
        Gives the cache that the rules are read from, once it has caught up.
    """

    api: FakeApi
    clock: SimulatedClock
    front: FrontEnd
    settings: Settings
    mirror: Callable[[], Awaitable[Mirror]]
    rng: random.Random = field(default_factory=random.Random)
    _counted: int = -1
    _ending: dict[str, Tree] = field(default_factory=dict)
    _tried: tuple[int, int, int] = (-1, -1, -1)

    def load(self, items: Iterable[Tree]) -> None:
        """Take over the objects of a dump.

        Raises
        ------
        FormatError
            An object has no name.
        """
        for tree in items:
            plural = _PLURALS.get(tree.get("kind", ""))
            if plural is None:
                continue
            meta = tree.get("metadata")
            if not isinstance(meta, dict) or not isinstance(meta.get("name"), str):
                raise FormatError(f"a {str(tree['kind'])[:40]} has no name")
            tree["spec"], tree["status"] = tree.get("spec") or {}, tree.get("status") or {}
            self.api.put(plural, tree)
        for pod in self.api.all("pods"):
            if "deletionTimestamp" in pod["metadata"]:
                self._ending[pod["metadata"]["uid"]] = {}  # its replacement is there already

    async def settle(self) -> None:
        """Everybody acts until nothing changes."""
        for _ in range(1000):
            before = self.api.latest["pods"], self.api.latest["poddisruptionbudgets"]
            self._controllers()  # before the kubelets: a pod without grace is gone at once
            self._kubelets()
            self._budgets()
            self.front.look()
            await self._schedule()
            if before == (self.api.latest["pods"], self.api.latest["poddisruptionbudgets"]):
                return

    def pending(self) -> list[Tree]:
        """Pods without a node, the most important first."""
        pods = [
            pod
            for pod in self.api.all("pods")
            if not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]
        ]
        return sorted(pods, key=lambda p: (-int(p["spec"].get("priority") or 0), _age(p)))

    def _kubelets(self) -> None:
        now = stamp(self.clock.now())
        for pod in self.api.all("pods"):
            meta, status = pod["metadata"], pod["status"]
            if "deletionTimestamp" in meta:
                if now >= meta["deletionTimestamp"]:
                    self.api.remove("pods", meta.get("namespace", ""), meta["name"])
            elif pod["spec"].get("nodeName") and status.get("phase") == "Pending":
                rows = [one for one in status.get("conditions", ()) if one["type"] != "Ready"]
                ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
                told = {**status, "phase": "Running", "conditions": [*rows, ready]}
                self.api.put("pods", {**copy.deepcopy(pod), "status": told})

    def _controllers(self) -> None:
        """Every pod that is evicted is made anew, at once or when it has gone."""
        for pod in self.api.all("pods"):
            meta = pod["metadata"]
            if "deletionTimestamp" in meta and meta["uid"] not in self._ending:
                self._ending[meta["uid"]] = pod
                if _owner_kind(pod) in AT_ONCE:
                    self._remake(pod)
                    self._ending[meta["uid"]] = {}
        alive = {pod["metadata"]["uid"] for pod in self.api.all("pods")}
        for uid, pod in list(self._ending.items()):
            if uid not in alive:
                del self._ending[uid]
                if pod and _owner_kind(pod):
                    self._remake(pod)

    def _remake(self, pod: Tree) -> None:
        meta = pod["metadata"]
        name = meta["name"]
        if _owner_kind(pod) != "StatefulSet":
            stem = meta.get("generateName") or f"{name}-"
            name = stem + "".join(self.rng.choice(LETTERS) for _ in range(5))
        kept = {key: meta[key] for key in ("namespace", "labels", "annotations") if key in meta}
        spec = {key: value for key, value in pod["spec"].items() if key != "nodeName"}
        self.api.put(
            "pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    **copy.deepcopy(kept),
                    "name": name,
                    "generateName": meta.get("generateName", ""),
                    "ownerReferences": copy.deepcopy(meta["ownerReferences"]),
                },
                "spec": copy.deepcopy(spec),
                "status": {"phase": "Pending"},
            },
        )

    def _budgets(self) -> None:
        if self._counted == self.api.latest["pods"]:
            return
        self._counted = self.api.latest["pods"]
        healthy: dict[str, list[Tree]] = {}
        for pod in self.api.all("pods"):
            if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]:
                healthy.setdefault(pod["metadata"].get("namespace", ""), []).append(pod)
        for budget in self.api.all("poddisruptionbudgets"):
            told = budget["status"]
            if "desiredHealthy" not in told:
                continue  # its controller has not looked at it
            pods = healthy.get(budget["metadata"].get("namespace", ""), ())
            allowed = max(0, sum(covers(budget, pod) for pod in pods) - desired(budget))
            if told.get("disruptionsAllowed") != allowed:
                status = {**told, "disruptionsAllowed": allowed}
                self.api.put("poddisruptionbudgets", {**budget, "status": status})

    async def _schedule(self) -> None:
        """Try every pending pod once if anything has changed for pods or nodes."""
        mine = [
            pod
            for pod in self.pending()
            if pod["spec"].get("schedulerName", "default-scheduler")
            in self.settings.scheduler_names
            and not pod["spec"].get("schedulingGates")
        ]
        if self._versions() == self._tried or not mine:
            return
        mirror = await self.mirror()
        options = KubeOptions(scheduler_names=frozenset(self.settings.scheduler_names))
        state = State(lower(mirror.cluster(), options))
        items = {name: row for row, name in enumerate(state.problem.items.names)}
        for pod in mine:
            meta = pod["metadata"]
            row = items.get(f"{meta.get('namespace', '')}/{meta['name']}")
            if row is not None:
                self._try(pod, row, state)
        self._tried = self._versions()

    def _versions(self) -> tuple[int, int, int]:
        """Of what an attempt to schedule depends on."""
        pods = self.api.all("pods")
        places = frozenset((pod["metadata"]["uid"], pod["spec"].get("nodeName")) for pod in pods)
        return hash(places), self.api.latest["nodes"], self.front.board.stamp()

    def _try(self, pod: Tree, row: int, state: State) -> None:
        hosts = state.problem.hosts
        open_ = np.flatnonzero(candidates(state, row)).tolist()
        kept = self.front.filter(pod, [hosts.names[host] for host in open_]) if open_ else []
        left = [host for host in open_ if hosts.names[host] in set(kept)]
        new = copy.deepcopy(pod)
        rows = [one for one in new["status"].get("conditions", ()) if one["type"] != "PodScheduled"]
        told: Tree = {"type": "PodScheduled", "lastTransitionTime": stamp(self.clock.now())}
        if left:
            host = self._choose(pod, left, state)
            state.place(row, host)
            new["spec"]["nodeName"] = hosts.names[host]
            new["status"].pop("nominatedNodeName", None)
            told["status"] = "True"
        elif any(one["type"] == "PodScheduled" for one in pod["status"].get("conditions", ())):
            return
        else:
            told |= {"status": "False", "reason": "Unschedulable"}
        new["status"]["conditions"] = [*rows, told]
        self.api.put("pods", new)

    def _choose(self, pod: Tree, open_: list[int], state: State) -> int:
        """The nominated node, else the emptiest, as the default scheduler would."""
        hosts = state.problem.hosts
        for host in open_:
            if hosts.names[host] == pod["status"].get("nominatedNodeName"):
                return host
        free = 1 - state.use[open_] / np.maximum(hosts.capacity[open_], 1)
        return open_[int(np.argmax(free.mean(axis=1)))]

    def lost(self) -> list[str]:
        """Owners that have fewer live pods than when they were loaded: none, if all goes well."""
        return [
            f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}"
            for pod in self._ending.values()
            if pod
        ]


def _owner_kind(pod: Tree) -> str:
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["kind"])
    return ""


def _age(pod: Tree) -> tuple[str, str]:
    return pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]


def live(api: FakeApi) -> int:
    """How many pods are bound and neither ended nor ending."""
    return sum(
        bool(pod["spec"].get("nodeName"))
        and pod["status"].get("phase") not in _ENDED
        and "deletionTimestamp" not in pod["metadata"]
        and is_ready(pod)
        for pod in api.all("pods")
    )
