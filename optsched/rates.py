"""Fragment rates: the share of free units that no VM of a size can use, and goals in such shares.

FR16 is the share of the free cores that no 16-core VM can use. With F free units and K blocks of
B units it is 1 - B K / F. As long as everything stays placed, F does not change, so a rate is a
count of fragments over a constant, and counts are what the objective's tables hold.

Rates are named "fr16" (cores) and "mem64" (GiB). A VM takes one cell (NUMA node) of its host if it
fits on the smallest cell there is, else half of it on each of two; "fr32x2" asks for two halves
although one cell would do, "fr32x1" for one cell.

Several rates may be weighed in one level: "fr16:2,fr64" minimises 2 FR16 + FR64. Rates of different
resources have different denominators, so each count is weighted by w / F; these weights are scaled
to integers, and rounded where even the smallest exceeds 100.

How good an answer gets depends on what is weighed:

- rates of one resource, cores or memory, of any sizes: priced exactly and nearly always proven;
- of both, where all VMs that may move take them in one ratio (2 GiB per core): priced as well. Few
  moves are proven in a blink; where a gap of a sixteenth of the least block is left, searches end;
- of both in several ratios: CP-SAT on class counts, up to 8,000 pairs of a class and a NUMA node;
  proven for some 60 PMs and five moves, else with a gap. Beyond that single migrations and local
  search, with the bound by what so many moves can gain, which says little.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm

import numpy as np

from .errors import ProblemError
from .levels import Level, Term, TermKind
from .objective import cell_use, term_value
from .plan import Order, Placement
from .problem import PlacementProblem

LEVEL = "fragments"
ABOVE = f"{LEVEL} above the goal "  # and the goal: the name of a level with one
LEAST_WEIGHT = 100  # of rounded weights
# Cell resources by what they measure, with the units in one core or one GiB.
CORES = {"cores": 1, "cores_milli": 1000, "cpu": 1000}
MEMORY = {"memory_mib": 1 << 10, "memory": 1 << 30}
KINDS = {"fr": ("cores", CORES), "mem": ("memory", MEMORY)}

_WORD = re.compile(r"(fr|mem)(\d+)(?:x([12]))?(?::(\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class Rate:
    """What a placement leaves free of one resource, and what no block can use of it.

    Attributes
    ----------
    name
        "FR16", "MEM64", ...
    resource
        Of the cells.
    free, wasted
        F and the fragments, in units of the resource.
    blocks
        K, blocks that fit.
    """

    name: str
    resource: str
    free: int
    wasted: int
    blocks: int

    @property
    def share(self) -> float:
        """The rate; 0 where nothing is free."""
        return self.wasted / self.free if self.free else 0.0


def terms(problem: PlacementProblem) -> tuple[Term, ...]:
    """The distinct blocks that the objective counts fragments of, weights aside."""
    found = [
        replace(term, weight=1)
        for level in problem.objective
        for term in level.terms
        if term.kind is TermKind.FRAGMENTS
    ]
    return tuple(dict.fromkeys(found))


def rates(problem: PlacementProblem, placement: Placement) -> tuple[Rate, ...]:
    """The rate of every block that the objective counts fragments of."""
    found = terms(problem)
    if not found:
        return ()
    free = np.maximum(problem.cells.capacity - cell_use(problem, placement), 0).sum(axis=0)
    out = []
    for term in found:
        total, wasted = int(free[term.resource]), term_value(problem, placement, term)
        used = (total - wasted) // (term.size * term.cells)
        resource = problem.cells.resources[term.resource]
        out.append(Rate(name_of(problem, term), resource, total, wasted, used))
    return tuple(out)


@dataclass(frozen=True)
class Change:
    """A rate before and after a plan.

    Attributes
    ----------
    before, after
        See `Rate`; equal denominators as long as everything stays placed.
    least
        Fragments below which no plan can get, where a bound says so.
    """

    before: Rate
    after: Rate
    least: int | None = None

    @property
    def best(self) -> float | None:
        """The rate below which no plan can get."""
        return None if self.least is None else self.least / max(self.after.free, 1)


def changes(
    problem: PlacementProblem, after: Placement, bounds: Sequence[int] = ()
) -> tuple[Change, ...]:
    """Every rate of the objective before and after.

    Parameters
    ----------
    bounds
        Of the objective's levels. One says something about a rate where the level counts nothing
        else, and does not only say that the goal may be reached.
    """
    least = {}
    for level, bound in zip(problem.objective, bounds, strict=False):
        if len(level.terms) == 1 and (bound or not level.goal):
            total = bound + level.goal
            least[replace(level.terms[0], weight=1)] = -(-total // level.terms[0].weight)
    now = Placement.current(problem)
    return tuple(
        Change(was, will, least.get(term))
        for term, was, will in zip(
            terms(problem), rates(problem, now), rates(problem, after), strict=True
        )
    )


def usual_order(problem: PlacementProblem) -> Order:
    """What plans may use unless told: VMs migrate at once, in any order; others in waves."""
    return Order.WAVES if fragment_level(problem) is None else Order.SAFE


def share(problem: PlacementProblem, level: Level, value: int) -> float:
    """The weighted mean of a fragment level's rates at a value of its sum, goal not taken off."""
    most = _all_free(problem, level)
    return value / most if most else 0.0


def fragment_level(problem: PlacementProblem) -> int | None:
    """The position of the first level of nothing but fragments."""
    for at, level in enumerate(problem.objective):
        if level.terms and all(term.kind is TermKind.FRAGMENTS for term in level.terms):
            return at
    return None


