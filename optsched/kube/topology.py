"""Topology keys and groups of pods: the tables that limits point into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from optsched.arrays import Bools, Ints

from .nodes import NodeTable
from .objects import Namespace
from .podspec import PodAffinityTerm
from .selectors import PodIndex, in_words, is_empty, matches
from .wire import LabelSelector

_NAME_LABEL = "kubernetes.io/metadata.name"  # the API server gives it to every namespace


class Keys:
    """The topology keys in use, and the domain of every host."""

    def __init__(self, nodes: NodeTable) -> None:
        self._nodes = nodes
        self._number: dict[str, int] = {}
        self.names: list[str] = []
        self.domains: list[Ints] = []
        self.domain_names: list[tuple[str, ...]] = []

    def number(self, key: str) -> int:
        """The key's number; one whose values tell all hosts apart is the host itself, 0."""
        known = self._number.get(key)
        if known is not None:
            return known
        codes, values = self._nodes.columns.column(key)
        if len(values) == self._nodes.count and (codes >= 0).all():
            self._number[key] = 0
            return 0
        self._number[key] = len(self.names) + 1
        self.names.append(key)
        self.domains.append(codes)
        self.domain_names.append(tuple(values))
        return self._number[key]

    def table(self) -> Ints:
        """(K - 1, H) the domains of all keys but the host itself."""
        return np.array(self.domains, dtype=np.int64).reshape(len(self.domains), self._nodes.count)


class Groups:
    """Lists of items, each kept once."""

    def __init__(self) -> None:
        self._number: dict[bytes, int] = {}
        self._used: set[str] = set()
        self.members: list[Ints] = []
        self.names: list[str] = []

    def number(self, members: Ints, name: str) -> int:
        """The number of the group with just these members (in order)."""
        key = members.tobytes()
        if key not in self._number:
            self._number[key] = len(self.members)
            self.members.append(members)
            unique = name
            if name in self._used:
                unique = f"{name} #{len(self.members)}"
            self._used.add(unique)
            self.names.append(unique)
        return self._number[key]

    def of_items(self, items: Iterable[int], name: str) -> int:
        """The number of the group of these items, in any order."""
        return self.number(np.unique(np.fromiter(items, dtype=np.int64)), name)


class HostSets:
    """Sets of hosts, each kept once; all hosts together need none."""

    def __init__(self) -> None:
        self._number: dict[bytes, int] = {}
        self.rows: list[Bools] = []

    def number(self, hosts: Bools) -> int:
        """The number of the set, -1 if it holds every host."""
        if hosts.all():
            return -1
        key = hosts.tobytes()
        if key not in self._number:
            self._number[key] = len(self.rows)
            self.rows.append(hosts)
        return self._number[key]

    def table(self, hosts: int) -> Bools:
        """(N, H) all sets."""
        return np.array(self.rows, dtype=bool).reshape(len(self.rows), hosts)


class Namespaces:
    """Resolves which namespaces a term of pod affinity speaks of."""

    def __init__(self, namespaces: Sequence[Namespace], in_use: Iterable[str]) -> None:
        self._labels = {name: {_NAME_LABEL: name} for name in in_use}
        self._labels.update(
            {
                n.metadata.name: {_NAME_LABEL: n.metadata.name} | (n.metadata.labels or {})
                for n in namespaces
            }
        )
        self._complete = bool(namespaces)

    def can_resolve(self, selector: LabelSelector | None) -> bool:
        """Whether the labels that the selector asks for are known."""
        if self._complete or selector is None:
            return True
        asked = {*(selector.match_labels or {}), *(r.key for r in selector.match_expressions or ())}
        return asked <= {_NAME_LABEL}

    def of(self, term: PodAffinityTerm, own: str) -> frozenset[str] | None:
        """The namespaces of a term, None for all; also where the selector cannot be resolved."""
        selector = term.namespace_selector
        if selector is None:
            return frozenset(term.namespaces or (own,))
        if is_empty(selector) or not self.can_resolve(selector):
            return None
        picked = {name for name, labels in self._labels.items() if matches(selector, labels)}
        return frozenset(picked | set(term.namespaces or ()))


def pods_in_words(selector: LabelSelector | None, namespaces: frozenset[str] | None) -> str:
    """ "pods app=web in shop"."""
    where = "any namespace" if namespaces is None else ", ".join(sorted(namespaces)) or "none"
    picked = "all pods" if selector and is_empty(selector) else f"pods {in_words(selector)}"
    return f"{picked} in {where}"


class Selection:
    """Answers which items a selector picks; equal questions are answered once."""

    def __init__(self, index: PodIndex, encode: Callable[[object], bytes]) -> None:
        self._index = index
        self._encode = encode
        self._known: dict[tuple[bytes, frozenset[str] | None], Ints] = {}

    def namespaces(self) -> Iterable[str]:
        """The namespaces that hold pods."""
        return self._index.namespaces()

    def items(self, selector: LabelSelector | None, namespaces: frozenset[str] | None) -> Ints:
        """The items, in order."""
        key = (self._encode(selector), namespaces)
        if key not in self._known:
            self._known[key] = self._index.select(selector, namespaces)
        return self._known[key]
