"""The command line: one module per command, loaded when it is used.

Nothing heavy is imported here or at the top of a command's module, so that `--help` answers at
once.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from optsched import __version__
from optsched.errors import OptschedError

from .exits import EPILOG, Exit

COMMANDS = (
    "solve",
    "check",
    "explain",
    "compare",
    "report",
    "convert",
    "generate",
    "train",
    "evaluate",
    "export",
    "bench",
    "serve",
    "simulate",
    "doctor",
)


class Failure(click.ClickException):
    """One sentence on standard error, and the exit code for bad input."""

    exit_code = Exit.USAGE


class House(click.Group):
    """The group of all commands; every error that optsched raises on purpose ends here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which they are met."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command by name, its module loaded now."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__name__}.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of exit codes, line by line."""
        formatter.write("\n" + EPILOG)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn errors into one sentence and an exit code."""
        try:
            answer = super().invoke(ctx)
            sys.stdout.flush()
            return answer
        except OptschedError as error:
            raise Failure(_one_line(error)) from error
        except OSError as error:
            return _unwritten(ctx, error)
        except MemoryError as error:
            raise Failure("not enough memory for this problem") from error
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(Exit.INTERRUPTED)


def _unwritten(ctx: click.Context, error: OSError) -> NoReturn:
    """Standard output takes no more: its reader has gone, or there is no room."""
    # What Python still holds for it would fail once more when the process ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        ctx.exit(Exit.CLOSED)
    raise Failure(f"the answer cannot be written: {error.strerror or error}") from error


def _one_line(error: OptschedError) -> str:
    """The message with nothing in it that a terminal would obey."""
    text = str(error)
    if text.startswith("-: "):
        text = f"standard input{text[1:]}"
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:2000]


@click.group(
    cls=House,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "OPTSCHED",
        "max_content_width": 100,
    },
)
@click.version_option(__version__, "-V", "--version", message="optsched %(version)s")
def group() -> None:
    """Decide where things run: a plan of safe moves, with a proof of how good it is.

    \b
    Solve a snapshot of a cluster in which something is pending:
      kubectl get nodes,pods,namespaces,poddisruptionbudgets,priorityclasses,\\
    runtimeclasses,deployments,replicasets,statefulsets,daemonsets,jobs,\\
    persistentvolumes,persistentvolumeclaims,storageclasses,csinodes \\
        -A -o json | optsched solve -

    Every option is also an environment variable: --time-limit of solve is
    OPTSCHED_SOLVE_TIME_LIMIT.
    """


def _stand_in() -> None:
    """Something in place of standard streams that are closed, so that no file takes their numbers.

    What is asked of standard input or output then fails, in a sentence; what is told is dropped.
    """
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_WRONLY))
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def main() -> NoReturn:
    """The console script."""
    _stand_in()
    # A terminal or a pipe that cannot show a name shows a ? in its place.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    group(prog_name="optsched")
    raise SystemExit(Exit.OK)  # not reached: click leaves by itself
