"""A client of the test's API server, and short words for the objects that tests make."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

PATIENCE = 400.0  # seconds for anything to happen on a busy machine: the solver yields to all
Tree = dict[str, Any]


def until(holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until something holds; returns it."""
    deadline = time.monotonic() + patience
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:.0f} s in vain: {what}")
        time.sleep(0.02)
    return found


class RefusedError(Exception):
    """The API server said no."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:500]}")
        self.status = status


@dataclass
class Api:
    """Asks as the owner of a token, over one connection per thread."""

    url: str
    tls: ssl.SSLContext
    token: str
    _mine: threading.local = field(default_factory=threading.local, repr=False)

    def ask(
        self, method: str, path: str, body: Tree | None = None, kind: str = "application/json"
    ) -> Tree:
        """The answer to a request; RefusedError if it is no."""
        data = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        for again in (True, False):
            connection = self._connection()
            try:
                connection.request(method, path, data, headers)
                reply = connection.getresponse()
                text = reply.read().decode(errors="replace")
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                del self._mine.connection
                if not again:
                    raise
        if reply.status >= 300:
            raise RefusedError(reply.status, text)
        answer: Tree = json.loads(text)
        return answer

    def _connection(self) -> http.client.HTTPSConnection:
        if not hasattr(self._mine, "connection"):
            where = urlsplit(self.url)
            self._mine.connection = http.client.HTTPSConnection(
                str(where.hostname), where.port, timeout=PATIENCE, context=self.tls
            )
        found: http.client.HTTPSConnection = self._mine.connection
        return found

    def apply(self, tree: Tree, *, dry: bool = False) -> Tree:
        """Make or change any object, as kubectl apply does; unknown fields are refused."""
        group, _, version = tree["apiVersion"].rpartition("/")
        home = f"/apis/{group}/{version}" if group else f"/api/{version}"
        kinds = self.ask("GET", home)["resources"]
        found = [one for one in kinds if one["kind"] == tree["kind"] and "/" not in one["name"]]
        if not found:
            raise LookupError(f"there is no {tree['kind']} in {tree['apiVersion']}")
        meta = tree["metadata"]
        if found[0]["namespaced"]:
            home += f"/namespaces/{meta['namespace']}"
        query = "fieldManager=tests&force=true&fieldValidation=Strict" + "&dryRun=All" * dry
        path = f"{home}/{found[0]['name']}/{meta['name']}?{query}"
        return self.ask("PATCH", path, tree, "application/apply-patch+yaml")

    def items(self, path: str) -> list[Tree]:
        """The objects of a list."""
        found: list[Tree] = self.ask("GET", path)["items"]
        return found

    def node(self, name: str, cpu: str = "2", memory: str = "8Gi", pods: str = "110") -> None:
        """A ready node; returns when the scheduler can use it."""
        room = {"cpu": cpu, "memory": memory, "pods": pods}
        labels = {"kubernetes.io/hostname": name}
        status = {"allocatable": room, "capacity": room}
        tree = {"metadata": {"name": name, "labels": labels}, "status": status}
        self.ask("POST", "/api/v1/nodes", tree)

    def namespace(self, name: str) -> None:
        """A namespace."""
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    def priority(self, name: str, value: int) -> None:
        """A PriorityClass."""
        tree = {"metadata": {"name": name}, "value": value}
        self.ask("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", tree)

    def pod(self, namespace: str, name: str, cpu: str, **spec: Any) -> Tree:
        """A pod without an owner; as the API server has made it."""
        tree = {"metadata": {"name": name}, "spec": pod_spec(cpu, **spec)}
        return self.ask("POST", f"/api/v1/namespaces/{namespace}/pods", tree)

    def replica_set(self, namespace: str, name: str, cpu: str, replicas: int, **spec: Any) -> None:
        """Pods of one kind, all of label app=name."""
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": pod_spec(cpu, **spec)}
        selector = {"matchLabels": labels}
        self.ask(
            "POST",
            f"/apis/apps/v1/namespaces/{namespace}/replicasets",
            {
                "metadata": {"name": name},
                "spec": {"replicas": replicas, "selector": selector, "template": template},
            },
        )

    def budget(self, namespace: str, app: str, least: int) -> None:
        """A PodDisruptionBudget: so many pods of an application must be available."""
        selector = {"matchLabels": {"app": app}}
        self.ask(
            "POST",
            f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets",
            {"metadata": {"name": app}, "spec": {"minAvailable": least, "selector": selector}},
        )

    def patch(self, path: str, tree: Tree) -> Tree:
        """Merge something into an object."""
        return self.ask("PATCH", path, tree, "application/merge-patch+json")

    def pods(self, namespace: str, app: str = "") -> list[Tree]:
        """The pods of a namespace, or of one application in it."""
        query = f"?labelSelector={quote(f'app={app}')}" if app else ""
        return self.items(f"/api/v1/namespaces/{namespace}/pods{query}")

    def events(self, namespace: str, name: str) -> list[Tree]:
        """What was said of the object of that name."""
        query = quote(f"involvedObject.name={name}")
        return self.items(f"/api/v1/namespaces/{namespace}/events?fieldSelector={query}")

    def empty(self, namespace: str) -> None:
        """Take away everything that runs in a namespace."""
        group = f"/apis/apps/v1/namespaces/{namespace}"
        for kind in ("deployments", "replicasets", "statefulsets"):
            self.ask("DELETE", f"{group}/{kind}", {"propagationPolicy": "Background"})
        pods = f"/api/v1/namespaces/{namespace}/pods"

        def gone() -> bool:
            self.ask("DELETE", pods, {"gracePeriodSeconds": 0})
            return not self.items(pods)

        until(gone, f"pods in {namespace} do not go")

    def clear(self, namespace: str, nodes: Iterable[str]) -> None:
        """Take away a namespace and these nodes."""
        self.empty(namespace)
        for path in (*(f"nodes/{name}" for name in nodes), f"namespaces/{namespace}"):
            with contextlib.suppress(RefusedError):
                self.ask("DELETE", f"/api/v1/{path}")


def pod_spec(cpu: str, **more: Any) -> Tree:
    """One container that asks for so much; it ends at once when it is told to."""
    resources = {"requests": {"cpu": cpu, "memory": "16Mi"}}
    container = {"name": "c", "image": "none", "resources": resources}
    return {"containers": [container], "terminationGracePeriodSeconds": 0, **more}


def bound(pod: Tree) -> str:
    """The node of a pod, "" if it has none."""
    return str(pod["spec"].get("nodeName", ""))


def is_running(pod: Tree) -> bool:
    """Whether the kubelet says so."""
    return bool(pod["status"].get("phase") == "Running")


def is_refused(pod: Tree) -> bool:
    """Whether the scheduler has found no node for it."""
    return any(
        one["type"] == "PodScheduled" and one.get("reason") == "Unschedulable"
        for one in pod["status"].get("conditions", ())
    )
