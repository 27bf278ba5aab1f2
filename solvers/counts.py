"""`counts`: CP-SAT on class counts, one solve per level of the objective, with complete hints."""

from __future__ import annotations

import math
import time

from ortools.sat.python.cp_model import FEASIBLE, OPTIMAL, UNKNOWN

from optsched.arrays import Bools, Ints
from optsched.budget import Budget
from optsched.classes import count, deal, item_classes
from optsched.plan import Order, Plan
from optsched.problem import PlacementProblem
from optsched.result import Bound, Result, conclude
from optsched.solvers import cpsat
from optsched.solvers.cell_counts import refusal
from optsched.solvers.cell_search import CellCpSat, on_cells
from optsched.solvers.count_model import CountModel, OutOfTime
from optsched.solvers.ladder import Found, Ladder, Step

# Above this many (class, host) pairs the model alone takes longer to build than people wait.
LARGEST = 400_000


class Counts:
    """The exact solver for small and middling problems."""

    name = "counts"

    def supports(self, problem: PlacementProblem) -> str | None:
        """None, or why not: too many classes times places, or rules that no count knows."""
        if on_cells(problem):
            refused = refusal(problem)
            if refused is not None:
                return f"counts: {refused}"
        places = max(len(problem.hosts), len(problem.cells) if on_cells(problem) else 0)
        pairs = len(item_classes(problem)) * places
        if pairs > LARGEST:
            return f"counts would need {pairs} variables; use local or portfolio"
        return None

    def solve(
        self,
        problem: PlacementProblem,
        budget: Budget,
        *,
        seed: int = 0,
        start: Plan | None = None,
        order: Order = Order.WAVES,
    ) -> Result:
        """Climb the levels with CP-SAT alone."""
        started = time.monotonic()
        given = start if order is not Order.SAFE or not on_cells(problem) else _safe(start)
        ladder = Ladder(problem, given.placement(problem) if given is not None else None)
        if self.supports(problem) is None:  # else the model would prove what does not hold
            search = CellCpSat(seed, order) if on_cells(problem) else CpSat(seed)
            ladder.climb([Step(search, 0.6)], budget)
            ladder.climb([Step(search)], budget)
        return conclude(
            problem, ladder.placement, ladder.bounds, solver=self.name, started=started, order=order
        )


class CpSat:
    """Improves and proves one level with CP-SAT on the class-count model."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def __call__(self, ladder: Ladder, level: int, budget: Budget) -> Found:
        """Minimise `level` with all earlier ones locked at the incumbent's values."""
        play = ladder.in_play(level)
        counts = count(ladder.problem, ladder.classes, ladder.placement)
        try:
            cm = _model(ladder, level, play, counts, budget)
        except OutOfTime:
            return Found()
        solver = cpsat.prepared(budget, seed=self.seed)
        known = ladder.bounds[level].value  # by whatever means: nothing better is to be found
        if cpsat.run(solver, cm.model, budget, known) not in (OPTIMAL, FEASIBLE, UNKNOWN):
            return Found()
        low = math.ceil(solver.best_objective_bound - 1e-6)
        bound = Bound(low, "CP-SAT on class counts")
        if not solver.response_proto.solution:
            return Found(bound=bound)
        dealt = deal(ladder.problem, ladder.classes, *cm.read(solver, counts))
        return Found(ladder.complete(dealt.host, play), bound)


def _model(ladder: Ladder, level: int, play: Bools, counts: Ints, budget: Budget) -> CountModel:
    """The model of a level, all earlier ones locked, with the incumbent as a hint.

    Raises
    ------
    OutOfTime
        The budget was over before it was complete.
    """
    objective = ladder.problem.objective
    cm = CountModel(ladder.problem, ladder.classes, play, budget.over)
    for k in range(level):
        cm.model.add(cm.level(objective[k]) <= ladder.values[k])
    goal = cm.level(objective[level])
    cm.hint(counts)
    cm.model.minimize(goal)
    cm.look()
    return cm


def _safe(start: Plan | None) -> Plan | None:
    """The plan, if its moves may run in any order."""
    return start if start is not None and start.order is Order.SAFE else None
