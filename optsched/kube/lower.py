"""A cluster's objects become the tables of a placement problem.

Every pod that is neither Succeeded nor Failed is an item: running, terminating or pending. What
cannot be judged is never moved and not placed, but holds its room, counts in every rule, and is
named in the warnings. Soft preferences (preferred affinity, ScheduleAnyway, PreferNoSchedule, image
locality) are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from optsched.arrays import NONE, Bools
from optsched.problem import PlacementProblem, Where

from .budgets import DisruptionBudgets
from .cluster import Cluster
from .families import Family, Tables, limit_rows
from .nodes import RULE_NAMES, Eligibility, NodeTable, Rule
from .options import KubeOptions
from .owners import Owners
from .pods import Item, live_items
from .protection import Protection
from .selectors import PodIndex
from .storage import Storage
from .tables import check_unique, demands, make_hosts, make_items, overcommitted
from .topology import Groups, HostSets, Keys, Namespaces, Selection
from .warn import Warnings


def lower(
    cluster: Cluster, options: KubeOptions | None = None, *, name: str = "cluster"
) -> PlacementProblem:
    """The placement problem of a cluster: item i is the i-th live pod, host h the h-th node.

    Raises
    ------
    FormatError
        An object is listed twice, has a quantity that cannot be, or points nowhere.
    """
    options = options if options is not None else KubeOptions()
    warnings = Warnings()
    check_unique(cluster.nodes)
    nodes = NodeTable(cluster.nodes)
    storage = Storage(cluster, nodes)
    items = live_items(cluster, nodes, storage, warnings)
    selection = _selection(items)
    namespaces = Namespaces(cluster.namespaces, selection.namespaces())
    _mark_unresolved(items, namespaces)
    budgets = DisruptionBudgets(cluster, len(items), selection)
    _pin(items, Protection(cluster, options), budgets)
    enters = np.array([not item.pin for item in items], dtype=bool)
    terminating = frozenset(i for i, item in enumerate(items) if item.terminating)
    tables = Tables(nodes, Keys(nodes), Groups(), HostSets(), selection, namespaces, terminating)
    limits = limit_rows(_families(items, enters), tables, enters)
    resources, demand = demands(items, warnings)
    hosts = make_hosts(cluster.nodes, resources, demand, storage)
    item_table, names = make_items(items, demand, cluster.priority_classes)
    rows, item_rows = _eligibility(items, nodes, options)
    where = Where.of(
        hosts,
        item_table,
        excluded=rows.table(),
        item_eligible=item_rows,
        rule_names=RULE_NAMES,
        keys=tables.keys.names,
        domain=tables.keys.table(),
        domain_names=tables.keys.domain_names,
        groups=tables.groups.members,
        group_names=tables.groups.names,
        host_sets=tables.host_sets.table(nodes.count),
    )
    for node in overcommitted(hosts, item_table, resources):
        warnings.add("nodes that hold more than they offer", node)
    _warn(cluster, items, options, warnings)
    return PlacementProblem.of(
        hosts,
        item_table,
        name=name,
        resources=resources,
        where=where,
        limits=limits,
        budgets=budgets.table(enters),
        warnings=warnings.sentences(),
        **names,
    )


def _selection(items: Sequence[Item]) -> Selection:
    index = PodIndex()
    for i, item in enumerate(items):
        meta = item.pod.metadata
        index.add(i, meta.namespace, meta.labels or {}, item.labels_key)
    return Selection(index, msgspec.msgpack.Encoder().encode)


def _mark_unresolved(items: Iterable[Item], namespaces: Namespaces) -> None:
    """Pods whose terms ask for namespace labels that the input does not hold are unmodelled."""
    for item in items:
        terms = (*item.shape.required, *item.shape.apart)
        if not all(namespaces.can_resolve(term.namespace_selector) for term in terms):
            item.mark_unmodelled("namespaceSelector (the input has no Namespace)")


def _pin(items: Sequence[Item], protection: Protection, budgets: DisruptionBudgets) -> None:
    for i, item in enumerate(items):
        if item.host == NONE:
            continue
        item.pin = protection.reason(item) or budgets.reason(i)
        # The replacement asks for what the template says, not for what the pod has now.
        if not item.pin and item.is_resizing():
            item.pin = "its requests are being changed in place"


def _families(items: Sequence[Item], enters: Bools) -> list[Family]:
    """Families of the pods that have rules of their own."""
    found: dict[tuple[int, str, bytes], Family] = {}
    for i, item in enumerate(items):
        shape = item.shape
        if not (shape.apart or shape.required or shape.spread or shape.asked.ports):
            continue
        meta = item.pod.metadata
        key = (shape.number, meta.namespace, item.labels_key)
        family = found.get(key)
        if family is None:
            family = found[key] = Family(shape, meta.namespace, meta.labels or {})
        family.items.append(i)
        if enters[i]:
            family.entering.append(i)
    return list(found.values())


def _eligibility(
    items: Sequence[Item], nodes: NodeTable, options: KubeOptions
) -> tuple[Eligibility, list[int]]:
    """The rows of excluded nodes, and each item's; items that stay share one that excludes none."""
    rows = Eligibility(nodes.count)
    staying = rows.row(())
    of_shape: dict[int, int] = {}
    of_item = []
    for item in items:
        if item.pin:
            of_item.append(staying)
        elif item.needs is None and not item.unmodelled:
            known = of_shape.get(item.shape.number)
            if known is None:
                known = of_shape[item.shape.number] = rows.row(_excluded(item, nodes, options))
            of_item.append(known)
        else:
            of_item.append(rows.row(_excluded(item, nodes, options)))
    return rows, of_item


def _excluded(
    item: Item, nodes: NodeTable, options: KubeOptions
) -> list[tuple[Rule, Bools | bool]]:
    spec = item.pod.spec
    return [
        (Rule.NODE_SELECTOR, nodes.not_selected(spec.node_selector)),
        (Rule.NODE_AFFINITY, nodes.not_affine(spec.required_node_affinity())),
        (Rule.TAINT, nodes.untolerated(spec.tolerations)),
        (Rule.CORDON, nodes.taints.cordon_holds(spec.tolerations)),
        (Rule.LEAVING, nodes.taints.leaving),
        (Rule.GATE, bool(spec.scheduling_gates)),
        (Rule.SCHEDULER, spec.scheduler_name not in options.scheduler_names),
        (Rule.UNMODELLED, bool(item.unmodelled)),
        *(item.needs.excluded if item.needs else ()),
    ]


def _warn(
    cluster: Cluster, items: Sequence[Item], options: KubeOptions, warnings: Warnings
) -> None:
    Owners(cluster).warn(items, warnings)
    if items and not cluster.budgets:
        warnings.add("the input has no PodDisruptionBudget: moves are planned without any")
    for item in items:
        spec, pending = item.pod.spec, item.host == NONE
        if item.unmodelled:
            fate = "left pending" if pending else "never moved"
            warnings.add(
                f"pods {fate} because of a field that is not modelled, {item.unmodelled}", item.name
            )
        if not pending:
            continue
        if spec.scheduling_gates:
            warnings.add("pending pods that wait for their scheduling gates", item.name)
        if spec.scheduler_name not in options.scheduler_names:
            warnings.add("pending pods that are left to another scheduler", item.name)
        if item.pod.status.nominated_node_name:
            warnings.add("pending pods for which preemption is making room already", item.name)
