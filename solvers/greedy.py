"""The greedy solver: always answers, never moves what runs unless a host is drained.

Pending items are placed tier by tier, the highest first. Within a tier, large items first fit best
while there is room, small ones first place more when there is not; both are tried, and the better
placement is kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from optsched.arrays import Bools
from optsched.budget import Budget
from optsched.plan import Order, Placement, Plan
from optsched.problem import PlacementProblem
from optsched.result import Result, conclude
from optsched.solvers.bounds import free_bounds
from optsched.solvers.ejection import Ejection
from optsched.solvers.fitting import Fitting
from optsched.solvers.migration import migrate
from optsched.solvers.search import Search, starting


class Greedy:
    """Places what is pending where there is room, and empties drained hosts."""

    name = "greedy"

    def supports(self, problem: PlacementProblem) -> str | None:
        """Every placement problem."""
        del problem
        return None

    def solve(
        self,
        problem: PlacementProblem,
        budget: Budget,
        *,
        seed: int = 0,
        start: Plan | None = None,
        order: Order = Order.WAVES,
    ) -> Result:
        """A checked plan, with the free bounds."""
        del seed
        started = time.monotonic()
        placement = starting(problem, start)
        if len(problem.items) and len(problem.hosts):
            search = Search(problem, placement)
            placement = fill(search, budget)
            if search.worth.fragments:
                migrate(search, budget)
                if not search.state.violations():
                    placement = search.state.placement()
        budget.report("greedy", done=1.0)
        return conclude(
            problem,
            placement,
            free_bounds(problem, placement, budget),
            solver=self.name,
            started=started,
            order=order,
        )


@dataclass(frozen=True)
class Group:
    """Items to place together: a gang, all or none, or equal items, as many as possible."""

    items: tuple[int, ...]
    gang: bool


def fill(search: Search, budget: Budget, allowed: Bools | None = None) -> Placement:
    """Place what is pending and empty drained hosts, as far as there is room.

    `search` is left in the placement that is returned. With `allowed` (H,), nothing enters other
    hosts.
    """
    fitting = Fitting(search)
    if allowed is not None:
        fitting.allow(allowed)
    ejection = Ejection(search, fitting, budget)
    start, best = search.mark(), search.state.placement()
    least = tuple(search.value.tolist())
    for small_first in (False, True):
        search.undo(start)
        for group in queue(search, fitting, small_first=small_first):
            place(search, ejection, group)
            if budget.over():
                break
        empty_drained(search, ejection, depth=0)
        if tuple(search.value.tolist()) < least:
            least, best = tuple(search.value.tolist()), search.state.placement()
        if budget.over() or not (search.state.host < 0).any():
            break
    search.adopt(best)
    return best


def queue(
    search: Search,
    fitting: Fitting,
    *,
    small_first: bool = False,
    rng: np.random.Generator | None = None,
) -> list[Group]:
    """What has no host, in the order in which to place it; with `rng`, sizes are blurred."""
    problem, items = search.problem, search.problem.items
    waiting = np.flatnonzero(search.state.host < 0)
    total = np.maximum(problem.hosts.capacity.sum(axis=0), 1)
    share = (items.demand[waiting] / total).max(axis=1, initial=0.0) / items.weight[waiting]
    kind = fitting.kind[waiting]
    if rng is not None:
        share *= rng.uniform(0.5, 1.5, int(kind.max(initial=0)) + 1)[kind]
    key = [kind, share if small_first else -share, items.tier[waiting]]
    groups: list[Group] = []
    seen: set[int] = set()
    run: list[int] = []
    for item in waiting[np.lexsort(key)].tolist():
        gang = int(items.gang[item])
        if gang >= 0:
            if gang not in seen:
                seen.add(gang)
                members = waiting[items.gang[waiting] == gang]
                groups.append(Group(tuple(members.tolist()), True))
            continue
        if run and (fitting.kind[run[0]], items.tier[run[0]]) != (
            fitting.kind[item],
            items.tier[item],
        ):
            groups.append(Group(tuple(run), False))
            run = []
        run.append(item)
    return [*groups, Group(tuple(run), False)] if run else groups


def place(search: Search, ejection: Ejection, group: Group) -> None:
    """Place a group where there is room; evict for it, where that is allowed, if there is none."""
    if group.gang:
        ejection.insert_all(group.items, depth=0)
        return
    left = list(group.items)
    while left:
        # The host that was best for one is best for the next, until it is full.
        if not ejection.insert(left[0], depth=0):
            return
        host = int(search.state.host[left.pop(0)])
        while left:
            mark = search.mark()
            if not (ejection.fitting.allowed[host] and search.enter(left[0], host)):
                break
            if not (search.better_than(mark) and search.holds(mark)):
                search.undo(mark)
                break
            left.pop(0)


def empty_drained(search: Search, ejection: Ejection, depth: int) -> None:
    """Let items leave drained hosts, the highest tier first, if the objective asks for it."""
    if not search.worth.drained.any():
        return
    items, host = search.problem.items, search.state.host
    on_drained = (host >= 0) & search.problem.hosts.drain[host] & search.loose
    drained = np.flatnonzero(on_drained)
    for item in drained[np.argsort(items.tier[drained], kind="stable")].tolist():
        ejection.insert(item, depth)
        if ejection.budget.over():
            return
