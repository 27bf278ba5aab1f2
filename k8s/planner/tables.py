"""The cluster as the planner's problem, through `optsched.kube`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from optsched.k8s import gates
from optsched.k8s.mirror import Mirror
from optsched.k8s.settings import Deployment, Settings
from optsched.kube import Cluster, KubeOptions, lower
from optsched.kube.cluster import pod_name
from optsched.kube.podspec import Pod
from optsched.problem import PlacementProblem


@dataclass(frozen=True)
class View:
    """What the planner sees of the cluster at one moment; safe to read from another thread.

    Attributes
    ----------
    stays
        Per pod ("namespace/name") why it must stay, on top of what the translator knows.
    """

    cluster: Cluster
    options: KubeOptions
    stays: dict[str, str]
    settings: Settings


def view(
    mirror: Mirror, settings: Settings, now: int, batch: Collection[str], cooling: Collection[str]
) -> View:
    """The cluster without the pending pods that are not in `batch` (UIDs).

    `cooling` holds the UIDs of owners that were disturbed lately.
    """
    whole = mirror.cluster()
    whole.pods = [pod for pod in whole.pods if pod.spec.node_name or pod.metadata.uid in batch]
    stays: dict[str, str] = {}
    # Whatever the mode is now: it may be Enforce when the plan is carried out.
    gated = settings.deployment is Deployment.GATED
    for pod in whole.pods:
        if pod.spec.node_name and (why := _why_stay(pod, mirror, settings, cooling)):
            stays[pod_name(pod.metadata)] = why
        elif gated and pod.spec.node_name and not _comes_back_held(pod, mirror):
            stays[pod_name(pod.metadata)] = "what replaces it would not be gated"
    return View(whole, mirror.options(settings, now), stays, settings)


def _why_stay(pod: Pod, mirror: Mirror, settings: Settings, cooling: Collection[str]) -> str:
    owner, moved = pod.metadata.controller(), settings.namespaces.moved
    if mirror.is_paused(pod):
        return "it is paused"
    if owner is not None and owner.uid in cooling:
        return "its owner was disturbed lately"
    if moved and pod.metadata.namespace not in moved:
        return "its namespace is not to be moved"
    return ""


def _comes_back_held(pod: Pod, mirror: Mirror) -> bool:
    """Whether what replaces the pod can be led to a node."""
    meta, owner = pod.metadata, pod.metadata.controller()
    if owner is None:
        return False
    workload = mirror.workload(owner.kind, meta.namespace, owner.name)
    return gates.will_be_held(workload, mirror.namespace(meta.namespace))


def problem(seen: View) -> PlacementProblem:
    """The tables, with the limits that the settings set.

    Raises
    ------
    FormatError
        Objects contradict each other.
    """
    settings, moves = seen.settings, seen.settings.moves
    made = pinned(lower(seen.cluster, seen.options), seen.stays)
    return made.replace(
        protect_higher=settings.planner.protect_higher,
        max_moves=moves.max_per_plan,
        owner_at_once=moves.max_per_owner,
    )


def after_terminations(seen: View) -> PlacementProblem | None:
    """The cluster when the pods that are going have gone, nothing moved; None if none is going."""
    staying = [pod for pod in seen.cluster.pods if not pod.metadata.deletion_timestamp]
    if len(staying) == len(seen.cluster.pods):
        return None
    later = replace(seen.cluster, pods=staying)
    return lower(later, seen.options).replace(max_moves=0)


def pinned(made: PlacementProblem, stays: dict[str, str]) -> PlacementProblem:
    """The problem with these items kept where they are, each for its reason."""
    if not stays:
        return made
    items = made.items
    movable, evictable = items.movable.copy(), items.evictable.copy()
    pinned_by = items.pinned_by.copy()
    reasons = {text: number for number, text in enumerate(made.pin_reasons)}
    for row, name in enumerate(items.names):
        why = stays.get(name)
        if why is not None and movable[row]:
            movable[row] = evictable[row] = False
            pinned_by[row] = reasons.setdefault(why, len(reasons))
    for table in (movable, evictable, pinned_by):
        table.setflags(write=False)
    changed = replace(items, movable=movable, evictable=evictable, pinned_by=pinned_by)
    return made.replace(items=changed, pin_reasons=tuple(reasons))


def placed(made: PlacementProblem, host: object) -> int:
    """How many pending items have a host in `host` (I,)."""
    return int((np.asarray(host)[made.items.host0 < 0] >= 0).sum())
