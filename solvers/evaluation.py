"""An agent beside solvers on drawn snapshots: gaps to proven bounds, times, fallbacks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from optsched import registry
from optsched.budget import Budget
from optsched.errors import UnsupportedError
from optsched.generate.vm import snapshot
from optsched.kernels import warm, warm_migration
from optsched.plan import Order
from optsched.problem import PlacementProblem
from optsched.result import Result, Solver
from optsched.solvers.fragments.exchange import Fragments
from optsched.solvers.policy import Policy

EPISODE = 600.0  # seconds for the one episode of an agent, which needs a fraction of one


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
    arms: dict[str, tuple[Solver, float]] = {"agent": (Policy(agent, episodes=1), EPISODE)}
    if case.best_of is not None:
        arms[f"agent, best in {case.best_of:g} s"] = Policy(agent), case.best_of
    for name in against:
        arms[name] = registry.solver(name), case.seconds
    warm()
    warm_migration()
    found: dict[str, list[Run]] = {name: [] for name in arms}
    for at, seed in enumerate(seeds):
        say(f"instance {at + 1}")
        problem = case.problem(seed)
        proven = Fragments().solve(problem, Budget.of(60.0), order=Order.SAFE).levels[0].bound
        for name, (solver, seconds) in arms.items():
            refusal = solver.supports(problem)
            if refusal is not None:
                raise UnsupportedError(f"solver {name!r} cannot serve these instances: {refusal}")
            begun = time.perf_counter()
            result = solver.solve(
                problem, Budget.of(seconds, workers=case.workers), order=Order.SAFE
            )
            found[name].append(_run(seed, result, proven, time.perf_counter() - begun))
    return found


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
