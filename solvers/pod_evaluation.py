"""An agent that binds pods one by one, beside rules, on drawn instances: who placed more.

Solvers may stand beside it too. They know all pods beforehand, as no agent and no rule does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from optsched import registry
from optsched.budget import Budget
from optsched.errors import UnsupportedError
from optsched.generate.arrivals import arrivals
from optsched.problem import PlacementProblem
from optsched.result import Solver
from optsched.simulate.arrivals import Arrivals
from optsched.solvers.arms import Arm, silent, with_agent
from optsched.solvers.arms import measure as arms_beside
from optsched.solvers.pod_rules import RULES
from optsched.solvers.policy import Policy

EPISODE = 600.0  # seconds for the one episode of an agent, which needs a fraction of one
USUAL = ("best-fit", "default-scheduler")  # what stands beside the agent where nothing is named
TAKES = ("nodes", "ppn", "tiers", "usage", "best_of", "time_limit")  # options that mean something
HEAD = (
    "arm", "#agent better", "#agent worse", "#top tier", "#all", "#µs per decision", "#fallbacks",
)  # fmt: skip

#: Pods placed per tier, fallbacks, and seconds where the agent itself has measured them.
Outcome = tuple[tuple[int, ...], int, Any]
Rule = Callable[[Arrivals, np.random.Generator], int]


@dataclass(frozen=True)
class Case:
    """How instances are drawn; 0: from the published grid. `best_of` and `limit` are in seconds."""

    nodes: int = 8
    ppn: int = 0
    priorities: int = 0
    usage: int = 0
    best_of: float | None = None
    limit: float = 10.0

    @classmethod
    def of(cls, wishes: Mapping[str, Any]) -> Case:
        """From the options of the command."""
        nodes, ppn, tiers, usage = (wishes[name] or 0 for name in TAKES[:4])
        return cls(nodes, ppn, tiers, usage, wishes["best_of"], wishes["time_limit"])

    def problem(self, seed: int) -> PlacementProblem:
        """The instance of a seed."""
        return arrivals(
            seed, nodes=self.nodes, ppn=self.ppn, priorities=self.priorities, usage=self.usage
        )


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
        Of the agent's first episode, of others the whole; and how many pods were decided on.
    """

    seed: int
    placed: tuple[int, ...]
    pods: tuple[int, ...]
    seconds: float
    decisions: int
    fallbacks: int

    @property
    def drawn(self) -> float:
        """What a plot shows: the share of pods that is left."""
        return 1 - sum(self.placed) / sum(self.pods)


def measure(
    agent: str | None,
    against: Sequence[str],
    seeds: Iterable[int],
    case: Case,
    say: Callable[[str], None] = silent,
    leave: Callable[[str], None] = silent,
) -> dict[str, list[Run]]:
    """The agent, then every rule or solver, on every instance.

    Raises
    ------
    UnsupportedError
        There is no such rule or solver, or no agent.
    """
    others = {name: _solver(name) for name in against if name not in RULES}
    solvers: dict[str, tuple[Solver, float]] = with_agent(
        partial(Policy, agent), EPISODE, case.best_of, others, case.limit
    )
    arms = {
        name: Arm(partial(_decide, solver, seconds), solver.supports)
        for name, (solver, seconds) in solvers.items()
    }
    arms |= {name: Arm(partial(_follow, RULES[name])) for name in against if name in RULES}
    return arms_beside(arms, seeds, case.problem, _runs, say, leave)


def _solver(name: str) -> Solver:
    try:
        found: Solver = registry.solver(name)
    except UnsupportedError as error:
        raise UnsupportedError(f"{error}; rules are {', '.join(RULES)}") from error
    return found


def _decide(solver: Solver, seconds: float, problem: PlacementProblem, seed: int) -> Outcome:
    result = solver.solve(problem, Budget.of(seconds))
    there = problem.items.tier[result.plan.placement(problem).host >= 0]
    placed = tuple(np.bincount(there, minlength=len(problem.tiers)).tolist())
    stats = result.stats
    return placed, int(stats.get("fallbacks", 0)), stats.get("first_episode_seconds")


def _follow(rule: Rule, problem: PlacementProblem, seed: int) -> Outcome:
    walk, rng = Arrivals(problem), np.random.default_rng(seed)
    while not walk.over:
        walk.step(rule(walk, rng))
    return tuple(walk.placed()), 0, None


def _runs(seed: int, problem: PlacementProblem) -> Callable[[Outcome, float], Run]:
    pods = tuple(np.bincount(problem.items.tier, minlength=len(problem.tiers)).tolist())

    def row(outcome: Outcome, seconds: float) -> Run:
        placed, fallbacks, episode = outcome
        seconds = seconds if episode is None else float(episode)
        return Run(seed, placed, pods, seconds, sum(pods), fallbacks)

    return row


def rows(found: dict[str, list[Run]]) -> list[list[str]]:
    """A line per arm: how often the agent was better or worse, what was placed, fallbacks."""
    lines, agent = [], found["agent"]
    for name, runs in found.items():
        better = [a.placed > b.placed for a, b in zip(agent, runs, strict=True)]
        worse = [a.placed < b.placed for a, b in zip(agent, runs, strict=True)]
        top = sum(run.placed[0] for run in runs) / sum(run.pods[0] for run in runs)
        every = sum(sum(run.placed) for run in runs) / sum(sum(run.pods) for run in runs)
        own = name == "agent"
        each = 1e6 * sum(run.seconds for run in runs) / sum(run.decisions for run in runs)
        lines.append(
            [
                name,
                "" if own else share(better),
                "" if own else share(worse),
                f"{top:.1%}",
                f"{every:.1%}",
                f"{each:.0f}" if not name.startswith("agent,") else "",
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
