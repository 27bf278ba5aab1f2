"""`optsched compare`: plans, or solvers, side by side on one problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .exits import Exit
from .parameters import Command, Wishes, option, options, search, split_names, wishes
from .parameters import output as output_options

if TYPE_CHECKING:
    from optsched.plan import Plan
    from optsched.problem import PlacementProblem


@dataclass(frozen=True)
class Entry:
    """One plan in the comparison; `bounds` and `seconds` are known of solvers only."""

    name: str
    levels: tuple[int, ...]
    moves: int
    waves: int
    violations: tuple[str, ...]
    bounds: tuple[int, ...] | None = None
    status: str | None = None
    seconds: float | None = None


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
    time_limit: float,
    workers: int | None,
    seed: int,
    sequence: str | None,
    quiet: bool,
    wishes: Wishes,
    output: str,
    max_rows: int,
) -> None:
    """Compare plans, or what solvers find in the same time: every level, moves, seconds.

    \b
    Examples:
      optsched compare cluster.json monday.json tuesday.json
      optsched compare cluster.json --solvers greedy,counts --time-limit 5s
    """
    names = split_names(solvers)
    if len(plans) + len(names) < 2:
        raise click.UsageError("name at least two plans, or two solvers with --solvers")
    from optsched.api import require_support, solve

    from .plans import read_plan
    from .watching import progress_words, run_stoppable, watching

    problem = wishes.load(snapshot)
    for name in names:
        require_support(problem, name)
    entries = []
    for path in plans:
        plan, notes = read_plan(problem, path)
        for note in notes:
            click.echo(f"{path}: {note}", err=True)
        entries.append(_entry(problem, path, plan))
    for name in names:
        with watching(name, quiet=quiet) as say:
            result, stopped = run_stoppable(
                lambda stop, name=name, say=say: solve(  # type: ignore[misc]
                    problem,
                    solver=name,
                    time_limit=time_limit,
                    workers=workers,
                    seed=seed,
                    order=wishes.sequence(sequence),
                    stop=stop,
                    on_progress=lambda progress: say(progress_words(progress)),
                )
            )
        bounds = tuple(level.bound for level in result.levels)
        known = (bounds, result.status.value, result.seconds)
        entries.append(_entry(problem, name, result.plan, known))
        if stopped:
            break
    if output == "json":
        click.echo(_json(problem, entries), nl=False)
    else:
        _print(problem, entries, max_rows)
    ctx.exit(Exit.REFUSED if any(one.violations for one in entries) else Exit.OK)


def _entry(
    problem: PlacementProblem,
    name: str,
    plan: Plan,
    known: tuple[tuple[int, ...], str, float] | tuple[None, None, None] = (None, None, None),
) -> Entry:
    from optsched.api import check

    report = check(problem, plan)
    return Entry(
        name=name,
        levels=tuple(int(value) for value in report.levels),
        moves=len(plan.moves()),
        waves=len(plan.waves),
        violations=tuple(one.text for one in report.violations),
        bounds=known[0],
        status=known[1],
        seconds=known[2],
    )


def best(entries: list[Entry]) -> list[Entry]:
    """The entries that no other one betters, of those that keep the rules."""
    sound = [one for one in entries if not one.violations]
    lowest = min((one.levels for one in sound), default=())
    return [one for one in sound if one.levels == lowest]


def _print(problem: PlacementProblem, entries: list[Entry], max_rows: int) -> None:
    from optsched.objective import evaluate
    from optsched.plan import Placement
    from optsched.report.summary import level_words
    from optsched.report.units import short

    from .console import Paper

    paper = Paper(max_rows)
    stay = evaluate(problem, Placement.current(problem))
    rows: list[tuple[object, ...]] = []
    for k, level in enumerate(problem.objective):
        if stay[k] or any(one.levels[k] for one in entries):
            values = [_value(one, k) for one in entries]
            rows.append((level_words(problem, level.name), stay[k], *values))
    rows.append(("steps", 0, *(one.moves for one in entries)))
    rows.append(("waves", 0, *(one.waves for one in entries)))
    if any(one.seconds is not None for one in entries):
        rows.append(("status", "", *(one.status or "" for one in entries)))
        seconds = ["" if one.seconds is None else f"{one.seconds:.2f}" for one in entries]
        rows.append(("seconds", "", *seconds))
    # File names without folders, where that tells them apart: folders leave no room for levels.
    bare = [one.name.rpartition("/")[2] for one in entries]
    names = bare if len(set(bare)) == len(bare) else [one.name for one in entries]
    titles = [f"#{short(name)}" for name in names]
    paper.table(
        f"{short(problem.name)}: levels, most important first", ("", "#stay", *titles), rows
    )
    for one in entries:
        for text in one.violations[:5]:
            paper.say(f"{short(one.name)} is refused: {text}", "red")
    winners = best(entries)
    if len(winners) == 1:
        paper.say(f"Best: {short(winners[0].name)}.", "bold")
    elif winners:
        paper.say(f"Equally good: {', '.join(short(one.name) for one in winners)}.", "bold")


def _value(entry: Entry, level: int) -> str:
    """A level's value, and its bound where that is lower."""
    value = entry.levels[level]
    if entry.bounds is None or entry.bounds[level] >= value:
        return str(value)
    return f"{value} (bound {entry.bounds[level]})"


def _json(problem: PlacementProblem, entries: list[Entry]) -> bytes:
    from .documents import encode

    return encode(
        "optsched/comparison",
        problem=problem.digest(),
        levels=[level.name for level in problem.objective],
        best=[one.name for one in best(entries)],
        entries=[
            {
                "name": one.name,
                "values": one.levels,
                "bounds": one.bounds,
                "status": one.status,
                "steps": one.moves,
                "waves": one.waves,
                "seconds": one.seconds,
                "violations": one.violations,
            }
            for one in entries
        ],
    )
