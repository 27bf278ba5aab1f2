"""Snapshot records -> problem tables: every name is resolved, or refused with who named it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.errors import FormatError
from optsched.levels import ORDERS, Level, Term
from optsched.limits import Budgets, Inflight, Limit, LimitKind, Scope, Where
from optsched.problem import CellChoice, Evict, PlacementProblem, When
from optsched.tables import Cells, Hosts, Items

from . import records
from .names import Names, appearing

DEFAULTS = {
    "cells_needed": 0,
    "weight": 1,
    "movable": True,
    "evictable": True,
    "may_evict_others": True,
    "lets_go_first": True,
    "occupies": True,
}


def problem_of(file: records.Snapshot) -> PlacementProblem:
    """The problem that the records describe.

    Raises
    ------
    InputError
        A record names something that is not there, or the tables contradict each other.
    """
    merged = _Merged(file)
    resources = Names("resource", _resources(file.resources, file.hosts))
    hosts = _hosts(file, resources)
    cells = _cells(file)
    items, owners, gangs, reasons = _items(file, merged, resources, hosts, cells)
    tiers = file.tiers if file.tiers is not None else numbered(items)
    named = Names("item", items.names)
    where, sets = _where(file, merged, hosts, items, named)
    during = resources.find_all(file.during, "`during`")
    return PlacementProblem.of(
        hosts,
        items,
        name=file.name,
        resources=resources.table,
        cells=cells,
        where=where,
        limits=_limits(file, where, sets),
        budgets=_budgets(file, named),
        inflight=_inflight(file, named, Names("host", hosts.names)),
        when=np.where(np.isin(np.arange(len(resources)), during), When.DURING, When.AFTER),
        tiers=tiers,
        owners=owners,
        gangs=gangs,
        pin_reasons=reasons,
        objective=_objective(file, Names("tier", tiers), Names("cell resource", cells.resources)),
        order=file.order,
        evict=Evict[file.evict.upper()],
        protect_higher=file.protect_higher,
        max_moves=NONE if file.max_moves is None else file.max_moves,
        owner_at_once=NONE if file.owner_at_once is None else file.owner_at_once,
        cell_choice=CellChoice[file.cell_choice.upper()],
        warnings=tuple(file.warnings),
    )


class _Merged:
    """The traits of every item: its own, else those of its class."""

    def __init__(self, file: records.Snapshot) -> None:
        self.items = file.items
        self.names = [item.name for item in file.items]
        classes = Names("class", [one.name for one in file.classes])
        number = classes.column((item.class_ for item in file.items), self.names, "item")
        bases: list[records.Traits] = [*file.classes, records.Traits(name="")]
        self.bases = [bases[at] for at in number.tolist()]

    def column(self, trait: str) -> list[Any]:
        get = attrgetter(trait)
        default = DEFAULTS.get(trait)
        return [
            own if own is not None else (shared if shared is not None else default)
            for own, shared in zip(map(get, self.items), map(get, self.bases), strict=True)
        ]


def _resources(listed: list[str] | None, holders: Sequence[Any]) -> list[str]:
    if listed is not None:
        return listed
    return appearing(name for one in holders for name in one.capacity)


def _amounts(
    rows: Sequence[Mapping[str, int] | None], columns: Names, by: Sequence[str], kind: str
) -> Ints:
    """A dense matrix from sparse rows; rows that are one object are read once."""
    out = np.zeros((len(rows), len(columns)), np.int64)
    done: dict[int, int] = {}
    for at, row in enumerate(rows):
        if not row:
            continue
        first = done.setdefault(id(row), at)
        if first != at:
            out[at] = out[first]
            continue
        for name, amount in row.items():
            out[at, columns.find(name, f"{kind} {by[at][:80]!r}")] = amount
    return out


def _limit(values: Sequence[int | None]) -> list[int]:
    return [NONE if value is None else value for value in values]


def _hosts(file: records.Snapshot, resources: Names) -> Hosts:
    rows, names = file.hosts, [host.name for host in file.hosts]
    return Hosts.of(
        _amounts([host.capacity for host in rows], resources, names, "host"),
        names=names,
        fixed_use=_amounts([host.fixed_use for host in rows], resources, names, "host"),
        cost=[host.cost for host in rows],
        drain=[host.drain for host in rows],
        moves_in=_limit([host.moves_in for host in rows]),
        moves_out=_limit([host.moves_out for host in rows]),
    )


def _cells(file: records.Snapshot) -> Cells:
    rows = [cell for host in file.hosts for cell in host.cells]
    on = [at for at, host in enumerate(file.hosts) for _ in host.cells]
    by = [file.hosts[at].name for at in on]
    resources = Names("cell resource", _resources(file.cell_resources, rows))
    listed = file.cell_kinds
    kinds = Names("cell kind", appearing(c.kind for c in rows) if listed is None else listed)
    if not len(kinds) and listed is None:
        kinds = Names("cell kind", ["cell"])
    count = np.array([cell.count for cell in rows], dtype=np.int64)
    kind = kinds.column((cell.kind for cell in rows), by, "a cell of host")
    capacity = _amounts([cell.capacity for cell in rows], resources, by, "a cell of host")
    fixed = _amounts([cell.fixed_use for cell in rows], resources, by, "a cell of host")
    return Cells.of(
        np.repeat(np.array(on, dtype=np.int64), count),
        np.repeat(capacity, count, axis=0),
        fixed_use=np.repeat(fixed, count, axis=0),
        kind=np.repeat(kind, count),
        resources=resources.table,
        kinds=kinds.table,
    )


def _items(
    file: records.Snapshot, merged: _Merged, resources: Names, hosts: Hosts, cells: Cells
) -> tuple[Items, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    names = merged.names
    tables = {}
    for what, listed, trait in (
        ("owner", file.owners, "owner"),
        ("gang", file.gangs, "gang"),
        ("pin reason", file.pin_reasons, "pinned_by"),
    ):
        column = merged.column(trait)
        table = Names(what, appearing(column) if listed is None else listed)
        tables[trait] = (table.table, table.column(column, names, "item"))
    at_host = Names("host", hosts.names)
    host0 = at_host.column([item.host for item in file.items], names, "item")
    cell_resources = Names("cell resource", cells.resources)
    kinds = Names("cell kind", cells.kinds)
    needed = np.array(merged.column("cells_needed"), dtype=np.int64)
    items = Items.of(
        _amounts(merged.column("demand"), resources, names, "item"),
        names=names,
        cells_needed=needed,
        cell_demand=_amounts(merged.column("cell_demand"), cell_resources, names, "item"),
        cell_kind=kinds.column(merged.column("cell_kind"), names, "item"),
        host0=host0,
        cells0=_cells0(file, needed, host0, cells),
        tier=_tiers(file, merged),
        weight=merged.column("weight"),
        owner=tables["owner"][1],
        gang=tables["gang"][1],
        pinned_by=tables["pinned_by"][1],
        **{trait: merged.column(trait) for trait in DEFAULTS if DEFAULTS[trait] is True},
    )
    return items, tables["owner"][0], tables["gang"][0], tables["pinned_by"][0]


def _cells0(file: records.Snapshot, needed: Ints, host0: Ints, cells: Cells) -> Ints:
    out = np.full((len(needed), int(needed.max(initial=0))), NONE, np.int64)
    for at, item in enumerate(file.items):
        if not item.cells:
            continue
        first, end = np.searchsorted(cells.host, [host0[at], host0[at] + 1])
        if item.host is None or len(item.cells) != needed[at] or max(item.cells) >= end - first:
            raise FormatError(
                f"item {item.name[:80]!r} names the cells {item.cells[:8]}; it needs "
                f"{needed[at]}, of the {end - first} cells of its host"
            )
        out[at, : len(item.cells)] = first + np.array(item.cells)
    return out


def _tiers(file: records.Snapshot, merged: _Merged) -> Ints:
    tiers = Names("tier", file.tiers or ())
    out = np.zeros(len(merged.names), np.int64)
    for at, tier in enumerate(merged.column("tier")):
        if isinstance(tier, str):
            if file.tiers is None:
                raise FormatError(
                    f"item {merged.names[at][:80]!r} names the tier {tier[:80]!r}, but the file "
                    "has no `tiers`; list their names there, highest first"
                )
            tier = tiers.find(tier, f"item {merged.names[at][:80]!r}")
        out[at] = tier or 0
    return out


def numbered(items: Items) -> list[str]:
    """The names of tiers that have none."""
    return [f"tier {tier}" for tier in range(int(items.tier.max(initial=-1)) + 1)]


def _admitted(hosts: records.HostList, table: Names, by: str) -> Bools:
    """(H,) bool: the hosts of the list."""
    if (hosts.only is None) == (hosts.not_ is None):
        raise FormatError(f"{by} needs either `only` or `not`, a list of hosts")
    named = np.zeros(len(table), np.bool_)
    named[table.find_all(hosts.only if hosts.only is not None else hosts.not_ or (), by)] = True
    return named if hosts.only is not None else ~named


def _where(
    file: records.Snapshot, merged: _Merged, hosts: Hosts, items: Items, named: Names
) -> tuple[Where, Names]:
    table = Names("host", hosts.names)
    excluded, eligible, rules = _eligibility(file, merged, table)
    keys, domain, domain_names = _domains(file, table)
    sets = Names("host set", [one.name for one in file.host_sets])
    where = Where.of(
        hosts,
        items,
        excluded=excluded,
        item_eligible=eligible,
        rule_names=rules,
        keys=keys,
        domain=domain,
        domain_names=domain_names,
        groups=[named.find_all(g.items, f"group {g.name[:80]!r}") for g in file.groups],
        group_names=[group.name for group in file.groups],
        host_sets=np.array(
            [_admitted(one, table, f"host set {one.name[:80]!r}") for one in file.host_sets]
        ).reshape(len(sets), len(table)),
    )
    return where, sets


def _eligibility(
    file: records.Snapshot, merged: _Merged, hosts: Names
) -> tuple[Any, Ints, tuple[str, ...]]:
    """Bit masks (E, H), the row of each item, and the names of the bits."""
    listed = file.rules
    if listed is None:
        listed = appearing(rule.name for row in file.eligibility for rule in row.rules)
    rules = Names("rule", listed or ["not eligible"])
    if len(rules) > 32:
        raise FormatError(f"{len(rules)} eligibility rules cannot be told apart; use at most 32")
    excluded = np.zeros((len(file.eligibility), len(hosts)), np.uint32)
    for at, row in enumerate(file.eligibility):
        for rule in row.rules:
            by = f"eligibility {row.name[:80]!r}"
            bit = rules.find(rule.name, by)
            excluded[at, ~_admitted(rule, hosts, by)] |= np.uint32(1 << bit)
    named = Names("eligibility", [row.name for row in file.eligibility])
    eligible = named.column(merged.column("where"), merged.names, "item")
    if (eligible < 0).any() or not len(excluded):
        anywhere = np.flatnonzero(~excluded.any(axis=1))
        if not len(anywhere):
            excluded = np.vstack([excluded, np.zeros((1, len(hosts)), np.uint32)])
        eligible[eligible < 0] = anywhere[0] if len(anywhere) else len(excluded) - 1
    return excluded, eligible, rules.table


def _domains(file: records.Snapshot, hosts: Names) -> tuple[list[str], Ints, list[list[str]]]:
    listed = file.keys
    if listed is None:
        found = appearing(key for host in file.hosts for key in host.domains)
        listed = [
            records.Key(name=key, domains=appearing(h.domains.get(key) for h in file.hosts))
            for key in found
        ]
    keys = Names("topology key", [key.name for key in listed])
    for host in file.hosts:
        keys.find_all([*host.domains], f"host {host.name[:80]!r}")
    domain = np.full((len(keys), len(hosts)), NONE, np.int64)
    for at, key in enumerate(listed):
        names = Names(f"domain of {key.name[:80]!r}", key.domains)
        domain[at] = names.column(
            [h.domains.get(key.name) for h in file.hosts], hosts.table, "host"
        )
    return [key.name for key in listed], domain, [key.domains for key in listed]


def _limits(file: records.Snapshot, where: Where, sets: Names) -> list[Limit]:
    groups, keys = Names("group", where.group_names), Names("topology key", where.keys)
    rows = []
    for at, row in enumerate(file.limits):
        by = f"limit {row.name[:80]!r}" if row.name else f"limit {at}"
        subject = groups.find(row.subject, by)
        rows.append(
            Limit(
                kind=LimitKind[row.kind.upper()],
                key=NONE if row.key is None else keys.find(row.key, by),
                subject=subject,
                counted=subject if row.counted is None else groups.find(row.counted, by),
                bound=row.bound,
                min_domains=row.min_domains,
                host_set=NONE if row.host_set is None else sets.find(row.host_set, by),
                bundle=NONE if row.bundle is None else row.bundle,
                self_counts=row.self_counts,
                name=row.name,
            )
        )
    return rows


def _budgets(file: records.Snapshot, items: Names) -> Budgets:
    rows = file.budgets
    return Budgets.of(
        [items.find_all(row.items, f"budget {row.name[:80]!r}") for row in rows],
        [row.allowed for row in rows],
        scope=[Scope[row.scope.upper()] for row in rows],
        names=[row.name for row in rows],
    )


def _inflight(file: records.Snapshot, items: Names, hosts: Names) -> Inflight:
    rows = file.inflight
    return Inflight.of(
        items.find_all([row.item for row in rows], "`inflight`"),
        hosts.find_all([row.source for row in rows], "`inflight`"),
    )


def _objective(file: records.Snapshot, tiers: Names, cells: Names) -> tuple[Level, ...]:
    if file.objective is None:
        if file.order not in ORDERS:
            raise FormatError(
                f"the objective's order {file.order[:80]!r} is not known (there are: "
                f"{', '.join(ORDERS)}); give the `objective` itself"
            )
        return ORDERS[file.order](len(tiers))
    levels = []
    for level in file.objective:
        by = f"objective level {level.name[:80]!r}"
        terms = tuple(
            Term(
                term.kind,
                term.weight,
                NONE if term.tier is None else tiers.find(term.tier, by),
                0 if term.resource is None else cells.find(term.resource, by),
                term.size,
                term.cells,
            )
            for term in level.terms
        )
        levels.append(Level(level.name, terms, level.goal))
    return tuple(levels)
