"""How full hosts are before and after a plan, split by what happens to the items on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.objective import moved
from optsched.plan import Placement
from optsched.problem import PlacementProblem

MOST_RESOURCES = 4
SCARCE = 0.25  # share of all capacity that is asked for


@dataclass(frozen=True)
class Usage:
    """Use of the resources worth showing, per host.

    Attributes
    ----------
    names
        Of the K resources shown, cell resources last.
    capacity, fixed
        (H, K) int64.
    stay, leave
        (H, K) int64: of the current items, what remains on the host and what the plan takes off.
    arrive, placed
        (H, K) int64: what comes from other hosts, and what was pending.
    count
        (H, 4) int64 items: staying, leaving, arriving, placed.
    changed
        (H,) bool.
    """

    names: tuple[str, ...]
    capacity: Ints
    fixed: Ints
    stay: Ints
    leave: Ints
    arrive: Ints
    placed: Ints
    count: Ints
    changed: Bools

    def before(self) -> Ints:
        """(H, K) use before the plan."""
        return self.fixed + self.stay + self.leave

    def after(self) -> Ints:
        """(H, K) use after the plan."""
        return self.fixed + self.stay + self.arrive + self.placed


def usage(problem: PlacementProblem, after: Placement) -> Usage:
    """The use of every host before and after."""
    items, hosts = problem.items, len(problem.hosts)
    names, capacity, fixed, demand = _columns(problem)
    had, has = items.host0 >= 0, after.host >= 0
    stays = had & (after.host == items.host0)
    stay, stayers = _sums(stays, items.host0, demand, hosts)
    leave, leavers = _sums(had & ~stays, items.host0, demand, hosts)
    arrive, arrivals = _sums(had & has & ~stays, after.host, demand, hosts)
    placed, newcomers = _sums(~had & has, after.host, demand, hosts)
    changed = np.zeros(hosts, bool)
    changed[items.host0[stays & moved(problem, after)]] = True
    return Usage(
        names=names,
        capacity=capacity,
        fixed=fixed,
        stay=stay,
        leave=leave,
        arrive=arrive,
        placed=placed,
        count=np.column_stack([stayers, leavers, arrivals, newcomers]),
        changed=changed | (leavers + arrivals + newcomers > 0),
    )


def _sums(chosen: Bools, host: Ints, demand: Ints, hosts: int) -> tuple[Ints, Ints]:
    """(H, K) demand and (H,) number of the chosen items on every host."""
    total = np.zeros((hosts, demand.shape[1]), np.int64)
    np.add.at(total, host[chosen], demand[chosen])
    return total, np.bincount(host[chosen], minlength=hosts)


def _columns(problem: PlacementProblem) -> tuple[tuple[str, ...], Ints, Ints, Ints]:
    """Names, capacity, fixed use and demand of what is worth showing."""
    items, hosts, cells = problem.items, problem.hosts, problem.cells
    capacity, fixed, demand = hosts.capacity, hosts.fixed_use, items.demand
    worth = _worth_showing(capacity, fixed, demand)
    names = [problem.resources[r] for r in worth]
    tables = [capacity[:, worth], fixed[:, worth]]
    asked = [demand[:, worth]]
    for s, name in enumerate(cells.resources):
        if not items.cell_demand.shape[1] or not items.cell_demand[:, s].any():
            continue
        names.append(name)
        for k, table in enumerate((cells.capacity, cells.fixed_use)):
            column = np.bincount(cells.host, weights=table[:, s], minlength=len(hosts))
            tables[k] = np.column_stack([tables[k], column.astype(np.int64)])
        asked[0] = np.column_stack([asked[0], items.cell_demand[:, s] * items.cells_needed])
    return tuple(names), tables[0], tables[1], asked[0]


def _worth_showing(capacity: Ints, fixed: Ints, demand: Ints) -> list[int]:
    """The fullest resources, in their own order: up to four, and two even if they are plenty."""
    used = demand.sum(axis=0) + fixed.sum(axis=0)
    share = used / np.maximum(capacity.sum(axis=0), 1)
    asked = [r for r in np.argsort(-share, kind="stable").tolist() if demand[:, r].any()]
    scarce = [r for k, r in enumerate(asked[:MOST_RESOURCES]) if k < 2 or share[r] >= SCARCE]
    return sorted(scarce)
