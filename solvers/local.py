"""`local`: greedy, ejection chains, then a large neighbourhood search; for clusters of any size."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from optsched.budget import Budget
from optsched.plan import Order, Placement, Plan
from optsched.problem import PlacementProblem
from optsched.result import Result, conclude
from optsched.solvers.bounds import free_bounds
from optsched.solvers.ejection import Ejection
from optsched.solvers.fitting import Fitting
from optsched.solvers.greedy import empty_drained, fill, queue
from optsched.solvers.neighbourhoods import Neighbourhoods
from optsched.solvers.repack import repack
from optsched.solvers.search import Search

HOSTS = (4, 12)  # fewest and most hosts of a neighbourhood; it grows when nothing improves
PATIENCE = 60  # neighbourhoods in a row without success before the search gives up
CONCLUDE = 5e-5  # seconds per item that sequencing and checking take
BOUNDS = 0.25  # share of the time kept for bounds, at most


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
        placement = start.placement(problem) if start is not None else Placement.current(problem)
        own = conclude_in_time(problem, budget)
        if len(problem.items) and len(problem.hosts):
            placement = improve(problem, placement, own.share(1 - BOUNDS), seed)
        return conclude(
            problem,
            placement,
            free_bounds(problem, placement, own),
            solver=self.name,
            started=started,
            order=order,
        )


def conclude_in_time(problem: PlacementProblem, budget: Budget) -> Budget:
    """The budget, less what sequencing and checking a plan will take."""
    left = budget.remaining()
    return budget.until(left - min(0.3 * left, 0.02 + CONCLUDE * len(problem.items)))


def improve(
    problem: PlacementProblem,
    placement: Placement,
    budget: Budget,
    seed: int = 0,
    done: Callable[[tuple[int, ...]], bool] = lambda values: False,
) -> Placement:
    """The best placement found; `done` is asked with the values whether that is enough."""
    search = Search(problem, placement)
    best = Best(search, done)
    fill(search, budget.share(0.5))
    best.keep()
    fitting = Fitting(search)
    ejection = Ejection(search, fitting, budget)
    for depth in (1, 2):
        for group in queue(search, fitting):
            budget.report("ejections", value=int((search.state.host < 0).sum()))
            if budget.over() or best.enough():
                break
            if group.gang:
                ejection.insert_all(group.items, depth)
            else:
                for item in group.items:
                    if budget.over() or not ejection.insert(item, depth):
                        break  # the next one is just like it
        empty_drained(search, ejection, depth)
        return_home(search, budget)
        best.keep()
    pack_anew(search, fitting, best, budget, seed)
    return best.placement


class Best:
    """The best placement a search has been in."""

    def __init__(self, search: Search, done: Callable[[tuple[int, ...]], bool]) -> None:
        self._search, self._done = search, done
        self.values = tuple(search.value.tolist())
        self.placement = search.state.placement()

    def keep(self) -> bool:
        """Take the present placement if it is better and allowed; whether it was."""
        values = tuple(self._search.value.tolist())
        if values >= self.values or self._search.state.violations():
            return False
        self.values, self.placement = values, self._search.state.placement()
        return True

    def enough(self) -> bool:
        """Whether nothing better is wanted."""
        return self._done(self.values)


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


def pack_anew(search: Search, fitting: Fitting, best: Best, budget: Budget, seed: int) -> None:
    """Large neighbourhood search: a few hosts at a time, packed anew by CP-SAT."""
    rng = np.random.default_rng(seed)
    draw = Neighbourhoods(search, fitting, rng)
    size, failures = HOSTS[0], 0
    while failures < PATIENCE and not budget.over() and not best.enough():
        items, hosts = _neighbourhood(search, draw, rng, size)
        if not items or not hosts:
            failures += 1
            continue
        budget.report("neighbourhoods", value=int((search.state.host < 0).sum()))
        seed = int(rng.integers(1 << 30))
        changed = repack(search, items, hosts, budget, seed=seed, effort=0.3).changed
        if changed and best.keep():
            failures, size = 0, max(HOSTS[0], size - 1)
        else:
            failures += 1
            size = min(HOSTS[1], size + (failures % 4 == 0))


def _neighbourhood(
    search: Search, draw: Neighbourhoods, rng: np.random.Generator, size: int
) -> tuple[list[int], list[int]]:
    waiting = np.flatnonzero(search.state.host < 0)
    choices: list[Callable[[], tuple[list[int], list[int]]]] = []
    if len(waiting):
        choices.append(lambda: draw.around_waiting(waiting, size))
    if search.entered:
        choices.append(lambda: draw.around_moved(size))
    if search.worth.host_cost.any():
        weight = (search.problem.hosts.cost * (search.occupants > 0)).astype(float)
        choices += [lambda: draw.around_hosts(weight, size)] * 4
    if not choices:
        return [], []
    return choices[int(rng.integers(len(choices)))]()
