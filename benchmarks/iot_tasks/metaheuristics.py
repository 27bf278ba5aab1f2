"""Simulated annealing and a genetic algorithm as baselines, with the evaluator of the colony.

Both change an order of the tasks and a node for each of them, decode that as the colony does, begin
at EFT and stop at the deadline. Settings are the usual ones and were not tuned on any cell.
"""

from __future__ import annotations

import numpy as np

from benchmarks import clock
from optsched.kernels import schedules as kernel
from optsched.solvers.scheduling import RULES
from optsched.solvers.scheduling.bounds import free_bounds
from optsched.solvers.scheduling.colony import weights
from optsched.solvers.scheduling.flat import schedule_of, tables
from optsched.tasks import Schedule, TaskProblem, evaluate

COOL, HOT = 1e-3, 0.05  # temperatures, as shares of the value at the start
POPULATION, MUTATED, TOURNAMENT = 24, 0.1, 3


class _Search:
    """An order and a choice of nodes as a schedule with the value of the first level."""

    def __init__(self, problem: TaskProblem, seed: int) -> None:
        self.problem, self.rng, self.tried = problem, np.random.default_rng(seed), 0
        self.flat, self.weights = tables(problem), weights(problem)[0]
        self.lines = kernel.lines(self.flat)
        self.ways = [np.flatnonzero(row) for row in problem.fits]
        self.start = RULES["eft"](problem, 0)
        self.bound = free_bounds(problem)[0].value
        self.order = np.argsort(self.start.start, kind="stable")
        self.choice = self.start.node.copy()
        self.found = (self.value(self.order, self.choice), self.order, self.choice)

    def value(self, order: np.ndarray, choice: np.ndarray) -> int:
        """Of the first level."""
        goals = np.empty(4, np.int64)
        self.tried += 1
        kernel.decode(self.flat, self.lines, order, choice)
        kernel.goals(self.flat, self.lines, goals)
        return int(self.weights @ goals)

    def left(self, ends: float, seconds: float, most: int) -> float:
        """The share of the time that is left, or of `most` evaluations where they are limited.

        0 where each task alone proves that nothing is better: every search ends there.
        """
        if self.found[0] <= self.bound:
            return 0.0
        return 1 - self.tried / most if most else (ends - clock.now()) / seconds

    def keep(self, value: int, order: np.ndarray, choice: np.ndarray) -> None:
        """Remember the best."""
        if value < self.found[0]:
            self.found = (value, order.copy(), choice.copy())

    def change(self, order: np.ndarray, choice: np.ndarray) -> None:
        """Another node for a task, or another place in the order."""
        i, k = self.rng.integers(len(order), size=2)
        if self.rng.random() < 0.6 and len(self.ways[i]):
            choice[i] = self.rng.choice(self.ways[i])
        else:
            order[i], order[k] = order[k], order[i]

    def schedule(self) -> Schedule:
        """The best, or EFT where no decoding is as good."""
        kernel.decode(self.flat, self.lines, *self.found[1:])
        made = schedule_of(self.problem, self.lines)
        return min((self.start, made), key=lambda one: evaluate(self.problem, one).levels)


def annealed(problem: TaskProblem, seconds: float, seed: int = 0, most: int = 0) -> Schedule:
    """Simulated annealing (Kirkpatrick et al. 1983), geometric in time, or in evaluations."""
    ends, search = clock.now() + seconds, _Search(problem, seed)
    value, order, choice = search.found[0], search.order.copy(), search.choice.copy()
    scale = max(1.0, float(value))
    while (left := search.left(ends, seconds, most)) > 0:
        heat = scale * COOL * (HOT / COOL) ** left
        new_order, new_choice = order.copy(), choice.copy()
        search.change(new_order, new_choice)
        new = search.value(new_order, new_choice)
        if new <= value or search.rng.random() < np.exp((value - new) / heat):
            value, order, choice = new, new_order, new_choice
            search.keep(value, order, choice)
    return search.schedule()


def evolved(problem: TaskProblem, seconds: float, seed: int = 0, most: int = 0) -> Schedule:
    """A steady-state genetic algorithm: uniform crossover of nodes, order of one parent."""
    ends, search = clock.now() + seconds, _Search(problem, seed)
    rng, count = search.rng, len(search.order)
    herd = [search.found]
    while len(herd) < POPULATION:
        order, choice = search.order.copy(), search.choice.copy()
        for _ in range(max(1, count // 4)):
            search.change(order, choice)
        herd.append((search.value(order, choice), order, choice))
    while search.left(ends, seconds, most) > 0:
        one, two = (
            min((herd[k] for k in rng.integers(POPULATION, size=TOURNAMENT)), key=lambda h: h[0])
            for _ in range(2)
        )
        choice = np.where(rng.random(count) < 0.5, one[2], two[2])
        order = one[1].copy()
        for _ in range(1 + rng.binomial(count, MUTATED)):
            search.change(order, choice)
        value = search.value(order, choice)
        worst = max(range(POPULATION), key=lambda k: herd[k][0])
        if value < herd[worst][0]:
            herd[worst] = (value, order, choice)
            search.keep(value, order, choice)
    return search.schedule()
