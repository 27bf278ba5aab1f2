"""An API server in this process: real HTTP on loopback, as far as the service uses it.

For `optsched simulate` and the tests.

Resource versions, lists in pages, watches with bookmarks and 410, compare-and-swap, status
subresources, evictions with disruption budgets, dry runs and preconditions. `fault` may answer
any request in its place. What is counted (`evictions`, `violations`) is counted by the server, not
by who asks.
"""

from __future__ import annotations

import asyncio
import copy
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from optsched.k8s.simulator.api_objects import (
    Refusal,
    Tree,
    check_pod,
    check_preconditions,
    covers,
    desired,
    field_of,
    is_ready,
    is_terminating,
    merged,
    stamp,
)

Key = tuple[str, str]
NAMESPACED = {
    "pods", "poddisruptionbudgets", "replicasets", "statefulsets", "daemonsets", "deployments",
    "jobs", "replicationcontrollers", "persistentvolumeclaims", "leases", "events",
}  # fmt: skip
HAS_STATUS = {"pods", "nodes", "placementplans", "poddisruptionbudgets", "replicasets", "jobs"}
IMMUTABLE_SPEC = {"placementplans"}
GRACE = 30


@dataclass
class FakeApi:
    """The server and its storage; `now` gives its time in milliseconds.

    Attributes
    ----------
    fault
        Called with method and path; a Refusal it returns is the answer. "drop" ends the
        connection before anything is done, "lose" after it was done: there is no answer.
    evicted
        UIDs of the pods that an eviction has set to terminating, with how often.
    violations
        One sentence for each eviction that left a budget with fewer healthy pods than it asks for.
    writes
        Method and path of every request that may change something.
    history
        Kept per plural; older versions are answered with 410.
    """

    now: Callable[[], int]
    fault: Callable[[str, str], Refusal | str | None] = lambda method, path: None
    objects: dict[str, dict[Key, Tree]] = field(default_factory=lambda: defaultdict(dict))
    events: dict[str, list[tuple[int, str, Tree]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    compacted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    latest: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    version: int = 1
    evicted: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    writes: list[tuple[str, str]] = field(default_factory=list)
    mute: bool = False  # watches stay open and say nothing
    denied: set[str] = field(default_factory=set)  # rights, such as "create pods/eviction"
    url: str = ""
    _watchers: dict[str, list[asyncio.Queue[Any]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Hang up."""
        self.drop_watches()
        if self._runner is not None:
            await self._runner.cleanup()

    # Storage

    def all(self, plural: str) -> list[Tree]:
        """The objects themselves: change them through `put` only."""
        return list(self.objects[plural].values())

    def get(self, plural: str, namespace: str, name: str) -> Tree | None:
        """One object."""
        return self.objects[plural].get((namespace, name))

    def put(self, plural: str, tree: Tree, what: str = "") -> Tree:
        """Store an object and tell the watches."""
        meta = tree.setdefault("metadata", {})
        key = (meta.get("namespace", ""), meta["name"])
        new = key not in self.objects[plural]
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        meta.setdefault("uid", str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", stamp(self.now()))
        self.objects[plural][key] = tree
        self._tell(plural, what or ("ADDED" if new else "MODIFIED"), tree)
        return tree

    def remove(self, plural: str, namespace: str, name: str) -> None:
        """Take an object away."""
        tree = self.objects[plural].pop((namespace, name), None)
        if tree is not None:
            self.version += 1
            tree["metadata"]["resourceVersion"] = str(self.version)
            self._tell(plural, "DELETED", tree)

    def compact(self) -> None:
        """Forget what happened: watches from before are answered with 410."""
        for plural in self.objects:
            self.compacted[plural] = self.version
            self.events[plural].clear()

    def drop_watches(self) -> None:
        """End all watches."""
        for queues in self._watchers.values():
            for queue in queues:
                queue.put_nowait(None)

    def bookmark(self) -> None:
        """Send one to every watch."""
        for queues in self._watchers.values():
            for queue in queues:
                tree = {"metadata": {"resourceVersion": str(self.version)}}
                queue.put_nowait(("BOOKMARK", tree))

    def _tell(self, plural: str, what: str, tree: Tree) -> None:
        frozen = copy.deepcopy(tree)
        self.latest[plural] = self.version
        self.events[plural].append((self.version, what, frozen))
        for queue in self._watchers[plural]:
            queue.put_nowait((what, frozen))

    # HTTP

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = "/" + request.match_info["path"]
        if request.method != "GET":
            self.writes.append((request.method, path))
        try:
            fault = self.fault(request.method, path)
            if isinstance(fault, Refusal):
                raise fault
            if fault == "drop":
                return _hang_up(request)
            if path == "/version":
                return web.json_response({"major": "1", "minor": "36", "gitVersion": "v1.36.0"})
            parts = path.strip("/").split("/")
            parts = parts[2:] if parts[0] == "api" else parts[3:]
            namespace = ""
            if parts[:1] == ["namespaces"] and len(parts) > 2:
                namespace, parts = parts[1], parts[2:]
            plural, name, sub = [*parts, "", ""][:3]
            body = await request.json() if request.can_read_body else {}
            if request.method == "GET" and not name:
                if request.query.get("watch"):
                    return await self._watch(request, plural)
                return web.json_response(self._list(plural, request.query))
            answer = self._one(request, plural, namespace, name, sub, body)
            if fault == "lose":
                return _hang_up(request)
            return web.json_response(answer, status=201 if request.method == "POST" else 200)
        except Refusal as refusal:
            return refusal.reply()

    def _list(self, plural: str, query: Any) -> Tree:
        rows = sorted(self.objects[plural].items())
        for term in filter(None, query.get("fieldSelector", "").split(",")):
            path, _, value = term.partition("=")
            rows = [row for row in rows if field_of(row[1], path) == value]
        begin, limit = int(query.get("continue") or 0), int(query.get("limit") or 0)
        end = begin + limit if limit else len(rows)
        meta = {"resourceVersion": str(self.version)}
        if end < len(rows):
            meta["continue"] = str(end)
        return {"kind": "List", "metadata": meta, "items": [tree for _, tree in rows[begin:end]]}

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        since = int(request.query.get("resourceVersion") or 0)
        reply = web.StreamResponse()
        reply.enable_chunked_encoding()
        queue: asyncio.Queue[Any] = asyncio.Queue()
        if since < self.compacted[plural]:
            gone = {"kind": "Status", "code": 410, "reason": "Expired"}
            await reply.prepare(request)
            await reply.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
            return reply
        for version, what, tree in self.events[plural]:
            if version > since:
                queue.put_nowait((what, tree))
        self._watchers[plural].append(queue)
        try:
            await reply.prepare(request)
            while True:
                event = await queue.get()
                if event is None:
                    return reply
                if self.mute:
                    continue
                line = json.dumps({"type": event[0], "object": event[1]}).encode() + b"\n"
                await reply.write(line)
        except (ConnectionError, asyncio.CancelledError):
            return reply
        finally:
            self._watchers[plural].remove(queue)

    def _one(
        self, request: web.Request, plural: str, namespace: str, name: str, sub: str, body: Tree
    ) -> Tree:
        if request.method == "POST" and sub == "eviction":
            return self._evict(namespace, name, body)
        if plural == "selfsubjectaccessreviews":
            return {**body, "status": {"allowed": self._may(body)}}
        if request.method == "POST":
            return self._create(plural, namespace, body)
        found = self.get(plural, namespace, name)
        if found is None:
            raise Refusal(404, "NotFound", f"{plural} {name} not found")
        if request.method == "GET":
            return found
        if request.method == "DELETE":
            check_preconditions(found, body.get("preconditions") or {})
            self.remove(plural, namespace, name)
            return {"kind": "Status", "status": "Success"}
        return self._change(request, plural, found, sub, body)

    def _may(self, review: Tree) -> bool:
        asked = review["spec"]["resourceAttributes"]
        sub = f"/{asked['subresource']}" if asked["subresource"] else ""
        return f"{asked['verb']} {asked['resource']}{sub}" not in self.denied

    def _create(self, plural: str, namespace: str, body: Tree) -> Tree:
        meta = body.setdefault("metadata", {})
        if plural in NAMESPACED:
            meta["namespace"] = namespace
        if not meta.get("name"):
            meta["name"] = meta.get("generateName", "x") + uuid.uuid4().hex[:6]
        if self.get(plural, namespace, meta["name"]) is not None:
            raise Refusal(409, "AlreadyExists", meta["name"])
        meta.pop("uid", None)
        meta.pop("resourceVersion", None)
        if plural in HAS_STATUS:
            body.pop("status", None)
        return self.put(plural, body)

    def _change(self, request: web.Request, plural: str, found: Tree, sub: str, body: Tree) -> Tree:
        meta = body.get("metadata", {})
        if meta.get("uid") not in (None, "", found["metadata"]["uid"]):
            raise Refusal(409, "Conflict", "the UID in the precondition does not match")
        asked = meta.get("resourceVersion")
        if asked and asked != found["metadata"]["resourceVersion"]:
            raise Refusal(409, "Conflict", "the object has been modified")
        new = copy.deepcopy(found)
        if request.method == "PATCH":
            whole = merged(new, body)
            new = (
                whole
                if sub or plural not in HAS_STATUS
                else {**whole, "status": new.get("status", {})}
            )
        elif sub == "status":
            new["status"] = body.get("status", {})
        else:
            new = {**body, "metadata": {**found["metadata"], **meta}}
            if plural in HAS_STATUS:
                new["status"] = found.get("status", {})
        if plural == "pods":
            check_pod(found["spec"], new["spec"])
        if plural in IMMUTABLE_SPEC and new.get("spec") != found.get("spec"):
            raise Refusal(422, "Invalid", "spec: a plan does not change")
        return self.put(plural, new)

    # Evictions

    def _evict(self, namespace: str, name: str, body: Tree) -> Tree:
        pod = self.get("pods", namespace, name)
        if pod is None:
            raise Refusal(404, "NotFound", f"pods {name} not found")
        options = body.get("deleteOptions") or {}
        preconditions, dry = options.get("preconditions") or {}, bool(options.get("dryRun"))
        if pod.get("status", {}).get("phase") != "Pending" and not is_terminating(pod):
            self._spend_budget(pod, dry)
        check_preconditions(pod, preconditions)
        if dry:
            return {"kind": "Status", "status": "Success"}
        if not is_terminating(pod):
            self.evicted[pod["metadata"]["uid"]] += 1
            self._note_violations(self.terminate(pod))
        return {"kind": "Status", "status": "Success"}

    def terminate(self, pod: Tree) -> Tree:
        """Mark the pod as about to go; `fake_cluster` takes it away when its grace is over."""
        if is_terminating(pod):
            return pod
        new = copy.deepcopy(pod)
        grace = new["spec"].get("terminationGracePeriodSeconds", GRACE)
        new["metadata"]["deletionTimestamp"] = stamp(self.now() + 1000 * grace)
        new["metadata"]["deletionGracePeriodSeconds"] = grace
        return self.put("pods", new)

    def budgets_of(self, pod: Tree) -> list[Tree]:
        """The budgets that cover a pod."""
        return [
            one
            for one in self.all("poddisruptionbudgets")
            if one["metadata"]["namespace"] == pod["metadata"]["namespace"] and covers(one, pod)
        ]

    def healthy(self, budget: Tree) -> int:
        """How many ready pods a budget covers."""
        return sum(
            covers(budget, pod) and is_ready(pod) and not is_terminating(pod)
            for pod in self.all("pods")
            if pod["metadata"]["namespace"] == budget["metadata"]["namespace"]
        )

    def _spend_budget(self, pod: Tree, dry: bool) -> None:
        budgets = self.budgets_of(pod)
        if len(budgets) > 1:
            message = "This pod has more than one PodDisruptionBudget"
            raise Refusal(500, "InternalError", message)
        for budget in budgets:
            allowed = budget.get("status", {}).get("disruptionsAllowed", 0)
            if allowed <= 0:
                raise Refusal(
                    429,
                    "TooManyRequests",
                    "Cannot evict pod as it would violate the pod's disruption budget.",
                    causes=[{"reason": "DisruptionBudget"}],
                )
            if not dry:
                new = copy.deepcopy(budget)
                new["status"]["disruptionsAllowed"] = allowed - 1
                self.put("poddisruptionbudgets", new)

    def _note_violations(self, pod: Tree) -> None:
        for budget in self.budgets_of(pod):
            if self.healthy(budget) < desired(budget):
                name = budget["metadata"]["name"]
                self.violations.append(f"{name}: {pod['metadata']['name']} was one too many")


def _hang_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response(status=500)
