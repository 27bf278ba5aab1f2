"""Pods with the same shape, namespace and labels; and their limits, as rows of `Limits`.

Required anti-affinity and host ports become CONFLICT rows, required affinity REQUIRE rows, topology
spread SKEW rows. Pods that stay where they are count in all of them, but only rows that may bind a
pod which enters a node are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.problem import Limit, LimitKind

from .nodes import NodeTable
from .podspec import SpreadConstraint
from .selectors import is_empty, with_label_keys
from .shapes import Shape
from .topology import Groups, HostSets, Keys, Namespaces, Selection, pods_in_words
from .wire import Labels


@dataclass
class Family:
    """Interchangeable pods, as far as rules go.

    Attributes
    ----------
    items
        All of them.
    entering
        Those that may enter a node: pending ones and ones that may be moved.
    """

    shape: Shape
    namespace: str
    labels: Labels
    items: list[int] = field(default_factory=list)
    entering: list[int] = field(default_factory=list)


@dataclass
class Tables:
    """What the rows point into."""

    nodes: NodeTable
    keys: Keys
    groups: Groups
    host_sets: HostSets
    selection: Selection
    namespaces: Namespaces
    terminating: frozenset[int]


def limit_rows(families: Sequence[Family], tables: Tables, enters: Bools) -> list[Limit]:
    """All limits; `enters` (I,) says which items may enter a node."""
    bundles = count()
    return [
        *_conflicts(families, tables, enters),
        *_ports(families, tables, enters),
        *_requires(families, tables, bundles),
        *_skews(families, tables, bundles),
    ]


def _conflicts(families: Sequence[Family], t: Tables, enters: Bools) -> list[Limit]:
    """One row for each distinct term of anti-affinity; whoever has the term is its subject."""
    subjects: dict[tuple[int, int, str], list[int]] = {}
    for family in families:
        for term in family.shape.apart:
            selector = with_label_keys(
                term.label_selector, family.labels, term.match_label_keys, term.mismatch_label_keys
            )
            spaces = t.namespaces.of(term, family.namespace)
            words = pods_in_words(selector, spaces)
            counted = t.selection.items(selector, spaces)
            if len(counted):
                key = (t.keys.number(term.topology_key), t.groups.number(counted, words))
                known = subjects.setdefault((*key, term.topology_key), [])
                known += family.items
    rows = []
    for (key_number, group, key_name), items in subjects.items():
        words = t.groups.names[group]
        row = Limit(
            LimitKind.CONFLICT,
            key_number,
            t.groups.of_items(items, f"pods kept apart from {words}"),
            group,
            name=f"anti-affinity to {words}, per {key_name}",
        )
        rows.append(row)
    return [row for row in rows if _may_bind(row, t.groups.members, enters)]


def _may_bind(row: Limit, members: list[Ints], enters: Bools) -> bool:
    both = np.union1d(members[row.subject], members[row.counted])
    return len(both) > 1 and bool(enters[both].any())


def _ports(families: Sequence[Family], t: Tables, enters: Bools) -> list[Limit]:
    """Pods that take the same host port; the address 0.0.0.0 clashes with every other one."""
    users: dict[tuple[str, int], dict[str, list[int]]] = {}
    for family in families:
        for protocol, address, port in family.shape.asked.ports:
            users.setdefault((protocol, port), {}).setdefault(address, []).extend(family.items)
    rows = []
    for (protocol, port), by_address in users.items():
        everyone = [item for items in by_address.values() for item in items]
        for address, items in by_address.items():
            clashing = everyone if address == "0.0.0.0" else items
            where = f"{protocol} {port}" if address == "0.0.0.0" else f"{protocol} {address}:{port}"
            row = Limit(
                LimitKind.CONFLICT,
                0,
                t.groups.of_items(items, f"pods with host port {where}"),
                t.groups.of_items(clashing, f"pods that clash with host port {where}"),
                name=f"host port {where}",
            )
            rows.append(row)
    return [row for row in rows if _may_bind(row, t.groups.members, enters)]


def _requires(families: Sequence[Family], t: Tables, bundles: count[int]) -> list[Limit]:
    """Required affinity: a pod counts only if it matches every term; then for every key."""
    subjects: dict[tuple[tuple[str, ...], int, bool], list[int]] = {}
    for family in families:
        if not family.entering or not family.shape.required:
            continue
        counted: Ints | None = None
        words = []
        for term in family.shape.required:
            selector = with_label_keys(
                term.label_selector, family.labels, term.match_label_keys, term.mismatch_label_keys
            )
            spaces = t.namespaces.of(term, family.namespace)
            picked = t.selection.items(selector, spaces)
            counted = picked if counted is None else np.intersect1d(counted, picked)
            words.append(pods_in_words(selector, spaces))
        assert counted is not None
        topology = tuple(sorted({term.topology_key for term in family.shape.required}))
        group = t.groups.number(counted, " that are also ".join(dict.fromkeys(words)))
        itself = bool(np.isin(family.items[0], counted))
        subjects.setdefault((topology, group, itself), []).extend(family.entering)
    rows = []
    for (topology, group, itself), items in subjects.items():
        bundle = next(bundles)
        words_of = t.groups.names[group]
        subject = t.groups.of_items(items, f"pods that go with {words_of}")
        for key_name in topology:
            row = Limit(
                LimitKind.REQUIRE,
                t.keys.number(key_name),
                subject,
                group,
                bundle=bundle,
                self_counts=itself,
                name=f"affinity to {words_of}, per {key_name}",
            )
            rows.append(row)
    return rows


@dataclass(frozen=True)
class _Skew:
    key: str
    counted: int
    bound: int
    min_domains: int
    host_set: int
    self_counts: bool


def _skews(families: Sequence[Family], t: Tables, bundles: count[int]) -> list[Limit]:
    """Topology spread; the constraints of one pod share their nodes, and so form a bundle."""
    subjects: dict[tuple[_Skew, ...], list[int]] = {}
    for family in families:
        if family.entering and family.shape.spread:
            bundle = tuple(_skew(one, family, t) for one in family.shape.spread)
            subjects.setdefault(bundle, []).extend(family.entering)
    rows = []
    for bundle, items in subjects.items():
        number = next(bundles)
        for skew in bundle:
            words = t.groups.names[skew.counted]
            row = Limit(
                LimitKind.SKEW,
                t.keys.number(skew.key),
                t.groups.of_items(items, f"pods that spread with {words}"),
                skew.counted,
                bound=skew.bound,
                min_domains=skew.min_domains,
                host_set=skew.host_set,
                bundle=number,
                self_counts=skew.self_counts,
                name=f"spread of {words} over {skew.key}, skew at most {skew.bound}",
            )
            rows.append(row)
    return rows


def _skew(one: SpreadConstraint, family: Family, t: Tables) -> _Skew:
    selector = with_label_keys(one.label_selector, family.labels, one.match_label_keys)
    spaces = frozenset((family.namespace,))
    # The scheduler counts no pod for an empty selector, although it matches every pod.
    nothing = selector is None or is_empty(selector)
    picked = t.selection.items(None if nothing else selector, spaces)
    counted = picked[~np.isin(picked, _array(t.terminating))]
    words = "no pods" if nothing else pods_in_words(selector, spaces) + ", not terminating"
    spec = family.shape.spec
    inside = np.ones(t.nodes.count, bool)
    if one.node_affinity_policy != "Ignore":
        inside &= ~t.nodes.not_selected(spec.node_selector)
        inside &= ~t.nodes.not_affine(spec.required_node_affinity())
    if one.node_taints_policy == "Honor":
        inside &= ~t.nodes.untolerated(spec.tolerations)
    return _Skew(
        key=one.topology_key,
        counted=t.groups.number(counted, words),
        bound=one.max_skew,
        min_domains=one.min_domains or 0,
        host_set=t.host_sets.number(inside),
        self_counts=bool(np.isin(family.entering[0], counted)),
    )


def _array(items: Iterable[int]) -> Ints:
    return np.fromiter(items, dtype=np.int64)
