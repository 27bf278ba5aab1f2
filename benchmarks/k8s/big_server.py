"""An API server that holds a large cluster as ready-made bytes, for `mirror_scale`."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from aiohttp import web

Tree = dict[str, Any]
STAMP = "2026-11-24T00:00:00Z"
PODS_OF_OWNER = 10


def serve(control: Any, nodes: int, pods: int, rate: float) -> None:
    """Listen on loopback, send the address, obey `go` and `count`."""
    asyncio.run(_Server(control, nodes, pods, rate).run())


def node(number: int) -> Tree:
    """A node of 16 cores."""
    room = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {
            "name": f"n{number}",
            "uid": f"node-{number}",
            "resourceVersion": "1",
            "creationTimestamp": STAMP,
            "labels": {
                "kubernetes.io/hostname": f"n{number}",
                "topology.kubernetes.io/zone": f"zone-{number % 3}",
                "node.kubernetes.io/instance-type": "m6.4xlarge",
            },
        },
        "spec": {"podCIDR": "10.0.0.0/24", "providerID": f"cloud:///zone/i-{number:08x}"},
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [
                {"type": "Ready", "status": "True", "lastHeartbeatTime": STAMP, "message": "ok"}
            ],
            "images": [{"names": [f"registry/app{i}@sha256:{i:064x}"]} for i in range(10)],
        },
    }


def pod(number: int, nodes: int) -> Tree:
    """A running pod with what pods carry about: about 4 kB of JSON."""
    owner = number // PODS_OF_OWNER
    mounts = [{"name": "token", "mountPath": "/var/run/secrets", "readOnly": True}]
    environment = [{"name": f"VARIABLE_{i}", "value": f"value-of-{i}"} for i in range(20)]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": f"app-{owner}-{number}",
            "namespace": f"team-{owner % 100}",
            "uid": f"pod-{number}",
            "resourceVersion": "1",
            "creationTimestamp": STAMP,
            "labels": {"app": f"app-{owner}", "pod-template-hash": f"h{owner}"},
            "annotations": {"checksum/config": "0" * 64},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": f"app-{owner}",
                    "uid": f"owner-{owner}",
                    "controller": True,
                }
            ],
            "managedFields": [
                {"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:status": {}}}
            ],
        },
        "spec": {
            "nodeName": f"n{number % nodes}",
            "priority": 0,
            "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30,
            "volumes": [{"name": "token", "projected": {"sources": []}}],
            "containers": [
                {
                    "name": "main",
                    "image": "registry.example.com/team/app:1.2.3",
                    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
                    "env": environment,
                    "volumeMounts": mounts,
                }
            ],
            "tolerations": [
                {
                    "key": "node.kubernetes.io/not-ready",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "startTime": STAMP,
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": STAMP}
                for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
            ],
            "containerStatuses": [
                {"name": "main", "ready": True, "restartCount": 0, "image": "app", "imageID": "x"}
            ],
        },
    }


def owner(number: int) -> Tree:
    """A ReplicaSet."""
    return {
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": f"app-{number}",
            "namespace": f"team-{number % 100}",
            "uid": f"owner-{number}",
            "resourceVersion": "1",
            "creationTimestamp": STAMP,
        },
        "spec": {"replicas": PODS_OF_OWNER, "template": {"spec": {"containers": []}}},
        "status": {"replicas": PODS_OF_OWNER},
    }


class _Server:
    def __init__(self, control: Any, nodes: int, pods: int, rate: float) -> None:
        self.control, self.nodes, self.pods, self.rate = control, nodes, pods, rate
        self.version, self.sent, self.going = 1, 0, False
        self.rng = random.Random(0)
        self.lists = {
            "nodes": [json.dumps(node(i)).encode() for i in range(nodes)],
            "pods": [json.dumps(pod(i, nodes)).encode() for i in range(pods)],
            "replicasets": [json.dumps(owner(i)).encode() for i in range(pods // PODS_OF_OWNER)],
        }
        self.watchers: list[asyncio.Queue[bytes]] = []

    async def run(self) -> None:
        """Serve for ever."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.control.send(f"http://127.0.0.1:{runner.addresses[0][1]}")
        while True:
            await asyncio.sleep(1 / self.rate)
            while self.control.poll():
                if self.control.recv() == "count":
                    self.control.send(self.sent)
                else:
                    self.going = True
            if self.going:
                self.event()

    def event(self) -> None:
        """The status of a pod changes, as it does most of the time."""
        self.version += 1
        tree = pod(self.rng.randrange(self.pods), self.nodes)
        tree["metadata"]["resourceVersion"] = str(self.version)
        tree["status"]["containerStatuses"][0]["restartCount"] = self.version
        line = b'{"type":"MODIFIED","object":' + json.dumps(tree).encode() + b"}\n"
        for queue in self.watchers:
            queue.put_nowait(line)
        self.sent += 1

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Lists in pages, watches, and yes to everything else."""
        plural = request.path.rstrip("/").rpartition("/")[2]
        if request.method != "GET":
            body = await request.json() if request.can_read_body else {}
            if plural == "selfsubjectaccessreviews":
                body = {**body, "status": {"allowed": True}}
            return web.json_response(body, status=201)
        if request.query.get("watch"):
            return await self.watch(request, plural)
        if "leases/" in request.path or "planslots/" in request.path:
            return web.json_response({"reason": "NotFound"}, status=404)
        rows = self.lists.get(plural, [])
        begin, limit = int(request.query.get("continue") or 0), int(request.query.get("limit") or 0)
        end = begin + limit if limit else len(rows)
        more = f',"continue":"{end}"' if end < len(rows) else ""
        head = f'{{"kind":"List","metadata":{{"resourceVersion":"{self.version}"{more}}},"items":['
        body_bytes = head.encode() + b",".join(rows[begin:end]) + b"]}"
        return web.Response(body=body_bytes, content_type="application/json")

    async def watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        """Pods have events, the other kinds bookmarks at most."""
        reply = web.StreamResponse()
        reply.enable_chunked_encoding()
        await reply.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        if plural == "pods":
            self.watchers.append(queue)
        try:
            while True:
                await reply.write(await queue.get())
        except (ConnectionError, asyncio.CancelledError):
            return reply
        finally:
            if queue in self.watchers:
                self.watchers.remove(queue)
