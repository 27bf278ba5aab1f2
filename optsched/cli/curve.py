"""`optsched solve --curve`: fragments against the limit of moves, all limits in one solve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optsched.budget import Budget
    from optsched.problem import PlacementProblem
    from optsched.report.curve import Point

STEPS, MOST = 10, 50  # points after 0, and the limit where none is given

# Limit, value and bound of the fragments, and whether there was time to look for a plan.
Rows = list[tuple[int, int, int, bool]]


def limits(problem: PlacementProblem) -> list[int]:
    """The limits of moves to look at: 0 and ten steps up to the problem's own."""
    most = problem.max_moves if problem.max_moves >= 0 else min(MOST, len(problem.items))
    return sorted({round(most * step / STEPS) for step in range(STEPS + 1)})


def curve(problem: PlacementProblem, budget: Budget, order: str | None, seed: int) -> list[Point]:
    """A point for every limit.

    Raises
    ------
    UsageError
        The problem counts no fragments, or has a goal, beyond which there is nothing to see.
    """
    from optsched.objective import evaluate
    from optsched.plan import Placement
    from optsched.rates import fragment_level
    from optsched.report.curve import points

    at = fragment_level(problem)
    if at is None:
        raise click.UsageError("--curve needs a problem that counts fragments, or --objective fr16")
    if problem.objective[at].goal:
        raise click.UsageError("--curve shows all rates; leave out --goal-fr")
    rows = _together(problem, limits(problem), budget, order, seed)
    if not rows:
        rows = _one_by_one(problem, limits(problem), budget, order, seed)
    return points(problem, rows, evaluate(problem, Placement.current(problem))[at])


def _together(
    problem: PlacementProblem, moves: Sequence[int], budget: Budget, order: str | None, seed: int
) -> Rows:
    """All limits at once; nothing where that solver cannot serve the problem."""
    from optsched import kernels
    from optsched.plan import Order
    from optsched.rates import usual_order
    from optsched.registry import load

    solve: Callable[..., Rows] = load("optsched.solvers.fragments:curve")
    kernels.warm()
    asked = usual_order(problem) if order is None else Order(order)
    return solve(problem, moves, budget, seed, asked)


def _one_by_one(
    problem: PlacementProblem, moves: Sequence[int], budget: Budget, order: str | None, seed: int
) -> Rows:
    """A solve for every limit, each with an equal share of the time that is left.

    Where fragments come first, a plan for fewer moves is one for more, and a bound for more moves
    is one for fewer. Once time is up, the last plan stands for all larger limits.
    """
    from optsched.api import solve
    from optsched.rates import fragment_level

    at = fragment_level(problem)
    assert at is not None
    rows: Rows = []
    for done, limit in enumerate(moves):
        if budget.over() and rows:
            rows.append((limit, rows[-1][1], 0, False))
            continue
        result = solve(
            problem.replace(max_moves=limit),
            time_limit=max(0.05, budget.remaining() / (len(moves) - done)),
            workers=budget.workers,
            seed=seed,
            order=order,
            stop=budget.stop,
            on_progress=budget.on_progress,
        )
        level = result.levels[at]
        rows.append((limit, level.value, level.bound, True))
    return _falling(rows) if at == 0 else rows


def _falling(rows: Rows) -> Rows:
    """The rows with the least value of fewer moves, and the highest bound of more."""
    from itertools import accumulate

    values = [*accumulate((row[1] for row in rows), min)]
    bounds = [*accumulate((row[2] for row in reversed(rows)), max)][::-1]
    return [
        (row[0], value, min(bound, value), row[3])
        for row, value, bound in zip(rows, values, bounds, strict=True)
    ]


def show(
    problem: PlacementProblem, found: Sequence[Point], seconds: float, output: str, max_rows: int
) -> None:
    """Print the points as text with bars, or as JSON."""
    from optsched.rates import terms
    from optsched.report.curve import proof, rate_words
    from optsched.report.units import percent, short

    if output == "json":
        from .documents import encode
        from .documents.answers import Curve, CurvePoint

        document = encode(
            Curve(
                version=1,
                problem=problem.digest(),
                name=problem.name,
                rate=rate_words(problem),
                blocks=len(terms(problem)),
                seconds=seconds,
                points=[CurvePoint(**vars(one), proven=one.proven) for one in found],
            )
        )
        click.echo(document, nl=False)
        return
    from .console import Paper

    paper = Paper(max_rows)
    paper.table(
        f"{short(problem.name)}: {short(rate_words(problem))} against the limit of moves",
        ("#moves", "#rate", "#least possible", "#gap", "proof", ""),
        [
            (
                one.moves,
                f"{one.rate:.4f}",
                f"{one.least:.4f}",
                percent(one.gap),
                proof(one),
                "\u2588" * round(40 * one.rate),
            )
            for one in found
        ],
    )
    paper.say(f"{seconds:.2f} s", "dim")
