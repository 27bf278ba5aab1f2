"""`optsched explain`: why an item is where it is, or cannot be placed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .parameters import Command, option, options
from .parameters import output as output_options
from .wishes import Wishes, wishes

if TYPE_CHECKING:
    from optsched.explain import Explanation
    from optsched.plan import Plan
    from optsched.problem import PlacementProblem

    from .console import Paper


@click.command(
    "explain", cls=Command, short_help="Explain why an item is where it is, or fits nowhere."
)
@click.argument("snapshot", metavar="FILE|-")
@click.argument("item", metavar="ITEM")
@options("What is explained", option("--plan", metavar="FILE", help="Explain the item after it."))
@wishes
@output_options
def command(
    snapshot: str, item: str, plan: str | None, wishes: Wishes, output: str, max_rows: int
) -> None:
    """Explain why an item is where it is, or what keeps it off every host.

    ITEM is its name, for a pod NAMESPACE/NAME, or NAME where that is unique. The reasons hold
    while nothing else moves; what moves can open, solve finds.

    \b
    Example:
      optsched explain cluster.json shop/cart-7d9f-x2x --plan plan.json
    """
    from optsched.explain import explain
    from optsched.options import find

    from .plans import read_plan
    from .watching import watching

    problem = wishes.load(snapshot)
    index = find(problem.items.names, item, "item")
    read = read_plan(problem, plan)[0] if plan is not None else None
    with watching(f"explaining {item}"):
        found = explain(problem, index, read.placement(problem) if read is not None else None)
    if output == "json":
        click.echo(_json(problem, found), nl=False)
        return
    from .console import Paper

    _print(Paper(max_rows), problem, found, read)


def _print(paper: Paper, problem: PlacementProblem, found: Explanation, plan: Plan | None) -> None:
    from optsched.report.summary import needs
    from optsched.report.units import plural, short
    from optsched.report.words import blocker_words, empty_words, relaxation_words

    items, hosts = problem.items, problem.hosts.names
    tier = short(problem.tiers[items.tier[found.item]])
    paper.say(
        f"{short(items.names[found.item])} ({'' if tier.startswith('tier ') else 'tier '}{tier}, "
        f"needs {needs(problem, found.item)})",
        "bold",
    )
    paper.say(_where(problem, found, plan))
    if found.pinned:
        paper.say(f"It may not be moved: {found.pinned}.")
    if found.open:
        some = ", ".join(short(hosts[h]) for h in found.open[:5])
        more = f" and {len(found.open) - 5} more" if len(found.open) > 5 else ""
        paper.say(f"Open to it now: {plural(len(found.open), 'host')} ({some}{more}).")
    else:
        paper.say("No other host is open to it now." if found.host >= 0 else "No host is open.")
    if found.blockers:
        paper.table(
            f"What keeps it off, of {plural(len(hosts), 'host')}",
            ("requirement", "#hosts", "#alone"),
            [(blocker_words(one), one.hosts, one.alone) for one in found.blockers],
        )
    if found.relaxations and not found.pinned:
        paper.say("Smallest ways out:", "bold")
        for way in found.relaxations:
            paper.say(f"  {relaxation_words(problem, way)}")
    paper.say("If hosts were empty:", "bold")
    for kind in found.empty:
        paper.say(f"  {empty_words(problem, found.item, kind)}")
    if found.empty and not any(kind.fits for kind in found.empty):
        paper.say("  It fits no host here, even an empty one.", "red")


def _where(problem: PlacementProblem, found: Explanation, plan: Plan | None) -> str:
    """Where the item is, and what the plan does with it."""
    from optsched.report.units import short

    hosts = problem.hosts.names
    now = f"runs on {short(hosts[found.before])}" if found.before >= 0 else "is pending"
    if plan is None:
        return f"It {now}."
    for number, wave in enumerate(plan.waves, 1):
        for move in wave.moves:
            if move.item == found.item:
                to = f"to {short(hosts[move.target])}" if move.target >= 0 else "off its host"
                room = _made_room(problem, plan, number, move.target)
                return f"It {now}; wave {number} of the plan takes it {to}{room}."
    return f"It {now}, and the plan leaves it so."


def _made_room(problem: PlacementProblem, plan: Plan, wave: int, host: int) -> str:
    """Who leaves the host in earlier waves of the plan."""
    from optsched.report.units import short

    left = [
        short(problem.items.names[move.item])
        for one in plan.waves[: wave - 1]
        for move in one.moves
        if move.source == host and host >= 0
    ]
    return f", after {', '.join(left[:3])} made room" if left else ""


def _json(problem: PlacementProblem, found: Explanation) -> bytes:
    from .documents import answers, encode

    hosts = problem.hosts.names
    return encode(
        answers.Explanation(
            version=1,
            problem=problem.digest(),
            item=problem.items.names[found.item],
            before=hosts[found.before] if found.before >= 0 else None,
            host=hosts[found.host] if found.host >= 0 else None,
            pinned=found.pinned or None,
            open=[hosts[h] for h in found.open],
            blockers=[
                answers.Blocker(
                    kind=one.kind,
                    name=one.name,
                    hosts=one.hosts,
                    alone=one.alone,
                    demand=one.demand if one.demand >= 0 else None,
                    most_free=one.most_free if one.most_free >= 0 else None,
                )
                for one in found.blockers
            ],
            relaxations=[
                answers.Relaxation(
                    without=[answers.Requirement(kind=k, name=name) for k, name in way.blockers],
                    hosts=way.hosts,
                    example=hosts[way.example],
                )
                for way in found.relaxations
            ],
            empty_hosts=[
                answers.EmptyHosts(
                    like=hosts[kind.example],
                    hosts=kind.hosts,
                    eligible=kind.eligible,
                    short=[*kind.short],
                    fits=kind.fits,
                )
                for kind in found.empty
            ],
        )
    )