def name_of(problem: PlacementProblem, term: Term) -> str:
    """A block in one word, "FR16"; "cells0/24x2" where the resource is not known to us."""
    resource = problem.cells.resources[term.resource]
    for prefix, (_, units) in KINDS.items():
        unit = units.get(resource)
        total = term.size * term.cells
        if unit and total % unit == 0 and term.cells <= 2:
            word = f"{prefix.upper()}{total // unit}"
            usual = _cells_of(problem, term.resource, total)
            return word if term.cells == usual else f"{word}x{term.cells}"
    return f"{resource}/{term.size}x{term.cells}"


def with_objective(problem: PlacementProblem, spec: str) -> PlacementProblem:
    """Minimise these rates in place of the fragments that the problem counts now.

    Parameters
    ----------
    spec
        "fr16", or several with weights: "fr16:2,fr64,mem64:0.5".

    Raises
    ------
    ProblemError
        A word is not understood or there twice, the problem has no such resource, or no host is
        large enough.
    """
    words = [word.strip().lower() for word in spec.split(",") if word.strip()]
    if not words:
        raise ProblemError("the objective names no rate; write one like fr16, or fr16:2,fr64")
    asked = [_parse(problem, word) for word in words]
    for at, (term, _) in enumerate(asked):
        if any(term == other for other, _ in asked[:at]):
            raise ProblemError(f"the objective names {words[at][:40]!r} twice; give it one weight")
        if len(problem.cells) and not _holds(problem, term):
            raise ProblemError(
                f"{words[at][:40]!r}: no host could hold such a VM even if it were empty, so the "
                "rate is 1 whatever is done; name a smaller one"
            )
    level = Level(LEVEL, _weighted(problem, asked))
    kept = [not _about_fragments(one) for one in problem.objective]
    at = kept.index(False) if False in kept else len(kept)
    rest = [one for one, keep in zip(problem.objective, kept, strict=True) if keep]
    return problem.replace(objective=(*rest[:at], level, *rest[at:]), order=",".join(words))


def with_goal(problem: PlacementProblem, goal: float) -> PlacementProblem:
    """Stop at a rate that is good enough (0.35), and reach it with the fewest moves.

    Raises
    ------
    ProblemError
        The problem counts no fragments, or the goal is no share.
    """
    at = fragment_level(problem)
    if at is None:
        raise ProblemError("the problem counts no fragments; name a rate, for example fr16")
    if not 0 <= goal <= 1:
        raise ProblemError(f"the goal {goal:g} is no share; give a rate between 0 and 1")
    level = problem.objective[at]
    reached = replace(
        level,
        name=f"{ABOVE}{goal:g}",
        goal=int(Fraction(repr(goal)) * _all_free(problem, level)),
    )
    before, after = problem.objective[:at], problem.objective[at + 1 :]
    if not any(term.kind is TermKind.MOVED for one in after for term in one.terms):
        after = (*after, Level("moved", (Term(TermKind.MOVED),)))
    return problem.replace(objective=(*before, reached, *after))


def _all_free(problem: PlacementProblem, level: Level) -> int:
    """The level's sum if all that is free now were fragments."""
    free = np.maximum(problem.cells.capacity - cell_use(problem, Placement.current(problem)), 0)
    total = free.sum(axis=0)
    return sum(term.weight * int(total[term.resource]) for term in level.terms)


def _about_fragments(level: Level) -> bool:
    return all(term.kind is TermKind.FRAGMENTS for term in level.terms)


def _parse(problem: PlacementProblem, word: str) -> tuple[Term, Fraction]:
    match = _WORD.fullmatch(word)
    if match is None or not int(match[2]):
        raise ProblemError(
            f"the objective {word[:40]!r} is not understood; write fr16 (cores), mem64 (GiB), "
            "fr64x2 (halves on two NUMA nodes), each with a weight if wanted: fr16:2"
        )
    what, units = KINDS[match[1]]
    names = problem.cells.resources
    known = [at for at, name in enumerate(names) if name in units]
    if not known:
        raise ProblemError(f"{word[:40]!r}: the cells of this problem have no {what}")
    total = int(match[2]) * units[names[known[0]]]
    cells = int(match[3]) if match[3] else _cells_of(problem, known[0], total)
    if total % cells:
        raise ProblemError(f"{word[:40]!r} has no halves; give an even number")
    weight = Fraction(match[4] or 1)
    if not weight:
        raise ProblemError(f"{word[:40]!r}: a weight must be above 0")
    return Term(TermKind.FRAGMENTS, resource=known[0], size=total // cells, cells=cells), weight


def _cells_of(problem: PlacementProblem, resource: int, total: int) -> int:
    """How many cells a block of so many units takes."""
    room = problem.cells.capacity[:, resource]
    return 1 if total <= int(room.min(initial=total)) else 2


def _holds(problem: PlacementProblem, term: Term) -> bool:
    """Whether an empty host has cells for a block."""
    cells = problem.cells
    fits = (cells.capacity - cells.fixed_use)[:, term.resource] >= term.size
    return int(np.bincount(cells.host[fits], minlength=1).max()) >= term.cells


def _weighted(
    problem: PlacementProblem, asked: Sequence[tuple[Term, Fraction]]
) -> tuple[Term, ...]:
    """Weights in proportion to w / F, as integers."""
    use = cell_use(problem, Placement.current(problem))
    free = np.maximum(problem.cells.capacity - use, 0).sum(axis=0).tolist()
    exact = [weight / max(int(free[term.resource]), 1) for term, weight in asked]
    scale = Fraction(lcm(*(one.denominator for one in exact)))
    scale /= gcd(*(int(one * scale) for one in exact))
    scale = min(scale, Fraction(LEAST_WEIGHT) / min(exact))
    return tuple(
        replace(term, weight=round(one * scale))
        for (term, _), one in zip(asked, exact, strict=True)
    )
