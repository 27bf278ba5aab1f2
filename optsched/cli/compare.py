"""`optsched compare`: plans, or solvers, side by side on one problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .exits import Exit
from .parameters import Command, Search, first_given, option, options, search, split_names
from .parameters import output as output_options
from .wishes import Wishes, wishes

if TYPE_CHECKING:
    from .contests import Contest, Entry


@click.command("compare", cls=Command, short_help="Compare plans, or solvers, side by side.")
@click.argument("snapshot", metavar="FILE|-")
@click.argument("plans", nargs=-1, metavar="[PLAN PLAN ...]")
@options(
    "What is compared",
    option("--solvers", metavar="NAME[,..]", multiple=True, help="Solvers to run one by one."),
)
@search
@wishes
@output_options
@click.pass_context
def command(
    ctx: click.Context,
    snapshot: str,
    plans: tuple[str, ...],
    solvers: tuple[str, ...],
    search: Search,
    wishes: Wishes,
    output: str,
    max_rows: int,
) -> None:
    """Compare plans, or what solvers find in the same time: every level, moves, seconds.

    Values stand beside those of doing nothing; for tasks, whose schedules are compared, beside
    those of sending each to the node that answers it first (EFT).

    \b
    Examples:
      optsched compare cluster.json monday.json tuesday.json
      optsched compare cluster.json --solvers greedy,counts --time-limit 5s
    """
    names = split_names(solvers)
    if len(plans) + len(names) < 2:
        raise click.UsageError("name at least two plans, or two solvers with --solvers")
    if not names and (given := first_given(ctx, ("time_limit", "workers", "seed"))) is not None:
        raise click.UsageError(f"--{given} is for --solvers, and none is named")
    contest = _contest(wishes, snapshot, search)
    for name in names:
        contest.require(name)
    entries = []
    for path in plans:
        entry, notes = contest.read(path)
        for note in notes:
            click.echo(f"{path}: {note}", err=True)
        entries.append(entry)
    for name in names:
        entry, stopped = contest.solve(name)
        entries.append(entry)
        if stopped:
            break
    if output == "json":
        click.echo(_json(contest, entries), nl=False)
    else:
        _print(contest, entries, max_rows)
    ctx.exit(Exit.REFUSED if any(one.violations for one in entries) else Exit.OK)


def _contest(wishes: Wishes, path: str, search: Search) -> Contest:
    from optsched.tasks import TaskProblem

    from .contests import of_placements, of_tasks

    problem = wishes.load_any(path)
    if not isinstance(problem, TaskProblem):
        return of_placements(problem, search, wishes.sequence(search.sequence))
    if search.sequence:
        raise click.UsageError("--sequence is for placements; the file holds tasks")
    return of_tasks(problem, search)


def best(entries: list[Entry]) -> list[Entry]:
    """The entries that no other one betters, of those that keep the rules."""
    sound = [one for one in entries if not one.violations]
    lowest = min((one.levels for one in sound), default=())
    return [one for one in sound if one.levels == lowest]


def _print(contest: Contest, entries: list[Entry], max_rows: int) -> None:
    from optsched.report.units import short

    from .console import Paper

    paper = Paper(max_rows)
    rows: list[tuple[object, ...]] = []
    for k, words in enumerate(contest.words):
        if contest.stay[k] or any(one.levels[k] for one in entries):
            rows.append((words, f"{contest.stay[k]:,}", *(_value(one, k) for one in entries)))
    rows.append(("steps", 0 if contest.staying == "stay" else "", *(one.moves for one in entries)))
    if any(one.waves is not None for one in entries):
        rows.append(("waves", 0, *(one.waves for one in entries)))
    if any(one.seconds is not None for one in entries):
        rows.append(("status", "", *(one.status or "" for one in entries)))
        seconds = ["" if one.seconds is None else f"{one.seconds:.2f}" for one in entries]
        rows.append(("seconds", "", *seconds))
    # File names without folders, where that tells them apart: folders leave no room for levels.
    bare = [one.name.rpartition("/")[2] for one in entries]
    names = bare if len(set(bare)) == len(bare) else [one.name for one in entries]
    titles = [f"#{short(name)}" for name in names]
    title = f"{short(contest.name)}: levels, most important first"
    paper.table(title, ("", f"#{contest.staying}", *titles), rows)
    for one in entries:
        for text in one.violations[:5]:
            paper.say(f"{short(one.name)} is refused: {text}", "red")
    winners = best(entries)
    if len(winners) == 1:
        paper.say(f"Best: {short(winners[0].name)}.", "bold")
    elif winners:
        few = min(one.moves for one in winners)
        least = [short(one.name) for one in winners if one.moves == few]
        more = f"; fewest steps: {', '.join(least)}" if len(least) < len(winners) else ""
        paper.say(f"Equally good: {', '.join(short(one.name) for one in winners)}{more}.", "bold")


def _value(entry: Entry, level: int) -> str:
    """A level's value, and its bound where that is lower."""
    value = entry.levels[level]
    if entry.bounds is None or entry.bounds[level] >= value:
        return f"{value:,}"
    return f"{value:,} (bound {entry.bounds[level]:,})"


def _json(contest: Contest, entries: list[Entry]) -> bytes:
    from .documents import answers, encode

    return encode(
        answers.Comparison(
            version=1,
            problem=contest.problem,
            levels=[*contest.levels],
            best=[one.name for one in best(entries)],
            entries=[
                answers.Entry(
                    name=one.name,
                    values=[*one.levels],
                    bounds=None if one.bounds is None else [*one.bounds],
                    status=one.status,
                    steps=one.moves,
                    waves=one.waves,
                    seconds=one.seconds,
                    violations=[*one.violations],
                )
                for one in entries
            ],
        )
    )
