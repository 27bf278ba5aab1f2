"""`optsched evaluate`: an agent beside solvers on instances that it never saw."""

from __future__ import annotations

from typing import Any

import click

from .parameters import Command, Duration, option, options, split_names


@click.command("evaluate", cls=Command, short_help="Measure an agent beside solvers.")
@click.argument("agent", metavar="RUN|FILE.onnx", required=False)
@options(
    "What is measured",
    option(
        "--against",
        metavar="NAME[,..]",
        multiple=True,
        default=("fragments-greedy",),
        show_default=True,
        help="Solvers to run beside it.",
    ),
    option(
        "--instances",
        metavar="SPLIT",
        default="heldout",
        show_default=True,
        help="Which seeds: heldout, validation or train.",
    ),
    option("--count", type=click.IntRange(2), default=20, show_default=True, help="Instances."),
    option("--seed", type=click.IntRange(0), default=0, help="Where in the split to begin."),
    option("--pms", type=click.IntRange(1), default=279, show_default=True, help="PMs of each."),
    option("--load", default="high", show_default=True, help="low, middle or high."),
    option("--memory", default="slack", show_default=True, help="slack, tight or mixed."),
    option("--moves", type=click.IntRange(1), default=50, show_default=True, help="Most moves."),
    option("--best-of", type=Duration(), help="Also the best of as many episodes as this allows."),
    option("--time-limit", type=Duration(), default=10.0, help="For solvers; default 10s."),
)
@options(
    "Output",
    option("--plot", metavar="FILE.svg", help="Draw the gaps of every instance."),
    option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Table, or JSON with every instance.",
    ),
)
def command(
    agent: str | None,
    against: tuple[str, ...],
    instances: str,
    count: int,
    seed: int,
    plot: str | None,
    output: str,
    **wishes: Any,
) -> None:
    """Measure an agent, by default the one that ships, beside solvers on the same snapshots.

    The gap is (value - bound) / (value of staying - bound); bounds are the solver `fragments`'.
    Intervals are 95 % of the mean over instances. Nothing helps the agent: no solver, no local
    search, and episodes that fell back to greedy are counted.

    \b
    Examples:
      optsched evaluate runs/first --against fragments-greedy,patterns
      optsched evaluate agent.onnx --best-of 1s --plot gaps.svg
    """
    from optsched.envs.seeds import seeds
    from optsched.report.gaps import svg
    from optsched.snapshot import require_writable, write_atomically
    from optsched.solvers.evaluation import Case, measure, rows

    from .console import Paper
    from .watching import watching

    if plot:
        require_writable(plot)
    own = seeds(instances)[seed : seed + count]
    if len(own) < count:
        raise click.UsageError(f"--seed {seed} is beyond the end of {instances}")
    case = Case(best_of=wishes.pop("best_of"), seconds=wishes.pop("time_limit"), **wishes)
    with watching("measuring") as say:
        found = measure(_file(agent), split_names(against), own, case, say)
    if plot:
        write_atomically(
            plot, svg({arm: [one.gap for one in runs] for arm, runs in found.items()}).encode()
        )
    if output == "json":
        import json

        every = {arm: [vars(one) for one in runs] for arm, runs in found.items()}
        click.echo(json.dumps(every, indent=1))
        return
    head = ["arm", "#mean gap", "#95 %", "#worst", "#ms", "#µs per decision", "#fallbacks"]
    Paper().table(f"{count} instances, {instances}", head, rows(found))


def _file(agent: str | None) -> str | None:
    """The ONNX file of an agent; a run is exported first."""
    import tempfile
    from pathlib import Path

    if agent is None or not Path(agent).is_dir():
        return agent
    from optsched.agents import needed

    needed()
    from optsched.agents.export import export_run

    path = str(Path(tempfile.mkdtemp()) / "agent.onnx")
    export_run(Path(agent), path)
    return path
