"""`optsched simulate`: what the service would do with a cluster, without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .parameters import Command, Instant, option, options
from .parameters import output as output_options

if TYPE_CHECKING:
    from optsched.k8s.settings import Settings
    from optsched.k8s.simulator.run import Simulation


@click.command(
    "simulate", cls=Command, short_help="Show what the service would do with a recorded cluster."
)
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
    option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of names."),
    option("--quiet", "-q", is_flag=True, help="No progress on standard error."),
)
@output_options
def command(
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
) -> None:
    """Take a dump of kubectl through the whole planner and executor, without a cluster.

    An API server, controllers, kubelets and a scheduler are played in this process, by a clock that
    jumps; the planner, the executor, the extender's guard and all limits are the real ones. Young
    pods are not moved: give a later --now, or --bench, to see what would be done without that.

    \b
    Example:
      kubectl get nodes,pods,namespaces,poddisruptionbudgets,priorityclasses,deployments,\\
    replicasets,statefulsets,daemonsets,jobs,persistentvolumes,persistentvolumeclaims,\\
    storageclasses,csinodes -A -o json > cluster.json
      optsched simulate cluster.json --bench
    """
    import asyncio
    import logging

    from .serve import check_installation

    check_installation()
    from optsched.k8s.simulator.run import simulate

    logging.disable(logging.ERROR)
    items = _items(dump)
    settings = _settings(config, mode, bench)
    told = (lambda text: None) if quiet else (lambda text: click.echo(text, err=True))
    found = asyncio.run(
        simulate(
            items,
            settings,
            now=_millis(now),
            seed=seed,
            most_plans=max_plans,
            on_progress=told,
        )
    )
    if output == "json":
        click.echo(_json(found), nl=False)
    else:
        _print(found, max_rows)


def _items(path: str) -> list[dict[str, Any]]:
    """The objects of the file, which is read as the rest of optsched reads it first."""
    import msgspec

    from optsched.errors import FormatError
    from optsched.formats.kubectl import parse
    from optsched.snapshot.files import read_bytes

    data = read_bytes(path)
    cluster = parse(data)
    if not cluster.nodes and not cluster.pods:
        raise FormatError(
            "there are neither nodes nor pods; make it with kubectl get nodes,pods,... -A -o json"
        )
    document = msgspec.json.decode(data)
    rows = document.get("items")
    return list(rows) if isinstance(rows, list) else [document]


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


def _print(found: Simulation, max_rows: int) -> None:
    from optsched.report.units import plural

    from .console import Paper

    paper = Paper(max_rows)
    paper.say(
        f"{plural(len(found.before), 'pod')} pending before, {len(found.after)} after; "
        f"{plural(found.ran[0], 'pod')} running before, {found.ran[1]} after. "
        f"{plural(found.evictions, 'eviction')} in {found.seconds:.0f} s of the cluster's time.",
        "bold",
    )
    if found.violations:
        paper.say(f"Disruption budgets violated: {'; '.join(found.violations)}", "bold red")
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


def _json(found: Simulation) -> bytes:
    import msgspec

    from .documents import encode

    return encode(
        "optsched/simulation",
        pending_before=list(found.before),
        pending_after=list(found.after),
        running_before=found.ran[0],
        running_after=found.ran[1],
        evictions=found.evictions,
        budget_violations=list(found.violations),
        seconds=found.seconds,
        plans=[
            {
                "name": plan.metadata.name,
                "spec": msgspec.to_builtins(plan.spec),
                "status": {"phase": plan.phase.value, **msgspec.to_builtins(plan.status)},
            }
            for plan in found.plans
        ],
        events=[{"pod": one.pod, "reason": one.reason, "note": one.note} for one in found.events],
    )
