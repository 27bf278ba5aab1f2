"""A placement problem becomes the objects of a cluster that it could have come from.

The way back from `lower`: of what is raised, `lower` makes the same hosts, free room, demands,
tiers, flags, eligibility and limits. A problem does not hold everything that a cluster does, so
this is assumed:

- pods run and are ready, end at once (no grace period), and are a day old;
- owners have no rollout under way, and want as many replicas as there are pods of theirs, at
  least two; a running pod that may be moved and has no owner gets a ReplicaSet of its own;
- what a host gives is its capacity less its fixed use, so that whatever used it is not seen;
- a disruption budget wants as many pods healthy as are healthy now, less what it allows.

Limits on the number of moves, and whether pods may be evicted for others, are settings of the
service and not objects.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from optsched.arrays import NONE
from optsched.errors import FormatError
from optsched.levels import TermKind
from optsched.problem import PlacementProblem

from .options import RECREATING
from .raised_rules import Rules
from .warn import Warnings

Tree = dict[str, Any]
BORN = "2026-01-01T00:00:00Z"
NOW = "2026-01-02T00:00:00Z"  # the newest time in the objects
APIS = {
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "ReplicationController": "v1",
}
ALIKE = {"cpu_milli": "cpu", "memory_bytes": "memory"}  # other names of what Kubernetes counts
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", re.A)
_OWNER = re.compile(r"([A-Z][A-Za-z]+) ([^/ ]+)/([^/ ]+)(?: \(.*\))?", re.A)
_TIER = re.compile(r"(?:([^,()]+)(?:, [^()]+)? \((-?\d{1,10})\)|priority (-?\d{1,10}))", re.A)
_OF_PODS = (TermKind.UNPLACED, TermKind.EVICTED, TermKind.MOVED)


@dataclass(frozen=True)
class _Owner:
    """A controller: an object with pods of one namespace."""

    kind: str
    namespace: str
    name: str
    uid: str


def objects_of(problem: PlacementProblem, warnings: Warnings | None = None) -> list[Tree]:
    """The API objects of a cluster from which `lower` makes this problem.

    Pods stand in the order of the items and nodes in that of the hosts. Items that are bound by a
    rule without a form in Kubernetes are kept where they are: running ones by an annotation,
    pending ones by a scheduling gate; `warnings` names them.

    Raises
    ------
    FormatError
        The items are no pods: they need cells, hold two hosts while they move, serve another
        objective than placing pods, or have names that no object may have.
    """
    _check(problem)
    told = warnings if warnings is not None else Warnings()
    names = [_pod_name(name) for name in problem.items.names]
    if len(set(names)) < len(names):
        twice = next("/".join(one) for one, times in Counter(names).items() if times > 1)
        raise FormatError(f"two items would be the pod {twice!r}; give them names of their own")
    spaces = [space for space, _ in names]
    rules = Rules(problem, spaces)
    for item, pod in enumerate(rules.pods):
        if pod.still:
            fault = f"pods that keep still because Kubernetes has no form for {pod.still}"
            told.add(fault, problem.items.names[item])
    if (problem.items.weight != 1).any():
        told.add("weights of items are left out: every pod counts one")
    budgets = rules.budgets()
    owners = _owners(problem, spaces)
    classes = _classes(problem)
    return [
        *map(_namespace, dict.fromkeys(spaces)),
        *(_class(*one) for one in classes if one[0]),
        *_nodes(problem, rules),
        *_workloads(owners),
        *budgets,
        *(
            _pod(problem, item, names[item], rules, owners[item], classes)
            for item in range(len(names))
        ),
    ]


def _namespace(name: str) -> Tree:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _check(problem: PlacementProblem) -> None:
    """Raise FormatError unless the items could be pods."""
    items, rest = problem.items, "; optsched solve plans for them"
    if items.cells_needed.any():
        name = items.names[int(np.flatnonzero(items.cells_needed)[0])]
        raise FormatError(f"item {name!r} needs cells of its host, which no pod can ask for{rest}")
    if not items.lets_go_first.all():
        name = items.names[int(np.flatnonzero(~items.lets_go_first)[0])]
        raise FormatError(f"item {name!r} holds two hosts while it moves, as no pod does{rest}")
    other = [lv.name for lv in problem.objective if any(t.kind not in _OF_PODS for t in lv.terms)]
    if other:
        raise FormatError(f"the objective {other[0]!r} is not one of placing pods{rest}")
    if "pods" in problem.resources:
        asked = items.demand[:, problem.resources.index("pods")]
        if (asked != 1).any():
            name = items.names[int(np.flatnonzero(asked != 1)[0])]
            raise FormatError(f"item {name!r} asks for other than one of the resource pods{rest}")
    for name in problem.hosts.names:
        if not _NAME.fullmatch(name):
            raise FormatError(f"host {name[:80]!r} has a name that no node may have{rest}")


def _pod_name(name: str) -> tuple[str, str]:
    space, slash, plain = name.partition("/")
    space, plain = (space, plain) if slash else ("default", name)
    if not _NAME.fullmatch(space) or not _NAME.fullmatch(plain):
        raise FormatError(
            f"item {name[:80]!r} has a name that no pod may have; optsched solve plans for it"
        )
    return space, plain


def _classes(problem: PlacementProblem) -> list[tuple[str, int]]:
    """Each tier's class ("" if none) and priority; as in the names where all say it in order."""
    found = [_TIER.fullmatch(name) for name in problem.tiers]
    values = [int(one[2] or one[3]) for one in found if one]
    falling = all(a > b for a, b in pairwise(values))
    if len(values) == len(found) and falling and all(-(1 << 31) <= v < 1 << 31 for v in values):
        return [(one[1] or "", value) for one, value in zip(found, values, strict=True) if one]
    last = len(problem.tiers) - 1
    return [(f"tier-{t}", 1000 * (last - t)) for t in range(last + 1)]


