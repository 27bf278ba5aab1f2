"""`counts`: CP-SAT on class counts, one solve per level of the objective, with complete hints."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ortools.sat.python.cp_model import FEASIBLE, OPTIMAL, UNKNOWN

from optsched.arrays import Bools, Ints
from optsched.budget import Budget
from optsched.classes import count, deal, item_classes
from optsched.levels import Level, Term, TermKind
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
    """Improves and proves one level with CP-SAT on the class-count model.

    Parameters
    ----------
    seed
        Any number.
    gently
        Where a level counts items without a host, prefer placements that disturb little among the
        equally good. That takes longer to prove, but finds more where limits bind, and plans with
        few moves can be sequenced.
    """

    def __init__(self, seed: int = 0, gently: bool = False) -> None:
        self.seed, self.gently = seed, gently

    def __call__(self, ladder: Ladder, level: int, budget: Budget) -> Found:
        """Minimise `level` with all earlier ones locked at the incumbent's values."""
        play = ladder.in_play(level)
        counts = count(ladder.problem, ladder.classes, ladder.placement)
        # All that is added to a level is less than one unit of it.
        extra = _disturbance(ladder.problem, level) if self.gently else []
        most = sum(term.weight for term in extra) * int((ladder.problem.items.host0 >= 0).sum())
        try:
            cm = _model(ladder, level, play, counts, budget, extra, most + 1)
        except OutOfTime:
            return Found()
        solver = cpsat.prepared(budget, seed=self.seed)
        # By whatever means it is known: nothing better is to be found.
        known = None if extra else ladder.bounds[level].value
        if cpsat.run(solver, cm.model, budget, known) not in (OPTIMAL, FEASIBLE, UNKNOWN):
            return Found()
        low = -((most - cpsat.bound(solver, cm.model)) // (most + 1))
        bound = Bound(low, "CP-SAT on class counts")
        if not solver.response_proto.solution:
            return Found(bound=bound)
        dealt = deal(ladder.problem, ladder.classes, *cm.read(solver, counts))
        return Found(ladder.complete(dealt.host, play), bound)


def _disturbance(problem: PlacementProblem, level: int) -> list[Term]:
    """What later levels count of evictions and moves, if this one counts items without a host."""
    if any(term.kind is not TermKind.UNPLACED for term in problem.objective[level].terms):
        return []
    later = [term for one in problem.objective[level + 1 :] for term in one.terms]
    return [term for term in later if term.kind in (TermKind.EVICTED, TermKind.MOVED)]


def _model(
    ladder: Ladder,
    level: int,
    play: Bools,
    counts: Ints,
    budget: Budget,
    extra: Sequence[Term],
    scale: int,
) -> CountModel:
    """The model of a level, all earlier ones locked, with the incumbent as a hint.

    It minimises `scale` times the level, and what `extra` counts.

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
    cm.model.minimize(scale * goal + cm.level(Level("", tuple(extra))) if extra else goal)
    cm.look()
    return cm


def _safe(start: Plan | None) -> Plan | None:
    """The plan, if its moves may run in any order."""
    return start if start is not None and start.order is Order.SAFE else None
