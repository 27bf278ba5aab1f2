"""`optsched simulate`: the service in a recorded cluster, or a solver with tasks that arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from optsched import registry

from .parameters import Command, Duration, Instant, first_given, option, options
from .parameters import output as output_options

if TYPE_CHECKING:
    from optsched.k8s.settings import Settings
    from optsched.k8s.simulator.run import Simulation
    from optsched.problem import PlacementProblem
    from optsched.tasks import TaskProblem

    from .online import Ask

USUAL = "colony"  # the solver of windows
TASKS = ("tasks", "wfcommons", "raycloudsim", "eua")  # formats of task problems
ASSUMED = (
    "a snapshot holds no rollouts of owners, grace periods and ages: owners have no rollout under "
    "way and two replicas or more, pods end at once and are a day old"
)
FOR_DUMPS = ("config", "mode", "bench", "now", "max_plans")
FOR_TASKS = (
    "solver", "window", "think", "workers", "objective", "noise", "drift", "failures", "settings",
)  # fmt: skip


@click.command("simulate", cls=Command, short_help="Play a recorded cluster, or tasks that arrive.")
@click.argument("dump", metavar="FILE|-")
@options(
    "The service",
    option("--config", metavar="FILE", help="Its configuration; without it the defaults hold."),
    option(
        "--mode",
        type=click.Choice(["Advisory", "DryRun", "Enforce"]),
        default="Enforce",
        show_default=True,
        help="The mode, whatever the configuration says.",
    ),
    option(
        "--bench",
        is_flag=True,
        help="With the bench profile: no minimum age, grace, cooldown or rate.",
    ),
    option(
        "--now",
        type=Instant(),
        metavar="TIME",
        help="When the service starts (RFC 3339). [default: the newest time in the file]",
    ),
    option(
        "--max-plans",
        type=click.IntRange(1),
        default=20,
        show_default=True,
        metavar="N",
        help="Stop after so many plans.",
    ),
    option(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Of names; for tasks, of what happens and of the solver.",
    ),
    option("--quiet", "-q", is_flag=True, help="No progress on standard error."),
)
@options(
    "Tasks",
    option(
        "--solver",
        metavar="NAME",
        help=f"Plans every window: one of {', '.join(registry.TASK_SOLVERS)}; "
        f"{registry.TASK_RULES}. [default: {USUAL}]",
    ),
    option(
        "--window",
        type=Duration(),
        metavar="DURATION",
        help="Time from one plan to the next. [default: 50ms]",
    ),
    option(
        "--think",
        type=Duration(),
        metavar="DURATION",
        help="Time to find each plan; the clock of the simulation stands still. "
        "[default: the window]",
    ),
    option("--workers", type=click.IntRange(1), metavar="N", help="Threads. [default: 1]"),
    option("--objective", metavar="LEVELS", help="As for solve, such as sla,response,energy."),
    option(
        "--noise",
        type=click.FloatRange(0, 10),
        metavar="X",
        help="Spread of true over estimated work (of its logarithm). [default: 0]",
    ),
    option(
        "--drift",
        type=click.FloatRange(0, 10),
        metavar="X",
        help="The same of bandwidths, which wander. [default: 0]",
    ),
    option(
        "--failures",
        type=click.FloatRange(0, 1e5),
        metavar="N",
        help="Of each node in an hour. [default: 0]",
    ),
    option(
        "--set",
        "settings",
        metavar="NAME=VALUE",
        multiple=True,
        help="A setting of the format's reader, such as first=500. Repeatable.",
    ),
)
@output_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    dump: str,
    config: str | None,
    mode: str,
    bench: bool,
    now: str | None,
    max_plans: int,
    seed: int,
    quiet: bool,
    output: str,
    max_rows: int,
    **tasks: Any,
) -> None:
    """Play what would happen: the service in a cluster, or a solver while tasks arrive.

    A dump of kubectl, or a snapshot of a cluster (optsched convert), goes through the whole planner
    and executor, without a cluster. What a snapshot does not hold is assumed, and told.

    An API server, controllers, kubelets and a scheduler are played in this process, by a clock that
    jumps; the planner, the executor, the extender's guard and all limits are the real ones. Young
    pods are not moved: give a later --now, or --bench, to see what would be done without that.

    A file of tasks is played by events: in every window the solver plans what waits, and what is
    near is done; a table on the terminal shows it. Ctrl-C once ends the run and tells how far it
    came.

    \b
    Example: tasks, planned every 50 ms
      optsched generate tasks --nodes 16 --count 500 -o tasks.json
      optsched simulate tasks.json --solver greedy:eft --window 50ms --noise 0.2
    Example: a cluster
      kubectl get nodes,pods,namespaces,poddisruptionbudgets,priorityclasses,deployments,\\
    replicasets,statefulsets,daemonsets,jobs,persistentvolumes,persistentvolumeclaims,\\
    storageclasses,csinodes -A -o json > cluster.json
      optsched simulate cluster.json --bench
    """
    from optsched.formats.detect import content

    data = content(dump)
    problem = _tasks(ctx, data, dump, tasks)
    if problem is not None:
        from .online import simulate_tasks

        simulate_tasks(problem, _asked(tasks, seed, quiet, output, max_rows))
        return
    items, assumed = _items(data, dump)
    found = _play(items, config, mode, bench, quiet, now=now, seed=seed, most_plans=max_plans)
    if output == "json":
        click.echo(_json(found, assumed), nl=False)
    else:
        _print(found, assumed, max_rows)


def _play(
    items: list[dict[str, Any]],
    config: str | None,
    mode: str,
    bench: bool,
    quiet: bool,
    *,
    now: str | None,
    **wishes: int,
) -> Simulation:
    """The service in the cluster of these objects."""
    import asyncio
    import logging

    from .serve import check_installation

    check_installation()
    from optsched.k8s.simulator.run import simulate

    settings = _settings(config, mode, bench)
    told = (lambda text: None) if quiet else (lambda text: click.echo(text, err=True))
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)  # a service's log would stand between the lines for a person
    try:
        return asyncio.run(simulate(items, settings, now=_millis(now), on_progress=told, **wishes))
    finally:
        logging.disable(before)


def _tasks(ctx: click.Context, data: bytes, path: str, asked: dict[str, Any]) -> TaskProblem | None:
    """The problem of a file of tasks; None: it is of a cluster, and no option is for tasks.

    Raises
    ------
    click.UsageError
        An option is for the other kind of file.
    """
    from optsched.errors import InputError
    from optsched.formats.detect import HEAD, detect, understand
    from optsched.tasks import Objective, TaskProblem

    from .wishes import setting

    try:
        known = detect(data[:HEAD], path).name
    except InputError:
        known = ""  # what is wrong with it, the reader of dumps says
    if known not in TASKS:
        if (given := first_given(ctx, FOR_TASKS)) is not None:
            raise click.UsageError(f"--{given} is for tasks; the file holds none")
        return None
    if (given := first_given(ctx, FOR_DUMPS)) is not None:
        raise click.UsageError(f"--{given} is for clusters; the file holds tasks")
    problem = understand(data, path, known, **dict(map(setting, asked["settings"])))
    assert isinstance(problem, TaskProblem)
    if asked["objective"] is not None:
        problem = problem.replace(objective=Objective.parse(asked["objective"]))
    return problem


def _asked(tasks: dict[str, Any], seed: int, quiet: bool, output: str, max_rows: int) -> Ask:
    from optsched.simulate import Knobs

    from .online import Ask

    world: dict[str, Any] = {n: tasks[n] or 0.0 for n in ("noise", "drift", "failures")}
    window = 0.05 if tasks["window"] is None else tasks["window"]
    return Ask(
        solver=tasks["solver"] or USUAL,
        window=window,
        think=window if tasks["think"] is None else tasks["think"],
        workers=tasks["workers"] or 1,
        seed=seed,
        knobs=Knobs(**world),
        quiet=quiet,
        output=output,
        max_rows=max_rows,
    )


def _items(data: bytes, path: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The objects of a dump or a snapshot, and in sentences what was assumed to have them."""
    import msgspec

    from optsched.errors import FormatError
    from optsched.formats.detect import HEAD
    from optsched.formats.kubectl import parse
    from optsched.snapshot import SnapshotFormat

    if (snapshot := SnapshotFormat()).sniff(data[:HEAD], path):
        return _raised(snapshot.read(data, path), path)
    cluster = parse(data)
    if not cluster.nodes and not cluster.pods:
        raise FormatError(
            "there are neither nodes nor pods; make it with kubectl get nodes,pods,... -A -o json"
        )
    document = msgspec.json.decode(data)
    rows = document.get("items")
    return (list(rows) if isinstance(rows, list) else [document]), []


