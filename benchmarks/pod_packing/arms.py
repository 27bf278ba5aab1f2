"""The competitors, and how the paper scores what they find."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.pod_packing import paper_model
from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.levels import ORDERS, Level, Term, TermKind
from optsched.plan import Order
from optsched.problem import PlacementProblem
from optsched.registry import solver

PAPER = "paper"
HEAD_START = 0.2  # s by which a solve is shorter than its nominal window, as in the paper
CATEGORIES = ("No Calls", "KWOK Optimal", "Better&Optimal", "Better", "Failure")


@dataclass(frozen=True)
class Outcome:
    """What an arm found.

    Attributes
    ----------
    status
        OPTIMAL, FEASIBLE, INFEASIBLE, UNKNOWN, or ERROR.
    host
        (I,) host of each item, -1: none.
    seconds
        Wall time from the tables to the answer.
    detail
        More for the row: levels with bounds, or stages; an error in words.
    """

    status: str
    host: Ints
    seconds: float
    detail: dict[str, object] = field(default_factory=dict)


def run(arm: str, problem: PlacementProblem, window: float, workers: int) -> Outcome:
    """Solve with the paper's model (`PAPER`) or a solver of the registry, in a nominal window.

    Ours may move as the paper's plugin does: everything leaves first, then places are taken. An
    exception is an outcome, so that one instance does not end a run of hours.
    """
    seconds = max(0.0, window - HEAD_START)
    started = time.monotonic()
    try:
        if arm == PAPER:
            answer = paper_model.solve(problem, seconds, workers=workers)
            stages = [
                (s.tier, s.kind, s.status, s.value, round(s.seconds, 4)) for s in answer.stages
            ]
            return Outcome(answer.status, answer.host, answer.seconds, {"stages": stages})
        result = solver(arm).solve(problem, Budget.of(seconds, workers=workers), order=Order.PARK)
    except Exception as error:
        spent = time.monotonic() - started
        words = f"{type(error).__name__}: {error}"[:300]
        return Outcome("ERROR", problem.items.host0, spent, {"error": words})
    spent = time.monotonic() - started
    levels = [(v.name, v.value, v.bound, v.stay, v.source) for v in result.levels]
    detail: dict[str, object] = {
        "solver": result.solver,
        "levels": levels,
        "dropped": len(result.dropped),
        "notes": list(result.notes),
        "stats": dict(result.stats),
    }
    host = result.plan.placement(problem).host
    return Outcome(result.status.name, host, spent, detail)


def category(status: str, placed: Sequence[int], default: Sequence[int], pending: int) -> str:
    """The paper's category of an outcome.

    Parameters
    ----------
    status
        Of the solver.
    placed, default
        Running pods per priority, highest first, after the plan and before; compared
        lexicographically.
    pending
        Pods without a node before.
    """
    if pending == 0:
        return "No Calls"
    better, equal = tuple(placed) > tuple(default), tuple(placed) == tuple(default)
    if status == "OPTIMAL" and (better or equal):
        return "Better&Optimal" if better else "KWOK Optimal"
    return "Better" if status == "FEASIBLE" and better else "Failure"


def objective(order: str, cost: str, tiers: int) -> tuple[Level, ...]:
    """Levels of an order, with our disturbance or the paper's.

    Parameters
    ----------
    order
        A name in `levels.ORDERS`.
    cost
        "own": fewest evictions, then fewest moves; "paper": one level per tier in which an eviction
        costs 1 and a move 2.
    tiers
        Number of tiers.
    """
    levels = ORDERS[order](tiers)
    if cost == "own":
        return levels
    out = []
    for level in levels:
        term = level.terms[0]
        if term.kind is TermKind.UNPLACED:
            out.append(level)
        elif term.kind is TermKind.EVICTED:
            weighed = (
                Term(TermKind.EVICTED, paper_model.EVICTION, tier=term.tier),
                Term(TermKind.MOVED, paper_model.MOVE, tier=term.tier),
            )
            out.append(Level(f"disturbed[{term.tier}]", weighed))
    return tuple(out)
