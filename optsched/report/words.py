"""Reasons in words: what `explain` found, as sentences for a terminal and a page."""

from __future__ import annotations

from collections.abc import Sequence

from optsched.explain import Blocker, EmptyFit, Relaxation
from optsched.problem import PlacementProblem

from .units import amount, plural, resource_words, short

MOST_BLOCKERS = 4
LACKING = ("resource", "cells")  # kinds of which a host has too little


def blocker_words(one: Blocker) -> str:
    """What a blocker is: "cpu (needs 2, at most 1.5 free)", "node affinity"."""
    if one.kind != "resource":
        return label_words(one.kind, one.name)
    needed = f"needs {amount(one.name, one.demand)}"
    if one.most_free >= 0:
        needed += f", at most {amount(one.name, one.most_free)} free"
    return f"{resource_words(one.name)} ({needed})"


def label_words(kind: str, name: str) -> str:
    """A blocker by kind and name only."""
    if kind == "movable":
        return f"being pinned ({short(name)})"
    if kind == "resource":
        return resource_words(name)
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
    shown = "; ".join(_count_words(one) for one in blockers[:MOST_BLOCKERS])
    more = len(blockers) - MOST_BLOCKERS
    return f"of {plural(hosts, 'host')} {shown}" + (f"; {plural(more, 'more reason')}" * (more > 0))


def _count_words(one: Blocker) -> str:
    if one.kind == "drain":
        return f"{one.hosts} to be emptied"
    verb = "lack" if one.kind in LACKING else "are ruled out by"
    if one.hosts == 1:
        verb = "lacks" if verb == "lack" else "is ruled out by"
    return f"{one.hosts} {verb} {blocker_words(one)}"


def relaxation_words(problem: PlacementProblem, one: Relaxation) -> str:
    """One way out."""
    more = [label_words(kind, name) for kind, name in one.blockers if kind in LACKING]
    less = [label_words(kind, name) for kind, name in one.blockers if kind not in LACKING]
    ways = [f"with more {' and '.join(more)}"] * bool(more)
    ways += [f"without {' and '.join(less)}"] * bool(less)
    opened = short(problem.hosts.names[one.example])
    others = f" and {plural(one.hosts - 1, 'other')}" if one.hosts > 1 else ""
    return f"{', '.join(ways)}: fits {opened}{others}"


def empty_words(problem: PlacementProblem, item: int, one: EmptyFit) -> str:
    """Whether empty hosts would do, with the size of one of them."""
    size = ", ".join(
        f"{amount(name, int(problem.hosts.capacity[one.example, r]))} {resource_words(name)}"
        for r, name in enumerate(problem.resources)
        if problem.items.demand[item, r]
    )
    like = f"{plural(one.hosts, 'host')} like {short(problem.hosts.names[one.example])}"
    like += f" ({size})" if size else ""
    if one.short:
        return f"{like}: too small even when empty ({', '.join(map(resource_words, one.short))})"
    if not one.eligible:
        return f"{like}: large enough when empty, but ruled out by a requirement"
    return f"{like}: it would fit"
