"""Hosts and items: capacities, demands, tiers, owners and flags as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.errors import FormatError
from optsched.problem import Hosts, Items

from .objects import Node, PriorityClass
from .pods import Item
from .podspec import Pod
from .quantity import to_nanos, to_units
from .requests import in_units
from .storage import ATTACHABLE, Storage
from .warn import Warnings

#: What the tables accept, in milli-CPU or bytes; far above any node there is.
LARGEST = 1 << 53

#: Resources that every table has, even if no pod asks for them.
BASIC = ("cpu", "memory", "pods")


def demands(items: Sequence[Item], warnings: Warnings) -> tuple[tuple[str, ...], Ints]:
    """The names of all resources that pods ask for, and (I, R) how much.

    The API server takes requests that no node can ever meet; they count as `LARGEST`.
    """
    known: dict[int, dict[str, int]] = {}  # pods of one shape share their request
    rows = []
    for item in items:
        units = known.get(id(item.request))
        if units is None:
            units = known[id(item.request)] = in_units(item.request)
            if units and max(units.values()) > LARGEST:
                units = {name: min(amount, LARGEST) for name, amount in units.items()}
                warnings.add("pods that ask for more than any node can have", item.name)
            known[id(item.request)] = units
        rows.append(units | item.needs.attach if item.needs else units)
    extra = sorted({name for units in rows for name in units} - set(BASIC))
    names = (*BASIC, *extra)
    column = {name: r for r, name in enumerate(names)}
    table = np.zeros((len(items), len(names)), np.int64)
    for i, units in enumerate(rows):
        for resource, amount in units.items():
            table[i, column[resource]] = amount
    table[:, column["pods"]] = 1
    return names, table


def make_hosts(
    nodes: Sequence[Node], resources: Sequence[str], demand: Ints, storage: Storage
) -> Hosts:
    """The nodes' allocatable resources.

    Raises
    ------
    FormatError
        A node offers what is no quantity, or negative, or more than `LARGEST`.
    """
    capacity = np.zeros((len(nodes), len(resources)), np.int64)
    for h, node in enumerate(nodes):
        offered = node.status.allocatable or node.status.capacity or {}
        for r, resource in enumerate(resources):
            if resource in offered:
                try:
                    amount = to_units(resource, to_nanos(offered[resource]))
                except FormatError as error:
                    raise FormatError(f"node {node.metadata.name!r}: {error}") from error
                if amount >= LARGEST:
                    raise FormatError(
                        f"node {node.metadata.name!r}: {offered[resource]} of {resource} is absurd"
                    )
                capacity[h, r] = amount
    for r, resource in enumerate(resources):
        limits = storage.limits.get(resource.removeprefix(ATTACHABLE))
        if resource.startswith(ATTACHABLE) and limits is not None:
            enough = int(demand[:, r].sum())  # a node without a limit never is the bottleneck
            capacity[:, r] = [limits.get(h, enough) for h in range(len(nodes))]
    return Hosts.of(capacity, names=[node.metadata.name for node in nodes])


def make_items(
    items: Sequence[Item], demand: Ints, classes: Sequence[PriorityClass]
) -> tuple[Items, dict[str, Any]]:
    """The items' table, and the name tables that it points into."""
    values = {one.metadata.name: one.value for one in classes}
    default = next((one.value for one in classes if one.global_default), 0)
    priority = [_priority(item.pod, values, default) for item in items]
    levels = sorted(set(priority), reverse=True)
    tier = {value: t for t, value in enumerate(levels)}
    owner, owners = _owners(items)
    pins: dict[str, int] = {}
    pinned_by = [pins.setdefault(i.pin, len(pins)) if i.pin else NONE for i in items]
    may_move = np.array([not item.pin for item in items], dtype=bool)
    table = Items.of(
        demand,
        names=[item.name for item in items],
        host0=[item.host for item in items],
        tier=[tier[value] for value in priority],
        owner=owner,
        movable=may_move,
        evictable=may_move,
        may_evict_others=[item.pod.spec.preemption_policy != "Never" for item in items],
        occupies=[not _is_on_every_node(item) for item in items],
        pinned_by=pinned_by,
    )
    names = {
        "tiers": _tier_names(items, priority, levels, classes),
        "owners": owners,
        "pin_reasons": tuple(pins),
    }
    return table, names


def _priority(pod: Pod, values: Mapping[str, int], default: int) -> int:
    if pod.spec.priority is not None:
        return pod.spec.priority
    return values.get(pod.spec.priority_class_name, default)


def _tier_names(
    items: Sequence[Item],
    priority: Sequence[int],
    levels: Sequence[int],
    classes: Sequence[PriorityClass],
) -> tuple[str, ...]:
    """ "prod, prod-nonpreempting (5000)": the classes that pods name, and the value."""
    known = {one.metadata.name for one in classes}
    named: dict[int, set[str]] = {}
    for item, value in zip(items, priority, strict=True):
        used = item.pod.spec.priority_class_name
        if used and (used in known or not known):
            named.setdefault(value, set()).add(used)
    return tuple(
        f"{', '.join(sorted(named[v]))} ({v})" if v in named else f"priority {v}" for v in levels
    )


def _owners(items: Sequence[Item]) -> tuple[list[int], tuple[str, ...]]:
    number: dict[str, int] = {}
    names: dict[str, None] = {}
    owner = []
    for item in items:
        controller = item.owner
        if controller is None:
            owner.append(NONE)
            continue
        name = f"{controller.kind} {item.pod.metadata.namespace}/{controller.name}"
        key = controller.uid or name
        if key not in number:
            number[key] = len(number)
            names[name if name not in names else f"{name} ({controller.uid})"] = None
        owner.append(number[key])
    return owner, tuple(names)


def _is_on_every_node(item: Item) -> bool:
    owner, notes = item.owner, item.pod.metadata.annotations
    mirror = notes is not None and notes.mirror is not None
    return mirror or (owner is not None and owner.kind in ("DaemonSet", "Node"))


def check_unique(nodes: Sequence[Node]) -> None:
    """Raise FormatError if two nodes have the same name."""
    seen: set[str] = set()
    for node in nodes:
        if node.metadata.name in seen:
            raise FormatError(f"node {node.metadata.name!r} is listed twice; names must be unique")
        seen.add(node.metadata.name)


def overcommitted(hosts: Hosts, items: Items, resources: Sequence[str]) -> list[str]:
    """ "name (cpu, memory)" of every node whose pods ask for more than it offers."""
    use = np.zeros_like(hosts.capacity)
    placed = items.host0 >= 0
    np.add.at(use, items.host0[placed], items.demand[placed])
    over = use > hosts.capacity
    return [
        f"{hosts.names[h]} ({', '.join(resources[r] for r in np.flatnonzero(over[h]).tolist())})"
        for h in np.flatnonzero(over.any(axis=1)).tolist()
    ]