def _class(name: str, value: int) -> Tree:
    api = "scheduling.k8s.io/v1"
    return {"apiVersion": api, "kind": "PriorityClass", "metadata": {"name": name}, "value": value}


def _nodes(problem: PlacementProblem, rules: Rules) -> list[Tree]:
    hosts = problem.hosts
    gone = hosts.fixed_use.copy()
    for item, source in zip(problem.inflight.item, problem.inflight.source, strict=True):
        gone[source] += problem.items.demand[item]
    # More in use than there is: nothing enters, as where there is nothing.
    free = np.maximum(hosts.capacity - gone, 0)
    nodes = []
    for h, name in enumerate(hosts.names):
        offered = _quantities(problem.resources, free[h].tolist())
        offered.setdefault("pods", str(len(problem.items)))
        spec: Tree = {"unschedulable": True} if hosts.drain[h] else {}
        if rules.node_taints[h]:
            spec["taints"] = [{"key": key, "effect": "NoSchedule"} for key in rules.node_taints[h]]
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": NOW}
        metadata = {"name": name, "labels": rules.node_labels[h], "creationTimestamp": BORN}
        status = {"allocatable": offered, "capacity": offered, "conditions": [ready]}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
        nodes.append({**node, "spec": spec, "status": status})
    return nodes


def _quantities(resources: tuple[str, ...], amounts: list[int]) -> dict[str, str]:
    """As `quantity.to_units` reads them: cpu in milli, all else in ones."""
    names = [ALIKE.get(name, name) for name in resources]
    rows = zip(names if len(set(names)) == len(names) else resources, amounts, strict=True)
    return {name: f"{amount}m" if name == "cpu" else str(amount) for name, amount in rows}


def _owners(problem: PlacementProblem, spaces: list[str]) -> list[_Owner | None]:
    """(I,) the controller of every item."""
    items = problem.items
    goes = items.movable & (items.host0 != NONE)
    moved = {int(owner) for owner in items.owner[goes]}
    known: dict[tuple[int, str], _Owner] = {}
    taken: set[tuple[str, str, str]] = set()
    found: list[_Owner | None] = []
    for item, (number, space) in enumerate(zip(items.owner.tolist(), spaces, strict=True)):
        if number == NONE:
            name = items.names[item].rpartition("/")[2]
            alone = _Owner("ReplicaSet", space, f"{name}-rs", f"owner-of-{item}")
            found.append(alone if goes[item] else None)
            continue
        if (number, space) not in known:
            kind, name = _owner_name(problem.owners[number], space, number in moved)
            if not name or (kind, space, name) in taken:
                name = f"{name or 'owner'}-{number}"
            taken.add((kind, space, name))
            known[number, space] = _Owner(kind, space, name, f"owner-{number}-{space}")
        found.append(known[number, space])
    return found


