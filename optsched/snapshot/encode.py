"""Problem tables -> snapshot records, leaving out whatever reading puts back by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import IntEnum
from sys import intern
from typing import Any

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.levels import ORDERS, TermKind
from optsched.limits import LimitKind, Scope
from optsched.problem import CellChoice, Evict, PlacementProblem, When

from . import records
from .decode import DEFAULTS, numbered
from .names import appearing


def records_of(problem: PlacementProblem) -> records.Snapshot:
    """The records that `problem_of` reads back as an equal problem."""
    p = problem
    hosts = _hosts(p)
    classes, items = _items(p)
    eligibility = _eligibility(p)
    cells = [cell for host in hosts for cell in host.cells]
    resources = appearing(name for host in hosts for name in host.capacity)
    cell_resources = appearing(name for cell in cells for name in cell.capacity)
    kinds = appearing(cell.kind for cell in cells) or ["cell"]
    rules = appearing(r.name for row in eligibility for r in row.rules) or ["not eligible"]
    keys = _keys(p)
    return records.Snapshot(
        format="optsched/snapshot",
        version=1,
        kind="placement",
        name=intern(p.name),
        warnings=[*p.warnings],
        order=intern(p.order),
        objective=_objective(p),
        evict=_word(Evict(p.evict)),
        protect_higher=p.protect_higher,
        max_moves=_limit(p.max_moves),
        owner_at_once=_limit(p.owner_at_once),
        cell_choice=_word(CellChoice(p.cell_choice)),
        resources=_unless(p.resources, resources),
        during=[
            name for name, when in zip(p.resources, p.when, strict=True) if when == When.DURING
        ],
        cell_resources=_unless(p.cells.resources, cell_resources),
        cell_kinds=_unless(p.cells.kinds, kinds),
        tiers=_unless(p.tiers, numbered(p.items)),
        keys=keys if keys != _found_keys(hosts) else None,
        owners=_unless(p.owners, _seen(p.owners, p.items.owner)),
        gangs=_unless(p.gangs, _seen(p.gangs, p.items.gang)),
        pin_reasons=_unless(p.pin_reasons, _seen(p.pin_reasons, p.items.pinned_by)),
        rules=_unless(p.where.rule_names, rules),
        hosts=hosts,
        eligibility=eligibility,
        classes=classes,
        items=items,
        groups=[
            records.Group(name=name, items=_named(p.items.names, p.where.groups[at]))
            for at, name in enumerate(p.where.group_names)
        ],
        host_sets=[
            records.HostList(name=f"set {at}", **_listed(row, p.hosts.names))
            for at, row in enumerate(p.where.host_sets)
        ],
        limits=_limits(p),
        budgets=_budgets(p),
        inflight=[
            records.InflightMove(item=p.items.names[item], source=p.hosts.names[source])
            for item, source in zip(p.inflight.item, p.inflight.source, strict=True)
        ],
    )


def _word(value: IntEnum) -> Any:
    """The name in a file; interned, since defaults are left out by identity."""
    return intern(value.name.lower())


def _limit(value: int) -> int | None:
    return None if value == NONE else int(value)


def _unless(names: Sequence[str], found: Sequence[str]) -> list[str] | None:
    """The list to write, None where reading finds the same by itself."""
    return None if [*names] == [*found] else [*names]


def _seen(names: Sequence[str], column: Ints) -> list[str]:
    numbers, first = np.unique(column, return_index=True)
    order = numbers[np.argsort(first)]
    return [names[number] for number in order.tolist() if number >= 0]


def _named(names: Sequence[str], numbers: Ints) -> list[str]:
    return [names[number] for number in numbers.tolist()]


def _amounts(table: Ints, columns: Sequence[str]) -> list[dict[str, int]]:
    """Sparse rows."""
    return [
        {name: amount for name, amount in zip(columns, row, strict=True) if amount}
        for row in table.tolist()
    ]


def _hosts(p: PlacementProblem) -> list[records.Host]:
    h, out = p.hosts, []
    domains = _domains(p)
    starts = np.searchsorted(p.cells.host, np.arange(len(h) + 1)).tolist()
    cells = _cells(p)
    rows = zip(
        h.names,
        _amounts(h.capacity, p.resources),
        _amounts(h.fixed_use, p.resources),
        h.cost.tolist(),
        h.drain.tolist(),
        h.moves_in.tolist(),
        h.moves_out.tolist(),
        strict=True,
    )
    for at, (name, capacity, fixed, cost, drain, moves_in, moves_out) in enumerate(rows):
        out.append(
            records.Host(
                name=name,
                capacity=capacity,
                fixed_use=fixed,
                cost=cost,
                drain=drain,
                moves_in=_limit(moves_in),
                moves_out=_limit(moves_out),
                domains=domains[at],
                cells=_runs(cells[starts[at] : starts[at + 1]]),
            )
        )
    return out


def _domains(p: PlacementProblem) -> list[dict[str, str]]:
    out: list[dict[str, str]] = [{} for _ in range(len(p.hosts))]
    rows = zip(p.where.keys[1:], p.where.domain[1:], p.where.domain_names[1:], strict=True)
    for key, row, names in rows:
        for at, domain in enumerate(row.tolist()):
            if domain >= 0:
                out[at][key] = names[domain]
    return out


def _keys(p: PlacementProblem) -> list[records.Key]:
    return [
        records.Key(name=key, domains=[*names])
        for key, names in zip(p.where.keys[1:], p.where.domain_names[1:], strict=True)
    ]


def _found_keys(hosts: Sequence[records.Host]) -> list[records.Key]:
    keys = appearing(key for host in hosts for key in host.domains)
    return [
        records.Key(name=key, domains=appearing(host.domains.get(key) for host in hosts))
        for key in keys
    ]


def _cells(p: PlacementProblem) -> list[records.Cell]:
    c = p.cells
    return [
        records.Cell(capacity=capacity, fixed_use=fixed, kind=intern(c.kinds[kind]))
        for capacity, fixed, kind in zip(
            _amounts(c.capacity, c.resources),
            _amounts(c.fixed_use, c.resources),
            c.kind.tolist(),
            strict=True,
        )
    ]


def _runs(cells: Sequence[records.Cell]) -> list[records.Cell]:
    """Equal neighbours as one record with a count."""
    out: list[records.Cell] = []
    before = None
    for cell in cells:
        if cell == before:
            out[-1].count += 1
        else:
            before = cell
            out.append(
                records.Cell(capacity=cell.capacity, fixed_use=cell.fixed_use, kind=cell.kind)
            )
    return out


def _items(p: PlacementProblem) -> tuple[list[records.ItemClass], list[records.Item]]:
    """Items with equal traits share a class."""
    i = p.items
    columns: list[Sequence[Any]] = [
        [*map(tuple, i.demand.tolist())],
        [*map(tuple, i.cell_demand.tolist())],
        *(
            getattr(i, name).tolist()
            for name in ("cells_needed", "cell_kind", "tier", "weight", "owner", "gang")
        ),
        p.where.item_eligible.tolist(),
        *(getattr(i, name).tolist() for name in FLAGS),
        i.pinned_by.tolist(),
    ]
    keys = [*zip(*columns, strict=True)]
    shared = [key for key, count in Counter(keys).items() if count > 1]
    traits = _Traits(p)
    classes = [
        records.ItemClass(name=f"class {at}", **traits.of(key)) for at, key in enumerate(shared)
    ]
    class_of = {key: one.name for key, one in zip(shared, classes, strict=True)}
    first = np.searchsorted(p.cells.host, i.host0).tolist()
    items = []
    for at, (name, key, host) in enumerate(zip(i.names, keys, i.host0.tolist(), strict=True)):
        own = class_of.get(key)
        items.append(
            records.Item(
                name=name,
                class_=own,
                host=p.hosts.names[host] if host >= 0 else None,
                cells=[c - first[at] for c in i.cells0[at].tolist() if c >= 0] if key[2] else [],
                **(traits.of(key) if own is None else {}),
            )
        )
    return classes, items


FLAGS = tuple(name for name, default in DEFAULTS.items() if default is True)


class _Traits:
    """Rows of numbers -> the fields of `records.Traits` that differ from the defaults."""

    def __init__(self, p: PlacementProblem) -> None:
        self.p = p
        self.named_tiers = [*p.tiers] != numbered(p.items)
        rows = p.where.excluded
        free = np.flatnonzero(~rows.any(axis=1))
        self.anywhere = int(free[0]) if len(free) else NONE

    def of(self, key: Sequence[Any]) -> dict[str, Any]:
        p = self.p
        demand, cell_demand, needed, kind, tier, weight, owner, gang, where = key[:9]
        flags, pinned = key[9:-1], key[-1]
        named = {
            "cell_kind": (kind, p.cells.kinds),
            "owner": (owner, p.owners),
            "gang": (gang, p.gangs),
            "pinned_by": (pinned, p.pin_reasons),
        }
        out: dict[str, Any] = {
            field: names[number] for field, (number, names) in named.items() if number >= 0
        }
        out["demand"] = _sparse(demand, p.resources)
        out["cell_demand"] = _sparse(cell_demand, p.cells.resources)
        out["tier"] = p.tiers[tier] if self.named_tiers else tier or None
        out["where"] = eligibility_name(where) if where != self.anywhere else None
        for field, value in zip(
            ("cells_needed", "weight", *FLAGS), (needed, weight, *flags), strict=True
        ):
            out[field] = value if value != DEFAULTS[field] else None
        return out


def _sparse(row: Sequence[int], names: Sequence[str]) -> dict[str, int] | None:
    return {name: amount for name, amount in zip(names, row, strict=True) if amount} or None


def eligibility_name(row: int) -> str:
    """What row `row` of `where.excluded` is called in a file."""
    return f"where {row}"


def _listed(inside: Bools, names: Sequence[str]) -> dict[str, list[str]]:
    """The shorter of `only` and `not_`."""
    if 2 * int(inside.sum()) <= len(inside):
        return {"only": _named(names, np.flatnonzero(inside))}
    return {"not_": _named(names, np.flatnonzero(~inside))}


def _eligibility(p: PlacementProblem) -> list[records.Eligibility]:
    rows = p.where.excluded
    if len(rows) == 1 and not rows.any():
        return []
    out = []
    for at, row in enumerate(rows):
        rules = []
        for bit, name in enumerate(p.where.rule_names):
            admitted = (row >> np.uint32(bit)) & 1 == 0
            if not admitted.all():
                rules.append(records.HostList(name=name, **_listed(admitted, p.hosts.names)))
        out.append(records.Eligibility(name=eligibility_name(at), rules=rules))
    return out


def _limits(p: PlacementProblem) -> list[records.Limit]:
    table, groups, out = p.limits, p.where.group_names, []
    for at in range(len(table)):
        subject, counted = int(table.subject[at]), int(table.counted[at])
        key, host_set = int(table.key[at]), int(table.host_set[at])
        out.append(
            records.Limit(
                kind=_word(LimitKind(table.kind[at])),
                key=p.where.keys[key] if key >= 0 else None,
                subject=groups[subject],
                counted=groups[counted] if counted != subject else None,
                bound=int(table.bound[at]),
                min_domains=int(table.min_domains[at]),
                host_set=f"set {host_set}" if host_set >= 0 else None,
                bundle=_limit(table.bundle[at]),
                self_counts=bool(table.self_counts[at]),
                name=table.names[at],
            )
        )
    return out


def _budgets(p: PlacementProblem) -> list[records.Budget]:
    return [
        records.Budget(
            name=name,
            items=_named(p.items.names, p.budgets.groups[at]),
            allowed=int(p.budgets.allowed[at]),
            scope=_word(Scope(p.budgets.scope[at])),
        )
        for at, name in enumerate(p.budgets.names)
    ]


def _objective(p: PlacementProblem) -> list[records.ObjectiveLevel] | None:
    if p.order in ORDERS and p.objective == ORDERS[p.order](len(p.tiers)):
        return None
    return [
        records.ObjectiveLevel(
            name=level.name,
            terms=[
                records.ObjectiveTerm(
                    kind=TermKind(term.kind),
                    weight=term.weight,
                    tier=p.tiers[term.tier] if term.tier >= 0 else None,
                    resource=p.cells.resources[term.resource] if term.resource else None,
                    size=term.size,
                    cells=term.cells,
                )
                for term in level.terms
            ],
            goal=level.goal,
        )
        for level in p.objective
    ]
