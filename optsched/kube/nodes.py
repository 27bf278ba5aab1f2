"""Which nodes a pod's requirements exclude: a column of values per label, evaluated for all nodes.

Requirements that many pods share are evaluated once. Soft taints (PreferNoSchedule) and preferred
affinity never exclude; node conditions do not either, only taints do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum

import msgspec
import numpy as np

from optsched.arrays import Bools, Ints, Masks

from .objects import Node, Taint
from .podspec import Toleration
from .selectors import holds
from .wire import Labels, NodeSelector, NodeSelectorTerm, Requirement

_CORDON = Taint("node.kubernetes.io/unschedulable", "NoSchedule")

#: Taints that mark a node which an autoscaler is about to remove. Pods that tolerate every taint
#: could enter; nothing is planned onto such a node all the same.
_LEAVING = frozenset(("ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted"))


class Rule(IntEnum):
    """What can exclude a node: the bit in `where.excluded`."""

    NODE_SELECTOR = 0
    NODE_AFFINITY = 1
    TAINT = 2
    CORDON = 3
    LEAVING = 4
    VOLUME = 5
    CLAIM = 6
    GATE = 7
    SCHEDULER = 8
    UNMODELLED = 9


RULE_NAMES = (
    "node selector",
    "node affinity",
    "taint",
    "cordon",
    "node being removed",
    "volume topology",
    "volume claim",
    "scheduling gate",
    "other scheduler",
    "field that is not modelled",
)


def tolerates(tolerations: Sequence[Toleration] | None, taint: Taint) -> bool:
    """Whether one of the tolerations puts up with the taint."""
    for one in tolerations or ():
        if one.effect and one.effect != taint.effect:
            continue
        if one.key and one.key != taint.key:
            continue
        if one.operator == "Exists" or (one.operator in ("", "Equal") and one.value == taint.value):
            return True
    return False


class Columns:
    """The nodes' labels, column by column."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._labels = [node.metadata.labels or {} for node in nodes]
        self._columns: dict[str, tuple[Ints, dict[str, int]]] = {}
        self._names = {node.metadata.name: h for h, node in enumerate(nodes)}

    def column(self, key: str) -> tuple[Ints, dict[str, int]]:
        """(H,) the number of each node's value of `key` (-1: missing), and the values."""
        known = self._columns.get(key)
        if known is None:
            numbers: dict[str, int] = {}
            codes = [
                numbers.setdefault(labels[key], len(numbers)) if key in labels else -1
                for labels in self._labels
            ]
            known = self._columns[key] = (np.array(codes, dtype=np.int64), numbers)
        return known

    def meets(self, row: Requirement) -> Bools:
        """(H,) nodes whose label meets the requirement."""
        return _meets(row, *self.column(row.key))

    def meets_field(self, row: Requirement) -> Bools:
        """(H,) nodes whose field meets the requirement; the only field there is, is the name."""
        if row.key != "metadata.name":
            return np.zeros(len(self._nodes), bool)
        return _meets(row, np.arange(len(self._nodes)), self._names)

    def has_labels(self, labels: Labels) -> Bools:
        """(H,) nodes that carry all of these labels."""
        ok = np.ones(len(self._nodes), bool)
        for key, value in labels.items():
            codes, numbers = self.column(key)
            ok &= codes == numbers.get(value, -2)
        return ok

    def selected(self, selector: NodeSelector) -> Bools:
        """(H,) nodes that one of the selector's terms picks; a term without parts picks none."""
        ok = np.zeros(len(self._nodes), bool)
        for term in selector.node_selector_terms or ():
            ok |= self._term(term)
        return ok

    def _term(self, term: NodeSelectorTerm) -> Bools:
        if not term.match_expressions and not term.match_fields:
            return np.zeros(len(self._nodes), bool)
        ok = np.ones(len(self._nodes), bool)
        for row in term.match_expressions or ():
            ok &= self.meets(row)
        for row in term.match_fields or ():
            ok &= self.meets_field(row)
        return ok


