"""Whether a plan is allowed on the cluster as it is now: the independent checker reads it again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from optsched.check import check
from optsched.errors import FormatError
from optsched.k8s import gates
from optsched.k8s.mirror import Mirror
from optsched.k8s.records import PlacementPlan, PlannedMove
from optsched.k8s.settings import Deployment, Settings
from optsched.kube import Cluster, KubeOptions, lower
from optsched.kube.cluster import pod_name
from optsched.objective import evaluate
from optsched.plan import Move, Placement, Plan, Violation, Wave
from optsched.problem import PlacementProblem


async def refusal(plan: PlacementPlan, mirror: Mirror, settings: Settings, now: int) -> str:
    """Why the plan is not to be carried out, "" if it may be."""
    if why := _by_pods(plan, mirror) or _by_settings(plan, mirror, settings):
        return why
    # Tables of a large cluster take seconds, in which the Lease must be renewed.
    cluster, options = mirror.cluster(), mirror.options(settings, now)
    return await asyncio.to_thread(_by_rules, plan, cluster, options, settings)


def _by_pods(plan: PlacementPlan, mirror: Mirror) -> str:
    """The pods must be those the plan was made for."""
    for move in plan.spec.moves:
        pod = mirror.pod(move.uid)
        owner = pod.metadata.controller() if pod else None
        if pod is None or pod.metadata.deletion_timestamp:
            return f"pod {_name(move)} is gone"
        if pod.spec.node_name != move.source or owner is None or owner.uid != move.owner:
            return f"pod {_name(move)} is not where, or whose, the plan says"
    for one in plan.spec.placements:
        pod = mirror.pod(one.uid)
        if pod is None or pod.metadata.deletion_timestamp:
            return f"pod {one.namespace}/{one.name} is gone"
        if pod.spec.node_name:
            return f"pod {one.namespace}/{one.name} is not pending any more"
    return "" if plan.spec.placements else "it helps no pod"


def _by_settings(plan: PlacementPlan, mirror: Mirror, settings: Settings) -> str:
    names = settings.namespaces
    paused = mirror.paused_namespaces()
    for one in plan.spec.placements:
        if one.namespace in names.never or (names.helped and one.namespace not in names.helped):
            return f"pods of namespace {one.namespace} are not to be helped"
    for move in plan.spec.moves:
        if move.namespace in names.never or (names.moved and move.namespace not in names.moved):
            return f"pods of namespace {move.namespace} are not to be moved"
        owner = mirror.workload_of(move.owner, move.owner_kind)
        held = gates.will_be_held(owner, mirror.namespace(move.namespace))
        if settings.deployment is Deployment.GATED and not held:
            return f"what replaces pod {_name(move)} would not be gated"
    return paused_part(plan, mirror, paused)


def paused_part(plan: PlacementPlan, mirror: Mirror, paused: frozenset[str]) -> str:
    """What of the plan somebody has paused, "" if nothing."""
    for name in [m.namespace for m in plan.spec.moves] + [
        p.namespace for p in plan.spec.placements
    ]:
        if name in paused:
            return f"namespace {name} is paused"
    for move in plan.spec.moves:
        pod = mirror.pod(move.uid)
        if mirror.is_owner_paused(move.owner, move.owner_kind) or (pod and mirror.is_paused(pod)):
            return f"pod {_name(move)} or its owner is paused"
    for one in plan.spec.placements:
        pod = mirror.pod(one.uid)
        if pod is not None and mirror.is_paused(pod):
            return f"pod {one.namespace}/{one.name} or its owner is paused"
    return ""


def held_back(moves: Iterable[PlannedMove], mirror: Mirror, settings: Settings, now: int) -> str:
    """Why one of these pods, which are still to be moved, must stay by now; "" if none must.

    Minutes pass between waves, in which people set annotations and owners roll out. Budgets are not
    looked at: the server does that, and a plan waits for them.
    """
    found = [(move, mirror.pod(move.uid)) for move in moves]
    pods = [
        pod
        for move, pod in found
        if pod and not pod.metadata.deletion_timestamp and pod.spec.node_name == move.source
    ]
    for pod in pods:
        owner = pod.metadata.controller()
        if owner is not None and mirror.workload_of(owner.uid, owner.kind) is None:
            return f"the owner of pod {pod_name(pod.metadata)} is gone"
    try:
        problem = lower(mirror.around(pods), mirror.options(settings, now))
    except FormatError as error:
        return f"the cluster cannot be read: {error}"
    for name, why in zip(problem.items.names, problem.items.pinned_by.tolist(), strict=True):
        if why >= 0:
            return f"pod {name} must stay: {problem.pin_reasons[why]}"
    return ""


def _by_rules(
    plan: PlacementPlan, cluster: Cluster, options: KubeOptions, settings: Settings
) -> str:
    try:
        problem = _problem(cluster, options, settings)
    except FormatError as error:
        return f"the cluster cannot be read: {error}"
    try:
        report = check(problem, translated(plan, problem))
    except KeyError as error:
        return f"{error.args[0]} is not in the cluster"
    if report.violations:
        return f"the cluster has changed: {_told(problem, report.violations[0])}"
    if list(report.levels) >= list(evaluate(problem, Placement.current(problem))):
        return "it gains nothing any more"
    return ""


def _told(problem: PlacementProblem, violation: Violation) -> str:
    """A violation, and why a pod that may not move may not."""
    reason = problem.items.pinned_by[violation.item] if violation.item >= 0 else -1
    if violation.rule != "movable" or reason < 0:
        return violation.text
    return f"{violation.text}: {problem.pin_reasons[reason]}"


def problem_of(mirror: Mirror, settings: Settings, now: int) -> PlacementProblem:
    """The cluster as tables, with what the settings add.

    Raises
    ------
    FormatError
        Objects contradict each other.
    """
    return _problem(mirror.cluster(), mirror.options(settings, now), settings)


def _problem(cluster: Cluster, options: KubeOptions, settings: Settings) -> PlacementProblem:
    return lower(cluster, options).replace(protect_higher=settings.planner.protect_higher)


def translated(plan: PlacementPlan, problem: PlacementProblem) -> Plan:
    """The plan in terms of a problem; KeyError names what is not there."""
    items = {name: i for i, name in enumerate(problem.items.names)}
    hosts = {name: h for h, name in enumerate(problem.hosts.names)}
    waves: dict[int, list[Move]] = {}
    for move in plan.spec.moves:
        entry = Move(items[_name(move)], hosts[move.source], hosts[move.target])
        waves.setdefault(move.wave, []).append(entry)
    for one in plan.spec.placements:
        entry = Move(items[f"{one.namespace}/{one.name}"], -1, hosts[one.node])
        waves.setdefault(one.wave, []).append(entry)
    return Plan(
        problem.digest(), waves=tuple(Wave(tuple(moves)) for _, moves in sorted(waves.items()))
    )


def _name(move: PlannedMove) -> str:
    return f"{move.namespace}/{move.name}"
