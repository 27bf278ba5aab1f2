"""A solver's plan becomes a PlacementPlan: indices become pods by UID, with all that tells them."""

from __future__ import annotations

from optsched.errors import PlanError
from optsched.k8s.mirror import Mirror
from optsched.k8s.records import ObjectMeta, PlacementPlan, PlannedMove, PlannedPlacement, PlanSpec
from optsched.k8s.settings import Settings
from optsched.k8s.table import INDEX_LABEL, Room, template_hash
from optsched.kube.podspec import Pod
from optsched.kube.requests import in_units, spec_request
from optsched.plan import Move
from optsched.problem import PlacementProblem
from optsched.result import Result

GRACE = 30  # seconds, where a pod does not say


def proposal(
    problem: PlacementProblem, result: Result, mirror: Mirror, settings: Settings, now: int
) -> PlacementPlan:
    """The plan to be written down.

    Raises
    ------
    PlanError
        It names a pod that is not there any more, or does what cannot be done through evictions
        and a scheduler: to leave a pod without a node, or to move it twice.
    """
    pods = {
        f"{pod.metadata.namespace}/{pod.metadata.name}": pod
        for pod in (seen.value for seen in mirror.reflectors["Pod"].values())
    }
    moves: list[PlannedMove] = []
    placements: list[PlannedPlacement] = []
    seen: set[int] = set()
    for number, wave in enumerate(result.plan.waves):
        for move in wave.moves:
            name = problem.items.names[move.item]
            pod = pods.get(name)
            if pod is None:
                raise PlanError(f"pod {name[:80]!r} is gone")
            if move.item in seen or move.target < 0:
                raise PlanError(f"pod {name[:80]!r} is moved twice or left without a node")
            if move.source != problem.items.host0[move.item]:
                raise PlanError(f"pod {name[:80]!r} is not where the plan says")
            seen.add(move.item)
            if move.source < 0:
                placements.append(_placement(problem, move, pod, number))
            else:
                moves.append(_move(problem, move, pod, number))
    spec = PlanSpec(
        moves=tuple(moves),
        placements=tuple(placements),
        created=now,
        ttl=int(settings.moves.ttl),
        priority=max((_priority(mirror, one.uid) for one in placements), default=0),
        solver=result.solver,
        summary=f"places {len(placements)} by moving {len(moves)}",
        certificate=result.certificate.text[:1000],
    )
    return PlacementPlan(metadata=ObjectMeta(generate_name="plan-"), spec=spec)


def _placement(problem: PlacementProblem, move: Move, pod: Pod, wave: int) -> PlannedPlacement:
    return PlannedPlacement(
        uid=pod.metadata.uid,
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        node=problem.hosts.names[move.target],
        wave=wave,
        request=_request(pod),
    )


def _move(problem: PlacementProblem, move: Move, pod: Pod, wave: int) -> PlannedMove:
    meta, owner = pod.metadata, pod.metadata.controller()
    if owner is None:
        raise PlanError(f"pod {meta.namespace}/{meta.name} has no controller to make it anew")
    grace = pod.spec.termination_grace_period_seconds
    return PlannedMove(
        uid=meta.uid,
        namespace=meta.namespace,
        name=meta.name,
        source=problem.hosts.names[move.source],
        target=problem.hosts.names[move.target],
        owner=owner.uid,
        owner_kind=owner.kind,
        hash=template_hash(meta.labels),
        index=(meta.labels or {}).get(INDEX_LABEL, ""),
        wave=wave,
        grace=GRACE if grace is None else int(grace),
        request=_request(pod),
    )


def _request(pod: Pod) -> Room:
    """What the pod, or another made from its template, is to get."""
    return {**in_units(spec_request(pod.spec)), "pods": 1}


def _priority(mirror: Mirror, uid: str) -> int:
    pod = mirror.pod(uid)
    return (pod.spec.priority or 0) if pod else 0