def _owner_name(told: str, space: str, moves: bool) -> tuple[str, str]:
    """Kind and name of an owner as `lower` writes it; else a ReplicaSet, of that name or none."""
    parts = _OWNER.fullmatch(told)
    if parts is None or parts[2] != space or not _NAME.fullmatch(parts[3]):
        return "ReplicaSet", told if _NAME.fullmatch(told) else ""
    return (parts[1] if parts[1] in RECREATING or not moves else "ReplicaSet"), parts[3]


def _workloads(owners: list[_Owner | None]) -> list[Tree]:
    """The owners that are of the kinds `lower` reads, with two replicas or more."""
    return [
        {
            "apiVersion": APIS[one.kind],
            "kind": one.kind,
            "metadata": {"name": one.name, "namespace": one.namespace, "uid": one.uid},
            "spec": {"replicas": max(2, pods)},
        }
        for one, pods in Counter(one for one in owners if one).items()
        if one.kind in APIS
    ]


def _pod(
    problem: PlacementProblem,
    item: int,
    name: tuple[str, str],
    rules: Rules,
    owner: _Owner | None,
    classes: list[tuple[str, int]],
) -> Tree:
    items, rule = problem.items, rules.pods[item]
    host = int(items.host0[item])
    metadata: Tree = {"namespace": name[0], "name": name[1], "creationTimestamp": BORN}
    metadata["labels"] = rule.labels
    if not items.movable[item] or rule.still:
        metadata["annotations"] = {"optsched.io/movable": "false"}
    elif owner is not None and owner.kind == "Job" and host != NONE:
        metadata["annotations"] = {"optsched.io/movable": "true"}  # else Jobs are never moved
    if owner is not None:
        metadata["generateName"] = f"{owner.name}-"
        reference = {"kind": owner.kind, "name": owner.name, "uid": owner.uid, "controller": True}
        metadata["ownerReferences"] = [
            {"apiVersion": APIS.get(owner.kind, "example.com/v1"), **reference}
        ]
    spec = _pod_spec(problem, item, rules)
    spec["priority"] = classes[items.tier[item]][1]
    if classes[items.tier[item]][0]:
        spec["priorityClassName"] = classes[items.tier[item]][0]
    status: Tree = {"phase": "Pending"}
    if host != NONE:
        spec["nodeName"] = problem.hosts.names[host]
        rows = [
            {"type": kind, "status": "True", "lastTransitionTime": BORN}
            for kind in ("PodScheduled", "Ready")
        ]
        status = {"phase": "Running", "conditions": rows}
    elif rule.still:
        spec["schedulingGates"] = [{"name": "optsched.io/no-form-for-its-rules"}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    return {**pod, "spec": spec, "status": status}


def _pod_spec(problem: PlacementProblem, item: int, rules: Rules) -> Tree:
    """What the pod asks for and by which rules, without its place."""
    rule = rules.pods[item]
    asked = _quantities(problem.resources, problem.items.demand[item].tolist())
    requests = {n: text for n, text in asked.items() if n != "pods" and text not in ("0", "0m")}
    spec: Tree = {
        "containers": [{"name": "main", "resources": {"requests": requests}}],
        "terminationGracePeriodSeconds": 0,
        "preemptionPolicy": (
            "PreemptLowerPriority" if problem.items.may_evict_others[item] else "Never"
        ),
    }
    if rule.selector:
        spec["nodeSelector"] = rule.selector
    affinity = {
        kind: {"requiredDuringSchedulingIgnoredDuringExecution": terms}
        for kind, terms in (("podAntiAffinity", rule.apart), ("podAffinity", rule.together))
        if terms
    }
    if affinity:
        spec["affinity"] = affinity
    if rule.spread:
        spec["topologySpreadConstraints"] = rule.spread
    tolerated = [key for key in rules.taints if key != rule.own_taint]
    if tolerated:
        effect = {"operator": "Exists", "effect": "NoSchedule"}
        spec["tolerations"] = [{"key": key, **effect} for key in tolerated]
    return spec
