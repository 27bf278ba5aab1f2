"""Why VMs on cells cannot be counted by class, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from optsched.levels import Level, Term
from optsched.limits import LimitKind
from optsched.problem import Evict, PlacementProblem


def uncounted(problem: PlacementProblem, terms: Iterable[Term]) -> str | None:
    """None, or why items of a class cannot be told by how many leave and enter each cell.

    `terms` are all blocks that count.
    """
    items, hosts = problem.items, problem.hosts
    if (items.host0 < 0).any():
        return "waiting items are left to local search"
    if problem.evict is not Evict.NEVER and items.evictable.any():
        return "items that may be evicted make room that exchanges do not know of"
    if items.demand.any():
        return "items that take resources of the whole host are left to local search"
    if len(problem.budgets) or len(problem.inflight) or (items.gang >= 0).any():
        return "budgets, gangs and moves in flight are left to local search"
    owned = problem.owner_at_once >= 0 and (items.owner >= 0).any()
    if (hosts.moves_in >= 0).any() or (hosts.moves_out >= 0).any() or owned:
        return "throttles of hosts and owners are left to local search"
    limits = problem.limits
    if len(limits) and not ((limits.kind == LimitKind.CONFLICT) & (limits.key == 0)).all():
        return "of the limits only conflicts on a host can be counted by class"
    most = np.bincount(problem.cells.host, minlength=len(hosts)).max(initial=0)
    wide = items.movable & (items.cells_needed > 1)
    blocks = max((term.cells for term in terms), default=0)
    if most > 2 and (wide.any() or blocks > 1):
        return "hosts of more than two cells are left to local search"
    if (items.cells_needed > 2).any() or blocks > 2:
        return "items and blocks of more than two cells are left to local search"
    return None


def refusal(problem: PlacementProblem, level: Level) -> str | None:
    """None, or why exchanges cannot express the problem."""
    if not in_proportion(problem, level):
        return "fragments of resources that VMs take in several ratios are left to counts and local"
    if len(np.unique(problem.cells.kind)) > 1:
        return "cells of several kinds are left to local search"
    alone = np.bincount(problem.cells.host, minlength=1) == 1
    if alone.any() and any(term.cells > 1 for term in level.terms):
        return "hosts of one cell have no blocks over two; these are left to local search"
    return uncounted(problem, level.terms)


def in_proportion(problem: PlacementProblem, level: Level) -> bool:
    """Whether all that moves takes the resources that count in one ratio: one tells the others."""
    items = problem.items
    resources = sorted({term.resource for term in level.terms})
    demand = items.cell_demand[items.movable & (items.cells_needed > 0)][:, resources]
    demand = demand[demand.any(axis=1)]
    if len(resources) < 2 or not len(demand):
        return True
    one = demand[0]
    return bool((one > 0).all() and (demand * one[0] == demand[:, :1] * one).all())
