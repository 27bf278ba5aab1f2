"""Limits that exchanges price slowly or not at all: plan without them, and keep what is allowed.

Anti-affinity of many groups makes many classes of items. Without the limits all else is as it was,
so bounds hold for the problem with them. Of few moves hardly any meets whom it must not: such moves
are left out, or the items that limits speak of are held in place, whichever is better.
"""

from __future__ import annotations

from dataclasses import replace

from optsched.budget import Budget, Progress
from optsched.limits import Limits
from optsched.objective import evaluate
from optsched.plan import Order, Placement
from optsched.problem import PlacementProblem
from optsched.result import Bound
from optsched.sequence import sequence
from optsched.solvers.fragments.exchange import Outcome, in_time, reschedule
from optsched.solvers.fragments.goals import goals_of
from optsched.solvers.fragments.trim import keep_allowed
from optsched.solvers.loosening import tied_items

SHARE = 0.6  # of the time, for the bounds


def without_limits(
    problem: PlacementProblem, budget: Budget, seed: int, order: Order
) -> Outcome | str:
    """An allowed placement, and bounds of it; a sentence why exchanges cannot serve even so."""
    bare = problem.replace(limits=Limits.of())
    own = in_time(problem, budget.share(SHARE), order)
    loose = reschedule(bare, _telling_bounds(own), seed, order)
    if isinstance(loose, str):
        return loose
    reached = evaluate(bare, loose.placement)
    found = [_allowed(problem, loose.placement, order)]
    values = evaluate(problem, found[0])
    budget.report("exchanges without limits", value=_fragments(problem, values))
    if values > reached:
        free = problem.items.movable & ~tied_items(problem)
        free.setflags(write=False)
        held = bare.replace(items=replace(problem.items, movable=free))
        rest = reschedule(held, in_time(problem, budget, order), seed, order)
        if isinstance(rest, Outcome):
            found.append(_allowed(problem, rest.placement, order))
    best, *others = sorted(found, key=lambda placement: evaluate(problem, placement))
    values = evaluate(problem, best)
    others.append(Placement.current(problem))
    bounds = _given(loose.bounds, values, reached)
    return Outcome(best, bounds, others, loose.proven and values == reached, loose.stats)


def merged(problem: PlacementProblem, one: Outcome, other: Outcome) -> Outcome:
    """The better placement of two, with the better of their bounds where both hold for it."""
    mine, theirs = evaluate(problem, one.placement), evaluate(problem, other.placement)
    if theirs < mine:
        one, other, mine, theirs = other, one, theirs, mine
    bounds: list[Bound | None] = []
    for pair in zip(one.bounds, _given(other.bounds, mine, theirs), strict=True):
        known = [bound for bound in pair if bound is not None]
        bounds.append(max(known, key=lambda bound: bound.value, default=None))
    met = all(b is not None and value <= b.value for value, b in zip(mine, bounds, strict=True))
    others = [*one.others, other.placement, *other.others]
    return Outcome(one.placement, bounds, others, one.proven or met, one.stats | other.stats)


def _allowed(problem: PlacementProblem, placement: Placement, order: Order) -> Placement:
    """As near to the placement as a plan of that order comes that keeps all limits."""
    plan = sequence(problem, keep_allowed(problem, placement), order).plan
    return plan.placement(problem)


def _telling_bounds(budget: Budget) -> Budget:
    """The budget, to those who plan without limits: what they find may not be allowed."""

    def tell(progress: Progress) -> None:
        budget.on_progress(replace(progress, value=None))

    return replace(budget, on_progress=tell)


def _fragments(problem: PlacementProblem, values: tuple[int, ...]) -> int:
    """The value that exchanges tell of."""
    goals = goals_of(problem)
    assert not isinstance(goals, str)
    return values[goals.fragments]


def _given(
    bounds: list[Bound | None], values: tuple[int, ...], reached: tuple[int, ...]
) -> list[Bound | None]:
    """Those bounds that hold: each is for placements that do as well on all levels before it."""
    return [bound if values[:at] == reached[:at] else None for at, bound in enumerate(bounds)]
