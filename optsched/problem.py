"""The placement problem: frozen, read-only integer tables for hosts, cells and items.

What is allowed and what is good is data here, written once by whoever translates a file or a
cluster. `rules` and `objective` read the tables in numpy; `check` reads them a second time in plain
Python. This module only holds them and refuses tables that contradict each other.

How the tables are to be read
-----------------------------
A *placement* gives every item a host (or -1) and, where it needs cells, its cells. An item
*enters* a host when it sits there and did not before (or sits on other cells of it); it *leaves* a
host when it sat there before and does not any more (moved or evicted). Rules bind items that enter;
what stays is never a violation, because real clusters hold overcommitted hosts and broken
affinities.

1. *Movable.* An item with `movable` False keeps its host and cells; if it had no host, any eligible
   host may receive it (a pending item is never "moved").
2. *Eligible.* An item enters only hosts with `excluded[item_eligible[i], h] == 0` that are not
   marked `drain`.
3. *Capacity.* If an item with `demand[i, r] > 0` enters host h, then `fixed_use[h, r]` plus the
   demand of all items on h is at most `capacity[h, r]`. Rows with `when[r] == DURING` also count
   the items that left h, except those that let go first. A resource that no entering item demands
   is not looked at.
4. *Cells.* An item sits on exactly `cells_needed[i]` distinct cells of its host (of kind
   `cell_kind[i]` unless that is -1); each of them gives `cell_demand[i, s]`. Capacity as above;
   cell rows hold after the plan.
5. *Limits*, see `LimitKind`.
6. *Eviction* (`evict`): NEVER: an item that had a host has one. LOWER: an evicted item is
   `evictable`, and every item that enters the host it left `may_evict_others` and is of a strictly
   higher tier (smaller number). ANY: an evicted item is `evictable`.
7. *Protection* (`protect_higher`): whatever enters a host is of the same or a higher tier than
   every item that leaves this host.
8. *Gangs.* If a member of a gang enters or leaves a host, the members are placed all or none.
9. *Budgets* of scope PLAN bound how many items of a group are disturbed (moved or evicted);
   `max_moves` bounds how many items that had a host are moved (-1: no bound).

A *plan* reaches its placement in waves. A wave is safe when its moves may run in any order and all
at once: for rules 3 to 5 the room at the start of the wave holds what is there (leavers included)
plus all that arrives. Details are in `check`. Per wave, `budgets` of scope WAVE,
`owner_at_once` and the hosts' `moves_in` and `moves_out` hold, with moves in flight counted.

Tiers are numbered from 0, the highest priority.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from dataclasses import replace as _replace
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np

from . import validate
from .arrays import NONE, Ints, Ragged, ints, unique_names
from .levels import Level, tier_order
from .limits import Budgets, Inflight, Limit, LimitKind, Limits, Scope, Where
from .tables import Cells, Hosts, Items

__all__ = [
    "NONE",
    "Budgets",
    "CellChoice",
    "Cells",
    "Evict",
    "Hosts",
    "Inflight",
    "Items",
    "Limit",
    "LimitKind",
    "Limits",
    "PlacementProblem",
    "Ragged",
    "Scope",
    "When",
    "Where",
]


class Evict(IntEnum):
    """Whether items may be left without a host they had."""

    NEVER = 0
    LOWER = 1  # only for items of a strictly higher tier, on the host they enter
    ANY = 2  # as the objective likes; for side-by-side runs with published models


class When(IntEnum):
    """When a capacity row holds."""

    AFTER = 0
    DURING = 1


class CellChoice(IntEnum):
    """Who picks the cells: we do, or a device plugin (then our cells are advice)."""

    OURS = 0
    FOREIGN = 1


@dataclass(frozen=True)
class PlacementProblem:
    """Hosts, cells, items, and every rule and goal over them, as tables.

    Attributes
    ----------
    resources
        Names of the R host resources.
    when
        (R,) int64, a `When` for each host resource.
    tiers
        Names of the tiers, highest first.
    owners, gangs, pin_reasons
        Name tables that `items.owner`, `items.gang`, `items.pinned_by` point into.
    objective
        Levels, minimised lexicographically.
    order
        The name of the objective's order, for the certificate.
    owner_at_once
        Items of one owner that may be disturbed in one wave; -1: no limit.
    warnings
        What the translator could not model or found odd, one sentence each.
    """

    name: str
    resources: tuple[str, ...]
    hosts: Hosts
    cells: Cells
    items: Items
    where: Where
    limits: Limits
    budgets: Budgets
    inflight: Inflight
    when: Ints
    tiers: tuple[str, ...]
    owners: tuple[str, ...]
    gangs: tuple[str, ...]
    pin_reasons: tuple[str, ...]
    objective: tuple[Level, ...]
    order: str = "tier"
    evict: Evict = Evict.NEVER
    protect_higher: bool = False
    max_moves: int = NONE
    owner_at_once: int = NONE
    cell_choice: CellChoice = CellChoice.OURS
    warnings: tuple[str, ...] = field(default=())

    @classmethod
    def of(
        cls,
        hosts: Hosts,
        items: Items,
        *,
        name: str = "problem",
        resources: Sequence[str] | None = None,
        cells: Cells | None = None,
        where: Where | None = None,
        limits: Sequence[Limit] | Limits = (),
        budgets: Budgets | None = None,
        inflight: Inflight | None = None,
        when: Any = int(When.AFTER),
        tiers: Sequence[str] | None = None,
        owners: Sequence[str] | None = None,
        gangs: Sequence[str] | None = None,
        pin_reasons: Sequence[str] = (),
        objective: tuple[Level, ...] | None = None,
        **options: Any,
    ) -> PlacementProblem:
        """A problem with defaults filled in (`options`: the remaining fields by name)."""
        names = (
            resources
            if resources is not None
            else [f"r{r}" for r in range(hosts.capacity.shape[1])]
        )
        cells = cells if cells is not None else Cells.of()
        if not items.cell_demand.shape[1]:
            wide = (len(items), len(cells.resources))
            items = _replace(items, cell_demand=ints(0, wide, "items.cell_demand"))
        tier_count = len(tiers) if tiers is not None else int(items.tier.max(initial=-1)) + 1
        return cls(
            name=name,
            resources=tuple(names),
            hosts=hosts,
            cells=cells,
            items=items,
            where=where if where is not None else Where.of(hosts, items),
            limits=limits if isinstance(limits, Limits) else Limits.of(limits),
            budgets=budgets if budgets is not None else Budgets.of(),
            inflight=inflight if inflight is not None else Inflight.of(),
            when=ints(when, (len(names),), "when"),
            tiers=unique_names(tiers, tier_count, "tier "),
            owners=unique_names(
                owners,
                int(items.owner.max(initial=-1)) + 1 if owners is None else len(owners),
                "owner",
            ),
            gangs=unique_names(
                gangs, int(items.gang.max(initial=-1)) + 1 if gangs is None else len(gangs), "gang"
            ),
            pin_reasons=tuple(pin_reasons),
            objective=objective if objective is not None else tier_order(tier_count),
            **options,
        )

    def __post_init__(self) -> None:
        hosts, cells, items, where = self.hosts, self.cells, self.items, self.where
        validate.check_shapes(self.resources, self.when, hosts, cells, items, where)
        validate.check_name_tables(self.resources, self.pin_reasons, cells, where)
        validate.check_sizes(hosts, cells, items, self.limits, self.budgets)
        names = ("tier", self.tiers), ("owner", self.owners), ("gang", self.gangs)
        tables = {what: len(table) for what, table in (*names, ("pin reason", self.pin_reasons))}
        validate.check_items(items, hosts, cells, tables)
        validate.check_where(where, hosts, items)
        validate.check_limits(self.limits, where)
        most = {"max_moves": self.max_moves, "owner_at_once": self.owner_at_once}
        validate.check_disturbance(hosts, items, self.budgets, self.inflight, most)
        validate.check_objective(self.objective, len(self.tiers), cells)
        validate.check_values(self.objective, hosts, cells, items)

    def replace(self, **changes: Any) -> PlacementProblem:
        """A copy with some fields changed, validated again."""
        return _replace(self, **changes)

    def digest(self) -> str:
        """A short hash of every table, equal for equal problems on any machine."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        hasher = hashlib.blake2b(digest_size=16)
        _feed(hasher, self)
        return hasher.hexdigest()


def _feed(hasher: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        hasher.update(str(value.shape).encode() + value.dtype.str.encode() + value.tobytes())
    elif is_dataclass(value):
        for one in fields(value):
            if one.name != "warnings":
                hasher.update(one.name.encode() + b"=")
                _feed(hasher, getattr(value, one.name))
    elif isinstance(value, tuple) and set(map(type, value)) == {str}:
        # Names: their lengths keep ("ab", "c") and ("a", "bc") apart.
        hasher.update(repr(list(map(len, value))).encode())
        hasher.update("".join(value).encode("utf-8", "surrogatepass"))
    elif isinstance(value, tuple):
        hasher.update(f"({len(value)}".encode())
        for element in value:
            _feed(hasher, element)
    else:
        hasher.update(repr(value).encode() + b";")
