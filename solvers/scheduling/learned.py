"""Solvers with a trained agent: `policy` is the agent alone, `hybrid` are ants that it leads.

The hybrid is the seed paper's system: the agent's chances are the ants' heuristic and their first
pheromone, and its best episode is an elite beside the rules, so that under the plan's own model no
answer is worse than theirs. Where the agent does not end in time, EFT ends its episode, and that is
counted (`stats["fallbacks"]`).
"""

from __future__ import annotations

import time

import numpy as np

from optsched.budget import Budget
from optsched.errors import FormatError, OptschedError
from optsched.outcome import Outcome, reserve, settle
from optsched.solvers.scheduling.agent import Episodes, TaskAgent, load, play, warm
from optsched.solvers.scheduling.bounds import free_bounds
from optsched.solvers.scheduling.colony import Settings
from optsched.solvers.scheduling.rules import RULES
from optsched.solvers.scheduling.solvers import Ants, best_of, met
from optsched.tasks import Schedule, TaskProblem, evaluate

FLOOR = 0.02  # the least worth of a node, so that ants may still go everywhere
BATCH, WARMTH = 8, 1.0  # sampled episodes in step, and their temperature
SHARE = 0.35  # of the time, for the agent's first episode


class _Led:
    """Loading the agent."""

    path: str | None
    _agent: TaskAgent | None = None

    def supports(self, problem: TaskProblem) -> str | None:
        """None, or one sentence why there is no agent.

        Raises
        ------
        FormatError
            A file was named that is no agent.
        """
        del problem
        try:
            self.agent()
        except FormatError:
            raise
        except OptschedError as error:
            return str(error)
        warm()
        return None

    def agent(self) -> TaskAgent:
        """The agent, read once."""
        if self._agent is None:
            self._agent = load(self.path)
        return self._agent


class Policy(_Led):
    """The agent alone: its best choices, then the best of sampled episodes while there is time.

    Nothing helps it, not even where EFT is better.
    """

    name = "policy"

    def __init__(self, path: str | None = None, *, episodes: int = 10_000) -> None:
        self.path, self.episodes = path, episodes

    def solve(
        self, problem: TaskProblem, budget: Budget, *, seed: int = 0, start: Schedule | None = None
    ) -> Outcome:
        """The best of its episodes."""
        del start
        started, reference = time.monotonic(), RULES["eft"](problem, seed)
        budget = reserve(problem, reference, budget)
        first = play(self.agent(), problem, budget)
        found, played = first.schedules[0], 1
        while not budget.over() and played < self.episodes and not self._best(problem, found):
            more = play(
                self.agent(), problem, budget, times=min(BATCH, self.episodes - played),
                seed=seed + played, warmth=WARMTH,
            )  # fmt: skip
            if more.whole:
                found = best_of(problem, [found, *more.schedules])
                played += len(more.schedules)
        return settle(
            problem, found, reference, free_bounds(problem), solver=self.name,
            started=started, keep=True, stats=_stats(first) | {"episodes": played},
        )  # fmt: skip

    @staticmethod
    def _best(problem: TaskProblem, found: Schedule) -> bool:
        """Whether a bound that needs no search proves it, so that no episode can be better."""
        values = evaluate(problem, found).levels
        return met(values, free_bounds(problem, values))


class Hybrid(_Led, Ants):
    """Ants that the agent leads."""

    name = "hybrid"

    def __init__(self, path: str | None = None, *, settings: Settings | None = None) -> None:
        Ants.__init__(self, settings=settings)
        self.path = path

    def lead(self, problem: TaskProblem, budget: Budget) -> list[Schedule]:
        """The agent's episode, and what it thinks of nodes."""
        budget.report("policy")
        try:
            first = play(self.agent(), problem, budget.share(SHARE), patient=False)
        except FormatError:
            first = Episodes([], np.zeros(problem.fits.shape), 0, False)
        self.stats = _stats(first)
        worth = belief(first.chances)
        self.scorer = lambda _: worth
        return first.schedules


def belief(chances: np.ndarray) -> np.ndarray:
    """(I, J) what ants think of nodes; all alike for tasks that the agent was not asked about."""
    asked = chances.any(axis=1, keepdims=True)
    return np.asarray(np.where(asked, np.maximum(chances, FLOOR), 1.0))


def _stats(first: Episodes) -> dict[str, float | int | str]:
    return {"fallbacks": int(not first.whole), "decisions": first.decisions}
