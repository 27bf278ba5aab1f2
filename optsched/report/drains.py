"""Hosts that should be empty and are not: who stays on them, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optsched.explain import explain
from optsched.levels import TermKind
from optsched.plan import Order, Placement, Plan
from optsched.problem import Evict, PlacementProblem
from optsched.result import LevelValue

from .units import plural, short
from .words import pending_words

MOST_HOSTS, MOST_ITEMS = 5, 3  # that are told of


def left_behind(
    problem: PlacementProblem, plan: Plan, levels: Sequence[LevelValue] = ()
) -> tuple[str, ...]:
    """A sentence for every host that a plan does not empty, with the items that block it."""
    items, hosts, after = problem.items, problem.hosts, plan.placement(problem)
    stays = (after.host >= 0) & items.occupies & np.append(hosts.drain, False)[after.host]
    kept = sorted(set(after.host[stays].tolist()))
    used_up = 0 <= problem.max_moves <= sum(move.source >= 0 for move in plan.moves())
    told = []
    for host in kept[:MOST_HOSTS]:
        own = np.flatnonzero(stays & (after.host == host)).tolist()
        why = [
            f"{short(items.names[item])} ({_why(problem, item, plan, after, used_up)})"
            for item in own[:MOST_ITEMS]
        ]
        more = [f"{len(own) - MOST_ITEMS} more"] * (len(own) > MOST_ITEMS)
        told.append(
            f"{short(hosts.names[host])} is not emptied, {plural(len(own), 'item')} "
            f"{'stays' if len(own) == 1 else 'stay'}: {'; '.join([*why, *more])}"
        )
    if len(kept) > MOST_HOSTS:
        told.append(f"{len(kept) - MOST_HOSTS} more hosts are not emptied")
    kind = "order-safe plan" if plan.order is Order.SAFE else "plan"
    return (*told, *_proof(problem, kind, levels, _least(problem))) if told else ()


def _why(problem: PlacementProblem, item: int, plan: Plan, after: Placement, used_up: bool) -> str:
    items = problem.items
    if not items.movable[item]:
        by = int(items.pinned_by[item])
        return problem.pin_reasons[by] if by >= 0 else "it may not move"
    if problem.hosts.drain.all():
        return "all hosts are to be emptied"
    found = explain(problem, item, after)
    if not any(one.fits for one in found.empty):
        return "it fits on no host, not even on an empty one"
    if plan.order is Order.SAFE:
        early = _entered(problem, after)
        if found.open and not explain(early, item, Placement.current(early)).open:
            return "no host has room for it before others leave; --order waves lets it wait"
    if found.open and used_up:
        return f"the limit of {plural(problem.max_moves, 'move')} is used up"
    return pending_words(problem, item, () if found.open else found.blockers)


def _entered(problem: PlacementProblem, after: Placement) -> PlacementProblem:
    """The problem with what a plan moves counted where it goes, and where it comes from."""
    items, hosts, cells = problem.items, problem.hosts, problem.cells
    came = np.flatnonzero((after.host >= 0) & (after.host != items.host0))
    use, cell_use = hosts.fixed_use.copy(), cells.fixed_use.copy()
    np.add.at(use, after.host[came], items.demand[came])
    item, column = np.nonzero(after.cells[came] >= 0)
    np.add.at(cell_use, after.cells[came][item, column], items.cell_demand[came[item]])
    use.setflags(write=False)
    cell_use.setflags(write=False)
    return problem.replace(
        hosts=replace(hosts, fixed_use=use), cells=replace(cells, fixed_use=cell_use)
    )


def _least(problem: PlacementProblem) -> int:
    """How many stay at least: those that may not move, and those beyond the limit of moves."""
    items = problem.items
    there = items.occupies & np.append(problem.hosts.drain, False)[items.host0]
    free = int((there & items.movable).sum())
    beyond = max(0, free - problem.max_moves) if problem.max_moves >= 0 else 0
    return int(there.sum()) - free + (beyond if problem.evict is Evict.NEVER else 0)


def _proof(
    problem: PlacementProblem, kind: str, levels: Sequence[LevelValue], least: int
) -> tuple[str, ...]:
    for level, value in zip(problem.objective, levels, strict=False):
        kinds = {term.kind for term in level.terms}
        if kinds == {TermKind.DRAINED} and value.value:
            if max(value.bound, least):
                most = max(value.bound, least)
                return (f"proven: no {kind} leaves fewer than {most} on the hosts to be emptied",)
            return ("it is not proven that they cannot be emptied",)
    return ()