def _meets(row: Requirement, codes: Ints, numbers: dict[str, int]) -> Bools:
    table = np.zeros(len(numbers) + 1, bool)  # the last entry answers for a missing label
    if row.operator in ("In", "NotIn"):
        table[[numbers[value] for value in row.values or () if value in numbers]] = True
        if row.operator == "NotIn":
            table = ~table
    else:
        table[:-1] = [holds(row, value) for value in numbers]
        table[-1] = holds(row, None)
    return table[codes]


class Taints:
    """The nodes' taints and cordons; nodes with equal ones are looked at once."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        groups: dict[tuple[Taint, ...], int] = {}
        self._group = np.array(
            [groups.setdefault(tuple(node.spec.taints or ()), len(groups)) for node in nodes],
            dtype=np.int64,
        )
        self._hard = [
            [taint for taint in taints if taint.effect in ("NoSchedule", "NoExecute")]
            for taints in groups
        ]
        self.cordoned = np.array([node.spec.unschedulable for node in nodes], dtype=bool)
        self.leaving = np.array(
            [
                node.metadata.deletion_timestamp is not None
                or any(taint.key in _LEAVING for taint in node.spec.taints or ())
                for node in nodes
            ],
            dtype=bool,
        )

    def untolerated(self, tolerations: Sequence[Toleration] | None) -> Bools:
        """(H,) nodes with a hard taint that is not tolerated."""
        table = [any(not tolerates(tolerations, t) for t in taints) for taints in self._hard]
        return np.array(table, dtype=bool)[self._group]

    def cordon_holds(self, tolerations: Sequence[Toleration] | None) -> Bools:
        """(H,) cordoned nodes, unless the pod tolerates the taint that cordoning brings."""
        return self.cordoned & (not tolerates(tolerations, _CORDON))


class Eligibility:
    """Rows of `where.excluded`, one for each distinct set of excluded nodes."""

    def __init__(self, hosts: int) -> None:
        self._hosts = hosts
        self._rows: dict[bytes, int] = {}
        self._masks: list[Masks] = []

    def row(self, parts: Iterable[tuple[Rule, Bools | bool]]) -> int:
        """The row in which each rule excludes its nodes (True: all of them)."""
        mask = np.zeros(self._hosts, np.uint32)
        for rule, excluded in parts:
            if excluded is not False:
                mask[excluded if excluded is not True else slice(None)] |= np.uint32(1 << rule)
        key = mask.tobytes()
        if key not in self._rows:
            self._rows[key] = len(self._masks)
            self._masks.append(mask)
        return self._rows[key]

    def table(self) -> Masks:
        """(E, H) all rows."""
        return np.array(self._masks, dtype=np.uint32).reshape(len(self._masks), self._hosts)


class NodeTable:
    """Everything that a pod's requirements are compared with, and memory for the answers."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.count = len(nodes)
        self.names = tuple(node.metadata.name for node in nodes)
        self.columns = Columns(nodes)
        self.taints = Taints(nodes)
        self.index = {name: h for h, name in enumerate(self.names)}
        self._known: dict[bytes, Bools] = {}
        self._encode = msgspec.msgpack.Encoder().encode

    def not_selected(self, selector: Labels | None) -> Bools:
        """(H,) nodes that lack a label of the pod's nodeSelector."""
        return self._once(b"s", selector, lambda: ~self.columns.has_labels(selector or {}))

    def not_affine(self, required: NodeSelector | None) -> Bools:
        """(H,) nodes outside the pod's required node affinity."""
        if required is None:
            return np.zeros(self.count, bool)
        return self._once(b"a", required, lambda: ~self.columns.selected(required))

    def untolerated(self, tolerations: list[Toleration] | None) -> Bools:
        """(H,) nodes with a hard taint that the pod does not tolerate."""
        return self._once(b"t", tolerations, lambda: self.taints.untolerated(tolerations))

    def _once(self, kind: bytes, value: object, compute: Callable[[], Bools]) -> Bools:
        key = kind + self._encode(value)
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]
