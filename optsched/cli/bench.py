"""`optsched bench`: run a benchmark of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from .parameters import Command

ROOT = Path(__file__).resolve().parents[2]


@click.command(
    "bench",
    cls=Command,
    short_help="Run a benchmark of the checkout.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(ctx: click.Context, name: str | None, arguments: tuple[str, ...]) -> None:
    """Run a benchmark, or list them. They are part of a checkout, not of an installation.

    \b
    Examples:
      optsched bench
      optsched bench pod-packing -- --help
    """
    folder = ROOT / "benchmarks"
    known = sorted(run.parent.name.replace("_", "-") for run in folder.glob("*/run.py"))
    if not known:
        raise click.UsageError(
            "the benchmarks are part of a checkout of the project, and this is an installation"
        )
    if name is None:
        click.echo("\n".join(known))
        return
    if name.replace("_", "-") not in known:
        raise click.UsageError(f"no benchmark {name!r} (there are: {', '.join(known)})")
    module = f"benchmarks.{name.replace('-', '_')}.run"
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], env={**os.environ, "PYTHONPATH": path}
    )
    ctx.exit(done.returncode)
