"""`optsched generate`: seeded instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .parameters import Command, option, options

if TYPE_CHECKING:
    from optsched.problem import PlacementProblem


def _writable(ctx: click.Context, param: click.Parameter, out: str) -> str:
    """The file, if it can be written: what is drawn may take minutes."""
    from optsched.snapshot import require_writable

    del ctx, param
    require_writable(out)
    return out


_out = options(
    "Output",
    option(
        "-o",
        "--out",
        metavar="FILE",
        default="-",
        show_default=True,
        callback=_writable,
        help="Where to write it; - is standard output, .gz packs it.",
    ),
    option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draw."),
)


@click.group("generate", short_help="Generate seeded instances.")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Generate seeded instances; the same seed gives the same file on any machine.

    \b
    Example:
      optsched generate paper --nodes 8 --usage 105 --seed 3 | optsched solve -
    """
    from .watching import watching

    ctx.with_resource(watching("generating"))


@command.command("demo", cls=Command)
@_out
def demo(out: str, seed: int) -> None:
    """What kubectl prints for a made-up web shop on 16 nodes, some of its pods pending.

    \b
    Example:
      optsched generate demo --seed 3 | optsched solve -
    """
    from optsched.generate.demo import dump
    from optsched.snapshot import write_atomically

    write_atomically(out, dump(seed))


@command.command("paper", cls=Command)
@options(
    "Size",
    option("--nodes", type=click.IntRange(1), default=8, show_default=True, help="Nodes."),
    option(
        "--pods-per-node", type=click.IntRange(1), default=4, show_default=True, help="On average."
    ),
    option("--priorities", type=click.IntRange(1), default=2, show_default=True, help="Tiers."),
    option(
        "--usage",
        type=click.IntRange(1),
        default=100,
        show_default=True,
        metavar="PERCENT",
        help="Requests of all pods over all nodes.",
    ),
)
@_out
def paper(nodes: int, pods_per_node: int, priorities: int, usage: int, out: str, seed: int) -> None:
    """An instance of the pod packing paper (arXiv 2511.08373), every pod pending.

    \b
    Example:
      optsched generate paper --nodes 32 --pods-per-node 8 --usage 105 -o paper.json.gz
    """
    from optsched.generate.paper import instance, problem

    _write(out, problem(instance(seed, nodes, pods_per_node, priorities, usage)))


@command.command("cluster", cls=Command)
@options(
    "Size",
    option("--nodes", type=click.IntRange(1), default=50, show_default=True, help="Nodes."),
    option(
        "--pods-per-node", type=click.IntRange(1), default=20, show_default=True, help="On average."
    ),
    option(
        "--pending",
        type=click.IntRange(0),
        metavar="N",
        help="Pods without a node. [default: one for 25 nodes]",
    ),
    option(
        "--usage",
        type=click.IntRange(1),
        default=90,
        show_default=True,
        metavar="PERCENT",
        help="CPU that running pods ask for, of all nodes.",
    ),
    option("--tiers", type=click.IntRange(1), default=3, show_default=True, help="Tiers."),
    option("--zones", type=click.IntRange(1), default=3, show_default=True, help="Zones."),
)
@_out
def cluster(out: str, seed: int, **sizes: Any) -> None:
    """A cluster with owners, zones, budgets and limits, some of its pods pending.

    \b
    Example:
      optsched generate cluster --nodes 1000 --pending 40 -o cluster.json.gz
    """
    from optsched.generate.cluster import cluster as draw

    _write(out, draw(seed, **sizes))


@command.command("known-optimum", cls=Command)
@options(
    "Size",
    option("--hosts", type=click.IntRange(1), default=8, show_default=True, help="Hosts."),
    option("--items-per-host", type=click.IntRange(2), default=6, show_default=True, help="Items."),
    option(
        "--moves",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="Moves that placing everything needs.",
    ),
    option("--tiers", type=click.IntRange(1), default=2, show_default=True, help="Tiers."),
)
@_out
def known_optimum(out: str, seed: int, **sizes: int) -> None:
    """An instance whose best plan is known: it places everything, with so many moves.

    \b
    Example:
      optsched generate known-optimum --hosts 20 --moves 5 | optsched solve -
    """
    from optsched.generate.known_optimum import known_optimum as draw

    _write(out, draw(seed, **sizes).problem)


