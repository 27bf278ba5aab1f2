"""Eligibility, limits and budgets of a placement problem, said as labels, taints and pod terms.

The words that a cluster first used for a rule are not in a problem, only what followed from them.
So every set of hosts becomes a label of nodes and every group of items a label of pods, and the
rules speak of these. Items of a rule that Kubernetes has no words for keep still.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.problem import LimitKind, PlacementProblem, Scope

Tree = dict[str, Any]
PREFIX = "optsched.io/"
HOSTNAME = "kubernetes.io/hostname"
YES = "true"


@dataclass
class PodRules:
    """What the rules write into one pod.

    Attributes
    ----------
    labels, selector
        Its labels, and the labels that its node must have.
    apart, together, spread
        Terms of required anti-affinity and affinity, and topology spread constraints.
    own_taint
        The taint that it does not tolerate, "" if it tolerates every one made here.
    still
        The rule that has no form, so that the pod is neither moved nor placed; "" if there is none.
    """

    labels: dict[str, str] = field(default_factory=dict)
    selector: dict[str, str] = field(default_factory=dict)
    apart: list[Tree] = field(default_factory=list)
    together: list[Tree] = field(default_factory=list)
    spread: list[Tree] = field(default_factory=list)
    own_taint: str = ""
    still: str = ""


class Rules:
    """The rules of a problem over its items, whose namespaces are `spaces` (I).

    Attributes
    ----------
    pods
        (I,) what is written into each pod.
    node_labels, node_taints
        (H,) labels, and keys of NoSchedule taints.
    taints
        All of these keys.
    """

    def __init__(self, problem: PlacementProblem, spaces: Sequence[str]) -> None:
        self._problem = problem
        self._spaces = spaces
        self.pods = [PodRules() for _ in range(len(problem.items))]
        self.node_labels: list[dict[str, str]] = [{} for _ in problem.hosts.names]
        self.node_taints: list[list[str]] = [[] for _ in problem.hosts.names]
        self.taints: list[str] = []
        where = problem.where
        self._host_key = HOSTNAME if HOSTNAME not in where.keys[1:] else f"{PREFIX}host"
        self._eligible = (where.excluded == 0) & ~problem.hosts.drain
        self._label_domains()
        self._keep_still()
        self._limits()
        self._eligibility()

    def budgets(self) -> list[Tree]:
        """A PodDisruptionBudget for every budget per wave; its pods get a label that it selects."""
        problem = self._problem
        found = []
        for b in self._spoken_budgets():
            members = problem.budgets.groups[b]
            label = f"{PREFIX}budget-{b}"
            self._mark(members, label)
            allowed = int(problem.budgets.allowed[b])
            healthy = int((problem.items.host0[members] >= 0).sum())
            space = self._spaces[members[0]]
            status = {
                "disruptionsAllowed": allowed,
                "currentHealthy": healthy,
                "desiredHealthy": max(0, healthy - allowed),
                "expectedPods": len(members),
            }
            metadata = {"name": _last(problem.budgets.names[b], space), "namespace": space}
            selector = {"matchLabels": {label: YES}}
            found.append(
                {
                    "apiVersion": "policy/v1",
                    "kind": "PodDisruptionBudget",
                    "metadata": metadata,
                    "spec": {"minAvailable": status["desiredHealthy"], "selector": selector},
                    "status": status,
                }
            )
        return _told_apart(found)

    def _label_domains(self) -> None:
        where = self._problem.where
        for h, name in enumerate(self._problem.hosts.names):
            labels = self.node_labels[h]
            labels[self._host_key] = name
            for k in range(1, len(where.keys)):
                if where.domain[k, h] != NONE:
                    labels[where.keys[k]] = where.domain_names[k][where.domain[k, h]]

    def _keep_still(self) -> None:
        """Items in gangs, in flight, and under budgets that no PodDisruptionBudget can express."""
        problem = self._problem
        self._still(np.flatnonzero(problem.items.gang != NONE), "gangs")
        self._still(problem.inflight.item, "moves in flight")
        budgets = problem.budgets
        covering = np.zeros(len(problem.items), np.int64)
        for b in range(len(budgets)):
            members = budgets.groups[b]
            covering[members] += 1
            if budgets.scope[b] != Scope.WAVE:
                self._still(members, "budgets over a whole plan")
            elif len({self._spaces[i] for i in members.tolist()}) > 1:
                self._still(members, "budgets over several namespaces")
        self._still(np.flatnonzero(covering > 1), "more than one budget over a pod")

    def _spoken_budgets(self) -> Iterable[int]:
        budgets = self._problem.budgets
        for b in range(len(budgets)):
            members = budgets.groups[b]
            spaces = {self._spaces[i] for i in members.tolist()}
            if budgets.scope[b] == Scope.WAVE and len(spaces) == 1:
                yield b

    def _limits(self) -> None:
        limits, groups = self._problem.limits, self._problem.where.groups
        of_item: dict[tuple[LimitKind, int], list[int]] = {}
        for row, (kind, subject, counted) in enumerate(
            zip(limits.kind.tolist(), limits.subject.tolist(), limits.counted.tolist(), strict=True)
        ):
            if kind == LimitKind.MAX:
                self._still(groups[counted], "limits on how many share a domain")
                continue
            self._mark(groups[counted], _group(counted))
            if kind == LimitKind.CONFLICT:
                for item in groups[subject].tolist():
                    self.pods[item].apart.append(self._term(row))
                continue
            for item in groups[subject].tolist():
                of_item.setdefault((LimitKind(kind), item), []).append(row)
        members = {g: frozenset(groups[g].tolist()) for g in set(limits.counted.tolist())}
        for (kind_, item), rows in of_item.items():
            if not self._enters(item):
                continue
            if not self._has_form(item, rows, members):
                self._still((item,), "limits that no template of a pod has")
            elif kind_ == LimitKind.REQUIRE:
                self.pods[item].together = [self._term(row) for row in rows]
            else:
                self._spread(item, rows, members)

    def _has_form(self, item: int, rows: list[int], members: dict[int, frozenset[int]]) -> bool:
        """Whether one template gives these rows: one bundle, and pods count themselves or not."""
        limits = self._problem.limits
        bundle = int(limits.bundle[rows[0]])
        whole = rows[:1] if bundle == NONE else np.flatnonzero(limits.bundle == bundle).tolist()
        if rows != whole:
            return False
        return all(
            bool(limits.self_counts[r]) == (item in members[int(limits.counted[r])]) for r in rows
        )

    def _term(self, row: int) -> Tree:
        """A term of pod affinity; its namespace selector is empty, so that it speaks of all."""
        limits = self._problem.limits
        return {
            "topologyKey": self._key(int(limits.key[row])),
            "labelSelector": {"matchLabels": {_group(int(limits.counted[row])): YES}},
            "namespaceSelector": {},
        }

    def _spread(self, item: int, rows: list[int], members: dict[int, frozenset[int]]) -> None:
        """Spread constraints, whose nodes are all, the eligible ones, or one set around those."""
        problem, space = self._problem, self._spaces[item]
        limits = problem.limits
        counted = [members[int(limits.counted[r])] for r in rows]
        if any(self._spaces[i] != space for group in counted for i in group):
            self._still((item,), "spreading with pods of other namespaces")
            return
        if any(limits.bound[r] < 1 for r in rows):
            self._still((item,), "limits that no template of a pod has")
            return
        eligible = self._eligible[problem.where.item_eligible[item]]
        sets = {row: self._host_set(row) for row in rows}
        wider = {
            int(limits.host_set[row])
            for row, hosts in sets.items()
            if hosts is not None and (hosts != eligible).any()
        }
        around = next(iter(wider), NONE)
        if len(wider) > 1 or (wider and (eligible & ~problem.where.host_sets[around]).any()):
            self._still((item,), "spreading over nodes that the pod may not enter")
            return
        if wider:
            self._bar(item, around, eligible)
        for row, hosts in sets.items():
            policy = "Ignore" if hosts is None else "Honor"
            wide = hosts is None or int(limits.host_set[row]) in wider
            told: Tree = {
                "maxSkew": int(limits.bound[row]),
                "topologyKey": self._key(int(limits.key[row])),
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {_group(int(limits.counted[row])): YES}},
                "nodeAffinityPolicy": policy,
                "nodeTaintsPolicy": "Ignore" if wide else "Honor",
            }
            if limits.min_domains[row] > 0:
                told["minDomains"] = int(limits.min_domains[row])
            self.pods[item].spread.append(told)

    def _host_set(self, row: int) -> Bools | None:
        """The hosts that a row speaks of, None for all."""
        number = int(self._problem.limits.host_set[row])
        hosts = self._problem.where.host_sets[number] if number != NONE else None
        return None if hosts is None or hosts.all() else hosts

    def _bar(self, item: int, around: int, eligible: Bools) -> None:
        """Let the pod select the set `around`, and keep it off the rest of it by a taint."""
        pod, hosts = self.pods[item], self._problem.where.host_sets[around]
        label = f"{PREFIX}set-{around}"
        pod.selector = {label: YES}
        pod.own_taint = f"{PREFIX}bars-{self._problem.where.item_eligible[item]}-{around}"
        if pod.own_taint in self.taints:
            return
        self.taints.append(pod.own_taint)
        for h in np.flatnonzero(hosts).tolist():
            self.node_labels[h][label] = YES
        for h in np.flatnonzero(hosts & ~eligible).tolist():
            self.node_taints[h].append(pod.own_taint)

    def _eligibility(self) -> None:
        used = set()
        for item, row in enumerate(self._problem.where.item_eligible.tolist()):
            pod = self.pods[item]
            if self._enters(item) and not pod.selector and not self._eligible[row].all():
                pod.selector = {f"{PREFIX}eligible-{row}": YES}
                used.add(row)
        for row in sorted(used):
            for h in np.flatnonzero(self._eligible[row]).tolist():
                self.node_labels[h][f"{PREFIX}eligible-{row}"] = YES

    def _enters(self, item: int) -> bool:
        items = self._problem.items
        return not self.pods[item].still and bool(items.movable[item] or items.host0[item] == NONE)

    def _still(self, items: Iterable[int] | Ints, why: str) -> None:
        for item in items:
            self.pods[item].still = self.pods[item].still or why

    def _mark(self, items: Ints, label: str) -> None:
        for item in items.tolist():
            self.pods[item].labels[label] = YES

    def _key(self, number: int) -> str:
        return self._problem.where.keys[number] if number else self._host_key


def _group(number: int) -> str:
    return f"{PREFIX}group-{number}"


def _last(name: str, space: str) -> str:
    """The name of a budget without its namespace, as an object may be called."""
    plain = name.removeprefix(f"{space}/")
    return plain if plain and "/" not in plain and " " not in plain else "budget"


def _told_apart(budgets: list[Tree]) -> list[Tree]:
    seen: set[tuple[str, str]] = set()
    for number, one in enumerate(budgets):
        meta = one["metadata"]
        if (meta["namespace"], meta["name"]) in seen:
            meta["name"] += f"-{number}"
        seen.add((meta["namespace"], meta["name"]))
    return budgets
