"""`optsched report`: a state or a plan as one HTML page."""

from __future__ import annotations

import click

from .parameters import Command, Wishes, option, options, wishes


@click.command("report", cls=Command, short_help="Write the HTML report of a snapshot or a plan.")
@click.argument("snapshot", metavar="FILE|-")
@click.argument("answer", metavar="[PLAN|RESULT]", required=False)
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

    A result (solve --output json) comes with its certificate, a plan without. Give the options
    that change the problem as they were given to solve.

    \b
    Example:
      optsched solve cluster.json --output json > result.json
      optsched report cluster.json result.json -o report.html
    """
    from optsched.plan import Plan
    from optsched.report import page, plan_page
    from optsched.snapshot import write_atomically

    from .plans import read_plan, read_result

    problem = wishes.load(snapshot)
    result = read_result(problem, answer) if answer is not None else None
    if result is not None:
        text = page(problem, result)
    elif answer is not None:
        plan, notes = read_plan(problem, answer)
        for note in notes:
            click.echo(note, err=True)
        text = plan_page(problem, plan)
    else:
        text = plan_page(problem, Plan(problem.digest()))
    write_atomically(out, text.encode("utf-8", "replace"))
    if out != "-":
        click.echo(f"wrote {out}", err=True)
