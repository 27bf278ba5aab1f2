"""Scheduling gates: what deployment Gated does in the place of the extender's filter.

A new pod of an opted-in namespace carries our gate (by `manifests/gate.yaml`, or by its owner's
template), and no scheduler looks at it. What becomes of it is decided while it is held:

- it fits, or nobody can help it: the gate is opened, and the pod is like any other;
- a plan helps it, or it replaces a pod that a plan has moved: when its room is there, the gate is
  opened and, in the same write, a node selector leads it to its node. Selectors may be narrowed
  only while a pod is gated, and only here: a pod that nobody would make anew keeps all its nodes.

Every gate ends by itself (`ends`); a process of its own sees to that (`reaper`). All here is pure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from optsched.kube.objects import Namespace, Node, Workload
from optsched.kube.options import RECREATING
from optsched.kube.podspec import Pod
from optsched.kube.wire import LONG_AGO

GATE = "optsched.io/gate"
OPTED_IN = "optsched.io/gated"  # label of namespaces whose new pods get the gate
UNTIL = "optsched.io/gate-until"  # annotation: milliseconds since 1970, set by a plan that acts
NODE = "optsched.io/node"  # annotation: the node that we have led the pod to
HOSTNAME = "kubernetes.io/hostname"

Tree = dict[str, Any]


def is_held(pod: Pod) -> bool:
    """Whether nothing but our gate keeps the pod from being scheduled."""
    gates = pod.spec.scheduling_gates
    return bool(gates) and all(one.name == GATE for one in gates or ())


def led_to(pod: Pod) -> str:
    """The node that we have led the pod to, "" if we have not."""
    notes = pod.metadata.annotations
    return (notes.node or "") if notes else ""


def as_asked(pod: Pod) -> Pod:
    """The pod as its owner wanted it: without our gate, and with all its nodes."""
    if not pod.spec.scheduling_gates and not led_to(pod):
        return pod
    spec = pod.spec
    if is_held(pod):
        spec = msgspec.structs.replace(spec, scheduling_gates=None)
    if led_to(pod) and spec.node_selector:
        rest = {key: value for key, value in spec.node_selector.items() if key != HOSTNAME}
        spec = msgspec.structs.replace(spec, node_selector=rest or None)
    return msgspec.structs.replace(pod, spec=spec)


def will_be_held(owner: Workload | None, namespace: Namespace | None) -> bool:
    """Whether the next pod of an owner will carry the gate."""
    if owner is not None:
        gates = owner.spec.template.spec.scheduling_gates or ()
        if any(one.name == GATE for one in gates):
            return True
    labels = (namespace.metadata.labels or {}) if namespace is not None else {}
    return labels.get(OPTED_IN) == "true"


def ends(pod: Pod, hold: int, life: int) -> int:
    """When a gate ends by itself, in milliseconds since 1970.

    Parameters
    ----------
    hold
        Milliseconds for which a pod is held that no plan has asked for.
    life
        Milliseconds for which any pod is held, whatever has been asked for.
    """
    born = _millis(pod.metadata.born)
    notes = pod.metadata.annotations
    asked = notes.gate_until if notes else None
    until = int(asked) if asked and asked.isascii() and asked.isdigit() and len(asked) < 16 else 0
    return min(max(born + hold, until), born + life)


def refused_since(pod: Pod) -> int:
    """Since when the scheduler has had no room for the pod, milliseconds since 1970; 0: it has."""
    for one in pod.status.conditions or ():
        if one.type == "PodScheduled" and one.status == "False" and one.reason == "Unschedulable":
            return _millis(one.last_transition_time or LONG_AGO)
    return 0


def opening(pod: Pod, node: Node | None = None) -> Tree:
    """The merge patch that takes the gate away; with `node` the pod may run there only."""
    notes: Tree = {UNTIL: None}
    spec: Tree = {"schedulingGates": None}
    if node is not None and (label := _hostname(pod, node)):
        notes[NODE] = node.metadata.name
        spec["nodeSelector"] = {HOSTNAME: label}
    return {"metadata": {"uid": pod.metadata.uid, "annotations": notes}, "spec": spec}


def _hostname(pod: Pod, node: Node) -> str:
    """The label that leads to a node; "" if the pod must not be led, or there is none."""
    owner = pod.metadata.controller()
    if owner is None or owner.kind not in RECREATING or HOSTNAME in (pod.spec.node_selector or {}):
        return ""
    return (node.metadata.labels or {}).get(HOSTNAME, "")


def _millis(stamp: datetime) -> int:
    return int(1000 * stamp.timestamp())