@command.command("vm", cls=Command)
@options(
    "Size",
    option(
        "--pms", type=click.IntRange(1), default=279, show_default=True, help="Physical machines."
    ),
    option(
        "--load",
        type=click.Choice(["low", "middle", "high"]),
        default="high",
        show_default=True,
        help="70, 80 or 90.7 % of the cores in use.",
    ),
    option(
        "--usage",
        type=click.FloatRange(0, 100),
        metavar="PERCENT",
        help="Cores in use, in place of --load.",
    ),
    option(
        "--free-cores",
        type=click.IntRange(0),
        metavar="N",
        help="Insert VMs until no more cores are free, in place of --load and --usage.",
    ),
    option(
        "--memory",
        type=click.Choice(["slack", "tight", "mixed"]),
        default="slack",
        show_default=True,
        help="2 GiB per core, 4, or 1 to 8 from VM to VM.",
    ),
    option(
        "--drop",
        type=click.FloatRange(0, 100),
        metavar="PERCENT",
        help="VMs of the base that leave. [default: as the published calibration]",
    ),
    option("--no-refill", is_flag=True, help="Only delete VMs; do not insert new ones up to load."),
    option(
        "--apart",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="N",
        help="Anti-affinity groups of two to four VMs.",
    ),
    option("--base", metavar="FILE", help="Start from this VM snapshot, not from a drawn one."),
    option(
        "--known-gains",
        type=click.IntRange(0),
        metavar="N",
        help="Make an instance in which N blocks can be gained, by one move each.",
    ),
    option(
        "--moves-per-gain",
        type=click.IntRange(1, 3),
        default=1,
        show_default=True,
        metavar="N",
        help="With --known-gains: moves that each block takes.",
    ),
    option("--moves", type=click.IntRange(0), metavar="N", help="Limit of moves in the snapshot."),
)
@_out
def vm(
    out: str,
    seed: int,
    pms: int,
    usage: float | None,
    free_cores: int | None,
    drop: float | None,
    no_refill: bool,
    base: str | None,
    known_gains: int | None,
    moves_per_gain: int,
    moves: int | None,
    **rest: Any,
) -> None:
    """Virtual machines on physical machines with two NUMA nodes, their free cores in fragments.

    \b
    Example: as many PMs and VMs as the published Medium data set, a rate of about .55
      optsched generate vm --seed 3 | optsched solve - --moves 50
    Example: from a real snapshot
      optsched generate vm --base reset_vm_pm_id_clear2.json --drop 25.5 --free-cores 2290
    Example: the optimum of 8 moves is 8 blocks more
      optsched generate vm --known-gains 12 --pms 20 --moves 8 | optsched solve -
    """
    _no_more_than(base, known_gains, free_cores)
    if known_gains is not None:
        from optsched.generate.known_fragments import known_fragments

        limit = known_gains * moves_per_gain if moves is None else moves
        known = known_fragments(seed, pms=pms, gains=known_gains, moves=limit, each=moves_per_gain)
        _write(out, known.problem)
        return
    from optsched.generate.vm import snapshot

    from .wishes import read_placement

    drawn = snapshot(
        seed,
        pms=pms,
        usage=None if usage is None else usage / 100,
        free=free_cores,
        drop=None if drop is None else drop / 100,
        refill=not no_refill,
        base=None if base is None else read_placement(base),
        **rest,
    )
    for one in drawn.warnings:
        click.echo(f"warning: {one}", err=True)
    _write(out, drawn if moves is None else drawn.replace(max_moves=moves))


def _no_more_than(base: str | None, known_gains: int | None, free_cores: int | None) -> None:
    """Refuse options that say what something else says already."""
    said = {
        "--base": base and ("pms", "memory"),
        "--known-gains": known_gains is not None
        and ("load", "usage", "free_cores", "memory", "drop", "no_refill", "apart", "base"),
        "a snapshot without --known-gains": known_gains is None and ("moves_per_gain",),
        "--free-cores": free_cores is not None and ("load", "usage", "no_refill"),
    }
    context = click.get_current_context()
    for chosen, others in said.items():
        for name in others or ():
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                other = "--" + name.replace("_", "-")
                raise click.UsageError(f"{other} means nothing with {chosen}; leave out one")


@command.command("tasks", cls=Command)
@options(
    "Size",
    option("--nodes", type=click.IntRange(3), default=8, show_default=True, help="Nodes."),
    option("--count", type=click.IntRange(1), default=200, show_default=True, help="Tasks."),
    option(
        "--load",
        type=click.FloatRange(0, 100, min_open=True, max_open=True),
        default=0.8,
        show_default=True,
        help="Work that arrives over what all nodes could do in that time.",
    ),
    option("--burst", is_flag=True, help="Tasks arrive in rushes."),
    option("--turns", is_flag=True, help="Inputs take turns on the links of devices and cloud."),
    option(
        "--sleeping",
        type=click.FloatRange(0, 1),
        default=0.25,
        show_default=True,
        help="Share of the nodes that are off at first.",
    ),
)
@_out
def tasks(out: str, **wishes: Any) -> None:
    """Tasks of devices for edge, fog and cloud nodes, with deadlines, energy and links.

    \b
    Example:
      optsched generate tasks --nodes 8 --count 20 --load 1.1 | optsched solve -
    """
    from optsched.generate.tasks import tasks as draw
    from optsched.snapshot import write_atomically
    from optsched.snapshot.task_files import encode_tasks

    write_atomically(out, encode_tasks(draw(**wishes)))


def _write(out: str, drawn: PlacementProblem) -> None:
    from optsched.snapshot import encode_snapshot, write_atomically

    write_atomically(out, encode_snapshot(drawn))
