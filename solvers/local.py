"""`local`: greedy, ejections, then a large neighbourhood search; for clusters of any size.

Ejections place nearly all that can be placed, in milliseconds each. Then a few items and hosts at a
time are packed anew, exactly: that places more, takes back moves and empties hosts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from itertools import groupby

import numpy as np

from optsched.budget import Budget
from optsched.objective import evaluate
from optsched.plan import Order, Placement, Plan
from optsched.problem import PlacementProblem
from optsched.result import Bound, Result, conclude
from optsched.solvers.bounds import free_bounds
from optsched.solvers.consolidation import Consolidation
from optsched.solvers.ejection import Ejection
from optsched.solvers.ending import Ending
from optsched.solvers.fitting import Fitting
from optsched.solvers.greedy import Group, empty_drained, fill, queue
from optsched.solvers.migration import migrate
from optsched.solvers.relaxed import Relaxed
from optsched.solvers.rounds import Rounds
from optsched.solvers.search import Search, starting

BOUNDS = 0.15  # share of the time for bounds, before and after the rounds
RESTARTS, MOST_RESTARTS = 0.2, 24  # share of the time for ejections from the start, and how often
GUESTS = 64  # waiting items that are kept in mind while one of them is placed

Values = tuple[int, ...]
Done = Callable[[Values], bool]


def never(values: Values) -> bool:
    """Always look for something better."""
    del values
    return False


class LocalSearch:
    """Improves the placement level by level; the bounds are free ones."""

    name = "local"

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
        started = time.monotonic()
        placement = starting(problem, start)
        bounds: list[Bound | None] = [None] * len(problem.objective)
        simpler = [placement]
        ending = Ending(problem, order, budget, self.name)
        own = ending.search()
        if len(problem.items) and len(problem.hosts):
            run = Improvement(problem, placement, seed)
            run.construct(own.share(1 - 2 * BOUNDS))
            simpler.insert(0, run.best.placement)
            if not own.over():
                ending.way(run.best.placement)
            tables = run.relaxed
            bounds = free_bounds(
                problem, run.best.placement, own.share(BOUNDS), relaxed=tables, stop_early=True
            )
            met = meets(problem, run.best.placement, bounds)
            if not met(run.best.values):
                run.search_on(own.share(1 - BOUNDS), met)
                bounds = free_bounds(problem, run.best.placement, own, relaxed=tables)
            placement = run.best.placement
        else:
            bounds = free_bounds(problem, placement, own)
        return conclude(
            problem,
            placement,
            bounds,
            solver=self.name,
            started=started,
            order=order,
            others=simpler,
            ways=ending.ways,
            deadline=budget.deadline,
        )


def meets(problem: PlacementProblem, placement: Placement, bounds: list[Bound | None]) -> Done:
    """Whether values meet all of `bounds`, which are conditional on those of `placement`."""
    given = evaluate(problem, placement)

    def met(values: Values) -> bool:
        for k, bound in enumerate(bounds):
            if bound is None or values[:k] != given[:k] or values[k] > bound.value:
                return False
        return True

    return met


def improve(
    problem: PlacementProblem,
    placement: Placement,
    budget: Budget,
    seed: int = 0,
    done: Done = never,
) -> Placement:
    """The best placement found; `done` is asked with the values whether that is enough."""
    if budget.over():
        return placement
    run = Improvement(problem, placement, seed)
    run.construct(budget, done)
    run.search_on(budget, done)
    return run.best.placement


class Best:
    """The best placement a search has been in."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self.values: Values = tuple(search.value.tolist())
        self.placement = search.state.placement()

    def keep(self) -> bool:
        """Take the present placement if it is better and allowed; whether it was."""
        values = tuple(self._search.value.tolist())
        if values >= self.values or self._search.state.violations():
            return False
        self.values, self.placement = values, self._search.state.placement()
        return True

    def resume(self) -> None:
        """Take the search back to the best placement."""
        self._search.adopt(self.placement)


