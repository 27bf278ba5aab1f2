"""Episodes that an agent plays: the first one by its best choices, the others sampled."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from optsched.budget import Budget
from optsched.plan import Plan
from optsched.simulate.migration import Start
from optsched.simulate.walks import Floats, Look, Walk
from optsched.solvers.policy_agent import Agent

AT_ONCE = 8  # sampled episodes that share a call of the network
TEMPERATURE = 0.2  # of sampled choices
RARITY = 0.4  # weight of the logarithm of how many items are equal; chosen on validation seeds


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


def play(agent: Agent, begun: Start, budget: Budget, seed: int, most: int) -> Played:
    """Play up to `most` episodes within the budget.

    The best prefix of all counts: where the time ends in the middle of an episode, and where moves
    at its end cost more than they gain.
    """
    rng = np.random.default_rng(seed)
    first = Walk(begun)
    played = Played(first.value, first.plan())
    started = time.monotonic()
    played.whole = _together(agent, [first], played, budget, rng, 0.0)
    played.seconds = time.monotonic() - started
    walks = [Walk(begun) for _ in range(min(AT_ONCE, most - 1))]
    while played.whole and played.episodes < most and walks and not budget.over():
        for walk in walks:
            walk.reset()
        if not _together(agent, walks, played, budget, rng, TEMPERATURE):
            break
    return played


def _together(
    agent: Agent,
    walks: list[Walk],
    played: Played,
    budget: Budget,
    rng: np.random.Generator,
    temperature: float,
) -> bool:
    """Play some episodes side by side; whether all came to their ends."""
    going = [walk for walk in walks if not walk.over]
    while going:
        if budget.over():
            return False
        looks = [walk.look() for walk in going]
        for walk, look, scores in zip(going, looks, agent.scores(looks), strict=True):
            walk.step(_choose(look, scores, rng, temperature))
            if walk.value < played.value:
                played.value, played.plan = walk.value, walk.plan()
        played.decisions += len(going)
        going = [walk for walk in going if not walk.over]
    played.episodes += len(walks)
    played.returns += [walk.value for walk in walks]
    return True


def _choose(look: Look, scores: Floats, rng: np.random.Generator, temperature: float) -> int:
    """The best choice, or at a temperature a drawn one.

    Scores are of single items and cells. How often one is there does not count for it, but against
    it where items are chosen: what is rare and fits is soon gone.
    """
    if look.at is None:
        scores = scores - RARITY * look.choices_log
    if temperature:
        scores = scores / temperature + rng.gumbel(size=len(scores)).astype(np.float32)
    return int(look.choices[int(scores.argmax())])
