"""Migrations by chance: each choice that is allowed is as likely. What agents must beat."""

from __future__ import annotations

import numpy as np

from optsched.simulate.walks import Looks
from optsched.solvers.policy import Policy
from optsched.solvers.policy_agent import Agent


class Dice(Agent):
    """An agent whose scores are drawn from the generator in place of a session."""

    def scores(self, looks: Looks) -> np.ndarray:
        """(N, G + 1 + C) drawn anew for every state."""
        found: np.ndarray = self.session.random(looks.actions.shape)
        return found.astype(np.float32)


class Chance(Policy):
    """One episode, of which as of an agent's the best prefix counts."""

    name = "chance"

    def __init__(self, seed: int = 0) -> None:
        super().__init__(episodes=1)
        self._agent = Dice(np.random.default_rng(seed), {})