class Improvement:
    """A search in its stages.

    Attributes
    ----------
    search, best
        Where it is, and the best placement so far.
    """

    def __init__(self, problem: PlacementProblem, placement: Placement, seed: int = 0) -> None:
        self.problem, self.seed = problem, seed
        self.search = Search(problem, placement)
        self.best = Best(self.search)

    @cached_property
    def relaxed(self) -> Relaxed:
        """The problem's relaxation."""
        return Relaxed(self.problem)

    def construct(self, budget: Budget, done: Done = never) -> None:
        """Greedy, ejections, single migrations against fragments, and cheaper hosts."""
        search = self.search
        fill(search, budget.share(0.5))
        self.best.keep()
        start, rng = search.mark(), np.random.default_rng(self.seed)
        tries = budget.share(RESTARTS)
        for attempt in range(MOST_RESTARTS):
            search.undo(start)
            begun = tries.remaining()
            own = tries if attempt > 1 else budget.share(1 - 0.5 * attempt)
            # Large items first place what fits in all; small ones first more of what does not.
            shares, small_first = attempt % 2 == 1, attempt % 4 in (1, 2)
            self._eject(own, shares, small_first, rng if attempt > 2 else None)
            self.best.keep()
            if done(self.best.values) or budget.over() or not search.entered:
                break
            # As long as one more is sure to end in time; a second where not everything fits.
            waits = not attempt and (search.state.host < 0).any()
            if not waits and 2 * tries.remaining() < begun:
                break
        self.best.resume()
        if search.worth.fragments:
            migrate(search, budget)
            self.best.keep()
        if search.worth.host_cost.any() and not budget.over():
            consolidation = Consolidation(search, self.seed)
            for lower in (consolidation.pack_all, consolidation.empty_hosts):
                lower(budget)
                self.best.keep()
            self.best.resume()

    def _eject(
        self, budget: Budget, shares: bool, small_first: bool, rng: np.random.Generator | None
    ) -> None:
        """Place what waits, moving others; with `shares`, such that two may enter for one move."""
        search = self.search
        fitting = Fitting(search)
        ejection = Ejection(search, fitting, budget, rng)
        groups = queue(search, fitting, small_first=small_first, rng=rng)
        if shares:
            ejection.leavers.guests = [group.items[-1] for group in groups][-GUESTS:]
        tier = search.problem.items.tier
        for _, alike in groupby(groups, key=lambda group: int(tier[group.items[0]])):
            of_tier = list(alike)
            for depth in (1, 2):
                for group in of_tier:
                    budget.report("ejections", value=int((search.state.host < 0).sum()))
                    if budget.over():
                        return
                    _insert(ejection, group, depth)
        for depth in (1, 2):
            empty_drained(search, ejection, depth)
        return_home(search, budget)
        again = Ejection(search, fitting, budget, rng or np.random.default_rng(self.seed))
        for group in groups:  # other choices than before, in the room as it is now
            if budget.over():
                return
            _insert(again, group, 2)

    def search_on(self, budget: Budget, done: Done = never) -> None:
        """Neighbourhoods packed anew, until time is up, it is good enough, or nothing helps."""
        self.best.resume()
        rounds = Rounds(self.search, self.relaxed, self.seed)
        while not (budget.over() or done(self.best.values) or rounds.exhausted()):
            if budget.remaining() < rounds.preparing:
                break
            value = int(self.search.value[0]) if len(self.search.value) else 0
            budget.report("neighbourhoods", value=value)
            rounds.some(budget)
            self.best.keep()
        self.best.resume()


def _insert(ejection: Ejection, group: Group, depth: int) -> None:
    """Place what still waits of a group, at the cost of moves."""
    host = ejection.search.state.host
    if group.gang:
        if (host[list(group.items)] < 0).any():
            ejection.insert_all(group.items, depth)
        return
    for item in group.items:
        if host[item] < 0 and (ejection.budget.over() or not ejection.insert(item, depth)):
            break  # the next one is just like it


def return_home(search: Search, budget: Budget) -> None:
    """Take back moves that have become pointless."""
    items, host = search.problem.items, search.state.host
    moved = np.flatnonzero((items.host0 >= 0) & (host != items.host0) & (host >= 0))
    for item in moved[np.argsort(items.tier[moved], kind="stable")].tolist():
        if budget.over():
            return
        mark = search.mark()
        if search.go_home(item) and not search.better_than(mark):
            search.undo(mark)
