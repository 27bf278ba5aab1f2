"""Rounds of the large neighbourhood search: which kind of neighbourhood, how large, how long."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.solvers.consolidation import Consolidation
from optsched.solvers.fitting import Fitting
from optsched.solvers.neighbourhoods import Choice, Neighbourhoods
from optsched.solvers.relaxed import Relaxed
from optsched.solvers.repack import Repacking
from optsched.solvers.search import Search

SMALLEST, LARGEST = 5.0, 16.0  # hosts in a neighbourhood
GROWTH = 1.12  # after a round that proved its neighbourhood to hold nothing better
PATIENCE = 120  # rounds without success before the search gives up
EFFORT = 0.6  # CP-SAT's deterministic seconds per round
LEARNING = 0.15  # how fast the kinds of neighbourhoods gain and lose weight
FIRST = {"waiting": 3.0}  # weights to begin with, where not 1
LEAST = 0.05  # weight of a kind that never helps


class Rounds:
    """One neighbourhood after another.

    Parameters
    ----------
    search
        Improved in place.
    relaxed
        Says which items no host can hold.
    seed
        Of all draws.

    Attributes
    ----------
    preparing
        Seconds that it took of late to draw neighbourhoods and build their models; with less time
        left, a round would not end in time.
    """

    def __init__(self, search: Search, relaxed: Relaxed, seed: int = 0) -> None:
        self.search, self.preparing = search, 0.0
        self.rng = np.random.default_rng(seed)
        self.draw = Neighbourhoods(search, Fitting(search), self.rng)
        hopeless = relaxed.hopeless() >= relaxed.size
        self._hopeless = np.append(hopeless, True)[relaxed.of_item]  # pinned items last
        self._size: dict[str, float] = {}
        self._weight: dict[str, float] = {}
        self._failures = 0
        self._effort = 1

    def exhausted(self) -> bool:
        """Whether nothing has helped for long."""
        return self._failures >= PATIENCE or not self._kinds()

    def some(self, budget: Budget) -> None:
        """Draw a neighbourhood per worker, and pack them anew side by side."""
        tasks: list[tuple[str, Repacking]] = []
        begun = time.monotonic()
        for name in self._draw_kinds(budget.workers):
            if name == "cover":
                self._learn(name, better=self._pack_all(budget), closed=True)
                begun = time.monotonic()
                continue
            items, hosts = self._kinds()[name](int(self._size.get(name, SMALLEST)))
            taken = {host for _, other in tasks for host in other.hosts}
            waiting = {item for _, other in tasks for item in other.items}
            if not items or not hosts:
                self._learn(name, better=False, closed=True)
            elif taken.isdisjoint(hosts) and waiting.isdisjoint(items):
                tasks.append((name, Repacking(self.search, items, hosts)))
        self.preparing = max(0.5 * self.preparing, time.monotonic() - begun)
        seeds = self.rng.integers(1 << 30, size=len(tasks)).tolist()
        alone = replace(budget, workers=1) if len(tasks) > 1 else budget
        with ThreadPoolExecutor(max(1, len(tasks))) as pool:
            jobs = [
                pool.submit(task.solve, alone, seed=seed, effort=EFFORT)
                for (_, task), seed in zip(tasks, seeds, strict=True)
            ]
            for job in jobs:
                job.result()
        for name, task in tasks:
            mark = self.search.mark()
            outcome = task.apply(sideways=bool(self.rng.random() < 0.5))
            self._learn(name, better=self.search.better_than(mark), closed=outcome.closed)

    def _draw_kinds(self, number: int) -> list[str]:
        """Kinds of neighbourhoods, by their weights."""
        names = list(self._kinds())
        weight = np.array([self._weight.get(name, FIRST.get(name, 1.0)) for name in names])
        drawn = self.rng.choice(len(names), number, p=weight / weight.sum())
        return [names[int(k)] for k in drawn]

    def _learn(self, name: str, *, better: bool, closed: bool) -> None:
        """What helps is drawn more often; what was proven quickly may grow."""
        size = self._size.get(name, SMALLEST) * (1.0 / GROWTH if better or not closed else GROWTH)
        self._size[name] = min(LARGEST, max(SMALLEST, size))
        weight = self._weight.get(name, FIRST.get(name, 1.0))
        self._weight[name] = max(LEAST, (1 - LEARNING) * weight) + 2 * LEARNING * better
        self._failures = 0 if better else self._failures + 1

    def _pack_all(self, budget: Budget) -> bool:
        """Consolidate at once, with more patience each time."""
        self._effort *= 2
        seed = int(self.rng.integers(1 << 30))
        return Consolidation(self.search, seed, patience=self._effort).pack_all(budget)

    def _kinds(self) -> dict[str, Callable[[int], Choice]]:
        """The kinds of neighbourhoods that there is a reason for."""
        search, draw, worth = self.search, self.draw, self.search.worth
        kinds: dict[str, Callable[[int], Choice]] = {}
        waiting = self._waiting()
        if waiting.size:
            kinds["waiting"] = lambda size: draw.around_waiting(waiting, size)
        if search.entered:
            kinds["moved"] = draw.around_moved
            kinds["wide"] = draw.wide
            if draw.scarce_resources().size:
                kinds["scarce"] = draw.scarce
        if worth.host_cost.any():
            kinds["hosts"] = lambda size: draw.around_hosts(self._wasted_cost(), size)
            kinds["cover"] = lambda size: ([], [])
        if worth.fragments:
            kinds["fragments"] = lambda size: draw.around_hosts(self._fragments(), size)
        drained = search.problem.hosts.drain & (search.occupants > 0)
        if worth.drained.any() and drained.any():
            kinds["drained"] = lambda size: draw.around_hosts(drained.astype(float), size)
        return kinds

    def _waiting(self) -> Ints:
        return np.flatnonzero((self.search.state.host < 0) & ~self._hopeless)

    def _wasted_cost(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """(H,) cost of the hosts in use, times the share of them that is free."""
        hosts = self.search.problem.hosts
        used = self.search.occupants > 0
        share = self.search.free() / np.maximum(hosts.capacity, 1)
        free = np.clip(share.min(axis=1, initial=1.0, where=hosts.capacity > 0), 0.02, 1.0)
        return np.where(used, hosts.cost * free, 0.0)

    def _fragments(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """(H,) fragments on the cells of each host."""
        search, cells = self.search, self.search.problem.cells
        total = np.zeros(len(search.problem.hosts))
        for _, term in search.worth.fragments:
            free = cells.capacity[:, term.resource] - search.state.cell_use[:, term.resource]
            np.add.at(total, cells.host, term.weight * (np.maximum(free, 0) % term.size))
        return total
