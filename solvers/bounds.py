"""Bounds that cost next to nothing: what no placement can do better, whatever the solver.

Each bound is conditional on the values that a given placement has at the earlier levels, and valid
for any plan that does as well there (`result.Bound`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.levels import Level, Term, TermKind
from optsched.objective import evaluate
from optsched.plan import Placement
from optsched.problem import Evict, PlacementProblem
from optsched.result import Bound
from optsched.solvers.cover import least_cost
from optsched.solvers.fragment_bounds import least_fragments
from optsched.solvers.move_bounds import least_moves
from optsched.solvers.move_rooms import FORBIDDEN, Ceiling
from optsched.solvers.relaxed import Lock, Relaxed

DISTURBING = (TermKind.EVICTED, TermKind.MOVED)


def free_bounds(
    problem: PlacementProblem,
    placement: Placement,
    budget: Budget,
    *,
    relaxed: Relaxed | None = None,
    stop_early: bool = False,
) -> list[Bound | None]:
    """A lower bound for every level, given what `placement` is worth on the levels before.

    Parameters
    ----------
    placement
        Must be allowed.
    budget
        Once it is over, only bounds by counting are given.
    relaxed
        The problem's relaxation, where the caller has it already.
    stop_early
        Leave out the levels after the first that does not meet its bound.
    """
    values = evaluate(problem, placement)
    if not len(problem.items) or not len(problem.hosts):
        return [Bound(value, "nothing can change") for value in values]
    tables = relaxed if relaxed is not None else Relaxed(problem)
    bounds: list[Bound | None] = [None] * len(values)
    for k, level in enumerate(problem.objective):
        bounds[k] = bound = _bound(tables, level, values[k], _Before(problem, values[:k]), budget)
        if stop_early and (bound is None or bound.value < values[k]):
            break
    return bounds


class _Before:
    """What the values of the earlier levels say.

    Attributes
    ----------
    locks
        How much may be left unplaced.
    moved
        Per level that counts moves: what each tier adds (T,), and its value.
    """

    def __init__(self, problem: PlacementProblem, values: Sequence[int]) -> None:
        self.problem = problem
        self.levels = list(zip(problem.objective, values, strict=False))
        self.locks: list[Lock] = []
        self.moved: list[tuple[Ints, int]] = []
        for level, value in self.levels:
            factor = factors(problem, level, TermKind.UNPLACED)
            if factor.any():
                self.locks.append(Lock(factor, value))
            moved = factors(problem, level, TermKind.MOVED)
            if moved.any():
                self.moved.append((moved, value))

    def allows(self, kind: TermKind) -> Ints:
        """(T,) bool: whether the earlier levels leave room for one more `kind` item of a tier."""
        room = np.ones(max(len(self.problem.tiers), 1), bool)
        for level, value in self.levels:
            room &= factors(self.problem, level, kind) <= value
        return room


def factors(problem: PlacementProblem, level: Level, kind: TermKind) -> Ints:
    """(T,) what an item of each tier adds to a level through terms of one kind."""
    factor = np.zeros(max(len(problem.tiers), 1), np.int64)
    for term in level.terms:
        if term.kind is kind:
            factor[slice(None) if term.tier < 0 else term.tier] += term.weight
    return factor


def _bound(
    tables: Relaxed, level: Level, value: int, before: _Before, budget: Budget
) -> Bound | None:
    """The sum of the bounds of the level's kinds of terms."""
    if value == 0:
        return Bound(0, "counts are not negative")
    problem, total, sources = tables.problem, 0, []
    if all(term.kind is TermKind.FRAGMENTS for term in level.terms):
        return least_fragments(problem, level)
    unplaced = factors(problem, level, TermKind.UNPLACED)
    if unplaced.any():
        total += _least_unplaced(tables, unplaced, value, before, budget)
        sources.append("class x type LP")
    moved = factors(problem, level, TermKind.MOVED)
    if moved.any():
        total += _least_moved(tables, moved, value, before, budget)
        sources.append("moves that make room")
    for term in level.terms:
        if term.kind is TermKind.DRAINED:
            total += term.weight * _stuck_on_drained(tables, term)
            sources.append("items that cannot leave")
        elif term.kind is TermKind.HOST_COST:
            total += term.weight * least_cost(tables, before.locks, budget)
            sources.append("hosts that cover the demand")
    return Bound(total, ", ".join(dict.fromkeys(sources))) if sources else None


def _least_unplaced(
    tables: Relaxed, factor: Ints, value: int, before: _Before, budget: Budget
) -> int:
    items = tables.problem.items
    weight = items.weight[tables.first] * factor[items.tier[tables.first]]
    hopeless = int((weight * tables.hopeless()).sum())
    if hopeless >= value or budget.over():
        return hopeless
    return tables.least_unplaced(factor, before.locks, budget.remaining())


def _least_moved(tables: Relaxed, factor: Ints, value: int, before: _Before, budget: Budget) -> int:

    problem, items = tables.problem, tables.problem.items
    if budget.over():
        return 0
    cost = np.where(before.allows(TermKind.MOVED)[items.tier], factor[items.tier], FORBIDDEN)
    counts = [np.where(cost == FORBIDDEN, 0, tiers[items.tier]) for tiers, _ in before.moved]
    may_go = np.zeros(len(items), bool)
    if problem.evict is not Evict.NEVER:
        # What may be evicted leaves for nothing, as far as this level is concerned.
        may_go = before.allows(TermKind.EVICTED)[items.tier] & items.evictable
        for lock in before.locks:
            may_go &= lock.factor[items.tier] * items.weight <= lock.value
        cost = np.where(may_go, 0, cost)
        counts = [np.where(may_go, 0, count) for count in counts]
    ceilings = [
        Ceiling(count, value)
        for count, (_, value) in zip(counts, before.moved, strict=True)
        if count.any()
    ]
    return least_moves(tables, cost, may_go, before.locks, ceilings, value, budget)


def _stuck_on_drained(tables: Relaxed, term: Term) -> int:
    """Occupying items on drained hosts that may not be disturbed."""
    problem, items = tables.problem, tables.problem.items
    stuck = (items.host0 >= 0) & ~tables.free & items.occupies
    stuck &= problem.hosts.drain[items.host0]
    if term.tier >= 0:
        stuck &= items.tier == term.tier
    return int(stuck.sum())
