"""`optsched train`: train an agent."""

from __future__ import annotations

import sys
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optsched.agents import PROBLEMS
from optsched.errors import InputError

from .exits import Exit
from .parameters import Command, option, options

if TYPE_CHECKING:
    from optsched.agents.training import Step

    from .watching import Lines

READY = "getting ready"  # what is done before the first round


@click.command("train", cls=Command, short_help="Train an agent.")
@click.argument("problem", metavar="PROBLEM", type=click.Choice(tuple(PROBLEMS)))
@options(
    "The run",
    option("--out", metavar="FOLDER", required=True, help="Folder of the run."),
    option("--seed", type=int, default=0, show_default=True, help="Of all that is drawn."),
    option("--resume", is_flag=True, help="Go on with the run in the folder, however it ended."),
    option(
        "--init",
        metavar="RUN|FILE.onnx",
        help="Begin with these weights; default: with random ones.",
    ),
    option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where the network is trained.",
    ),
    option(
        "--workers",
        type=click.IntRange(1),
        help="Processes of teachers, and threads of torch; default: every core.",
    ),
)
@options(
    "Hyperparameters",
    option(
        "--hyperparameters",
        metavar="FILE",
        help="YAML, such as the config.yml of a run; default: what comes with optsched.",
    ),
    option(
        "--set",
        "changes",
        metavar="NAME=VALUE",
        multiple=True,
        help="Change one, as in clone.rounds=50 or env_kwargs.pms=60.",
    ),
    option("--quiet", "-q", is_flag=True, help="Show no progress."),
)
@click.pass_context
def command(
    ctx: click.Context,
    problem: str,
    out: str,
    seed: int,
    resume: bool,
    init: str | None,
    device: str,
    workers: int | None,
    hyperparameters: str | None,
    changes: tuple[str, ...],
    quiet: bool,
) -> None:
    """Train an agent: clone a solver, then masked PPO. Ctrl-C stops after the present round.

    SIGTERM ends at once; --resume goes on after the last round that is in the folder. Examples are
    gathered anew then, so the weights are not to the last digit those of an unbroken run.

    For VMs, two stages follow: a few coefficients are chosen by what episodes reach, and mistakes
    that the agent makes in its own episodes are corrected. With --init and clone.rounds=0 nothing
    is cloned, and the stages that follow go on from the weights that are there.

    The folder then holds the configuration, versions, a checkpoint from which --resume goes on, the
    best weights by validation, and logs for TensorBoard. Training seeds and those that evaluate
    measures on share no number.

    \b
    Examples:
      optsched train vm-rescheduling --out runs/first
      optsched train vm-rescheduling --out runs/first --resume
      optsched train vm-rescheduling --out runs/small --set env_kwargs.pms=40 --set clone.rounds=50
      optsched train vm-rescheduling --out runs/more --init runs/first --set clone.rounds=0
      optsched train vm-rescheduling --out runs/ours --set env_kwargs.base=snapshot.json
      optsched train task-placement --out runs/sla --set env_kwargs.objective=sla,response,energy
    """
    if resume and (hyperparameters or changes):
        raise click.UsageError("a run goes on with what it was given; leave out hyperparameters")
    if resume and ctx.get_parameter_source("seed") is not click.core.ParameterSource.DEFAULT:
        raise click.UsageError("a run goes on with its own seed; leave out --seed or --resume")
    if resume and init:
        raise click.UsageError("a run goes on with its own weights; leave out --init or --resume")
    from optsched.agents import needed

    needed()
    from optsched.agents.folder import Folder
    from optsched.agents.hyperparameters import read
    from optsched.agents.training import Training, train
    from optsched.api import usable_cores

    from .watching import run_stoppable

    with _Bar(quiet) as bar:

        def work(stop: Any) -> float:
            given: Any = {"device": device, "on_step": bar.step, "stop": stop}
            given["threads"] = given["workers"] = workers or usable_cores()
            if resume:
                folder = Folder.old(Path(out))
                if folder.config()["problem"] != problem:
                    raise InputError(f"{out!r} holds a run of {folder.config()['problem']}")
                return Training(folder, **given).run()
            values = read(problem, hyperparameters, dict(map(_change, changes)))
            first = Path(init) if init is not None else None
            return train(problem, Path(out), values, seed, first, **given).run()

        gap, stopped = run_stoppable(work, "stopping after this round, which --resume goes on from")
    known = f"{gap:.2%}" if isfinite(gap) else "not measured yet"
    click.echo(f"best gap on validation: {known}; the run is in {out}")
    ctx.exit(Exit.INTERRUPTED if stopped else Exit.OK)


def _change(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--set {text!r}: write NAME=VALUE")
    return name.strip(), value


class _Bar:
    """How far a run is, with the time it will still take; elsewhere a plain line now and then."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.shown = quiet, ""
        self.bar: Any = None
        self.lines: Lines | None = None

    def __enter__(self) -> _Bar:  # noqa: PYI034 - a class of its own, for one use
        if self.quiet:
            return self
        from .watching import Lines

        if not sys.stderr.isatty():
            self.lines = Lines(READY)
            return self
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.bar.add_task(READY, total=1)
        self.bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.bar is not None:
            self.bar.stop()
        if self.lines is not None:
            self.lines.close()

    def step(self, step: Step) -> None:
        """Show how far it is."""
        told, new = step.stage, step.stage != self.shown
        if step.loss is not None:
            told += f" loss {step.loss:.3f}"
        if step.gap is not None:
            told += f" gap {step.gap:.1%}, best {step.best or 0:.1%}"
        self.shown = step.stage
        if self.lines is not None:
            unit = "decisions" if step.stage == "ppo" else "rounds"
            self.lines.say(f"{told} ({step.done:,} of {step.total:,} {unit})")
            if step.validated or new:  # else when it is time again
                click.echo(self.lines.text, err=True)
        elif self.bar is not None:
            if new:
                for old in self.bar.task_ids:
                    self.bar.remove_task(old)
                self.task = self.bar.add_task(told, total=step.total)
            self.bar.update(self.task, description=told, completed=step.done, total=step.total)
