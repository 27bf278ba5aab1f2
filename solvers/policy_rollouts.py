"""Episodes that an agent plays: the first one by its best choices, the others sampled."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from optsched.budget import Budget
from optsched.plan import Plan
from optsched.simulate.migration import Start
from optsched.simulate.walks import Walks
from optsched.solvers.policy_agent import Agent

AT_ONCE = 8  # sampled episodes that share a call of the network
SHARE = 0.5  # of the first episode's time that one of these takes
TEMPERATURE = 0.4  # of sampled choices; by validation seeds


@dataclass
class Played:
    """What came of the episodes.

    Attributes
    ----------
    value, plan
        The best scalarised objective that any prefix of an episode reached, and that prefix.
    whole
        Whether the first episode came to its end.
    episodes, decisions, seconds
        How many ended, how often a choice was made, and what the first episode took.
    """

    value: int
    plan: Plan
    whole: bool = False
    episodes: int = 0
    decisions: int = 0
    seconds: float = 0.0
    returns: list[int] = field(default_factory=list)

    def add(self, other: Played) -> None:
        """Take in more episodes."""
        if other.value < self.value:
            self.value, self.plan = other.value, other.plan
        self.episodes += other.episodes
        self.decisions += other.decisions
        self.returns += other.returns


def play(agent: Agent, begun: Start, budget: Budget, seed: int, most: int) -> Played:
    """Play up to `most` episodes within the budget.

    The best prefix of all counts: where the time ends in the middle of an episode, and where moves
    at its end cost more than they gain.
    """
    first = Walks([begun])
    played = Played(int(first.values[0]), first.plan(0))
    started = time.monotonic()
    played.whole = _together(agent, first, played, budget, np.random.default_rng(seed), 0.0)
    played.seconds = time.monotonic() - started
    if not played.whole or most < 2 or budget.over():
        return played
    threads = min(budget.workers, most - 1)
    shares = [(most - 1 + k) // threads for k in range(threads)]  # network and loop free the GIL
    with ThreadPoolExecutor(threads) as pool:
        runs = [
            pool.submit(
                _sample, agent, begun, budget, np.random.default_rng([seed, k]), share,
                SHARE * played.seconds,
            )
            for k, share in enumerate(shares)
        ]  # fmt: skip
        for run in runs:
            played.add(run.result())
    return played


def _sample(
    agent: Agent, begun: Start, budget: Budget, rng: np.random.Generator, most: int, each: float
) -> Played:
    """Sampled episodes, some side by side, until there are `most` or the time is up.

    More than come to their ends, at `each` seconds, are not begun: beginnings earn little.
    """
    ends = min(budget.remaining() / max(each, 1e-6), AT_ONCE)
    walks = Walks([begun] * max(min(int(ends), most), 1))
    played = Played(int(walks.values[0]), walks.plan(0))
    while _together(agent, walks, played, budget, rng, TEMPERATURE):
        if played.episodes >= most or budget.over():
            break
        for n in range(len(walks)):
            walks.reset(n)
    return played


def _together(
    agent: Agent,
    walks: Walks,
    played: Played,
    budget: Budget,
    rng: np.random.Generator,
    temperature: float,
) -> bool:
    """Play some episodes side by side; whether all came to their ends."""
    going = ~walks.over
    while going.any():
        if budget.over():
            return False
        looks = walks.looks()
        scores = agent.scores(looks)
        if temperature:
            scores = scores + temperature * rng.gumbel(size=scores.shape).astype(np.float32)
        walks.step(looks.best(scores))
        n = int(walks.values.argmin())
        if walks.values[n] < played.value:
            played.value, played.plan = int(walks.values[n]), walks.plan(n)
        played.decisions += int(going.sum())
        going = ~walks.over
    played.episodes += len(walks)
    played.returns += walks.values.tolist()
    return True
