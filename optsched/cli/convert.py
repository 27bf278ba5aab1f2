"""`optsched convert`: one file format to another."""

from __future__ import annotations

import click

from .parameters import Command, option, options
from .wishes import Wishes, wishes


def _list_formats(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print what can be read and written, and end."""
    if not wanted or ctx.resilient_parsing:
        return
    from optsched.formats import formats

    known = formats().values()
    wide = max(len(one.name) for one in known)
    for one in known:
        ways = "read, write" if hasattr(one, "write") else "read"
        click.echo(f"{one.name:{wide}}  {one.describes} ({ways})")
    ctx.exit()


@click.command("convert", cls=Command, short_help="Convert a file to another format.")
@click.argument("source", metavar="IN|-")
@click.argument("target", metavar="OUT|-")
@options(
    "Output",
    option(
        "--to",
        metavar="FORMAT",
        help="The format to write. [default: snapshot; tasks for tasks]",
    ),
    option(
        "--formats",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_list_formats,
        help="List the formats that can be read and written, and exit.",
    ),
)
@wishes
def command(source: str, target: str, to: str | None, wishes: Wishes) -> None:
    """Convert a file to another format, by default to one of our own; .gz packs it.

    Options that change the problem are written into the file. A snapshot holds what the rules
    need, and no annotations, environment variables or images.

    \b
    Example: a dump that others may see, and solve just as well
      optsched convert cluster.json cluster.snapshot.json.gz
    Example: a recorded workflow as tasks
      optsched convert montage.json tasks.json
    """
    from optsched import registry
    from optsched.errors import UnsupportedError
    from optsched.snapshot import require_writable, write_atomically
    from optsched.tasks import TaskProblem

    from .watching import watching

    chosen = registry.find(registry.FORMATS, to, "format")() if to is not None else None
    if chosen is not None and not hasattr(chosen, "write"):
        raise UnsupportedError(f"the format {to!r} can be read but not written; use snapshot")
    require_writable(target)
    problem = wishes.load_any(source)
    if chosen is None:
        own = "tasks" if isinstance(problem, TaskProblem) else "snapshot"
        chosen = registry.find(registry.FORMATS, own, "format")()
    with watching(f"writing {target}"):
        write_atomically(target, chosen.write(problem))
