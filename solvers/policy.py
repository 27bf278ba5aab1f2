"""`policy`: a trained agent as a solver, under a hard budget; its greedy fallback is counted.

No solver and no local search helps it: the plan is the agent's, or where its first episode does not
end in time, the better of what it had and of `fragments-greedy` (`stats["fallbacks"]`).
"""

from __future__ import annotations

import time

from optsched.budget import Budget
from optsched.errors import FormatError, OptschedError
from optsched.kernels import warm_migration
from optsched.objective import evaluate
from optsched.plan import Order, Placement, Plan
from optsched.problem import PlacementProblem
from optsched.result import Bound, Result, conclude
from optsched.simulate.migration import start as begin
from optsched.simulate.migration import unfit
from optsched.solvers.fragment_bounds import least_fragments
from optsched.solvers.fragments.building import build
from optsched.solvers.fragments.goals import goals_of
from optsched.solvers.fragments.greedy import steepest
from optsched.solvers.policy_agent import Agent, load
from optsched.solvers.policy_rollouts import Played, play
from optsched.solvers.search import starting

MOVES = 50  # where the problem has no limit: what the environment's episodes have
EPISODES = 100_000  # as many as the budget allows
CONCLUDE = 8e-6  # seconds per item that sequencing and checking take
FALLBACK = 0.25  # share of the time that is kept for greedy, at most
GREEDY = 0.02  # seconds that it takes


class Policy:
    """An agent from a file; by default the one that comes with the package."""

    name = "policy"

    def __init__(self, path: str | None = None, *, episodes: int = EPISODES) -> None:
        self.path, self.episodes = path, episodes
        self._agent: Agent | None = None

    def supports(self, problem: PlacementProblem) -> str | None:
        """None, or one sentence why an agent cannot serve the problem.

        Raises
        ------
        FormatError
            A file was named that is no agent.
        """
        reason = unfit(problem)
        if reason is not None:
            return reason
        try:
            self._load()
        except FormatError:
            raise
        except OptschedError as error:
            return str(error)
        warm_migration()
        return None

    def _load(self) -> Agent:
        if self._agent is None:
            self._agent = load(self.path)
        return self._agent

    def solve(
        self,
        problem: PlacementProblem,
        budget: Budget,
        *,
        seed: int = 0,
        start: Plan | None = None,
        order: Order = Order.WAVES,
    ) -> Result:
        """The best episode that the agent played within the budget."""
        started = time.monotonic()
        given = starting(problem, start)
        bounds: list[Bound | None] = [None] * len(problem.objective)
        if bounds:
            bounds[0] = least_fragments(problem, problem.objective[0])
        refusal = self.supports(problem)
        if refusal is not None:
            return conclude(
                problem, given, bounds, solver=self.name, started=started, order=order,
                stats={"refused": refusal},
            )  # fmt: skip
        left = budget.remaining()
        left -= min(0.5 * left, 0.005 + CONCLUDE * len(problem.items))
        kind = Order.SAFE if order is Order.SAFE else Order.WAVES
        begun = begin(problem, problem.max_moves if problem.max_moves >= 0 else MOVES, kind)
        share = budget.until(left - min(FALLBACK * left, GREEDY))
        notes = []
        try:
            played = play(self._load(), begun, share, seed, self.episodes)
        except FormatError as error:
            notes.append(f"{self.name}: {error}; greedy took over")
            played = Played(0, begun.plan([]))
        candidates = [played.plan.placement(problem), given]
        if not played.whole:
            candidates.append(_greedy(problem))
        candidates.sort(key=lambda one: evaluate(problem, one))
        return conclude(
            problem, candidates[0], bounds, solver=self.name, started=started, order=order,
            others=candidates[1:], notes=notes, stats=_stats(played),
        )  # fmt: skip


def _greedy(problem: PlacementProblem) -> Placement:
    """What greedy does; where it cannot serve the problem, nothing."""
    goals = goals_of(problem)
    if isinstance(goals, str):
        return Placement.current(problem)
    model = build(problem, problem.objective[goals.fragments], safe=True)
    return Placement.current(problem) if isinstance(model, str) else steepest(model)


def _stats(played: Played) -> dict[str, float | int | str]:
    return {
        "fallbacks": int(not played.whole),
        "episodes": played.episodes,
        "decisions": played.decisions,
        "first_episode_seconds": round(played.seconds, 6),
    }