def _raised(problem: PlacementProblem, path: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Objects that a snapshot could have come from."""
    from optsched.errors import FormatError
    from optsched.kube import objects_of
    from optsched.kube.warn import Warnings

    warnings = Warnings()
    try:
        objects = objects_of(problem, warnings)
    except FormatError as error:
        raise FormatError(f"{path}: no snapshot of a cluster: {error}") from error
    return objects, [ASSUMED, *warnings.sentences()]


def _settings(config: str | None, mode: str, bench: bool) -> Settings:
    import os

    from optsched.k8s.configuration import load

    wanted = {"OPTSCHED_CONFIG_MODE": mode}
    if bench:
        wanted["OPTSCHED_CONFIG_PROFILE"] = "Bench"
    return load(config, {**os.environ, **wanted})


def _millis(now: str | None) -> int | None:
    from datetime import datetime

    return int(datetime.fromisoformat(now).timestamp() * 1000) if now is not None else None


def _print(found: Simulation, assumed: list[str], max_rows: int) -> None:
    from optsched.report.units import plural

    from .console import Paper

    paper = Paper(max_rows)
    for sentence in assumed:
        paper.say(f"Assumed: {sentence}.")
    paper.say(
        f"{plural(len(found.before), 'pod')} pending before, {len(found.after)} after; "
        f"{plural(found.ran[0], 'pod')} running before, {found.ran[1]} after. "
        f"{plural(found.evictions, 'eviction')} in {found.seconds:.0f} s of the cluster's time.",
        "bold",
    )
    if found.violations:
        paper.say(f"Disruption budgets violated: {'; '.join(found.violations)}", "bold red")
    if found.lost:
        paper.say(f"Evicted and not made anew yet: {', '.join(found.lost)}", "bold red")
    for plan in found.plans:
        reason = f": {plan.status.reason}" if plan.status.reason else ""
        paper.say()
        paper.say(f"{plan.metadata.name} {plan.spec.summary}. {plan.phase.value}{reason}", "bold")
        paper.table("", ("pod", "from", "to", "wave", "became"), _rows(plan))
    told = [(one.pod, one.reason, one.note) for one in found.events if one.reason != "Evicting"]
    if told:
        paper.table("What kubectl describe pod would say", ("pod", "reason", "note"), told)


def _rows(plan: Any) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for move in plan.spec.moves:
        status = plan.status.moves.get(move.uid)
        became = f"{status.phase.value} {status.node}".strip() if status else "-"
        pod = f"{move.namespace}/{move.name}"
        rows.append((pod, move.source, move.target, move.wave + 1, became))
    for one in plan.spec.placements:
        node = plan.status.placed.get(one.uid)
        became = f"Placed {node}" if node else "-"
        rows.append((f"{one.namespace}/{one.name}", "", one.node, one.wave + 1, became))
    return rows


def _json(found: Simulation, assumed: list[str]) -> bytes:
    import msgspec

    from .documents import encode
    from .documents.service import PlayedPlan, PodEvent, SimulationDocument, Status

    return encode(
        SimulationDocument(
            version=1,
            pending_before=[*found.before],
            pending_after=[*found.after],
            running_before=found.ran[0],
            running_after=found.ran[1],
            evictions=found.evictions,
            budget_violations=[*found.violations],
            seconds=found.seconds,
            assumed=assumed,
            plans=[
                PlayedPlan(
                    name=plan.metadata.name,
                    spec=plan.spec,
                    status=msgspec.convert(plan.status, Status, from_attributes=True),
                )
                for plan in found.plans
            ],
            events=[
                PodEvent(pod=one.pod, reason=one.reason, note=one.note) for one in found.events
            ],
        )
    )
