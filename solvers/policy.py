"""`policy`: a trained agent as a solver, under a hard budget; its greedy fallback is counted.

VMs migrate one by one where there are fragments to save, else pending pods are bound one by one.
No solver and no local search helps: the plan is the agent's, or where its first episode does not
end in time, the better of what it had and of greedy (`stats["fallbacks"]`).
"""

from __future__ import annotations

import time
from pathlib import Path

from optsched.budget import Budget
from optsched.errors import FormatError, OptschedError
from optsched.kernels import warm_migration
from optsched.objective import evaluate
from optsched.plan import Order, Placement, Plan
from optsched.problem import PlacementProblem
from optsched.result import Bound, Result, conclude
from optsched.simulate import arrivals
from optsched.simulate.migration import start as begin
from optsched.simulate.migration import unfit
from optsched.solvers import agent_file, policy_pods
from optsched.solvers.bounds import free_bounds
from optsched.solvers.fragment_bounds import least_fragments
from optsched.solvers.fragments.building import build
from optsched.solvers.fragments.goals import goals_of
from optsched.solvers.fragments.greedy import steepest
from optsched.solvers.greedy import Greedy
from optsched.solvers.policy_agent import Agent, load
from optsched.solvers.policy_pods import PodAgent
from optsched.solvers.policy_rollouts import Played, play
from optsched.solvers.search import starting

Outcome = tuple[list[Placement], dict[str, float | int | str], list[str]]

MOVES = 50  # where the problem has no limit: what the environment's episodes have
EPISODES = 100_000  # as many as the budget allows
CONCLUDE = 8e-6  # seconds per item that sequencing and checking take
FALLBACK = 0.25  # share of the time that is kept for greedy, at most
GREEDY = 0.02  # seconds that it takes
LATE = "policy: the first episode did not end in time; greedy took over"


class Policy:
    """An agent from a file; by default the one that comes with the package for the problem."""

    name = "policy"

    def __init__(self, path: str | None = None, *, episodes: int = EPISODES) -> None:
        self.path, self.episodes = path, episodes
        self._agent: Agent | None = None
        self._pods: PodAgent | None = None

    def supports(self, problem: PlacementProblem) -> str | None:
        """None, or one sentence why an agent cannot serve the problem.

        Raises
        ------
        FormatError
            A file was named that is no agent, or one for other problems than those of `policy`.
        """
        try:
            if self._arriving(problem):
                reason = arrivals.unfit(problem)
                if reason is None and self._pods is None:
                    self._pods = policy_pods.load(self.path)
                return reason
            reason = unfit(problem)
            if reason is None:
                self._load()
                warm_migration()
            return reason
        except FormatError:
            raise
        except OptschedError as error:
            return str(error)

    def _arriving(self, problem: PlacementProblem) -> bool:
        """Whether pods arrive, rather than VMs migrate: as the file says, or the problem."""
        if self._pods is not None or self._agent is not None:
            return self._pods is not None
        if self.path is not None:
            return agent_file.environment_of(Path(self.path)) == policy_pods.ENVIRONMENT
        return unfit(problem) is not None and arrivals.unfit(problem) is None

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
        refusal = self.supports(problem)
        bounds: list[Bound | None] = [None] * len(problem.objective)
        if self._pods is None and bounds:
            bounds[0] = least_fragments(problem, problem.objective[0])
        if refusal is not None:
            return conclude(
                problem, given, bounds, solver=self.name, started=started, order=order,
                stats={"refused": refusal},
            )  # fmt: skip
        left = budget.remaining()
        left -= min(0.5 * left, 0.005 + CONCLUDE * len(problem.items))
        share = budget.until(left - min(FALLBACK * left, GREEDY))
        play_ = self._bind if self._pods is not None else self._migrate
        candidates, stats, notes = play_(problem, share, budget, seed, order)
        candidates.append(given)
        candidates.sort(key=lambda one: evaluate(problem, one))
        if self._pods is not None:
            bounds = free_bounds(problem, candidates[0], budget)
        return conclude(
            problem, candidates[0], bounds, solver=self.name, started=started, order=order,
            others=candidates[1:], notes=notes, stats=stats,
        )  # fmt: skip

    def _migrate(
        self, problem: PlacementProblem, share: Budget, budget: Budget, seed: int, order: Order
    ) -> Outcome:
        """Episodes of migrations; greedy where the first one does not end."""
        kind = Order.SAFE if order is Order.SAFE else Order.WAVES
        begun = begin(problem, problem.max_moves if problem.max_moves >= 0 else MOVES, kind)
        notes = []
        try:
            played = play(self._load(), begun, share, seed, self.episodes)
        except FormatError as error:
            notes.append(f"{self.name}: {error}; greedy took over")
            played = Played(0, begun.plan([]))
        candidates = [played.plan.placement(problem)]
        if not played.whole:
            notes = notes or [LATE]
            candidates.append(_greedy(problem))
        return candidates, _stats(played), notes

    def _bind(
        self, problem: PlacementProblem, share: Budget, budget: Budget, seed: int, order: Order
    ) -> Outcome:
        """Episodes of arrivals; greedy where the first one does not end."""
        assert self._pods is not None
        notes = []
        try:
            bound = policy_pods.bind(self._pods, problem, share, seed, self.episodes)
        except FormatError as error:
            notes.append(f"{self.name}: {error}; greedy took over")
            bound = policy_pods.Bound(Placement.current(problem))
        candidates = [bound.placement]
        if not bound.whole:
            notes = notes or [LATE]
            result = Greedy().solve(problem, budget.until(budget.remaining()), order=order)
            candidates.append(result.plan.placement(problem))
        return candidates, _stats(bound), notes


def _greedy(problem: PlacementProblem) -> Placement:
    """What greedy does; where it cannot serve the problem, nothing."""
    goals = goals_of(problem)
    if isinstance(goals, str):
        return Placement.current(problem)
    model = build(problem, problem.objective[goals.fragments], safe=True)
    return Placement.current(problem) if isinstance(model, str) else steepest(model)


def _stats(played: Played | policy_pods.Bound) -> dict[str, float | int | str]:
    return {
        "fallbacks": int(not played.whole),
        "episodes": played.episodes,
        "decisions": played.decisions,
        "first_episode_seconds": round(played.seconds, 6),
    }
