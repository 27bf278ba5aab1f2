"""Which running pods are never moved, and why.

The reasons complete the sentence "the pod stays because ...".
"""

from __future__ import annotations

from datetime import datetime

from optsched.errors import FormatError

from .cluster import Cluster
from .options import RECREATING, SYSTEM_PRIORITY, KubeOptions
from .owners import Owners
from .pods import Item
from .podspec import Pod, Volume
from .shapes import pod_group
from .storage import VolumeNeeds
from .wire import LONG_AGO, OwnerReference


class Protection:
    """The never-move list of one cluster under given settings."""

    def __init__(self, cluster: Cluster, options: KubeOptions) -> None:
        self._options = options
        self._workloads = cluster.workloads
        self._owners = Owners(cluster)
        self._guarded_nodes = {
            node.metadata.name
            for node in cluster.nodes
            if node.metadata.annotations and node.metadata.annotations.do_not_disrupt
        }
        self._now = _now(cluster, options) if options.min_age else LONG_AGO
        self._siblings: dict[tuple[str, str, str], int] = {}
        for pod in cluster.pods:
            owner = pod.metadata.controller()
            if owner and pod.status.phase not in ("Succeeded", "Failed"):
                key = (owner.kind, pod.metadata.namespace, owner.name)
                self._siblings[key] = self._siblings.get(key, 0) + 1

    def reason(self, item: Item) -> str:
        """Why the bound pod stays, or "" if it may be moved; budgets are not looked at."""
        pod, what = item.pod, item.unmodelled
        return (
            self._by_state(pod, item.owner)
            or (f"it has a field that is not modelled: {what}" if what else "")
            or self._by_wish(pod)
            or self._by_place(pod)
            or self._by_owner(pod, item.owner)
            or self._by_volumes(pod, item.needs)
            or self._by_age(pod)
        )

    def _by_state(self, pod: Pod, owner: OwnerReference | None) -> str:
        notes = pod.metadata.annotations
        if pod.metadata.deletion_timestamp:
            return "it is terminating"
        if (notes and notes.mirror is not None) or (owner and owner.kind == "Node"):
            return "it is a static pod"
        if owner and owner.kind == "DaemonSet":
            return "it belongs to a DaemonSet"
        ready = any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ())
        if not ready:
            return "it is not ready"
        if "kubevirt.io" in (pod.metadata.labels or {}):
            return "it holds a virtual machine"
        if pod_group(pod):
            return "it belongs to a pod group"
        return ""

    def _by_wish(self, pod: Pod) -> str:
        notes = pod.metadata.annotations
        if notes is None:
            return ""
        for value, forbids in (
            (notes.movable, ("false",)),
            (notes.safe_to_evict, ("false", "on-completion")),
            (notes.refuse_to_migrate, ("true", "")),
        ):
            if value is not None and value.lower() in forbids:
                return "an annotation forbids it"
        if notes.prefer_no_eviction is not None or notes.do_not_disrupt not in (None, "false"):
            return "an annotation forbids it"
        return ""

    def _by_place(self, pod: Pod) -> str:
        options = self._options
        if pod.metadata.namespace in options.protected_namespaces:
            return f"namespace {pod.metadata.namespace} is protected"
        if (pod.spec.priority or 0) >= SYSTEM_PRIORITY:
            return "it has a system priority"
        if pod.spec.scheduler_name not in options.scheduler_names:
            return f"scheduler {pod.spec.scheduler_name} placed it"
        if pod.spec.node_name in self._guarded_nodes:
            return "its node must not be disrupted"
        return ""

    def _by_owner(self, pod: Pod, owner: OwnerReference | None) -> str:
        if owner is None:
            return "no controller would recreate it"
        if owner.kind not in RECREATING:
            return f"it is not known whether a {owner.kind} recreates it"
        if self._owners.lacks(owner, pod.metadata.namespace):
            return "its owner is not in the input"
        is_job = owner.kind == "Job" or pod.spec.restart_policy == "Never"
        if is_job and not self._options.move_jobs and not _opted_in(pod):
            return "it would lose the work of a Job"
        key = (owner.kind, pod.metadata.namespace, owner.name)
        workload = self._workloads.get(key)
        if workload and workload.spec.template.spec.node_name:
            return "its owner names the node"
        revision = (pod.metadata.labels or {}).get("controller-revision-hash")
        if workload and workload.status.update_revision not in ("", revision):
            return "its owner is rolling out another revision"
        replicas = workload.spec.replicas if workload else None
        if replicas is None:
            replicas = self._siblings[key]
        if owner.kind != "Job" and replicas < self._options.min_replicas and not _opted_in(pod):
            return f"its owner wants fewer than {self._options.min_replicas} replicas"
        return ""

    def _by_volumes(self, pod: Pod, needs: VolumeNeeds | None) -> str:
        options, notes = self._options, pod.metadata.annotations
        allowed = {
            name.strip() for name in ((notes and notes.safe_local_volumes) or "").split(",") if name
        }
        for volume in pod.spec.volumes or ():
            if volume.host_path is not None:
                return "it uses a path on its node"
            if _is_disk(volume) and not (
                options.move_local_storage or _opted_in(pod) or volume.name in allowed
            ):
                return "it keeps scratch data on its node's disk"
        if needs is None:
            return ""
        if not needs.pin and needs.classes - options.movable_storage_classes:
            return "it uses a claim whose storage class is not allowed to move"
        return needs.pin

    def _by_age(self, pod: Pod) -> str:
        least, born = self._options.min_age, pod.metadata.creation_timestamp
        if least <= 0 or born is None or (self._now - born).total_seconds() >= least:
            return ""
        return f"it is younger than {least} s"


def _opted_in(pod: Pod) -> bool:
    notes = pod.metadata.annotations
    return notes is not None and "true" in (notes.movable, notes.safe_to_evict)


def _is_disk(volume: Volume) -> bool:
    return volume.empty_dir is not None and volume.empty_dir.medium == ""


def _now(cluster: Cluster, options: KubeOptions) -> datetime:
    if not options.now:
        return newest_timestamp(cluster)
    try:
        now = datetime.fromisoformat(options.now)
    except ValueError:
        now = None
    if now is None or now.tzinfo is None:
        raise FormatError(f"{options.now[:40]!r} is not a time such as 2026-11-23T07:10:53Z")
    return now


def newest_timestamp(cluster: Cluster) -> datetime:
    """The newest time at which anything is said to have happened; 1970 if nothing is."""
    metadata = [
        *(node.metadata for node in cluster.nodes),
        *(pod.metadata for pod in cluster.pods),
        *(budget.metadata for budget in cluster.budgets),
        *(workload.metadata for workload in cluster.workloads.values()),
    ]
    newest = max((one.born for one in metadata), default=LONG_AGO)
    conditions = [
        *(node.status.conditions for node in cluster.nodes),
        *(pod.status.conditions for pod in cluster.pods),
    ]
    for rows in conditions:
        for condition in rows or ():
            newest = max(newest, condition.last_transition_time or newest)
    return newest
