"""`optsched solve`: the best plan for a file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from optsched import registry

from .answer import Answer
from .exits import Exit
from .parameters import Command, Search, first_given, option, options, search
from .parameters import output as output_options
from .wishes import Wishes, wishes

if TYPE_CHECKING:
    from optsched.problem import PlacementProblem
    from optsched.result import Result


@click.command(
    "solve", cls=Command, short_help="Find the best placement and a plan of safe moves to it."
)
@click.argument("file", metavar="FILE|-")
@options(
    "The search",
    option(
        "--solver",
        default="portfolio",
        show_default=True,
        metavar="NAME",
        help=f"One of {', '.join(registry.SOLVERS)}; "
        f"for tasks: {', '.join(registry.TASK_SOLVERS)}; {registry.TASK_RULES}.",
    ),
)
@options(
    "What is answered",
    option(
        "--curve",
        is_flag=True,
        help="Show the fragment rate for ten limits of moves up to --moves (50), no plan. "
        "--report draws it, as a page or, named .svg, as a picture.",
    ),
)
@search
@wishes
@options(
    "Output",
    option("--plan-out", metavar="FILE", help="Write the plan, JSON (.gz packs it)."),
    option("--report", metavar="FILE", help="Write the HTML report."),
)
@output_options
@click.pass_context
def command(
    ctx: click.Context,
    file: str,
    solver: str,
    curve: bool,
    search: Search,
    wishes: Wishes,
    plan_out: str | None,
    report: str | None,
    output: str,
    max_rows: int,
) -> None:
    """Find the best placement, a plan of safe moves to it, and a bound that proves how good.

    FILE is a cluster dump of kubectl, a snapshot, or another known format; - is standard input.
    Ctrl-C once returns the best plan so far, twice gives up.

    \b
    Example: place what is pending, evict nothing, write the report
      optsched solve cluster.json --time-limit 20s --report report.html
    Example: empty two nodes
      optsched solve cluster.json --drain node-3,node-7 --plan-out drain.json
    Example: fewest fragments with 50 migrations; then, for every limit up to 50
      optsched solve vms.json --moves 50
      optsched solve vms.json --moves 50 --curve --report curve.html
    Example: when and where tasks run, deadlines first
      optsched solve tasks.json --objective sla,response,energy --report tasks.html
    Example: how many nodes are missing
      optsched solve cluster.json --add-host-like node-1
    """
    from optsched.tasks import TaskProblem

    from .schedules import solve_tasks

    answer = Answer(plan_out, report, output, max_rows)
    answer.require_writable(picture=curve)
    base = wishes.read_any(file, quiet=search.quiet)
    if isinstance(base, TaskProblem):
        if curve or search.sequence:
            word = "--curve" if curve else "--sequence"
            raise click.UsageError(f"{word} is for placements; the file holds tasks")
        ctx.exit(solve_tasks(wishes.of_tasks(base), solver, search, answer))
    problem = wishes.apply(base)
    order = wishes.sequence(search.sequence)
    if curve and first_given(ctx, ("solver",)):
        raise click.UsageError("--curve is drawn by a solver of its own; leave out --solver")
    if curve:
        _curve(problem, search, order, answer)
    else:
        ctx.exit(_solve(base, problem, solver, search, order, answer))


def _solve(
    base: PlacementProblem, problem: PlacementProblem, solver: str, search: Search,
    order: str | None, answer: Answer,
) -> Exit:  # fmt: skip
    """The best plan, told; `base` is the problem as the file has it."""
    from optsched.report.drains import left_behind
    from optsched.report.goals import unmet_goal

    from .searching import find_plan

    result, stopped = find_plan(problem, solver, search, order, f"solving {problem.name}")
    more = list[str]()
    if len(problem.hosts) > len(base.hosts):
        more.append(_hosts_to_add(base, problem, result))
    if problem.hosts.drain.any():
        more += left_behind(problem, result.plan, result.levels)
    more += unmet_goal(problem, result.plan, result.levels)
    result = replace(result, notes=(*result.notes, *more))
    # The answer first: where a file cannot be written after all, it must not be lost. The files
    # all the same where nobody reads the answer to its end.
    try:
        _print(problem, result, answer)
    finally:
        _write(problem, result, answer)
    return exit_code(result, stopped)


def _write(problem: PlacementProblem, result: Result, answer: Answer) -> None:
    """The files that were asked for."""
    from optsched.report import page
    from optsched.snapshot import encode_plan, write_atomically

    if answer.plan_out:
        write_atomically(answer.plan_out, encode_plan(problem, result.plan))
    if answer.report:
        write_atomically(answer.report, page(problem, result).encode())


def _curve(problem: PlacementProblem, search: Search, order: str | None, answer: Answer) -> None:
    """The rate for many limits of moves, printed and drawn."""
    from time import monotonic

    from optsched.api import usable_cores
    from optsched.budget import Budget
    from optsched.report.curve import curve_page, svg
    from optsched.snapshot import write_atomically

    from .curve import curve, show
    from .searching import searched

    started = monotonic()
    workers = usable_cores() if search.workers is None else search.workers
    found, _ = searched(
        f"solving {problem.name}",
        search.quiet,
        lambda stop, tell: curve(
            problem,
            Budget.of(search.time_limit, workers=workers, stop=stop, on_progress=tell),
            order,
            search.seed,
        ),
    )
    if answer.report:
        drawn = (
            svg(problem, found, alone=True)
            if answer.report.endswith(".svg")
            else curve_page(problem, found, f"{monotonic() - started:.2f} s.")
        )
        write_atomically(answer.report, drawn.encode())
    show(problem, found, monotonic() - started, answer.output, answer.max_rows)


def _hosts_to_add(base: PlacementProblem, problem: PlacementProblem, result: Result) -> str:
    """Which candidate hosts the plan uses."""
    from optsched.growth import candidates_used
    from optsched.report.units import plural, short

    placement = result.plan.placement(problem)
    used = candidates_used(base, problem, placement)
    told = ", ".join(f"{count} like {short(model)}" for model, count in used.items())
    without = int((placement.host < 0).sum())
    rest = f"; {plural(without, 'item')} would still be without a host" if without else ""
    return f"hosts to add: {told or 0}{rest}"


def _print(problem: PlacementProblem, result: Result, answer: Answer) -> None:
    if answer.output == "json":
        from optsched.snapshot import encode_result

        click.echo(encode_result(problem, result), nl=False)
        return
    from .console import Paper
    from .text import print_result

    print_result(Paper(answer.max_rows), problem, result)


def exit_code(result: Result, stopped: bool = False) -> Exit:
    """What the status says to the shell."""
    from optsched.result import Status

    if result.status is Status.INFEASIBLE:
        return Exit.INFEASIBLE
    if result.status is Status.UNKNOWN:
        return Exit.INTERRUPTED if stopped else Exit.NO_ANSWER
    return Exit.OK
