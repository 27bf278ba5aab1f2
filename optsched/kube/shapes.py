"""Pods of one template share a shape: what their spec says about placement, worked out once."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from .podspec import Pod, PodAffinity, PodAffinityTerm, PodSpec, SpreadConstraint
from .requests import Nanos, bound_request, in_units, is_sidecar, spec_request
from .selectors import NODE_OPERATORS, OPERATORS

#: Labels that make a pod a member of a group that other schedulers place all or none.
_POD_GROUPS = ("scheduling.x-k8s.io/pod-group", "pod-group.scheduling.sigs.k8s.io/name")

HostPort = tuple[str, str, int]  # protocol, address, port


@dataclass
class Asked:
    """What pods with equal containers have in common.

    Attributes
    ----------
    request
        What such a pod asks when it is scheduled, in nanos.
    ports
        Host ports it takes.
    bound
        What it counts once bound, by what its status says.
    """

    request: Nanos
    ports: tuple[HostPort, ...]
    bound: dict[bytes, Nanos] = field(default_factory=dict)


@dataclass
class Shape:
    """What pods with equal specs have in common.

    Attributes
    ----------
    spec
        The spec of the first of them; its node name, claims and priority are not shared.
    required, apart
        Terms of required pod affinity and anti-affinity.
    spread
        Topology spread constraints that must hold (DoNotSchedule).
    unmodelled
        Fields that are not modelled.
    """

    number: int
    spec: PodSpec
    asked: Asked
    required: tuple[PodAffinityTerm, ...]
    apart: tuple[PodAffinityTerm, ...]
    spread: tuple[SpreadConstraint, ...]
    unmodelled: tuple[str, ...]


class Shapes:
    """Hands out one shape for all pods whose specs agree in what matters."""

    def __init__(self) -> None:
        self._known: dict[bytes, Shape] = {}
        self._asked: dict[bytes, Asked] = {}
        self._encode = msgspec.msgpack.Encoder().encode

    def of(self, pod: Pod) -> Shape:
        """The shape of a pod."""
        spec = pod.spec
        asks = self._encode((spec.containers, spec.init_containers, spec.overhead, spec.resources))
        rules = self._encode(
            (
                spec.node_selector,
                spec.affinity,
                spec.tolerations,
                spec.topology_spread_constraints,
                spec.resource_claims,
                spec.scheduling_gates,
                spec.scheduler_name,
            )
        )
        shape = self._known.get(asks + rules)
        if shape is None:
            asked = self._asked.get(asks)
            if asked is None:
                asked = self._asked[asks] = Asked(spec_request(spec), _host_ports(spec))
            shape = self._known[asks + rules] = _shape(len(self._known), spec, asked)
        return shape

    def request(self, shape: Shape, pod: Pod) -> Nanos:
        """What the pod counts on its node, or asks if it has none, in nanos.

        It is the shape's own request, the very object, unless the pod is being resized.
        """
        status = pod.status
        if not pod.spec.node_name:
            return shape.asked.request
        key = self._encode(
            (
                status.container_statuses,
                status.init_container_statuses,
                status.resources,
                status.allocated_resources,
                [c.reason for c in status.conditions or () if c.type == "PodResizePending"],
            )
        )
        known = shape.asked.bound.get(key)
        if known is None:
            known = bound_request(pod)
            if in_units(known) == in_units(shape.asked.request):
                known = shape.asked.request
            shape.asked.bound[key] = known
        return known

    def labels_key(self, pod: Pod) -> bytes:
        """A key that is equal for equal labels in equal order."""
        return self._encode(pod.metadata.labels)


def _shape(number: int, spec: PodSpec, asked: Asked) -> Shape:
    affinity = spec.affinity
    required = _terms(affinity.pod_affinity if affinity else None)
    apart = _terms(affinity.pod_anti_affinity if affinity else None)
    spread = tuple(
        one
        for one in spec.topology_spread_constraints or ()
        if one.when_unsatisfiable != "ScheduleAnyway"
    )
    return Shape(
        number=number,
        spec=spec,
        asked=asked,
        required=required,
        apart=apart,
        spread=spread,
        unmodelled=tuple(dict.fromkeys(_unmodelled(spec, required + apart, spread))),
    )


def _terms(affinity: PodAffinity | None) -> tuple[PodAffinityTerm, ...]:
    if affinity is None:
        return ()
    return tuple(affinity.required_during_scheduling_ignored_during_execution or ())


def _host_ports(spec: PodSpec) -> tuple[HostPort, ...]:
    """Ports that containers and sidecars take on the node; no address means all of them."""
    sidecars = [one for one in spec.init_containers or () if is_sidecar(one)]
    ports = {
        (port.protocol or "TCP", port.host_ip or "0.0.0.0", port.host_port)
        for container in (*spec.containers, *sidecars)
        for port in container.ports or ()
        if port.host_port > 0
    }
    return tuple(sorted(ports))


def _unmodelled(
    spec: PodSpec, terms: tuple[PodAffinityTerm, ...], spread: tuple[SpreadConstraint, ...]
) -> list[str]:
    """Values that this translation does not know, and features that it does not model."""
    found = []
    claims = [
        c.resources.claims for c in (*spec.containers, *(spec.init_containers or ())) if c.resources
    ]
    if spec.resource_claims or any(claims):
        found.append("resourceClaims")
    for one in spec.tolerations or ():
        if one.operator not in ("", "Exists", "Equal"):
            found.append(f"toleration operator {one.operator}")
    selectors = [s for t in terms for s in (t.label_selector, t.namespace_selector)]
    selectors += [one.label_selector for one in spread]
    rows = [row for s in selectors if s for row in s.match_expressions or ()]
    found += [f"selector operator {row.operator}" for row in rows if row.operator not in OPERATORS]
    for one_spread in spread:
        if one_spread.when_unsatisfiable != "DoNotSchedule":
            found.append(f"whenUnsatisfiable {one_spread.when_unsatisfiable}")
        for policy in (one_spread.node_affinity_policy, one_spread.node_taints_policy):
            if policy not in (None, "", "Honor", "Ignore"):
                found.append(f"node inclusion policy {policy}")
    needed = spec.required_node_affinity()
    for term in (needed.node_selector_terms or ()) if needed else ():
        for row in (*(term.match_expressions or ()), *(term.match_fields or ())):
            if row.operator not in NODE_OPERATORS:
                found.append(f"node affinity operator {row.operator}")
    return found


def pod_group(pod: Pod) -> str:
    """The pod group that a pod belongs to, or ""."""
    labels, notes = pod.metadata.labels or {}, pod.metadata.annotations
    named = [labels[key] for key in _POD_GROUPS if key in labels]
    if notes and notes.volcano_group:
        named.append(notes.volcano_group)
    return named[0] if named else ""
