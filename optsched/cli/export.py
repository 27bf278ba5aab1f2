"""`optsched export`: a run's best weights as a file that solve can use."""

from __future__ import annotations

from pathlib import Path

import click

from .parameters import Command


@click.command("export", cls=Command, short_help="Write a trained agent as ONNX.")
@click.argument("run", metavar="RUN")
@click.argument("file", metavar="FILE.onnx")
def command(run: str, file: str) -> None:
    """Write the weights of a run that validated best as an ONNX file. Serving it needs no torch.

    \b
    Example:
      optsched export runs/first agent.onnx
      optsched solve vms.json --solver policy:agent.onnx --time-limit 100ms
    Example: an agent for tasks, whose belief also guides the ants of the hybrid
      optsched export runs/tasks agent.onnx
      optsched solve tasks.json --solver hybrid:agent.onnx
    """
    from optsched.agents import needed
    from optsched.snapshot import require_writable

    require_writable(file)
    needed()
    from optsched.agents.export import export_run

    about = export_run(Path(run), file)
    click.echo(f"{file}: {about['environment']}, gap on validation {about['gap']:.2%}")
