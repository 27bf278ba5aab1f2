"""CP-SAT on what leaves and enters cells: a step of a ladder, and a solve from greedy on."""

from __future__ import annotations

from collections.abc import Sequence

from ortools.sat.python.cp_model import FEASIBLE, OPTIMAL, UNKNOWN

from optsched.budget import Budget
from optsched.classes import item_classes
from optsched.objective import evaluate
from optsched.plan import Order, Placement, Plan
from optsched.problem import PlacementProblem
from optsched.result import Bound
from optsched.solvers import cpsat
from optsched.solvers.cell_counts import CellCountModel, refusal
from optsched.solvers.fragments.exchange import Outcome
from optsched.solvers.ladder import Found, Ladder, Step
from optsched.solvers.migration import migrate
from optsched.solvers.search import Search, starting

# (class, cell) pairs above which local search is as good and CP-SAT proves nothing in seconds.
WORTHWHILE = 8_000
FIRST, SHARE = 0.2, 0.6  # of the time for greedy, and of what is left for each level's first try


def on_cells(problem: PlacementProblem) -> bool:
    """Whether items sit on cells, so that cells are to be chosen."""
    return bool(problem.items.cells_needed.any())


class CellCpSat:
    """Improves and proves one level with CP-SAT; see `cell_counts`.

    `order` is what plans may use: what is found and proven for order-safe ones holds for these.
    """

    def __init__(self, seed: int = 0, order: Order = Order.WAVES) -> None:
        self.seed, self.safe = seed, order is Order.SAFE

    def __call__(self, ladder: Ladder, level: int, budget: Budget) -> Found:
        """Minimise `level` with all earlier ones locked at the incumbent's values."""
        problem = ladder.problem
        cm = CellCountModel(problem, ladder.classes, safe=self.safe, budget=budget)
        if not cm.complete:
            return Found()
        for k in range(level):
            cm.model.add(cm.level(problem.objective[k]) <= ladder.values[k])
        goal = cm.level(problem.objective[level])
        cm.hint(ladder.placement)
        cm.model.minimize(goal)
        if budget.over():
            return Found()
        solver = cpsat.prepared(budget, seed=self.seed)
        if cpsat.run(solver, cm.model, budget) not in (OPTIMAL, FEASIBLE, UNKNOWN):
            return Found()
        low = cpsat.bound(solver, cm.model)
        bound = Bound(low, "CP-SAT on class counts", self.safe)
        if not solver.response_proto.solution:
            return Found(bound=bound)
        return Found(cm.read(solver), bound)


def count_cells(
    problem: PlacementProblem,
    budget: Budget,
    seed: int,
    order: Order,
    start: Plan | None = None,
    known: Outcome | None = None,
) -> Outcome | None:
    """The best placement and bounds by counts, after greedy; None where they are of no use.

    What is order-safe is allowed in waves too, and far sooner found: it comes first. `known` is
    what others could do already.
    """
    pairs = len(item_classes(problem)) * len(problem.cells)
    if not on_cells(problem) or pairs > WORTHWHILE or refusal(problem) is not None:
        return None
    fits = start is not None and (order is not Order.SAFE or start.order is Order.SAFE)
    ladder = Ladder(problem, starting(problem, start if fits else None))
    first = ladder.placement
    if known is None:
        search = Search(problem)
        migrate(search, budget.share(FIRST))
        ladder.offer(search.state.placement())
    else:
        adopt(ladder, known)
    others = [ladder.placement, *([] if known is None else known.others), first]
    if order is not Order.SAFE:
        _climb(ladder, [Step(CellCpSat(seed, Order.SAFE), SHARE)], budget.share(0.5))
        others.insert(0, ladder.placement)
        # Its bounds are for order-safe plans, those that are known are not.
        ladder = Ladder(problem, ladder.placement)
        if known is not None:
            adopt(ladder, known)
    step = CellCpSat(seed, order)
    _climb(ladder, [Step(step, SHARE)], budget)
    _climb(ladder, [Step(step)], budget)
    lasting = {} if known is None else known.lasting
    if known is not None:
        renew(ladder, known)
    return Outcome(
        ladder.placement, [*ladder.bounds], _others(ladder, others), ladder.done(), lasting=lasting
    )


def adopt(ladder: Ladder, outcome: Outcome) -> None:
    """Go on from a placement, with its bounds."""
    ladder.offer(outcome.placement)
    values = evaluate(ladder.problem, outcome.placement)
    for level, bound in enumerate(outcome.bounds):
        if bound is not None:
            ladder.best.prove(level, bound, values[:level])


def renew(ladder: Ladder, outcome: Outcome) -> None:
    """Take up bounds again that hold although earlier levels have become better since."""
    values = evaluate(ladder.problem, outcome.placement)
    for level, bound in outcome.lasting.items():
        given = ladder.values[:level]
        if given <= values[:level]:
            ladder.best.prove(level, bound, given)


def _climb(ladder: Ladder, steps: Sequence[Step], budget: Budget) -> None:
    if not budget.over():
        ladder.climb(steps, budget)


def _others(ladder: Ladder, found: Sequence[Placement]) -> list[Placement]:
    return [one for one in found if one is not ladder.placement]
