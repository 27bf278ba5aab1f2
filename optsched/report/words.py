"""Reasons in words: what `explain` found, as sentences for a terminal and a page."""

from __future__ import annotations

from collections.abc import Sequence

from optsched.explain import Blocker, EmptyFit, Relaxation
from optsched.problem import PlacementProblem

from .units import amount, plural, short

MOST_BLOCKERS = 4


def blocker_words(one: Blocker) -> str:
    """What a blocker is, without counting hosts: "cpu (needs 2, at most 1.5 free)"."""
    if one.kind == "resource":
        if one.most_free < 0:
            return f"{one.name} (needs {amount(one.name, one.demand)})"
        return (
            f"{one.name} (needs {amount(one.name, one.demand)}, "
            f"at most {amount(one.name, one.most_free)} free)"
        )
    return label_words(one.kind, one.name)


def label_words(kind: str, name: str) -> str:
    """A blocker by kind and name only."""
    if kind == "movable":
        return f"pinned: {short(name)}"
    return short(name) or kind


def pending_words(problem: PlacementProblem, item: int, blockers: Sequence[Blocker]) -> str:
    """Why an item has no host, in one line."""
    hosts = len(problem.hosts)
    if not hosts:
        return "there is no host"
    if not blockers:
        if problem.items.gang[item] >= 0:
            return "a host is open to it, but its gang cannot be placed as a whole"
        return "a host is open to it, but no allowed plan that was found uses it"
    shown = "; ".join(f"{one.hosts} {blocker_words(one)}" for one in blockers[:MOST_BLOCKERS])
    more = len(blockers) - MOST_BLOCKERS
    return f"0 of {plural(hosts, 'host')}: {shown}" + (f"; {more} more reasons" * (more > 0))


def relaxation_words(problem: PlacementProblem, one: Relaxation) -> str:
    """One way out."""
    without = " and ".join(label_words(kind, name) for kind, name in one.blockers)
    opened = short(problem.hosts.names[one.example])
    others = f" and {plural(one.hosts - 1, 'other')}" if one.hosts > 1 else ""
    return f"without {without}: fits {opened}{others}"


def empty_words(problem: PlacementProblem, item: int, one: EmptyFit) -> str:
    """Whether an empty host of a kind would do, and what that kind is."""
    kind = ", ".join(
        f"{amount(name, int(problem.hosts.capacity[one.example, r]))} {name}"
        for r, name in enumerate(problem.resources)
        if problem.items.demand[item, r]
    )
    like = f"{plural(one.hosts, 'host')} like {short(problem.hosts.names[one.example])}"
    like += f" ({kind})" if kind else ""
    if one.short:
        return f"{like}: too small even when empty ({', '.join(one.short)})"
    if not one.eligible:
        return f"{like}: large enough when empty, but none meets its requirements"
    return f"{like}: fits when empty, on {one.eligible} of them its requirements hold"
