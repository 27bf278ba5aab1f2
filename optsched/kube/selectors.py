"""Label selectors and node selectors: which labels match, and which pods a selector picks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from optsched.arrays import Ints

from .wire import Labels, LabelSelector, Requirement

OPERATORS = frozenset(("In", "NotIn", "Exists", "DoesNotExist"))
NODE_OPERATORS = OPERATORS | {"Gt", "Lt"}

_INT64 = re.compile(r"[+-]?[0-9]+", re.A)


def parse_int64(text: str) -> int | None:
    """The number as Go's ParseInt reads it, or None."""
    if not _INT64.fullmatch(text) or len(text) > 40:
        return None
    value = int(text)
    return value if -(1 << 63) <= value < 1 << 63 else None


def holds(requirement: Requirement, value: str | None) -> bool:
    """Whether a label value (None: the label is missing) meets the requirement.

    NotIn and DoesNotExist hold where the label is missing; Gt and Lt need integers on both sides.
    """
    operator, values = requirement.operator, requirement.values or ()
    if operator == "In":
        return value is not None and value in values
    if operator == "NotIn":
        return value is None or value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if operator in ("Gt", "Lt") and value is not None and len(values) == 1:
        left, right = parse_int64(value), parse_int64(values[0])
        if left is None or right is None:
            return False
        return left > right if operator == "Gt" else left < right
    return False


def matches(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether the selector picks these labels; none picks nothing, an empty one everything."""
    if selector is None:
        return False
    return all(labels.get(k) == v for k, v in (selector.match_labels or {}).items()) and all(
        holds(row, labels.get(row.key)) for row in selector.match_expressions or ()
    )


def is_empty(selector: LabelSelector) -> bool:
    """Whether the selector has no part, so that it matches everything."""
    return not selector.match_labels and not selector.match_expressions


def with_label_keys(
    selector: LabelSelector | None,
    labels: Labels,
    match: Sequence[str] | None,
    mismatch: Sequence[str] | None = None,
) -> LabelSelector | None:
    """The selector with matchLabelKeys and mismatchLabelKeys merged into it.

    Newer API servers have done this when they stored the pod; doing it again changes nothing. A
    key that the pod lacks is ignored.
    """
    if selector is None or not (match or mismatch):
        return selector
    rows = list(selector.match_expressions or ())
    for operator, keys in (("In", match), ("NotIn", mismatch)):
        for key in keys or ():
            stored = any(row.key == key and row.operator == operator for row in rows)
            if key in labels and not stored:
                rows.append(Requirement(key, operator, [labels[key]]))
    return LabelSelector(selector.match_labels, rows)


def in_words(selector: LabelSelector | None) -> str:
    """The selector as kubectl writes it, cut to a readable length."""
    if selector is None:
        return "<none>"
    parts = [f"{key}={value}" for key, value in sorted((selector.match_labels or {}).items())]
    for row in selector.match_expressions or ():
        values = ",".join(row.values or ())
        parts.append(
            {
                "In": f"{row.key} in ({values})",
                "NotIn": f"{row.key} notin ({values})",
                "Exists": row.key,
                "DoesNotExist": f"!{row.key}",
            }.get(row.operator, f"{row.key} {row.operator} {values}")
        )
    text = ",".join(parts)
    return text if len(text) <= 120 else text[:117] + "..."


class PodIndex:
    """Finds the pods that a selector picks through inverted lists over distinct label sets.

    Pods of one namespace with the same labels form a *class*; a selector looks at classes only.
    """

    def __init__(self) -> None:
        self._class_of: dict[tuple[str, bytes], int] = {}
        self._namespace: list[str] = []
        self._labels: list[Labels] = []
        self._members: list[list[int]] = []
        self._by_label: dict[tuple[str, str], list[int]] = {}
        self._by_namespace: dict[str, list[int]] = {}

    def add(self, item: int, namespace: str, labels: Labels, label_key: bytes) -> None:
        """Enter an item; `label_key` is equal for equal labels."""
        known = self._class_of.get((namespace, label_key))
        if known is None:
            known = self._class_of[namespace, label_key] = len(self._labels)
            self._namespace.append(namespace)
            self._labels.append(labels)
            self._members.append([])
            self._by_namespace.setdefault(namespace, []).append(known)
            for pair in labels.items():
                self._by_label.setdefault(pair, []).append(known)
        self._members[known].append(item)

    def namespaces(self) -> Iterable[str]:
        """The namespaces that hold pods."""
        return self._by_namespace

    def select(self, selector: LabelSelector | None, namespaces: frozenset[str] | None) -> Ints:
        """The items, in order, that `selector` picks in `namespaces` (None: all of them)."""
        if selector is None:
            return np.zeros(0, np.int64)
        found: list[int] = []
        for known in self._candidates(selector, namespaces):
            inside = namespaces is None or self._namespace[known] in namespaces
            if inside and matches(selector, self._labels[known]):
                found += self._members[known]
        return np.sort(np.array(found, dtype=np.int64))

    def _candidates(
        self, selector: LabelSelector, namespaces: frozenset[str] | None
    ) -> Iterable[int]:
        """A superset of the matching classes, as short as one list can make it."""
        options: list[list[int]] = [
            self._by_label.get(pair, []) for pair in (selector.match_labels or {}).items()
        ]
        for row in selector.match_expressions or ():
            if row.operator == "In":
                values = dict.fromkeys(row.values or ())
                options.append([c for v in values for c in self._by_label.get((row.key, v), [])])
        if options:
            return min(options, key=len)
        if namespaces is None:
            return range(len(self._labels))
        return [c for name in sorted(namespaces) for c in self._by_namespace.get(name, [])]
