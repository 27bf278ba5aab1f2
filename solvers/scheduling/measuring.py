"""An agent for tasks beside solvers, on the same instances, with all arrivals as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from optsched import registry
from optsched.budget import Budget
from optsched.errors import InputError
from optsched.generate.tasks import tasks as draw
from optsched.kernels import warm_schedules
from optsched.outcome import Outcome
from optsched.simulate.episodes import weighed
from optsched.solvers.arms import Arm, silent, with_agent
from optsched.solvers.arms import measure as arms_beside
from optsched.solvers.evaluation import interval
from optsched.solvers.scheduling.learned import Policy
from optsched.solvers.scheduling.rules import RULES
from optsched.tasks import TaskProblem, evaluate

EPISODE = 10.0  # seconds that one episode may take; it needs some milliseconds
USUAL = ("greedy:eft", "greedy:energy", "greedy:edf", "greedy")  # where nothing is named
TAKES = ("nodes", "tasks", "load", "burst", "best_of", "time_limit")  # options that mean something
HEAD = ("arm", "#over EFT", "#95 %", "#worst", "#not worse", "#ms", "#fallbacks")


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

    @classmethod
    def of(cls, wishes: Mapping[str, Any]) -> Case:
        """From the options of the command.

        Raises
        ------
        InputError
            The load is no number.
        """
        try:
            load = float(wishes["load"] or cls.load)
        except ValueError:
            raise InputError(f"--load {wishes['load']!r}: of tasks it is a number") from None
        given = wishes["nodes"], wishes["tasks"], load, wishes["burst"], wishes["best_of"]
        return cls(*given, seconds=wishes["time_limit"])

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

    @property
    def drawn(self) -> float:
        """What a plot shows."""
        return self.ratio


def measure(
    agent: str | None,
    against: Sequence[str],
    seeds: Iterable[int],
    case: Case,
    say: Callable[[str], None] = silent,
    leave: Callable[[str], None] = silent,
) -> dict[str, list[Run]]:
    """Every arm on every instance; `leave` is told of solvers that cannot serve them.

    Raises
    ------
    UnsupportedError
        There is no such solver, or the agent cannot serve such instances.
    """
    others = {name: registry.task_solver(name) for name in against}
    solvers = with_agent(partial(Policy, agent), EPISODE, case.best_of, others, case.seconds)
    warm_schedules()
    arms = {name: _arm(solver, time) for name, (solver, time) in solvers.items()}
    return arms_beside(arms, seeds, case.problem, _runs, say, leave)


def _arm(solver: Any, seconds: float) -> Arm[TaskProblem, Outcome]:
    return Arm(lambda problem, seed: solver.solve(problem, Budget.of(seconds)), solver.supports)


def _runs(seed: int, problem: TaskProblem) -> Callable[[Outcome, float], Run]:
    eft = evaluate(problem, RULES["eft"](problem, 0)).levels[0]

    def row(told: Outcome, seconds: float) -> Run:
        value = evaluate(problem, told.schedule).levels[0]
        decisions, fallbacks = (int(told.stats.get(k, 0)) for k in ("decisions", "fallbacks"))
        return Run(seed, value, eft, seconds, decisions, fallbacks)

    return row


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
