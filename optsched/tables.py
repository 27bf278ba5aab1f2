"""Hosts, cells and items: the tables of what has capacity and of what is placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import NONE, Bools, Ints, bools, ints, matrix, refuse, unique_names
from .errors import ProblemError


@dataclass(frozen=True)
class Hosts:
    """What has capacity: PMs, nodes, edge servers.

    Attributes
    ----------
    names
        (H,) unique.
    capacity, fixed_use
        (H, R) int64: what the host gives, and what is used on it by things that are not items.
    cost
        (H,) int64: cost of the host while it holds an occupying item.
    drain
        (H,) bool: the host is to be emptied; nothing enters it.
    moves_in, moves_out
        (H,) int64: moves onto or off the host per wave; -1: no limit.
    """

    names: tuple[str, ...]
    capacity: Ints
    fixed_use: Ints
    cost: Ints
    drain: Bools
    moves_in: Ints
    moves_out: Ints

    @classmethod
    def of(
        cls,
        capacity: Any,
        *,
        names: Sequence[str] | None = None,
        fixed_use: Any = 0,
        cost: Any = 1,
        drain: Any = False,
        moves_in: Any = NONE,
        moves_out: Any = NONE,
    ) -> Hosts:
        """Hosts with defaults filled in; `capacity` is (H, R)."""
        cap = matrix(capacity, len(capacity), "hosts.capacity")
        count = (len(cap),)
        hosts = cls(
            unique_names(names, len(cap), "host"),
            cap,
            ints(fixed_use, cap.shape, "hosts.fixed_use"),
            ints(cost, count, "hosts.cost"),
            bools(drain, count, "hosts.drain"),
            ints(moves_in, count, "hosts.moves_in"),
            ints(moves_out, count, "hosts.moves_out"),
        )
        refuse(hosts.capacity < 0, hosts.names, "a capacity is negative")
        refuse(hosts.fixed_use < 0, hosts.names, "a fixed use is negative")
        refuse(hosts.cost < 0, hosts.names, "the host cost is negative")
        return hosts

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Cells:
    """Indivisible parts of hosts in which a demand must sit whole: NUMA nodes, GPUs.

    Attributes
    ----------
    host
        (C,) int64, the host of each cell; cells of one host are contiguous and in host order.
    capacity, fixed_use
        (C, S) int64.
    kind
        (C,) int64, an index into `kinds`.
    resources, kinds
        Names of the S cell resources and of the cell kinds.
    """

    host: Ints
    capacity: Ints
    fixed_use: Ints
    kind: Ints
    resources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        host: Any = (),
        capacity: Any = (),
        *,
        fixed_use: Any = 0,
        kind: Any = 0,
        resources: Sequence[str] | None = None,
        kinds: Sequence[str] = ("cell",),
    ) -> Cells:
        """Cells with defaults filled in; `capacity` is (C, S)."""
        count = len(host)
        cap = matrix(capacity, count, "cells.capacity")
        names = (
            tuple(resources)
            if resources is not None
            else tuple(f"cell{s}" for s in range(cap.shape[1]))
        )
        if len(names) != cap.shape[1]:
            raise ProblemError(
                f"cells have {cap.shape[1]} resources but {len(names)} resource names"
            )
        cells = cls(
            ints(host, (count,), "cells.host"),
            cap,
            ints(fixed_use, cap.shape, "cells.fixed_use"),
            ints(kind, (count,), "cells.kind"),
            names,
            tuple(kinds),
        )
        if (np.diff(cells.host) < 0).any():
            raise ProblemError("cells must be listed host by host, in host order")
        if (cells.capacity < 0).any() or (cells.fixed_use < 0).any():
            raise ProblemError("a cell has a negative capacity or fixed use")
        if count and (cells.kind.min() < 0 or cells.kind.max() >= len(cells.kinds)):
            raise ProblemError("a cell is of an unknown kind")
        return cells

    def __len__(self) -> int:
        return len(self.host)


@dataclass(frozen=True)
class Items:
    """What is placed: VMs, pods, LLM workers.

    Attributes
    ----------
    names
        (I,) unique.
    demand
        (I, R) int64, from the host.
    cells_needed
        (I,) int64, number of distinct cells (0: none).
    cell_demand
        (I, S) int64, from each of its cells.
    cell_kind
        (I,) int64, the kind of cells it needs; -1: any.
    host0
        (I,) int64, the current host; -1: pending.
    cells0
        (I, W) int64, the current cells, padded with -1; W is the largest `cells_needed`.
    tier
        (I,) int64, 0 is the highest priority.
    weight
        (I,) int64, what an unplaced item counts.
    owner, gang
        (I,) int64, index of the owner (ReplicaSet, tenant) and of the gang; -1: none.
    movable, evictable, may_evict_others
        (I,) bool, see the module's rules 1 and 6.
    lets_go_first
        (I,) bool: a move frees the source before the target is taken (a pod does, a VM does not).
    occupies
        (I,) bool: False for what runs on every host anyway (DaemonSet pods): a host that holds
        nothing else counts as empty.
    pinned_by
        (I,) int64, index into `pin_reasons`: why an immovable item is; -1: no reason given.
    """

    names: tuple[str, ...]
    demand: Ints
    cells_needed: Ints
    cell_demand: Ints
    cell_kind: Ints
    host0: Ints
    cells0: Ints
    tier: Ints
    weight: Ints
    owner: Ints
    gang: Ints
    movable: Bools
    evictable: Bools
    may_evict_others: Bools
    lets_go_first: Bools
    occupies: Bools
    pinned_by: Ints

    @classmethod
    def of(
        cls,
        demand: Any,
        *,
        names: Sequence[str] | None = None,
        cells_needed: Any = 0,
        cell_demand: Any = None,
        cell_kind: Any = NONE,
        host0: Any = NONE,
        cells0: Any = None,
        tier: Any = 0,
        weight: Any = 1,
        owner: Any = NONE,
        gang: Any = NONE,
        movable: Any = True,
        evictable: Any = True,
        may_evict_others: Any = True,
        lets_go_first: Any = True,
        occupies: Any = True,
        pinned_by: Any = NONE,
    ) -> Items:
        """Items with defaults filled in; `demand` is (I, R)."""
        dem = matrix(demand, len(demand), "items.demand")
        n = len(dem)
        needed = ints(cells_needed, (n,), "items.cells_needed")
        wide = int(needed.max(initial=0))
        cell = np.zeros((n, 0), np.int64) if cell_demand is None else cell_demand
        current = np.full((n, wide), NONE) if cells0 is None else cells0
        items = cls(
            unique_names(names, n, "item"),
            dem,
            needed,
            matrix(cell, n, "items.cell_demand"),
            ints(cell_kind, (n,), "items.cell_kind"),
            ints(host0, (n,), "items.host0"),
            ints(current, (n, wide), "items.cells0"),
            ints(tier, (n,), "items.tier"),
            ints(weight, (n,), "items.weight"),
            ints(owner, (n,), "items.owner"),
            ints(gang, (n,), "items.gang"),
            bools(movable, (n,), "items.movable"),
            bools(evictable, (n,), "items.evictable"),
            bools(may_evict_others, (n,), "items.may_evict_others"),
            bools(lets_go_first, (n,), "items.lets_go_first"),
            bools(occupies, (n,), "items.occupies"),
            ints(pinned_by, (n,), "items.pinned_by"),
        )
        for bad, what in (
            (items.demand < 0, "a demand is negative"),
            (items.cells_needed < 0, "the number of cells is negative"),
            (items.cell_demand < 0, "a cell demand is negative"),
            (items.tier < 0, "the tier is negative"),
            (items.weight < 1, "the weight must be at least 1"),
        ):
            refuse(bad, items.names, what)
        return items

    def __len__(self) -> int:
        return len(self.names)
