"""`optsched doctor`: what is wrong with a cluster or a scheduler configuration, and the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .parameters import TEXT_OR_JSON, Command, option, options

if TYPE_CHECKING:
    from optsched.k8s.doctor import Finding

MARKS = {"ok": ("+", "green"), "note": ("!", "yellow"), "wrong": ("-", "red")}


@click.command("doctor", cls=Command, short_help="Check a cluster and a scheduler's configuration.")
@options(
    "What is looked at",
    option("--config", metavar="FILE", help="The service's configuration. [default: the defaults]"),
    option(
        "--scheduler-config",
        metavar="FILE",
        help="The KubeSchedulerConfiguration of the scheduler that is to ask the extender.",
    ),
    option("--no-cluster", is_flag=True, help="Do not ask the API server."),
)
@options("Output", TEXT_OR_JSON)
@click.pass_context
def command(
    ctx: click.Context,
    config: str | None,
    scheduler_config: str | None,
    no_cluster: bool,
    output: str,
) -> None:
    """Say what keeps the service from working, and print what mends it. Nothing is changed.

    The cluster is that of the configuration's client section, else that of kubectl. Exit code 5
    says that something is wrong.

    \b
    Example:
      optsched doctor --config optsched.yaml --scheduler-config scheduler.yaml
    """
    import asyncio

    from .exits import Exit
    from .serve import check_installation

    check_installation()
    from optsched.k8s.configuration import load
    from optsched.k8s.doctor import examine

    settings = load(config)
    found = asyncio.run(examine(settings, scheduler_config, cluster=not no_cluster))
    if output == "json":
        from .documents import encode
        from .documents.service import Examination, FindingTold

        rows = [
            FindingTold(verdict=one.verdict, what=one.what, remedy=one.remedy or None)
            for one in found
        ]
        click.echo(encode(Examination(version=1, findings=rows)), nl=False)
    else:
        _print(found)
    wrong = any(one.verdict == "wrong" for one in found)
    ctx.exit(Exit.REFUSED if wrong else Exit.OK)


def _print(found: list[Finding]) -> None:
    from .console import Paper

    paper = Paper()
    told: set[str] = set()
    for one in found:
        mark, style = MARKS[one.verdict]
        paper.say(f"[{mark}] {one.what}", style)
        if one.remedy and one.remedy not in told:  # the same snippet mends several things
            told.add(one.remedy)
            paper.say("    " + one.remedy.replace("\n", "\n    "))
