"""The cluster as the API server last told it: one cache per kind, and what is read from it.

`cluster` hands the objects to `optsched.kube`, the one translator to tables; the executor asks
single questions. Whoever is about to disturb something calls `confirm` first: it compares the part
of the cache that is concerned with the server, because a watch that has said nothing for a while
may be a quiet cluster or a dead connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from optsched.errors import FormatError
from optsched.k8s import gates
from optsched.k8s.api import Api, ApiError, cancel
from optsched.k8s.bell import Bell
from optsched.k8s.reflector import Entry, Head, Key, Reflector, Resource
from optsched.k8s.settings import Settings
from optsched.k8s.table import Room
from optsched.kube import Cluster, KubeOptions
from optsched.kube.cluster import WORKLOADS, pod_name
from optsched.kube.objects import DisruptionBudget, Namespace, Node, Workload
from optsched.kube.podspec import Pod
from optsched.kube.quantity import to_nanos
from optsched.kube.requests import bound_request, in_units
from optsched.kube.wire import Metadata, Wire

PODS = Resource("Pod", "", "v1", "pods")
NODES = Resource("Node", "", "v1", "nodes")
NAMESPACES = Resource("Namespace", "", "v1", "namespaces")
BUDGETS = Resource("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets")
RESOURCES = (
    PODS,
    NODES,
    NAMESPACES,
    BUDGETS,
    Resource("PriorityClass", "scheduling.k8s.io", "v1", "priorityclasses"),
    Resource("ReplicaSet", "apps", "v1", "replicasets"),
    Resource("StatefulSet", "apps", "v1", "statefulsets"),
    Resource("DaemonSet", "apps", "v1", "daemonsets"),
    Resource("Deployment", "apps", "v1", "deployments"),
    Resource("Job", "batch", "v1", "jobs"),
    Resource("ReplicationController", "", "v1", "replicationcontrollers"),
    Resource("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
    Resource("PersistentVolume", "", "v1", "persistentvolumes"),
    Resource("StorageClass", "storage.k8s.io", "v1", "storageclasses"),
    Resource("CSINode", "storage.k8s.io", "v1", "csinodes"),
)
RESTS_ON = ("Pod", "Node", "PodDisruptionBudget")  # what an eviction must know as it is
ENDED = ("Succeeded", "Failed")
REMEMBERED = 120.0  # seconds that deleted pods are known to be gone


@dataclass(slots=True)
class Seen:
    """An object, and the fields of it that matter and are not known."""

    value: Any
    unknown: tuple[str, ...] = ()


class _Reader:
    """Objects of one kind, read as the translator reads them."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __call__(self, raw: msgspec.Raw) -> Seen:
        one = Cluster()
        one.add(raw, self._kind)
        for rows in (
            one.pods, one.nodes, one.namespaces, one.budgets, one.priority_classes,
            list(one.workloads.values()), one.claims, one.volumes, one.storage_classes,
            one.csi_nodes,
        ):  # fmt: skip
            if rows:
                unknown = next(iter(one.unknown_fields.values()), ())
                return Seen(rows[0], unknown)
        raise FormatError(f"this is no {self._kind}")


class _Page(Wire):
    items: list[msgspec.Raw] = msgspec.field(default_factory=list)


class _Headed(Wire):
    metadata: Head


_PAGE = msgspec.json.Decoder(_Page)
_HEADED = msgspec.json.Decoder(_Headed)


