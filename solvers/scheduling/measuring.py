"""An agent for tasks beside solvers, on the same instances, with all arrivals as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from optsched import registry
from optsched.budget import Budget
from optsched.errors import UnsupportedError
from optsched.generate.tasks import tasks as draw
from optsched.kernels import warm_schedules
from optsched.simulate.episodes import weighed
from optsched.solvers.evaluation import interval
from optsched.solvers.scheduling.learned import Policy
from optsched.solvers.scheduling.rules import RULES
from optsched.tasks import TaskProblem, evaluate

EPISODE = 10.0  # seconds that one episode may take; it needs some milliseconds


@dataclass(frozen=True)
class Case:
    """Of which kind the instances are, and how long solvers may take, in seconds.

    The objective is response, energy and lateness in one sum, see `simulate.episodes.weighed`.
    """

    nodes: int = 8
    count: int = 60
    load: float = 0.8
    burst: bool = False
    best_of: float | None = None
    seconds: float = 1.0

    def problem(self, seed: int) -> TaskProblem:
        """The instance of a seed."""
        return weighed(
            draw(seed, nodes=self.nodes, count=self.count, load=self.load, burst=self.burst)
        )


@dataclass(frozen=True)
class Run:
    """One arm on one instance: the weighted sum, that of EFT, seconds, and of the first episode
    how many decisions and whether EFT had to end it."""

    seed: int
    value: int
    eft: int
    seconds: float
    decisions: int
    fallbacks: int

    @property
    def ratio(self) -> float:
        """Of the weighted sums: below 1 it is better than EFT."""
        return self.value / self.eft if self.eft else 1.0


def measure(
    agent: str | None,
    against: Sequence[str],
    seeds: Iterable[int],
    case: Case,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, list[Run]]:
    """Every arm on every instance.

    Raises
    ------
    UnsupportedError
        A solver cannot serve such instances.
    """
    arms = {"agent": (Policy(agent, episodes=1), EPISODE)}
    if case.best_of is not None:
        arms[f"agent, best in {case.best_of:g} s"] = Policy(agent), case.best_of
    for name in against:
        arms[name] = registry.task_solver(name), case.seconds
    warm_schedules()
    found: dict[str, list[Run]] = {name: [] for name in arms}
    for at, seed in enumerate(seeds):
        say(f"instance {at + 1}")
        problem = case.problem(seed)
        eft = evaluate(problem, RULES["eft"](problem, 0)).levels[0]
        for name, (solver, seconds) in arms.items():
            refusal = solver.supports(problem)
            if refusal is not None:
                raise UnsupportedError(f"solver {name!r} cannot serve these instances: {refusal}")
            begun = time.perf_counter()
            told = solver.solve(problem, Budget.of(seconds))
            spent = time.perf_counter() - begun
            value = evaluate(problem, told.schedule).levels[0]
            decisions, fallbacks = (int(told.stats.get(k, 0)) for k in ("decisions", "fallbacks"))
            found[name].append(Run(seed, value, eft, spent, decisions, fallbacks))
    return found


def rows(found: dict[str, list[Run]]) -> list[list[str]]:
    """A line per arm: mean ratio to EFT, interval, worst, share not worse, time, fallbacks."""
    lines = []
    for name, runs in found.items():
        ratios = np.array([run.ratio for run in runs])
        low, high = interval(ratios)
        lines.append(
            [
                name,
                f"{ratios.mean():.4f}",
                f"{low:.4f} to {high:.4f}",
                f"{ratios.max():.4f}",
                f"{float((ratios <= 1).mean()):.0%}",
                f"{1e3 * float(np.mean([run.seconds for run in runs])):.0f}",
                str(sum(run.fallbacks for run in runs)),
            ]
        )
    return lines
