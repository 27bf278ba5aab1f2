"""An agent beside solvers on drawn snapshots: gaps to proven bounds, times, fallbacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from optsched import registry
from optsched.budget import Budget
from optsched.generate.vm import snapshot
from optsched.kernels import warm, warm_migration
from optsched.plan import Order
from optsched.problem import PlacementProblem
from optsched.result import Result, Solver
from optsched.solvers.arms import Arm, silent, with_agent
from optsched.solvers.arms import measure as arms_beside
from optsched.solvers.fragments.exchange import Fragments
from optsched.solvers.policy import Policy

EPISODE = 600.0  # seconds for the one episode of an agent, which needs a fraction of one
USUAL = ("fragments-greedy",)  # what stands beside the agent where nothing is named
TAKES = ("pms", "load", "memory", "moves", "best_of", "time_limit")  # options that mean something
HEAD = ("arm", "#mean gap", "#95 %", "#worst", "#ms", "#µs per decision", "#fallbacks")


@dataclass(frozen=True)
class Case:
    """How instances are drawn and what solvers are given."""

    pms: int = 279
    load: str = "high"
    memory: str = "slack"
    moves: int = 50
    best_of: float | None = None
    seconds: float = 10.0
    workers: int = 1

    @classmethod
    def of(cls, wishes: Mapping[str, Any]) -> Case:
        """From the options of the command."""
        given = {name: wishes[name] for name in ("pms", "memory", "moves", "best_of", "workers")}
        return cls(load=wishes["load"] or cls.load, seconds=wishes["time_limit"], **given)

    def problem(self, seed: int) -> PlacementProblem:
        """The instance of a seed."""
        drawn = snapshot(seed, pms=self.pms, load=self.load, memory=self.memory)
        return drawn.replace(max_moves=self.moves)


@dataclass(frozen=True)
class Run:
    """One arm on one instance.

    Attributes
    ----------
    gap
        (value - bound) / (stay - bound) of the first level, 0 where nothing can be gained.
    seconds, deciding, decisions
        From problem to checked plan; and of the agent's first episode alone.
    """

    seed: int
    value: int
    bound: int
    stay: int
    gap: float
    seconds: float
    deciding: float
    decisions: int
    fallbacks: int

    @property
    def drawn(self) -> float:
        """What a plot shows."""
        return self.gap


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
    others = {name: registry.solver(name) for name in against}
    solvers: dict[str, tuple[Solver, float]] = with_agent(
        partial(Policy, agent), EPISODE, case.best_of, others, case.seconds
    )
    warm()
    warm_migration()
    arms = {name: _arm(solver, time, case) for name, (solver, time) in solvers.items()}
    return arms_beside(arms, seeds, case.problem, _runs, say, leave)


def _arm(solver: Solver, seconds: float, case: Case) -> Arm[PlacementProblem, Result]:
    def answer(problem: PlacementProblem, seed: int) -> Result:
        budget = Budget.of(seconds, workers=case.workers)
        return solver.solve(problem, budget, order=Order.SAFE)

    return Arm(answer, solver.supports)


def _runs(seed: int, problem: PlacementProblem) -> Callable[[Result, float], Run]:
    proven = Fragments().solve(problem, Budget.of(60.0), order=Order.SAFE).levels[0].bound
    return lambda result, seconds: _run(seed, result, proven, seconds)


def _run(seed: int, result: Result, bound: int, seconds: float) -> Run:
    level = result.levels[0]
    gain = level.stay - bound
    return Run(
        seed,
        level.value,
        bound,
        level.stay,
        (level.value - bound) / gain if gain > 0 else 0.0,
        seconds,
        float(result.stats.get("first_episode_seconds", 0.0)),
        int(result.stats.get("decisions", 0)),
        int(result.stats.get("fallbacks", 0)),
    )


def rows(found: dict[str, list[Run]]) -> list[list[str]]:
    """A line per arm: mean gap, interval, worst, time, time per decision, fallbacks."""
    lines = []
    for name, runs in found.items():
        gaps = np.array([run.gap for run in runs])
        low, high = interval(gaps)
        decisions = sum(run.decisions for run in runs) if name == "agent" else 0
        each = 1e6 * sum(run.deciding for run in runs) / decisions if decisions else math.nan
        lines.append(
            [
                name,
                f"{gaps.mean():.2%}",
                f"{low:.2%} to {high:.2%}",
                f"{gaps.max():.2%}",
                f"{1e3 * float(np.mean([run.seconds for run in runs])):.0f}",
                "" if math.isnan(each) else f"{each:.0f}",
                str(sum(run.fallbacks for run in runs)),
            ]
        )
    return lines


def interval(values: np.ndarray, draws: int = 10_000) -> tuple[float, float]:
    """The 95 % interval of the mean, by the bootstrap with a fixed seed."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (draws, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
