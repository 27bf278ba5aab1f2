"""Which pods took the place of evicted ones: by owner and template, never by name alone."""

from __future__ import annotations

import msgspec

from optsched.k8s.mirror import ENDED, Mirror
from optsched.k8s.records import MovePhase, MoveStatus, PlacementPlan, PlannedMove
from optsched.k8s.table import INDEX_LABEL, SKEW, template_hash
from optsched.kube.podspec import Pod

UNWANTED = 5_000  # ms after which an owner that is content is taken to want no replacement


def seconds_of(pod: Pod) -> int:
    """When the pod was made, in whole seconds as the API keeps them."""
    return int(pod.metadata.born.timestamp())


def candidates(plan: PlacementPlan, move: PlannedMove, mirror: Mirror) -> list[Pod]:
    """Pods that may have been made for an evicted one, oldest first: those of the guard's token."""
    told = plan.status.moves[move.uid]
    ours = {one.uid for one in plan.spec.moves} | {one.uid for one in plan.spec.placements}
    return [
        pod
        for pod in mirror.pods_of(move.owner)
        if pod.metadata.uid not in ours
        and pod.metadata.uid not in told.known
        and seconds_of(pod) >= told.at // 1000 - SKEW
        and template_hash(pod.metadata.labels) == move.hash
        and (move.owner_kind != "StatefulSet" or pod.metadata.name == move.name)
        and (pod.metadata.labels or {}).get(INDEX_LABEL, "") == move.index
        and pod.status.phase not in ENDED
        and not pod.metadata.deletion_timestamp
    ]


def known(move: PlannedMove, mirror: Mirror, now: int) -> tuple[str, ...]:
    """The owner's pods that could be mistaken for a replacement, because they are so young."""
    since = now // 1000 - SKEW
    return tuple(pod.metadata.uid for pod in mirror.pods_of(move.owner) if seconds_of(pod) >= since)


def update(plan: PlacementPlan, mirror: Mirror, now: int) -> dict[str, MoveStatus]:
    """The moves whose replacement has been bound, or is not going to come, with their new status.

    Of several tokens of an owner, a bound pod takes one of its own node first.
    """
    changed: dict[str, MoveStatus] = {}
    waiting = [
        move
        for move in plan.spec.moves
        if plan.status.moves.get(move.uid, _NONE).phase is MovePhase.EVICTED
    ]
    taken = {told.replacement for told in plan.status.moves.values() if told.replacement}
    for exact in (True, False):
        for move in waiting:
            if move.uid in changed:
                continue
            for pod in candidates(plan, move, mirror):
                uid, node = pod.metadata.uid, pod.spec.node_name
                if not node or uid in taken or (exact and node != move.target):
                    continue
                taken.add(uid)
                changed[move.uid] = msgspec.structs.replace(
                    plan.status.moves[move.uid],
                    phase=MovePhase.PLACED,
                    replacement=uid,
                    node=node,
                    reason="" if node == move.target else "it went to another node",
                )
                break
    for move in waiting:
        told = plan.status.moves[move.uid]
        if move.uid in changed or now - told.at < UNWANTED + 1000 * move.grace:
            continue
        free = [one for one in candidates(plan, move, mirror) if one.metadata.uid not in taken]
        if not free and (why := _unwanted(move, mirror)):
            changed[move.uid] = msgspec.structs.replace(told, phase=MovePhase.SKIPPED, reason=why)
    return changed


_NONE = MoveStatus(MovePhase.INTENDED)


def _unwanted(move: PlannedMove, mirror: Mirror) -> str:
    """Why the owner makes no replacement, "" if one is to be expected."""
    owner = mirror.workload_of(move.owner, move.owner_kind)
    if owner is None or owner.metadata.deletion_timestamp:
        return "its owner is gone"
    live = [
        pod
        for pod in mirror.pods_of(move.owner)
        if pod.status.phase not in ENDED and not pod.metadata.deletion_timestamp
    ]
    if owner.spec.replicas is not None and len(live) >= owner.spec.replicas:
        return "its owner wants no replacement"
    return ""
