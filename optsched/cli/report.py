"""`optsched report`: a state or a plan as one HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .parameters import Command, option, options
from .wishes import Wishes, wishes

if TYPE_CHECKING:
    from optsched.problem import PlacementProblem


@click.command("report", cls=Command, short_help="Write the HTML report of a snapshot or a plan.")
@click.argument("snapshot", metavar="FILE|-")
@click.argument("answer", metavar="[PLAN|RESULT|SCHEDULE]", required=False)
@options(
    "Output",
    option(
        "-o",
        "--out",
        metavar="FILE",
        default="report.html",
        show_default=True,
        help="The page; - is standard output.",
    ),
)
@wishes
def command(snapshot: str, answer: str | None, out: str, wishes: Wishes) -> None:
    """Show a snapshot, a plan or a result as one HTML page that needs no network.

    A result (solve --output json) comes with its certificate, a plan without; of tasks a schedule
    is shown in the same two ways. Give the options that change the problem as they were given to
    solve.

    \b
    Example:
      optsched solve cluster.json --output json > result.json
      optsched report cluster.json result.json -o report.html
    """
    from optsched.snapshot import require_writable, write_atomically
    from optsched.tasks import TaskProblem

    from .schedules import report_tasks
    from .watching import watching

    require_writable(out)
    problem = wishes.load_any(snapshot)
    with watching("drawing the report"):
        text, notes = (
            report_tasks(problem, answer)
            if isinstance(problem, TaskProblem)
            else _page(problem, answer)
        )
    for note in notes:
        click.echo(note, err=True)
    write_atomically(out, text.encode("utf-8", "replace"))
    if out != "-":
        click.echo(f"wrote {out}", err=True)


def _page(problem: PlacementProblem, answer: str | None) -> tuple[str, tuple[str, ...]]:
    """The page of a snapshot, a plan or a result, and notes about it."""
    from optsched.plan import Plan
    from optsched.report import page, plan_page

    from .plans import read_plan, read_result

    if answer is None:
        return plan_page(problem, Plan(problem.digest())), ()
    result = read_result(problem, answer)
    if result is not None:
        return page(problem, result), ()
    plan, notes = read_plan(problem, answer)
    return plan_page(problem, plan), notes
