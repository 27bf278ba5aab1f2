"""An agent that binds pods one by one, beside rules, on drawn instances: who placed more."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from optsched.budget import Budget
from optsched.errors import UnsupportedError
from optsched.generate.arrivals import arrivals
from optsched.simulate.arrivals import Arrivals
from optsched.solvers.pod_rules import RULES
from optsched.solvers.policy import Policy

EPISODE = 600.0  # seconds for the one episode of an agent, which needs a fraction of one


@dataclass(frozen=True)
class Case:
    """How instances are drawn; 0: from the published grid."""

    nodes: int = 8
    ppn: int = 0
    priorities: int = 0
    usage: int = 0


@dataclass(frozen=True)
class Run:
    """One arm on one instance.

    Attributes
    ----------
    placed
        Pods per tier that run in the end, the highest tier first.
    pods
        Per tier all of them.
    seconds, decisions
        Of the whole, and how many pods were decided on.
    """

    seed: int
    placed: tuple[int, ...]
    pods: tuple[int, ...]
    seconds: float
    decisions: int
    fallbacks: int


def measure(
    agent: str | None,
    against: Sequence[str],
    seeds: Iterable[int],
    case: Case,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, list[Run]]:
    """The agent, then every rule, on every instance.

    Raises
    ------
    UnsupportedError
        There is no such rule, or no agent.
    """
    for name in against:
        if name not in RULES:
            raise UnsupportedError(f"no rule {name[:40]!r}; there are {', '.join(RULES)}")
    solver = Policy(agent, episodes=1)
    found: dict[str, list[Run]] = {name: [] for name in ("agent", *against)}
    for at, seed in enumerate(seeds):
        say(f"instance {at + 1}")
        problem = arrivals(seed, **vars(case))
        refusal = solver.supports(problem)
        if refusal is not None:
            raise UnsupportedError(f"the agent cannot serve these instances: {refusal}")
        pods = tuple(np.bincount(problem.items.tier, minlength=len(problem.tiers)).tolist())
        begun = time.perf_counter()
        result = solver.solve(problem, Budget.of(EPISODE))
        seconds = time.perf_counter() - begun
        runs = problem.items.tier[result.plan.placement(problem).host >= 0]
        placed = tuple(np.bincount(runs, minlength=len(pods)).tolist())
        fallbacks = int(result.stats.get("fallbacks", 0))
        seconds = float(result.stats.get("first_episode_seconds", seconds))
        found["agent"].append(Run(seed, placed, pods, seconds, sum(pods), fallbacks))
        for name in against:
            begun, rng = time.perf_counter(), np.random.default_rng(seed)
            walk = Arrivals(problem)
            while not walk.over:
                walk.step(RULES[name](walk, rng))
            seconds = time.perf_counter() - begun
            found[name].append(Run(seed, tuple(walk.placed()), pods, seconds, sum(pods), 0))
    return found


def rows(found: dict[str, list[Run]]) -> list[list[str]]:
    """A line per arm: how often the agent was better or worse, what was placed, fallbacks."""
    lines, agent = [], found["agent"]
    for name, runs in found.items():
        better = [a.placed > b.placed for a, b in zip(agent, runs, strict=True)]
        worse = [a.placed < b.placed for a, b in zip(agent, runs, strict=True)]
        top = sum(run.placed[0] for run in runs) / sum(run.pods[0] for run in runs)
        every = sum(sum(run.placed) for run in runs) / sum(sum(run.pods) for run in runs)
        own = name == "agent"
        lines.append(
            [
                name,
                "" if own else share(better),
                "" if own else share(worse),
                f"{top:.1%}",
                f"{every:.1%}",
                f"{1e6 * sum(r.seconds for r in runs) / sum(r.decisions for r in runs):.0f}",
                str(sum(run.fallbacks for run in runs)),
            ]
        )
    return lines


def share(found: Sequence[bool]) -> str:
    """A share with its 95 % interval (Wilson 1927)."""
    n, p, z = len(found), sum(found) / len(found), 1.96
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return f"{p:.1%} ({max(centre - half, 0):.1%} to {min(centre + half, 1):.1%})"
