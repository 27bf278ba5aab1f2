"""The pods that hold or want room, and what is worked out about each."""

from __future__ import annotations

from dataclasses import dataclass

from optsched.arrays import NONE
from optsched.errors import FormatError

from .cluster import Cluster, pod_name
from .nodes import NodeTable
from .podspec import Pod
from .requests import Nanos
from .shapes import Shape, Shapes, pod_group
from .storage import Storage, VolumeNeeds, claim_names
from .warn import Warnings
from .wire import OwnerReference


@dataclass(slots=True)
class Item:
    """One live pod.

    Attributes
    ----------
    owner
        The controller that keeps it alive.
    host
        Number of its node, -1 if it is pending.
    request
        What it counts or asks, in nanos.
    needs
        What its claims mean, None if it has none.
    unmodelled
        Fields that are not modelled, "" if there are none.
    pin
        Why it may not be moved, "" if it may. Pending pods have none.
    """

    pod: Pod
    name: str
    owner: OwnerReference | None
    host: int
    shape: Shape
    labels_key: bytes
    request: Nanos
    needs: VolumeNeeds | None
    unmodelled: str = ""
    pin: str = ""

    @property
    def terminating(self) -> bool:
        """Whether the pod is about to go; it holds its room until then."""
        return self.pod.metadata.deletion_timestamp is not None

    def is_resizing(self) -> bool:
        """Whether the pod counts something else than it would ask if it were made anew."""
        return self.request is not self.shape.asked.request

    def mark_unmodelled(self, what: str) -> None:
        """Add a reason why the pod cannot be judged."""
        self.unmodelled = f"{self.unmodelled}, {what}" if self.unmodelled else what


def live_items(
    cluster: Cluster, nodes: NodeTable, storage: Storage, warnings: Warnings
) -> list[Item]:
    """The pods that are not at their end.

    Raises
    ------
    FormatError
        A pod is listed twice or asks for what is no quantity, or pods are bound while there are no
        nodes at all.
    """
    live = _live_pods(cluster, nodes, warnings)
    for pod, host in live:
        if host != NONE and pod.spec.volumes:
            storage.note_user(pod)
    shapes = Shapes()
    return [_item(cluster, pod, host, shapes, storage) for pod, host in live]


def _live_pods(cluster: Cluster, nodes: NodeTable, warnings: Warnings) -> list[tuple[Pod, int]]:
    """The pods and their nodes' numbers (-1: pending)."""
    seen: set[tuple[str, str]] = set()
    live = []
    for pod in cluster.pods:
        meta, node = pod.metadata, pod.spec.node_name
        if (meta.namespace, meta.name) in seen:
            raise FormatError(f"pod {pod_name(meta)!r} is listed twice; names must be unique")
        seen.add((meta.namespace, meta.name))
        if pod.status.phase in ("Succeeded", "Failed"):
            continue
        host = nodes.index.get(node, NONE)
        if node and not nodes.count:
            raise FormatError(
                f"pod {pod_name(meta)!r} runs on node {node[:80]!r}, but the input holds no nodes; "
                "ask for them too: kubectl get nodes,pods,... -A -o json"
            )
        if node and host == NONE:
            warnings.add("pods left out because their node is not there", pod_name(meta))
        elif not node and meta.deletion_timestamp:
            warnings.add(
                "pending pods left out because they are being deleted",
                pod_name(meta),
            )
        else:
            live.append((pod, host))
    return live


def _item(cluster: Cluster, pod: Pod, host: int, shapes: Shapes, storage: Storage) -> Item:
    name = pod_name(pod.metadata)
    try:
        shape = shapes.of(pod)
        request = shapes.request(shape, pod)
    except FormatError as error:
        raise FormatError(f"pod {name!r}: {error}") from error
    needs = storage.needs(pod) if pod.spec.volumes and claim_names(pod) else None
    reasons = [*cluster.unknown_fields.get(name, ()), *shape.unmodelled]
    if needs is not None:
        reasons += needs.unmodelled
    if host == NONE and pod_group(pod):
        reasons.append("pod group")
    return Item(
        pod=pod,
        name=name,
        owner=pod.metadata.controller(),
        host=host,
        shape=shape,
        labels_key=shapes.labels_key(pod),
        request=request,
        needs=needs,
        unmodelled=", ".join(dict.fromkeys(reasons)),
    )
