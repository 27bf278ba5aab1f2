"""What a neighbourhood adds to the levels of the objective, and how they are minimised in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.solvers.linear import Sum
from optsched.solvers.repack_fragments import add_fragments

if TYPE_CHECKING:
    from optsched.solvers.repack_model import RepackModel

WIDEST = 1 << 45  # largest range of a weighted sum of levels


def add_levels(model: RepackModel) -> list[tuple[Sum, int]]:
    """Per level that the neighbourhood can change: what it adds, and the range of that."""
    worth, elsewhere = model.search.worth, np.full_like(model.problem.items.cells0[:1], NONE)[0]
    count = len(model.problem.objective)
    terms: list[list[Sum]] = [[] for _ in range(count)]
    ranges = np.zeros(count, np.int64)
    for item in model.items:
        waits = worth.of_item(item, NONE, elsewhere)
        rows = [waits]
        for option in model.of_item[item]:
            cells = elsewhere if option.enters else model.problem.items.cells0[item]
            value = worth.of_item(item, option.host, cells)
            rows.append(value)
            for level in np.flatnonzero(value - waits).tolist():
                terms[level].append(int(value[level] - waits[level]) * option.var)
        ranges += (np.max(rows, axis=0) - np.min(rows, axis=0)) * len(model.members[item])
    _add_host_cost(model, terms, ranges)
    add_fragments(model, terms, ranges)
    return [(sum(terms[k]), int(ranges[k])) for k in range(count) if terms[k] and ranges[k]]


def _add_host_cost(model: RepackModel, terms: list[list[Sum]], ranges: Ints) -> None:
    worth, items = model.search.worth, model.problem.items
    if not worth.host_cost.any():
        return
    for host in model.hosts:
        cost = int(model.problem.hosts.cost[host])
        guests = [o for o in model.on_host[host] if items.occupies[o.item]]
        if not cost or not guests or model.search.occupants[host]:
            continue
        used = model.model.new_bool_var("")
        for option in guests:
            model.link(option.var, used)
        room = model.problem.hosts.capacity[host] - model.search.state.use[host]
        for r in np.flatnonzero(room > 0).tolist():  # a closer linear relaxation
            if all(o.enters for o in guests):
                total = sum(int(items.demand[o.item, r]) * o.var for o in guests)
                model.model.add(total <= int(room[r]) * used)
        for level in np.flatnonzero(worth.host_cost).tolist():
            terms[level].append(int(worth.host_cost[level]) * cost * used)
            ranges[level] += worth.host_cost[level] * cost


def blocks(levels: list[tuple[Sum, int]]) -> list[Sum]:
    """The levels as few weighted sums, to be minimised one after another."""
    sums: list[Sum] = []
    weight = 0  # of the current block's first level; 0: no block is open
    for total, width in reversed(levels):
        if weight and weight * (width + 1) < WIDEST:
            sums[-1] = sums[-1] + weight * total
            weight *= width + 1
        else:
            sums.append(total)
            weight = width + 1
    return sums[::-1]
