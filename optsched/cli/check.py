"""`optsched check`: read a plan against every rule, independently of the solvers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from .exits import Exit
from .parameters import Command, option, options
from .parameters import output as output_options
from .wishes import Wishes, wishes

if TYPE_CHECKING:
    from optsched.check import Report
    from optsched.problem import PlacementProblem

    from .replays import Replays


@click.command("check", cls=Command, short_help="Check a plan against every rule, independently.")
@click.argument("snapshot", metavar="FILE|-")
@click.argument("plan", metavar="PLAN")
@options(
    "The check",
    option(
        "--replay",
        type=click.IntRange(0, 10_000),
        default=0,
        metavar="N",
        help="Also carry the plan out, move by move, in N random orders within its waves, on a "
        "simulator that shares no code with the solvers, and compare where it ends.",
    ),
)
@wishes
@output_options
@click.pass_context
def command(
    ctx: click.Context,
    snapshot: str,
    plan: str,
    replay: int,
    wishes: Wishes,
    output: str,
    max_rows: int,
) -> None:
    """Check a plan: does it keep every rule, at every step, and what is it worth?

    PLAN is a plan or a result that solve wrote, for tasks a schedule. Give the options that change
    the problem (--drain, --evict, ...) as they were given to solve. Exit code 5 says that the plan
    breaks a rule.

    \b
    Example:
      optsched solve cluster.json --plan-out plan.json
      optsched check cluster.json plan.json --replay 20
    """
    from optsched.api import check
    from optsched.tasks import TaskProblem

    from .plans import read_plan, read_result
    from .replays import run_replays
    from .schedules import check_tasks
    from .watching import watching

    problem = wishes.load_any(snapshot)
    if isinstance(problem, TaskProblem):
        if replay:
            raise click.UsageError("--replay is for placements; the file holds tasks")
        ctx.exit(check_tasks(problem, plan, output, max_rows))
    read, notes = read_plan(problem, plan)
    with watching(f"checking {plan}"):
        report = check(problem, read)
    played = None
    if replay and not report.violations:
        result = read_result(problem, plan) if plan != "-" else None
        played = run_replays(problem, read, replay, report, result)
    elif replay:
        notes = (*notes, "it is not replayed, since it breaks rules")
    if output == "json":
        click.echo(_json(problem, report, notes, played), nl=False)
    else:
        _print(problem, report, notes, max_rows, played)
    faults = report.violations or (played is not None and played.faults)
    ctx.exit(Exit.REFUSED if faults else Exit.OK)


def _print(
    problem: PlacementProblem,
    report: Report,
    notes: tuple[str, ...],
    max_rows: int,
    played: Replays | None,
) -> None:
    from optsched.report.summary import level_words
    from optsched.report.units import plural

    from .console import Paper

    paper = Paper(max_rows)
    for note in notes:
        paper.say(f"! {note}", "yellow")
    if report.violations:
        rules = Counter(one.rule for one in report.violations)
        told = ", ".join(f"{count} {rule}" for rule, count in rules.most_common())
        paper.say(f"{plural(len(report.violations), 'violation')}: {told}", "bold red")
        paper.table(
            "",
            ("rule", "when", "what"),
            [
                (one.rule, f"wave {one.wave + 1}" if one.wave >= 0 else "after the plan", one.text)
                for one in report.violations
            ],
        )
    else:
        paper.say("The plan keeps every rule, at every step.", "bold green")
    if played is not None:
        played.say(paper)
    names = [level_words(problem, level.name) for level in problem.objective]
    worth = [row for row in zip(names, report.levels, strict=True) if row[1]]
    zero = len(names) - len(worth)
    paper.table("Worth", ("level", "#value"), worth)
    if zero:
        paper.say(f"The other {plural(zero, 'level')}: 0." if worth else "Every level: 0.")


def _json(
    problem: PlacementProblem, report: Report, notes: tuple[str, ...], played: Replays | None
) -> bytes:
    from .documents import LevelWorth, encode
    from .documents.answers import Check, Violation

    items, hosts = problem.items.names, problem.hosts.names
    return encode(
        Check(
            version=1,
            problem=problem.digest(),
            ok=not report.violations and not (played is not None and played.faults),
            notes=[*notes],
            levels=[
                LevelWorth(name=level.name, value=int(value))
                for level, value in zip(problem.objective, report.levels, strict=True)
            ],
            violations=[
                Violation(
                    rule=one.rule,
                    text=one.text,
                    item=items[one.item] if one.item >= 0 else None,
                    host=hosts[one.host] if one.host >= 0 else None,
                    wave=one.wave + 1 if one.wave >= 0 else None,
                )
                for one in report.violations
            ],
            replay=None if played is None else played.document(),
        )
    )
