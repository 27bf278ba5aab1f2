"""An answer as text: what was pending, what is placed now, the moves, the proof."""

from __future__ import annotations

from collections.abc import Sequence

from optsched.plan import Plan
from optsched.problem import PlacementProblem
from optsched.report.summary import (
    Summary,
    alike,
    certificate_words,
    level_rows,
    rate_rows,
    summarize,
    verdict,
)
from optsched.report.units import plural
from optsched.result import LevelValue, Result

from .console import Paper

STYLE = {"optimal": "bold green", "feasible": "bold", "infeasible": "bold red", "unknown": "red"}


def print_result(paper: Paper, problem: PlacementProblem, result: Result) -> None:
    """The whole answer."""
    told = summarize(problem, result.plan)
    paper.say(f"{told.name}: {plural(told.hosts, 'host')}, {plural(told.items, 'item')}")
    paper.say(verdict(told, result), STYLE[result.status.value])
    print_rates(paper, problem, result.plan, result.levels)
    print_plan(paper, problem, result.plan, told)
    print_levels(paper, problem, result.levels)
    paper.say(certificate_words(problem, result.certificate.text))
    print_notes(paper, (*problem.warnings, *result.notes))
    paper.say(f"\n{result.solver}, {result.seconds:.2f} s", "dim")


def print_rates(
    paper: Paper, problem: PlacementProblem, plan: Plan, levels: Sequence[LevelValue] = ()
) -> None:
    """Fragment rates before and after, with the least possible where a bound is known."""
    rows = rate_rows(problem, plan, levels)
    if rows:
        paper.table(
            "Fragment rates: shares of what is free that no block of the size can use",
            ("rate", "#before", "#after", "#least possible", "#blocks before", "#after", "#free"),
            rows,
        )


def print_plan(
    paper: Paper, problem: PlacementProblem, plan: Plan, told: Summary | None = None
) -> None:
    """Tiers, moves and what stays pending."""
    told = told if told is not None else summarize(problem, plan)
    if told.tiers and not (told.rates and len(told.tiers) == 1 and not told.pending_before):
        paper.table(
            "By tier, highest first",
            ("tier", "#items", "#pending", "#placed now", "#without a host", "#moved", "#evicted"),
            [
                (t.tier, t.items, t.pending, t.placed, t.left, t.moved, t.evicted)
                for t in told.tiers
            ],
        )
    if told.moves:
        paper.table(
            f"Plan: {plural(len(told.moves), 'step')} in {plural(told.waves, 'wave')} "
            f"({plan.order.value})",
            ("#wave", "what", "item", "from", "to"),
            [(m.wave, m.kind, m.item, m.source or "-", m.target or "-") for m in told.moves],
        )
    if told.pending:
        paper.table(
            "Without a host after the plan" if plan.waves else "Without a host",
            ("item", "tier", "needs", "why"),
            [(p.item, p.tier, p.needs, p.why) for p in alike(told.pending)],
        )


def print_levels(paper: Paper, problem: PlacementProblem, levels: Sequence[LevelValue]) -> None:
    """Value, bound and gap of every level that is worth a line."""
    rows = level_rows(problem, levels)
    if rows:
        paper.table(
            "Proof, most important level first",
            ("level", "#value", "#bound", "#before", "#gap", "proof", "bound from"),
            rows,
        )
    rest = len(levels) - len(rows)
    if rest:
        paper.say(f"{plural(rest, 'level')} at 0, which nothing can better, left out.")


def print_notes(paper: Paper, notes: Sequence[str]) -> None:
    """Warnings of the translation and notes of the solver."""
    for note in notes[: paper.max_rows]:
        paper.say(f"! {note[:1000]}", "yellow")
    if len(notes) > paper.max_rows:
        paper.say(f"! ... {len(notes) - paper.max_rows} more", "yellow")
