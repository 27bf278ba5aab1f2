"""The pre-registered grid: cells, instances, their worlds, and what is proven of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from optsched.budget import Budget
from optsched.generate.tasks import tasks
from optsched.simulate import Knobs, World
from optsched.solvers.scheduling import RULES
from optsched.solvers.scheduling.bounds import crowded_bounds
from optsched.tasks import Goal, Mix, Objective, TaskProblem, evaluate

LOADS, NODES, SWITCH = (0.5, 0.8, 1.1), (8, 16, 32, 64), (False, True)
# Links of the model are shared without queues; what others send is a bandwidth that wanders, and
# work is estimated.
CONTENTION = Knobs(drift=0.4, noise=0.2)

# Dispatching rules that the test is against; others are searches and agents.
SIMPLE = ("random", "round-robin", "nearest", "cloud", "met", "least-loaded", "eft", "energy",
          "edf", "two-choices", "min-min", "sufferage", "heft")  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One cell of the grid."""

    nodes: int
    load: float
    burst: bool
    contention: bool

    @property
    def words(self) -> str:
        """For a heading."""
        return (
            f"{self.nodes} nodes, load {self.load:g}{', bursts' if self.burst else ''}"
            f"{', contention' if self.contention else ''}"
        )

    def world(self, seed: int, count: int) -> World:
        """An instance of so many tasks, and what happens to it."""
        drawn = tasks(seed, nodes=self.nodes, count=count, load=self.load, burst=self.burst)
        return World.of(weighed(drawn), CONTENTION if self.contention else None, seed)


def cells(
    nodes: Sequence[int] = NODES,
    loads: Sequence[float] = LOADS,
    bursts: Sequence[bool] = SWITCH,
    contention: Sequence[bool] = SWITCH,
) -> list[Cell]:
    """All of them, or those with these properties."""
    return [Cell(*one) for one in product(nodes, loads, bursts, contention)]


def weighed(problem: TaskProblem) -> TaskProblem:
    """The problem with the weighted sum, in whole millijoules of EFT."""
    eft = evaluate(problem, RULES["eft"](problem, 0))
    rate = max(1, round(eft.energy / max(1, int(eft.response.sum()))))
    terms = ((Goal.RESPONSE, rate), (Goal.ENERGY, 1), (Goal.LATENESS, rate))
    return problem.replace(objective=Objective((Mix(terms),)))


def proven(problem: TaskProblem, seconds: float) -> list[float]:
    """What no schedule that finishes every task can better, not even one that knows the future.

    Each of three bounds takes at most so many seconds. Hard deadlines are left out: against all
    estimates they may be missed in a run, which counts as a miss and not as a rejection.

    Returns
    -------
    Least mean response in ms, least energy in mJ, greatest utilisation of what is on, least
    weighted sum.
    """
    soft = np.zeros(len(problem.tasks), bool)
    soft.setflags(write=False)
    problem = problem.replace(tasks=replace(problem.tasks, hard=soft))
    response, energy = (
        _crowded(problem.replace(objective=Objective((goal,))), seconds)
        for goal in (Goal.RESPONSE, Goal.ENERGY)
    )
    # That of energy is for nodes without tasks; here all tasks run.
    added = np.where(problem.fits, problem.energy, np.iinfo(np.int64).max).min(axis=1)
    energy += int(added[problem.fits.any(axis=1)].sum())
    nodes = problem.nodes
    power = (nodes.speed * nodes.cores)[~nodes.asleep].sum() * problem.horizon / 1000
    use = float(problem.tasks.work.sum()) / power if power else np.inf
    whole = float(_crowded(problem, seconds))
    return [response / len(problem.tasks), float(energy), use, whole]


def _crowded(problem: TaskProblem, seconds: float) -> int:
    """The best bound of the one level."""
    return crowded_bounds(problem, budget=Budget.of(seconds))[0].value
