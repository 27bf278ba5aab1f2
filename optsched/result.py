"""Answers: a plan, a status, and for every level of the objective a value with a bound.

A solver ends with `conclude`, the only way out: it sequences the placement, has the independent
checker read the plan, and falls back to 'stay' if the plan is worse or broken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from .check import check
from .objective import evaluate
from .plan import Order, Placement, Plan
from .sequence import sequence

if TYPE_CHECKING:
    from .budget import Budget
    from .problem import PlacementProblem


class Status(StrEnum):
    """How good the answer is."""

    OPTIMAL = "optimal"  # every level meets its bound
    FEASIBLE = "feasible"  # a checked plan; some level is not proven
    INFEASIBLE = "infeasible"  # proven: no placement satisfies a hard requirement
    UNKNOWN = "unknown"  # out of time without an answer


@dataclass(frozen=True)
class LevelValue:
    """One level of the objective, minimised.

    Attributes
    ----------
    name
        Of the level.
    value
        Of the plan.
    bound
        No plan that does as well on all earlier levels can be below it.
    stay
        Value of doing nothing.
    source
        Where the bound comes from: "class x type LP", "CP-SAT", "nothing moved", ...
    """

    name: str
    value: int
    bound: int
    stay: int
    source: str = ""

    @property
    def gap(self) -> float:
        """Share of the attainable improvement over `stay` not taken; 0 when none was attainable."""
        attainable = self.stay - self.bound
        return max(0.0, (self.value - self.bound) / attainable) if attainable > 0 else 0.0

    @property
    def proven(self) -> bool:
        """Whether the value meets the bound."""
        return self.value <= self.bound


@dataclass(frozen=True)
class Bound:
    """A lower bound of one level, given the values of all levels before it.

    `safe`: it holds for order-safe plans only, not for plans whose later waves need the earlier
    ones.
    """

    value: int
    source: str
    safe: bool = False


FREE = Bound(0, "counts are not negative")
WRONG = "no bound"  # in place of one that the plan itself refutes


@dataclass(frozen=True)
class Certificate:
    """What the proof covers, in words.

    Attributes
    ----------
    order
        Name of the objective's order.
    semantics
        The freedom of order the plan uses.
    ranged
        Which items the proof ranges over.
    text
        One paragraph for people.
    """

    order: str
    semantics: str
    ranged: str
    text: str


@dataclass(frozen=True)
class Result:
    """An answer that has passed the independent checker.

    Attributes
    ----------
    status, plan, levels, certificate
        See their types. `levels` follow the problem's objective.
    solver
        Name of the solver that found the plan.
    seconds
        From the start of the solve to this result.
    dropped
        Items whose move was found but could not be sequenced, so they were left alone.
    notes
        Sentences for people.
    stats
        Numbers a solver wants to show (stages, columns, nodes).
    """

    status: Status
    plan: Plan
    levels: tuple[LevelValue, ...]
    certificate: Certificate
    solver: str
    seconds: float
    dropped: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    stats: dict[str, float | int | str] = field(default_factory=dict)


class Solver(Protocol):
    """What every solver offers."""

    name: str

    def supports(self, problem: PlacementProblem) -> str | None:
        """None, or one sentence why this solver cannot serve the problem."""
        ...

    def solve(
        self,
        problem: PlacementProblem,
        budget: Budget,
        *,
        seed: int = 0,
        start: Plan | None = None,
        order: Order = Order.WAVES,
    ) -> Result:
        """The best checked plan found within the budget, with an honest bound."""
        ...


def conclude(
    problem: PlacementProblem,
    placement: Placement,
    bounds: Sequence[Bound | None],
    *,
    solver: str,
    started: float,
    order: Order = Order.WAVES,
    others: Sequence[Placement] = (),
    notes: Sequence[str] = (),
    stats: dict[str, float | int | str] | None = None,
    ways: Sequence[Way] = (),
    deadline: float = math.inf,
) -> Result:
    """Sequence, check and grade a placement.

    Parameters
    ----------
    problem, placement
        The placement must satisfy `rules.violations`.
    bounds
        One per level of the objective, or None where nothing is known. Bound k must hold for every
        placement whose levels before k equal those of `placement`.
    solver, started
        Name, and `time.monotonic()` at the start of the solve.
    order
        Freedom of order that the plan may use.
    others
        Placements to fall back on, best first, where moves of the first have to be dropped: the
        plan that reaches the best values is taken.
    ways
        What `way` has said of some of these placements already.
    deadline
        When to try no more of the others, in seconds of `time.monotonic()`; where nothing better
        than 'stay' is known by then, they are tried all the same.

    Returns
    -------
    Result
        OPTIMAL if every level is proven, whatever had to be dropped; 'stay' if the plan is not
        better than that. A bound above the value of the plan is dropped, with a note.
    """
    stay = evaluate(problem, Placement.current(problem))
    best = _best_way(problem, (placement, *others), ways, order, solver, stay, deadline)
    notes = [*notes, *best.notes]
    # What holds for order-safe plans only says nothing about the others.
    bounds = [b if b and not (b.safe and order is not Order.SAFE) else None for b in bounds]
    graded = _grade(problem, best.values, stay, evaluate(problem, placement), bounds)
    notes += [
        f"{solver}: its bound of {level.name} is above the value that the plan has; it is wrong "
        "and was dropped. Please report this."
        for level in graded
        if level.source == WRONG
    ]
    optimal = all(level.proven for level in graded)
    return Result(
        status=Status.OPTIMAL if optimal else Status.FEASIBLE,
        plan=best.plan,
        levels=graded,
        certificate=_certify(problem, order, graded, any(b and b.safe for b in bounds)),
        solver=solver,
        seconds=time.monotonic() - started,
        dropped=best.dropped,
        notes=tuple(notes),
        stats=dict(stats or {}),
    )


@dataclass(frozen=True)
class Way:
    """A placement as a checked plan; the plan may be 'stay', or reach less than the placement.

    Attributes
    ----------
    placement, plan
        The one that was asked for, and what leads towards it.
    values
        Of the plan, per level.
    dropped
        Items whose move had to be left out.
    notes
        Sentences for people.
    """

    placement: Placement
    plan: Plan
    values: tuple[int, ...]
    dropped: tuple[int, ...]
    notes: tuple[str, ...] = ()


def way(problem: PlacementProblem, placement: Placement, order: Order, solver: str) -> Way:
    """The plan towards a placement; 'stay' where the plan is not better or the checker refuses."""
    stay = evaluate(problem, Placement.current(problem))
    sequenced = sequence(problem, placement, order)
    nothing = Plan(sequenced.plan.problem, order)
    report = check(problem, sequenced.plan)
    if report.violations:
        text = report.violations[0].text
        note = f"{solver}: its plan was refused by the checker: {text}"
        return Way(placement, nothing, stay, sequenced.dropped, (note,))
    if report.levels >= stay:
        return Way(placement, nothing, stay, sequenced.dropped)
    return Way(placement, sequenced.plan, report.levels, sequenced.dropped)


def _best_way(
    problem: PlacementProblem,
    candidates: Sequence[Placement],
    ways: Sequence[Way],
    order: Order,
    solver: str,
    stay: tuple[int, ...],
    deadline: float,
) -> Way:
    """The first of the candidates that can be reached in full, or the best that is reached.

    `ways` are known already; after the deadline no others are made, except in search of anything
    better than 'stay'.
    """
    known = {id(one.placement): one for one in ways}
    best: Way | None = None
    for candidate in candidates:
        late = best is not None and best.values < stay and time.monotonic() >= deadline
        if late and id(candidate) not in known:
            continue
        found = known.get(id(candidate)) or way(problem, candidate, order, solver)
        if best is None or found.values < best.values:
            best = found
        if not found.dropped:
            break
    assert best is not None  # there is at least one candidate, and the first is never late
    return best


def _grade(
    problem: PlacementProblem,
    values: tuple[int, ...],
    stay: tuple[int, ...],
    claimed: tuple[int, ...],
    bounds: Sequence[Bound | None],
) -> tuple[LevelValue, ...]:
    """Pair values with bounds; a bound is conditional on the claimed values of earlier levels."""
    graded, same = [], True
    for k, level in enumerate(problem.objective):
        # 0 bounds any count from below; and when all earlier levels equal the claim, so does ours.
        given = bounds[k] if same and k < len(bounds) else None
        bound = given if given is not None and given.value > 0 else FREE
        if bound.value > values[k]:
            bound = Bound(0, WRONG)  # no bound is above what a checked plan reaches
        graded.append(LevelValue(level.name, values[k], bound.value, stay[k], bound.source))
        same = same and values[k] == claimed[k]
    return tuple(graded)


def _certify(
    problem: PlacementProblem, order: Order, levels: tuple[LevelValue, ...], only_safe: bool
) -> Certificate:
    items = problem.items
    pending = int((items.host0 < 0).sum())
    movable = int((items.movable & (items.host0 >= 0)).sum())
    pinned = len(items) - pending - movable
    ranged = f"{pending} pending and {movable} movable items; {pinned} are pinned"
    open_levels = [level.name for level in levels if not level.proven]
    proof = (
        "Every level is proven optimal, each given the levels before it."
        if not open_levels
        else f"Not proven: {'; '.join(open_levels[:6])}{'; ...' if len(open_levels) > 6 else ''}."
    )
    reach = (
        f"The bounds range over all order-safe plans for {ranged}: what enters a cell or host fits "
        "in what is free now. Plans whose later moves need earlier ones may do better."
        if only_safe
        else f"The bounds range over all placements of {ranged}, whatever the order of moves; "
        f"the plan uses '{order.value}' moves."
    )
    if items.cells_needed.any():
        reach += (
            " Items on several cells move too, and a change of cells on the same host is a move."
        )
    text = (
        f"{proof} Objective order '{problem.order}', levels minimised one after another. "
        f"{reach} Evictions: {problem.evict.name.lower()}."
    )
    return Certificate(problem.order, order.value, ranged, text)
