"""Crowded places on a real control plane: small pods in the way of a large one that waits.

Pods are put on nodes by name and adopted by their ReplicaSets, so that a seed always gives the same
crowd. A witness follows every change and counts how often a disruption budget did not hold.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from .api import PATIENCE, Api, Tree, bound, is_refused, is_running, pod_spec, until

NODE = 4000  # milli-CPU
SIZES = (300, 500, 700, 900, 1100)  # of small pods


@dataclass
class Witness:
    """Watches the pods of a namespace from now on.

    Attributes
    ----------
    least
        Pods of an application that must be available.
    violations
        Sentences, one for each event after which fewer were.
    refused, placed
        When a pod was first marked unschedulable, and first had a node, by its name.
    """

    api: Api
    namespace: str
    least: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    refused: dict[str, float] = field(default_factory=dict)
    placed: dict[str, float] = field(default_factory=dict)
    gone: Counter[str] = field(default_factory=Counter)
    _over: bool = False
    _up: dict[str, set[str]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        listed = self.api.ask("GET", path)
        for pod in listed["items"]:
            self._see(pod, "ADDED")
        where = urlsplit(self.api.url)
        self._connection = http.client.HTTPSConnection(
            str(where.hostname), where.port, timeout=10 * PATIENCE, context=self.api.tls
        )
        version = listed["metadata"]["resourceVersion"]
        self._connection.request(
            "GET",
            f"{path}?watch=1&resourceVersion={version}",
            headers={"Authorization": f"Bearer {self.api.token}"},
        )
        self._reply = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True  # what comes now is the end of the test, and no violation
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join(PATIENCE)
        self._connection.close()

    def _read(self) -> None:
        try:
            while (line := self._reply.readline()) and not self._over:
                event = json.loads(line)
                self._see(event["object"], event["type"])
        except (OSError, ValueError, http.client.HTTPException):
            return  # hung up by __exit__

    def _see(self, pod: Tree, kind: str) -> None:
        meta, now = pod["metadata"], time.perf_counter()
        name, app = meta["name"], meta.get("labels", {}).get("app", "")
        if is_refused(pod):
            self.refused.setdefault(name, now)
        if bound(pod):
            self.placed.setdefault(name, now)
        ready = any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in pod["status"].get("conditions", ())
        )
        up = self._up.setdefault(app, set())
        if ready and kind != "DELETED" and "deletionTimestamp" not in meta:
            up.add(meta["uid"])
            return
        if meta["uid"] in up:
            up.remove(meta["uid"])
            self.gone[app] += 1
            if len(up) < self.least.get(app, 0):
                self.violations.append(
                    f"{self.namespace}/{app}: {len(up)} pods available, {self.least[app]} needed"
                )


@dataclass
class World:
    """A crowd.

    Attributes
    ----------
    homes
        Milli-CPU and node of every small pod, per application.
    least
        What the disruption budget of an application demands.
    large
        Milli-CPU of the pod that waits.
    grace
        Seconds that small pods take to end.
    room
        Milli-CPU of every node.
    """

    nodes: int
    homes: dict[str, list[tuple[int, int]]]
    least: dict[str, int]
    large: int
    grace: int = 0
    room: int = NODE

    @property
    def solvable(self) -> bool:
        """Whether there is room enough in all, and not on any one node."""
        free = self.free()
        return max(free) < self.large <= self.room and sum(free) >= self.large

    def free(self) -> list[int]:
        """Milli-CPU per node."""
        used = Counter[int]()
        for pods in self.homes.values():
            for cpu, node in pods:
                used[node] += cpu
        return [self.room - used[node] for node in range(self.nodes)]

    def names(self, namespace: str) -> list[str]:
        """Of the nodes."""
        return [f"{namespace}-n{number}" for number in range(self.nodes)]

    def build(self, api: Api, namespace: str) -> None:
        """Make it, but for the large pod; returns when everything runs."""
        nodes = self.names(namespace)
        for name in nodes:
            api.node(name, f"{self.room}m")
        for app, pods in self.homes.items():
            spec: dict[str, Any] = {"terminationGracePeriodSeconds": self.grace}
            for number, (cpu, node) in enumerate(pods):
                tree = {
                    "metadata": {"name": f"{app}-{number}", "labels": {"app": app}},
                    "spec": pod_spec(f"{cpu}m", nodeName=nodes[node], **spec),
                }
                api.ask("POST", f"/api/v1/namespaces/{namespace}/pods", tree)
            api.replica_set(namespace, app, f"{pods[0][0]}m", len(pods), **spec)
            if app in self.least:
                api.budget(namespace, app, self.least[app])
        count = sum(map(len, self.homes.values()))

        def settled() -> bool:
            there = api.pods(namespace)
            if len(there) != count or not all(map(is_running, there)):
                return False
            return all("ownerReferences" in pod["metadata"] for pod in there)

        until(settled, f"{count} small pods that run in {namespace}")
        budgets = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"

        def counted() -> bool:
            return all(
                one.get("status", {}).get("currentHealthy") == len(self.homes[app])
                for one in api.items(budgets)
                if (app := one["metadata"]["name"])
            )

        until(counted, "budgets that know their pods")


def draw(seed: int) -> World:
    """A random crowd that is likely, not sure, to make room for the large pod by a few moves."""
    while True:
        number = random.Random(seed)
        seed += 1_000_003  # only if this one will not do
        nodes = number.randint(3, 6)
        sizes = {f"app{index}": number.choice(SIZES) for index in range(number.randint(3, 6))}
        homes: dict[str, list[tuple[int, int]]] = {app: [] for app in sizes}
        for node in range(nodes):
            left = NODE - number.randint(500, 1400)
            while fitting := [app for app, cpu in sizes.items() if cpu <= left]:
                app = number.choice(fitting)
                homes[app].append((sizes[app], node))
                left -= sizes[app]
        homes = {app: pods for app, pods in homes.items() if pods}
        least = {
            app: len(pods) - number.choice((0, 1, 1, 1, 2))
            for app, pods in homes.items()
            if number.random() < 0.8 and len(pods) > 2
        }
        world = World(nodes, homes, least, 0, number.choice((0, 0, 1)))
        world.large = max(world.free()) + number.randint(1, 6) * 100
        if world.solvable:
            return world
