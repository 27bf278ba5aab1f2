"""Rules 6 to 9 (displacement, gangs, budgets) as rows over the options of a neighbourhood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from optsched.arrays import NONE
from optsched.problem import Evict, Scope
from optsched.solvers.linear import Sum

if TYPE_CHECKING:
    from optsched.solvers.repack_model import RepackModel


def add_plan_rules(model: RepackModel) -> None:
    """Add what binds the plan as a whole, on top of what binds single arrivals."""
    _add_displacement(model)
    _add_gangs(model)
    _add_budgets(model)


def _add_displacement(model: RepackModel) -> None:
    problem, items = model.problem, model.problem.items
    if not problem.protect_higher and problem.evict is not Evict.LOWER:
        return
    state, inside = model.search.state, set(model.items)
    for host in model.hosts:
        natives = np.flatnonzero(items.host0 == host).tolist()
        entries = [o for o in model.on_host[host] if o.enters and items.host0[o.item] != host]
        fixed = [i for i in model.search.on[host] if i in model.fixed and items.host0[i] != host]
        for native in natives:
            for rule in _displacements(model, native):
                lost: Sum
                if native in inside:
                    lost = 1 - (model.placed(native) if rule else model.home(native))
                else:
                    gone = state.host[native] < 0 if rule else state.host[native] != host
                    lost = int(gone)
                wrong = [o.var for o in entries if not _may_displace(model, o.item, native, rule)]
                if any(not _may_displace(model, i, native, rule) for i in fixed):
                    model.model.add(lost <= 0)
                elif isinstance(lost, int):
                    for var in wrong if lost else []:
                        model.model.add(var == 0)
                elif wrong:
                    model.model.add(lost + model.any_of(wrong) <= 1)


def _displacements(model: RepackModel, native: int) -> list[bool]:
    """Which rules look at who displaces `native`: True for rule 6, False for rule 7."""
    evict = model.problem.evict is Evict.LOWER and bool(model.problem.items.evictable[native])
    return [True] * evict + [False] * model.problem.protect_higher


def _may_displace(model: RepackModel, item: int, native: int, evicts: bool) -> bool:
    items = model.problem.items
    if not evicts:
        return bool(items.tier[item] <= items.tier[native])
    return bool(items.tier[item] < items.tier[native] and items.may_evict_others[item])


def _add_gangs(model: RepackModel) -> None:
    items, state = model.problem.items, model.search.state
    for gang in sorted({int(items.gang[i]) for i in model.items} - {NONE}):
        members = np.flatnonzero(items.gang == gang).tolist()
        inside = [i for i in members if i in model.of_item]
        outside = [i for i in members if i not in model.of_item]
        changed = [i for i in outside if state.host[i] != items.host0[i]]
        whole = len({bool(items.host0[i] >= 0) for i in members}) == 1
        placed = [model.placed(i) for i in inside]
        rows = [model.model.add(placed[0] == one) for one in placed[1:]]
        rows += [model.model.add(placed[0] == int(state.host[i] >= 0)) for i in outside]
        if whole or changed:
            continue
        # A gang that is placed in part now may be left as it is.
        touched = model.model.new_bool_var("")
        for option in (o for i in inside for o in model.of_item[i]):
            if option.enters:
                model.model.add_implication(option.var, touched)
        for i in inside:
            if items.host0[i] >= 0:
                stays = sum(o.var for o in model.of_item[i] if not o.enters)
                model.model.add(stays + touched >= 1)
        for row in rows:
            row.only_enforce_if(touched)


def _disturbed(model: RepackModel, items: Sequence[int]) -> Sum:
    """How many of `items` (that had a host; no groups) do not stay as they are."""
    stays = [o.var for i in items for o in model.of_item[i] if not o.enters]
    return len(items) - sum(stays)


def _add_budgets(model: RepackModel) -> None:
    problem, items, inside = model.problem, model.problem.items, set(model.items)
    disturbed = model.search.disturbed - inside
    running = [i for i in model.items if items.host0[i] >= 0]
    for row in np.flatnonzero(problem.budgets.scope == Scope.PLAN).tolist():
        members = set(problem.budgets.groups[row].tolist())
        mine = [i for i in running if i in members]
        left = int(problem.budgets.allowed[row]) - len(disturbed & members)
        if mine and left < len(mine):
            model.model.add(_disturbed(model, mine) <= left)
    if problem.max_moves >= 0 and running:
        moves = [o.var for i in running for o in model.of_item[i] if o.enters]
        taken = len(disturbed & model.search.entered)
        model.model.add(sum(moves) <= problem.max_moves - taken)
