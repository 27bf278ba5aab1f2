"""Hosts that could be added: which of them are needed so that the rest fits.

A candidate is a copy of a host that exists, empty but for what runs on every host. Candidates cost
1, hosts that exist cost nothing, and the cost of the hosts in use is minimised before moves are: a
host costs money every day, a move happens once.

A copy shares the topology domains of its model except the host's own, so it lies in the same zone.
A requirement that admits the model alone among hosts of equal capacity is taken to name that very
host, and keeps its items off the copy. Candidates count as domains of spread rules even when they
stay empty, which can only make those rules stricter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .arrays import NONE, Bools, Ints, Masks
from .errors import ProblemError
from .levels import TermKind, then_host_cost
from .options import find
from .plan import Placement
from .problem import Cells, Hosts, PlacementProblem, Where

MOST_TYPES = 16  # kinds of hosts that are offered when none is named


@dataclass(frozen=True)
class Candidate:
    """Up to `count` new hosts like the host named `like`; count -1: as many as could be needed."""

    like: str
    count: int = NONE


def with_candidate_hosts(
    problem: PlacementProblem, wanted: Sequence[Candidate] = ()
) -> PlacementProblem:
    """Add candidate hosts and the goal to use the fewest of them.

    Parameters
    ----------
    problem
        What does not fit yet.
    wanted
        Which hosts to copy; none: one of each kind that exists, the most frequent first.

    Raises
    ------
    ProblemError
        The problem has no host of that name, or a count is not 1 or more.
    """
    if not len(problem.hosts):
        raise ProblemError("there is no host that a new one could be like")
    chosen = wanted or [
        Candidate(problem.hosts.names[host]) for host in _models(problem)[:MOST_TYPES]
    ]
    model: list[int] = []
    for one in chosen:
        host = find(problem.hosts.names, one.like, "host")
        if one.count < 1 and one.count != NONE:
            raise ProblemError(f"{one.count} hosts like {one.like[:80]!r} are none; give 1 or more")
        # More hosts than items are never needed, however many are offered.
        most = min(one.count, len(problem.items)) if one.count >= 1 else _needed(problem, host)
        model += [host] * max(most, 1)
    grown = problem.replace(
        hosts=_more_hosts(problem, model),
        cells=_more_cells(problem, model),
        where=_more_where(problem, model),
    )
    if any(term.kind is TermKind.HOST_COST for lv in problem.objective for term in lv.terms):
        return grown
    cost = np.zeros(len(grown.hosts), np.int64)
    cost[len(problem.hosts) :] = 1
    cost.setflags(write=False)
    return grown.replace(
        hosts=replace(grown.hosts, cost=cost),
        objective=then_host_cost(grown.objective, before_moves=True),
    )


def candidates_used(
    before: PlacementProblem, after: PlacementProblem, placement: Placement
) -> dict[str, int]:
    """How many candidates `placement` uses, by the name of the host they are like."""
    used = np.unique(placement.host[after.items.occupies & (placement.host >= len(before.hosts))])
    models = [after.hosts.names[host].partition("-like-")[2] for host in used.tolist()]
    return dict(Counter(models))


def _models(problem: PlacementProblem) -> list[int]:
    """One host of each kind (capacity, cells, requirements), the most frequent kind first."""
    hosts, cells = problem.hosts, problem.cells
    excluded = problem.where.excluded
    # A row that admits one host names it; it says nothing about the kind.
    general = excluded[(excluded == 0).sum(axis=1) > 1]
    first = np.searchsorted(cells.host, np.arange(len(hosts) + 1))
    kinds: dict[tuple[bytes, ...], list[int]] = {}
    for host in np.flatnonzero(~hosts.drain).tolist():
        own = slice(first[host], first[host + 1])
        kind = (
            hosts.capacity[host].tobytes(),
            cells.capacity[own].tobytes(),
            cells.kind[own].tobytes(),
            general[:, host].tobytes(),
        )
        kinds.setdefault(kind, []).append(host)
    return [members[0] for members in sorted(kinds.values(), key=len, reverse=True)]


def _needed(problem: PlacementProblem, model: int) -> int:
    """How many copies of `model` what is to be placed fills, first fit, largest first; >= 1."""
    items = problem.items
    mask = problem.where.excluded[problem.where.item_eligible, model]
    room = problem.hosts.capacity[model] - _always_there(problem, model)
    homeless = (items.host0 < 0) | (items.movable & problem.hosts.drain[items.host0])
    fits = homeless & (mask == 0) & (items.demand <= room).all(axis=1)
    rows = np.flatnonzero(fits)
    share = items.demand[rows] / np.maximum(room, 1)
    bins: list[Ints] = []
    for row in rows[np.argsort(-share.max(axis=1, initial=0), kind="stable")].tolist():
        demand = items.demand[row]
        for used in bins:
            if (used + demand <= room).all():
                used += demand
                break
        else:
            bins.append(demand.copy())
    # Limits (one per host, spread) may ask for more hosts than room does, never for more than
    # there are items.
    return max(1, len(rows) if len(problem.limits) and len(rows) <= 64 else len(bins))


def _always_there(problem: PlacementProblem, host: int) -> Ints:
    """(R,) what runs on every host uses on this one."""
    everywhere = ~problem.items.occupies & (problem.items.host0 == host)
    return np.asarray(problem.items.demand[everywhere].sum(axis=0))


def _fresh_names(problem: PlacementProblem, model: list[int]) -> list[str]:
    taken, names = set(problem.hosts.names), []
    for host in model:
        number = 1
        while (name := f"new-{number}-like-{problem.hosts.names[host]}") in taken:
            number += 1
        taken.add(name)
        names.append(name)
    return names


def _more_hosts(problem: PlacementProblem, model: list[int]) -> Hosts:
    hosts = problem.hosts
    always = np.array([_always_there(problem, host) for host in model], dtype=np.int64)
    return Hosts.of(
        np.vstack([hosts.capacity, hosts.capacity[model]]),
        names=[*hosts.names, *_fresh_names(problem, model)],
        fixed_use=np.vstack([hosts.fixed_use, always.reshape(len(model), -1)]),
        cost=np.concatenate([hosts.cost, hosts.cost[model]]),
        drain=np.concatenate([hosts.drain, np.zeros(len(model), bool)]),
        moves_in=np.concatenate([hosts.moves_in, hosts.moves_in[model]]),
        moves_out=np.concatenate([hosts.moves_out, hosts.moves_out[model]]),
    )


def _more_cells(problem: PlacementProblem, model: list[int]) -> Cells:
    cells = problem.cells
    own = [np.flatnonzero(cells.host == host) for host in model]
    copied = np.concatenate([np.arange(len(cells)), *own]).astype(np.int64)
    home = np.repeat(len(problem.hosts) + np.arange(len(model)), [len(rows) for rows in own])
    fixed = cells.fixed_use[copied].copy()
    fixed[len(cells) :] = 0
    return Cells.of(
        np.concatenate([cells.host, home]),
        cells.capacity[copied],
        fixed_use=fixed,
        kind=cells.kind[copied],
        resources=cells.resources,
        kinds=cells.kinds,
    )


def _more_where(problem: PlacementProblem, model: list[int]) -> Where:
    where, names = problem.where, _fresh_names(problem, model)
    domain = np.hstack([where.domain, where.domain[:, model]])
    domain_names = [list(one) for one in where.domain_names]
    for key in range(len(where.keys)):
        if _names_hosts(where, key):
            start = len(domain_names[key])
            domain[key, len(problem.hosts) :] = start + np.arange(len(model))
            domain_names[key] += names
    return Where.of(
        _more_hosts(problem, model),
        problem.items,
        excluded=np.hstack([where.excluded, _copied_columns(problem, model)]),
        item_eligible=where.item_eligible,
        rule_names=where.rule_names,
        keys=where.keys[1:],
        domain=domain[1:],
        domain_names=domain_names[1:],
        groups=where.groups,
        group_names=where.group_names,
        host_sets=np.hstack([where.host_sets, where.host_sets[:, model]]),
    )


def _names_hosts(where: Where, key: int) -> bool:
    """Whether a topology key tells single hosts apart, as kubernetes.io/hostname does."""
    if key == 0:
        return True
    present = where.domain[key][where.domain[key] >= 0]
    return "host" in where.keys[key] and len(np.unique(present)) == len(present)


def _copied_columns(problem: PlacementProblem, model: list[int]) -> Masks:
    """(E, M) masks of the copies: of the model, or of its likes where a row names the model."""
    excluded, capacity = problem.where.excluded, problem.hosts.capacity
    columns = excluded[:, model].copy()
    for column, host in enumerate(model):
        alike: Bools = (capacity == capacity[host]).all(axis=1)
        alike[host] = False
        if alike.any():
            named = (columns[:, column] == 0) & (excluded[:, alike] != 0).all(axis=1)
            columns[named, column] = excluded[named][:, alike][:, 0]
    return columns
