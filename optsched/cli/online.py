"""`optsched simulate` for tasks: they arrive, windows are planned, a table shows what happens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from .console import Paper

if TYPE_CHECKING:
    from optsched.simulate import Knobs, Window
    from optsched.simulate.online import Played
    from optsched.tasks import TaskProblem

LAST = 12  # windows in the live table
PER_SECOND = 8  # drawings of it
HEAD = ("at, ms", "planned", "sent", "rejected", "waiting", "on nodes", "ended", "decided in, ms")


@dataclass(frozen=True)
class Ask:
    """What is simulated, and how: window and time to think in seconds."""

    solver: str
    window: float
    think: float
    workers: int
    seed: int
    knobs: Knobs
    quiet: bool
    output: str
    max_rows: int


@dataclass
class Seen:
    """The windows so far."""

    windows: list[Window] = field(default_factory=list)

    def decisions(self) -> list[float]:
        """Milliseconds that each took, ascending."""
        return sorted(1000 * one.seconds for one in self.windows)

    def quantile(self, share: float) -> float:
        """Of these; 0 without any."""
        took = self.decisions()
        return took[min(len(took) - 1, int(share * len(took)))] if took else 0.0


def simulate_tasks(problem: TaskProblem, ask: Ask) -> None:
    """Run and tell.

    Raises
    ------
    click.UsageError
        A window takes less than a millisecond.
    """
    from optsched.api import deciding
    from optsched.simulate import World, roll

    from .watching import run_stoppable

    window = round(1000 * ask.window)
    if window < 1:
        raise click.UsageError("--window takes at least 1ms")
    decide = deciding(ask.solver, ask.think, workers=ask.workers, seed=ask.seed)
    world, seen = World.of(problem, ask.knobs, ask.seed), Seen()
    with _live(problem, seen, ask) as show:

        def on_window(told: Window) -> None:
            seen.windows.append(told)
            show()

        played, stopped = run_stoppable(
            lambda stop: roll(world, decide, window=window, on_window=on_window, stop=stop)
        )
    if ask.output == "json":
        click.echo(_json(problem, played, seen, ask, stopped), nl=False)
    else:
        _print(problem, played, seen, ask, stopped)


@contextmanager
def _live(problem: TaskProblem, seen: Seen, ask: Ask) -> Iterator[Callable[[], None]]:
    """Draw a table on standard error while it goes on, or say a line now and then for logs."""
    if ask.quiet:
        yield lambda: None
    elif not sys.stderr.isatty():
        from .watching import watching

        with watching(f"playing {problem.name}") as say:
            yield lambda: say(_line(problem, seen))
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        with Live(console=console, refresh_per_second=PER_SECOND, transient=True) as live:
            yield lambda: live.update(_table(problem, seen, ask))


def _line(problem: TaskProblem, seen: Seen) -> str:
    """How far it is."""
    last = seen.windows[-1]
    return f"at {last.now:,} ms {last.ended:,} of {len(problem.tasks):,} tasks ended"


def _table(problem: TaskProblem, seen: Seen, ask: Ask) -> Any:
    """The last windows, and the levels so far."""
    from rich import box
    from rich.table import Table

    last = seen.windows[-1]
    levels = ", ".join(
        f"{level.value} {value:,}"
        for level, value in zip(problem.objective.levels, last.values, strict=True)
    )
    table = Table(
        title=f"{ask.solver} on {len(problem.tasks)} tasks: {last.ended} ended",
        caption=f"{levels}; decisions p50 {seen.quantile(0.5):.1f}, p99 {seen.quantile(0.99):.1f} "
        "ms; Ctrl-C stops",
        box=box.SIMPLE_HEAD,
    )
    for title in HEAD:
        table.add_column(title, justify="right")
    for one in seen.windows[-LAST:]:
        table.add_row(*_row(one))
    return table


def _row(one: Window) -> list[str]:
    numbers = (
        one.now, one.planned, one.sent, one.rejected, one.waiting, one.active, one.ended
    )  # fmt: skip
    return [*(f"{value:,}" for value in numbers), f"{1000 * one.seconds:.1f}"]


def _print(problem: TaskProblem, played: Played, seen: Seen, ask: Ask, stopped: bool) -> None:
    from optsched.report.schedules import REJECTED, known, node_rows, rejected_rows, sla_rows
    from optsched.report.units import plural

    told, paper, count = played.evaluation, Paper(ask.max_rows), len(problem.tasks)
    late = int(((told.late > 0) & ~told.rejected & ~told.unfinished).sum())
    if stopped:
        at = seen.windows[-1].now if seen.windows else 0
        paper.say(f"Interrupted at {at:,} ms: tasks not decided on count as rejected.", "bold red")
    paper.say(
        f"{problem.name}: {plural(count, 'task')} on {plural(len(problem.nodes), 'node')}, "
        f"{ask.solver}, windows of {1000 * ask.window:g} ms. "
        f"{count - int(told.violated.sum()):,} in time, {late:,} late, "
        f"{int(told.rejected.sum()):,} rejected, {int(told.unfinished.sum()):,} unfinished; "
        f"{len(played.lost):,} runs lost to failures.",
        "bold",
    )
    paper.table("What came of it", ("figure", "#value"), _figures(problem, played, seen))
    if why := _why(played):
        paper.table("Rejected tasks", REJECTED, rejected_rows(played.problem, why))
    paper.table(
        "Nodes",
        ("node", "tier", "state", "#tasks", "#cores in use, %", "#energy, J"),
        node_rows(played.problem, played.schedule, told),
    )
    paper.table(
        "Service levels by weight",
        (
            "#weight", "#tasks", "#with deadline", "#late", "#hard missed", "#rejected",
            "#unfinished", "#met",
        ),
        sla_rows(played.problem, told),
    )  # fmt: skip
    for one in known(problem):
        paper.say(f"! {one}", "yellow")


def _why(played: Played) -> dict[int, str]:
    """Why tasks were rejected; not what room there was, which only shows afterwards."""
    from optsched.tasks import reasons

    return reasons(played.problem, played.schedule, tried=0)


def _figures(problem: TaskProblem, played: Played, seen: Seen) -> list[tuple[str, str]]:
    import numpy as np

    told = played.evaluation
    p50, p95, p99 = np.percentile(told.response, [50, 95, 99])
    return [
        *(
            (f"level {level.value}", f"{value:,}")
            for level, value in zip(problem.objective.levels, told.levels, strict=True)
        ),
        ("response: mean, ms", f"{told.response.mean():,.1f}"),
        ("response: p50, p95, p99, ms", f"{p50:,.0f}  {p95:,.0f}  {p99:,.0f}"),
        ("energy, J", f"{told.energy / 1000:,.1f}"),
        ("utilisation of what is on", f"{100 * told.utilisation:.1f} %"),
        ("fairness (Jain)", f"{told.fairness:.3f}"),
        ("windows planned", f"{len(seen.windows):,}"),
        ("decision: p50, p99, ms", f"{seen.quantile(0.5):.1f}  {seen.quantile(0.99):.1f}"),
    ]


def _json(problem: TaskProblem, played: Played, seen: Seen, ask: Ask, stopped: bool) -> bytes:
    from optsched.report.schedules import known

    from .documents import LevelWorth, encode
    from .documents.tasks import Decisions, OnlineDocument, WindowTold
    from .schedules import worth_told

    told = played.evaluation
    return encode(
        OnlineDocument(
            version=1,
            problem=problem.digest(),
            solver=ask.solver,
            window_ms=round(1000 * ask.window),
            interrupted=stopped,
            levels=[
                LevelWorth(name=level.value, value=value)
                for level, value in zip(problem.objective.levels, told.levels, strict=True)
            ],
            response_mean_ms=float(told.response.mean()),
            runs_lost=len(played.lost),
            decision_ms=Decisions(p50=seen.quantile(0.5), p99=seen.quantile(0.99)),
            **worth_told(played.problem, played.schedule, told, _why(played)),
            windows=[
                WindowTold(
                    at=one.now,
                    planned=one.planned,
                    sent=one.sent,
                    rejected=one.rejected,
                    waiting=one.waiting,
                    active=one.active,
                    ended=one.ended,
                    seconds=one.seconds,
                )
                for one in seen.windows
            ],
            notes=[*known(problem)],
        )
    )
