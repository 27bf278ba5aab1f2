"""Fragments against the limit of moves: one master for all limits, as prices bound them all."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from optsched.budget import Budget
from optsched.plan import Order, Placement
from optsched.problem import PlacementProblem
from optsched.result import Bound, conclude
from optsched.solvers.fragments.building import build
from optsched.solvers.fragments.decode import decode
from optsched.solvers.fragments.exchange import SOURCE
from optsched.solvers.fragments.goals import goals_of
from optsched.solvers.fragments.integer import Chosen, choose, nothing
from optsched.solvers.fragments.master import Master
from optsched.solvers.fragments.trim import keep_allowed


def curve(
    problem: PlacementProblem, moves: Sequence[int], budget: Budget, seed: int = 0
) -> list[tuple[int, int, int]]:
    """For each limit of moves: the value of the fragments of a checked plan, and a bound of it.

    Both are for order-safe plans. Empty if exchanges cannot express the problem; where time is up,
    the last plan found stands for all larger limits.
    """
    goals = goals_of(problem)
    limits = sorted(set(moves))
    if isinstance(goals, str) or goals.drained >= 0 or not limits:
        return []
    level = problem.objective[goals.fragments]
    model = build(problem.replace(max_moves=limits[-1]), level, safe=True)
    if isinstance(model, str):
        return []
    master, rows = Master(model), []
    best = nothing(master)
    for done, limit in enumerate(limits):
        own = budget.share(1 / (len(limits) - done))
        best = _best(master, limit, best, own, seed)
        rows.append((limit, *_checked(master, problem.replace(max_moves=limit), best)))
    return rows


def _best(master: Master, limit: int, best: Chosen, budget: Budget, seed: int) -> Chosen:
    """The best exchanges within the limit, not worse than those for a lower one."""
    master.allow(limit)
    if not limit or not len(master.model.shapes):
        return best
    master.generate(budget, best.gain)
    if np.isfinite(master.bound) and np.floor(master.bound) > best.gain:
        found = choose(master, budget, int(np.floor(master.bound)), seed)
        best = found if found.gain > best.gain else best
    return best


def _checked(master: Master, problem: PlacementProblem, best: Chosen) -> tuple[int, int]:
    """Value and bound of the level, by the checker."""
    model = master.model
    placement = Placement.current(problem)
    if len(best.columns):
        placement = keep_allowed(problem, decode(model, best))
    bounds: list[Bound | None] = [None] * len(problem.objective)
    if not len(model.shapes) or not problem.max_moves:
        bounds[0] = Bound(max(model.value - problem.objective[0].goal, 0), "nothing can move")
    elif np.isfinite(master.bound):
        value = model.value - model.step * int(np.floor(master.bound))
        bounds[0] = Bound(max(value - problem.objective[0].goal, 0), SOURCE, safe=True)
    result = conclude(
        problem, placement, bounds, solver="fragments", started=time.monotonic(), order=Order.SAFE
    )
    return result.levels[0].value, result.levels[0].bound
