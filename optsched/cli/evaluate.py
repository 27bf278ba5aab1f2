"""`optsched evaluate`: an agent beside solvers on instances that it never saw."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from .parameters import Command, Duration, first_given, option, options, split_names

#: Where the agents of a problem are measured: how instances are drawn, arms run and rows told.
MEASURES = {
    "vm-rescheduling": "optsched.solvers.evaluation",
    "pod-packing": "optsched.solvers.pod_evaluation",
    "task-placement": "optsched.solvers.scheduling.measuring",
}


@click.command("evaluate", cls=Command, short_help="Measure an agent beside solvers.")
@click.argument("agent", metavar="[RUN|FILE.onnx]", required=False)
@options(
    "What is measured",
    option(
        "--problem",
        type=click.Choice(list(MEASURES)),
        help="Whose shipped agent, where none is named; default vm-rescheduling.",
    ),
    option(
        "--against",
        metavar="NAME[,..]",
        multiple=True,
        help="Solvers beside it, default fragments-greedy; of pods also rules, which are the "
        "default; of tasks default greedy and three of its rules.",
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
    option(
        "--nodes",
        type=click.IntRange(1),
        default=8,
        show_default=True,
        help="Most nodes, of pods and tasks.",
    ),
    option("--load", help="Of VMs low, middle or high (default); of tasks a number, default 0.8."),
    option("--best-of", type=Duration(), help="Also the best of as many episodes as this allows."),
    option("--time-limit", type=Duration(), default=10.0, help="For solvers; default 10s."),
)
@options(
    "Virtual machines",
    option("--pms", type=click.IntRange(1), default=279, show_default=True, help="PMs of each."),
    option("--memory", default="slack", show_default=True, help="slack, tight or mixed."),
    option("--moves", type=click.IntRange(1), default=50, show_default=True, help="Most moves."),
)
@options(
    "Pods",
    option("--ppn", type=click.IntRange(1), default=None, help="Pods per node; default: drawn."),
    option("--tiers", type=click.IntRange(1), default=None, help="Of pods; default: drawn."),
    option("--usage", type=click.IntRange(1), default=None, help="In percent; default: drawn."),
)
@options(
    "Tasks",
    option("--tasks", type=click.IntRange(1), default=60, show_default=True, help="Tasks of each."),
    option("--burst", is_flag=True, help="Tasks come in rushes."),
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
@click.pass_context
def command(
    ctx: click.Context,
    /,
    agent: str | None,
    problem: str | None,
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

    Agents of pod packing bind pods in the order in which they arrive. What counts is pods placed
    per tier, the highest first; the default scheduler's rule and best fit stand beside it. Solvers
    may too, but they know all pods beforehand.

    Agents of task placement send tasks as they come. The weighted sum of response, energy and
    lateness is told over that of EFT (earliest finish time): below 1 it is better.

    \b
    Examples:
      optsched evaluate runs/first --against fragments-greedy,patterns
      optsched evaluate agent.onnx --best-of 1s --plot gaps.svg
      optsched evaluate --problem pod-packing --count 200
      optsched evaluate --problem task-placement --nodes 16 --load 1.1 --burst
    """
    from optsched.envs.seeds import seeds
    from optsched.snapshot import require_writable

    if plot:
        require_writable(plot)
    own = seeds(instances)[seed : seed + count]
    if len(own) < count:
        raise click.UsageError(f"--seed {seed} is beyond the end of {instances}")
    file = _file(ctx, agent)
    kind = _kind(file, problem)
    if problem not in (None, kind):
        raise click.UsageError(f"{agent!r} is an agent for {kind}; leave out --problem")
    problem = kind
    takes = import_module(MEASURES[problem]).TAKES
    if (given := first_given(ctx, [name for name in wishes if name not in takes])) is not None:
        raise click.UsageError(f"--{given} means nothing for {problem}")
    found = _measure(problem, file, split_names(against), own, wishes, plot)
    if output == "json":
        from .documents import encode
        from .documents.answers import Evaluation

        every = {arm: [vars(one) for one in runs] for arm, runs in found.items()}
        document = Evaluation(version=1, agent_of=problem, split=instances, arms=every)
        click.echo(encode(document), nl=False)
    else:
        from .console import Paper

        measure = import_module(MEASURES[problem])
        Paper().table(f"{count} instances, {instances}", measure.HEAD, measure.rows(found))


def _measure(
    problem: str,
    file: str | None,
    names: tuple[str, ...],
    own: range,
    wishes: dict[str, Any],
    plot: str | None,
) -> dict[str, list[Any]]:
    """What every arm did on every instance; drawn where that is wanted."""
    from optsched.api import usable_cores
    from optsched.report.gaps import svg
    from optsched.snapshot import write_atomically

    from .watching import watching

    measure = import_module(MEASURES[problem])
    case = measure.Case.of({**wishes, "workers": usable_cores()})
    left_out: list[str] = []
    with watching("measuring") as say:
        found: dict[str, list[Any]] = measure.measure(
            file, names or measure.USUAL, own, case, say, left_out.append
        )
    for told in left_out:
        click.echo(f"left out: {told}", err=True)
    if plot:
        drawn = {arm: [one.drawn for one in runs] for arm, runs in found.items()}
        write_atomically(plot, svg(drawn).encode())
    return found


def _kind(file: str | None, problem: str | None) -> str:
    """The problem that an agent is for; files of before do not say it, and are of VMs."""
    from pathlib import Path

    from optsched.agents import PROBLEMS
    from optsched.solvers.agent_file import environment_of

    usual = next(iter(MEASURES))
    if file is None:
        return problem or usual
    told = environment_of(Path(file))
    return next((name for name, known in PROBLEMS.items() if known.environment == told), usual)


def _file(ctx: click.Context, agent: str | None) -> str | None:
    """The ONNX file of an agent; a run is exported first, and its file does not outlast `ctx`."""
    import tempfile
    from pathlib import Path

    if agent is None or not Path(agent).is_dir():
        return agent
    from optsched.agents import needed

    needed()
    from optsched.agents.export import export_run

    folder = ctx.with_resource(tempfile.TemporaryDirectory())
    path = str(Path(folder) / "agent.onnx")
    export_run(Path(agent), path)
    return path
