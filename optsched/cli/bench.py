"""`optsched bench`: run a benchmark of the checkout."""

from __future__ import annotations

import ast
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
    """Run a benchmark; without a name, list them. They are part of a checkout only.

    \b
    Examples:
      optsched bench
      optsched bench pod-packing -- --help
    """
    folder = ROOT / "benchmarks"
    known = {run.parent.name.replace("_", "-"): run for run in sorted(folder.glob("*/run.py"))}
    if not known:
        raise click.UsageError(
            "the benchmarks are part of a checkout of the project, and this is an installation"
        )
    if name is None:
        wide = max(map(len, known))
        for each, run in known.items():
            click.echo(f"{each:{wide}}  {_title(run)}")
        return
    if name.replace("_", "-") not in known:
        raise click.UsageError(f"no benchmark {name!r} (there are: {', '.join(known)})")
    module = f"benchmarks.{name.replace('-', '_')}.run"
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], env={**os.environ, "PYTHONPATH": path}
    )
    ctx.exit(done.returncode)


def _title(run: Path) -> str:
    """The first line of a benchmark's docstring."""
    return (ast.get_docstring(ast.parse(run.read_text(encoding="utf-8"))) or "").partition("\n")[0]