class Mirror:
    """Caches of all kinds, and what follows from them."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.reflectors: dict[str, Reflector[Seen]] = {
            one.kind: Reflector(api, one, _Reader(one.kind)) for one in RESOURCES
        }
        self.reflectors["Pod"].on_change = self._index
        self.bells: list[Bell] = []  # rung with every change that may matter to a plan
        for kind in (*RESTS_ON[1:], *sorted(WORKLOADS - {"DaemonSet"})):
            self.reflectors[kind].on_change = lambda what, before, after: self._ring()
        self._pods: dict[str, Pod] = {}
        self._on: dict[str, dict[str, Pod]] = {}
        self._of: dict[str, dict[str, Pod]] = {}
        self._gone: dict[str, tuple[str, float]] = {}  # owner and when, of pods deleted lately

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[Mirror]:
        """Follow the cluster for as long as the context lasts."""
        tasks = [asyncio.ensure_future(one.run()) for one in self.reflectors.values()]
        try:
            yield self
        finally:
            await cancel(*tasks)

    @property
    def synced(self) -> bool:
        """Whether every kind has been read."""
        return all(one.synced for one in self.reflectors.values())

    def age(self) -> float:
        """Seconds since the server last confirmed what evictions rest on."""
        return max(self.reflectors[kind].age() for kind in RESTS_ON)

    async def confirm(self, nodes: Iterable[str], older: float = -1.0) -> bool:
        """Compare these nodes, their pods, all pending pods and all budgets with the server.

        A kind of which the server has told something within `older` seconds is not asked about:
        there may be more nodes than it may be asked about before the first answer is old.

        Returns
        -------
        bool
            Whether the cache says the same; if not, the watch has still to tell of something.

        Raises
        ------
        ApiError
            The server cannot be asked.
        """
        began = self._api.clock.monotonic()
        names = sorted(set(nodes))
        due = [kind for kind in RESTS_ON if self.reflectors[kind].age() > older]
        checks = [self._same_pods(name) for name in (*names, "")] if "Pod" in due else []
        if "Node" in due:
            checks += [self._same(NODES, {"fieldSelector": f"metadata.name={n}"}, n) for n in names]
        if "PodDisruptionBudget" in due:
            checks.append(self._same(BUDGETS, {}, None))
        if not all(await asyncio.gather(*checks)):
            return False
        for kind in due:
            self.reflectors[kind].confirm(began)
        return True

    async def _same_pods(self, node: str) -> bool:
        listed = await self._versions(PODS, {"fieldSelector": f"spec.nodeName={node}"})
        store = self.reflectors["Pod"].store
        here = self._on.get(node, {})
        keys = {(pod.metadata.namespace, pod.metadata.name) for pod in here.values()}
        return listed == {key: _version(store.get(key)) for key in keys}

    async def _same(self, kind: Resource, query: dict[str, str], name: str | None) -> bool:
        listed = await self._versions(kind, query)
        store = self.reflectors[kind.kind].store
        keys = store.keys() if name is None else {("", name)} & store.keys()
        return listed == {key: _version(store.get(key)) for key in keys}

    async def _versions(self, kind: Resource, query: dict[str, str]) -> dict[Key, tuple[str, str]]:
        page = _PAGE.decode(await self._api.get(kind.path, query))
        heads = [_HEADED.decode(raw).metadata for raw in page.items]
        return {(one.namespace, one.name): (one.uid, one.resource_version) for one in heads}

    def _index(self, what: str, before: Seen | None, after: Seen | None) -> None:
        """Keep pods by UID, node ("" for none) and controller."""
        for seen, add in ((before, False), (after, True)):
            if seen is None:
                continue
            pod: Pod = seen.value
            uid, owner = pod.metadata.uid, pod.metadata.controller()
            places = [(self._on, pod.spec.node_name)]
            if owner is not None:
                places.append((self._of, owner.uid))
            for table, key in places:
                if add:
                    table.setdefault(key, {})[uid] = pod
                else:
                    rest = table.get(key, {})
                    rest.pop(uid, None)
                    if not rest:
                        table.pop(key, None)
            if add:
                self._pods[uid] = pod
            else:
                self._pods.pop(uid, None)
        if before is not None and after is None:
            self._note_gone(before.value)
        self._ring()

    def _ring(self) -> None:
        for bell in self.bells:
            bell.ring()

    def _note_gone(self, pod: Pod) -> None:
        now, owner = self._api.clock.monotonic(), pod.metadata.controller()
        for uid in [uid for uid, (_, at) in self._gone.items() if now - at > REMEMBERED]:
            del self._gone[uid]
        if owner is not None:
            self._gone[pod.metadata.uid] = (owner.uid, now)

    def pod(self, uid: str) -> Pod | None:
        """The pod of this UID."""
        return self._pods.get(uid)

    def pods_of(self, owner: str) -> list[Pod]:
        """The pods of a controller, oldest first."""
        return sorted(self._of.get(owner, {}).values(), key=_by_age)

    def gone_of(self, owner: str) -> list[str]:
        """UIDs of a controller's pods that were deleted within the last minutes."""
        return [uid for uid, (whose, _) in self._gone.items() if whose == owner]

    def pending(self) -> list[Pod]:
        """Pods without a node, oldest first."""
        return sorted(self._on.get("", {}).values(), key=_by_age)

    def pods_on(self, node: str) -> list[Pod]:
        """The pods on a node that hold room there, terminating ones among them."""
        return [p for p in self._on.get(node, {}).values() if p.status.phase not in ENDED]

    def node(self, name: str) -> Node | None:
        """The node of this name."""
        seen = self.reflectors["Node"].get("", name)
        return seen.value if seen else None

    def nodes(self) -> list[Node]:
        """All nodes."""
        return self._all("Node")

    def namespace(self, name: str) -> Namespace | None:
        """The namespace of this name."""
        seen = self.reflectors["Namespace"].get("", name)
        return seen.value if seen else None

    def workload(self, kind: str, namespace: str, name: str) -> Workload | None:
        """The controller of this name."""
        seen = self.reflectors[kind].get(namespace, name) if kind in WORKLOADS else None
        return seen.value if seen else None

    def workload_of(self, uid: str, kind: str) -> Workload | None:
        """The controller of this UID."""
        if kind not in WORKLOADS:
            return None
        for seen in self.reflectors[kind].values():
            if seen.value.metadata.uid == uid:
                return seen.value
        return None

    def free(self, name: str) -> Room:
        """What a node offers less what its pods count; may be negative.

        Raises
        ------
        FormatError
            A pod or the node has a quantity that cannot be read.
        """
        node = self.node(name)
        if node is None:
            return {}
        room = in_units({what: to_nanos(v) for what, v in (node.status.allocatable or {}).items()})
        for pod in self.pods_on(name):
            for what, amount in {**in_units(bound_request(pod)), "pods": 1}.items():
                room[what] = room.get(what, 0) - amount
        return room

    def paused_namespaces(self) -> frozenset[str]:
        """Namespaces that somebody has paused."""
        return frozenset(
            seen.value.metadata.name
            for seen in self.reflectors["Namespace"].values()
            if is_paused(seen.value)
        )

    def cluster(self) -> Cluster:
        """Everything, for `optsched.kube.lower`; pods as if we had neither held nor led them."""
        whole = Cluster(
            nodes=self._all("Node"),
            pods=[gates.as_asked(pod) for pod in self._all("Pod")],
            namespaces=self._all("Namespace"),
            budgets=self._all("PodDisruptionBudget"),
            priority_classes=self._all("PriorityClass"),
            claims=self._all("PersistentVolumeClaim"),
            volumes=self._all("PersistentVolume"),
            storage_classes=self._all("StorageClass"),
            csi_nodes=self._all("CSINode"),
        )
        for kind in WORKLOADS:
            for one in self._all(kind):
                whole.workloads[kind, one.metadata.namespace, one.metadata.name] = one
        pods = self.reflectors["Pod"].values()
        whole.unknown_fields = {
            pod_name(seen.value.metadata): seen.unknown for seen in pods if seen.unknown
        }
        return whole

    def around(self, pods: Iterable[Pod]) -> Cluster:
        """What tells whether these bound pods may be moved, in a large cluster too; no budgets."""
        small = Cluster(pods=list(pods))
        names = {pod.metadata.namespace for pod in small.pods}
        homes = {pod.spec.node_name for pod in small.pods}
        small.nodes = [node for name in sorted(homes) if (node := self.node(name))]
        small.namespaces = [one for name in sorted(names) if (one := self.namespace(name))]
        for pod in small.pods:
            meta, owner = pod.metadata, pod.metadata.controller()
            found = self.workload(owner.kind, meta.namespace, owner.name) if owner else None
            if owner and found:
                small.workloads[owner.kind, meta.namespace, owner.name] = found
            seen = self.reflectors["Pod"].get(meta.namespace, meta.name)
            if seen is not None and seen.unknown:
                small.unknown_fields[pod_name(meta)] = seen.unknown
        if any(pod.spec.volumes for pod in small.pods):
            small.claims = self._all("PersistentVolumeClaim")
            small.volumes = self._all("PersistentVolume")
            small.storage_classes = self._all("StorageClass")
            small.csi_nodes = self._all("CSINode")
        return small

    def _all(self, kind: str) -> list[Any]:
        return [seen.value for seen in self.reflectors[kind].values()]

    def options(self, settings: Settings, now: int) -> KubeOptions:
        """What may be moved, by the settings and by who has paused what."""
        wanted, moves = settings.namespaces, settings.moves
        names = {one.value.metadata.name for one in self.reflectors["Namespace"].values()}
        names |= {pod.metadata.namespace for pod in self._pods.values()}
        fixed = {name for name in names if wanted.moved and name not in wanted.moved}
        return KubeOptions(
            now=datetime.fromtimestamp(now / 1000).astimezone().isoformat(),
            min_age=int(moves.min_age.seconds),
            min_replicas=moves.min_replicas,
            protected_namespaces=frozenset(wanted.never) | fixed | self.paused_namespaces(),
            scheduler_names=frozenset(settings.scheduler_names),
            movable_storage_classes=frozenset(moves.storage_classes),
        )

    def is_paused(self, pod: Pod) -> bool:
        """Whether somebody has paused the pod, its controller, or that one's (a Deployment)."""
        return is_paused(pod) or self._is_held(pod.metadata)

    def is_owner_paused(self, uid: str, kind: str) -> bool:
        """Whether somebody has paused the controller of this UID, or its own."""
        owner = self.workload_of(uid, kind)
        return owner is not None and (is_paused(owner) or self._is_held(owner.metadata))

    def _is_held(self, meta: Metadata) -> bool:
        """Whether what controls an object, directly or through others, is paused."""
        namespace = meta.namespace
        for _ in range(len(WORKLOADS)):  # a circle of owners ends too
            above = meta.controller()
            owner = self.workload(above.kind, namespace, above.name) if above else None
            if owner is None:
                return False
            if is_paused(owner):
                return True
            meta = owner.metadata
        return False


def is_paused(thing: Namespace | Workload | Pod | DisruptionBudget) -> bool:
    """Whether it carries the annotation optsched.io/pause=true."""
    notes = thing.metadata.annotations
    return notes is not None and (notes.pause or "").lower() == "true"


def _by_age(pod: Pod) -> tuple[datetime, str]:
    return pod.metadata.born, pod.metadata.uid


def _version(entry: Entry[Seen] | None) -> tuple[str, str]:
    return (entry.uid, entry.version) if entry else ("", "")


async def synced(mirror: Mirror, seconds: float) -> bool:
    """Wait until everything has been read; False if that took too long."""
    with contextlib.suppress(TimeoutError, ApiError):
        async with asyncio.timeout(seconds):
            while not mirror.synced:
                await asyncio.sleep(0.005)
    return mirror.synced
