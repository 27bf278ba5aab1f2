"""The last stage of training: a few coefficients, chosen by what episodes of best choices reach.

A clone gives each choice its share in the teacher's plans. The best of them is not always the one
with the largest share: what is rare and fits is soon gone, what is frequent can wait. So each score
gets a sum of columns of its row on top, and the coefficients are found by the cross-entropy method
(Rubinstein 1999) on instances of the training split: no solver is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from optsched.agents.network import MigrationNetwork
from optsched.agents.vm_lessons import act
from optsched.envs.seeds import seeds
from optsched.generate.vm import snapshot
from optsched.kernels.layout import CELL_TIMES, CELL_WIDE, GROUP_TIMES, GROUP_WIDE
from optsched.simulate.migration import Start, start
from optsched.simulate.walks import Walks

SPREAD, WIDE = 0.6, 1.5  # of the coefficients at first, and of those of how many are equal
RARE = -4.2  # where the coefficient of how many groups are equal begins
ELITE, KEPT = 4, 0.7  # one of so many shapes the next round, which keeps so much of its spread


class Tilting:
    """The search for the coefficients of a network.

    Parameters
    ----------
    network
        Is changed.
    config
        `tilt` of the hyperparameters.
    env
        `env_kwargs`.
    seed
        Of all draws.
    """

    def __init__(
        self, network: MigrationNetwork, config: dict[str, Any], env: dict[str, Any], seed: int
    ) -> None:
        self.network, self.config = network, config
        self.rng = np.random.default_rng([seed, 7])
        options = dict(env)
        moves = int(options.pop("moves", 50))
        own = self.rng.integers(0, len(seeds("train")), int(config["instances"]))
        self.starts: list[Start] = [
            start(snapshot(int(seed), **options), moves) for seed in own.tolist()
        ]
        self.mean = np.zeros(GROUP_WIDE + CELL_WIDE)
        self.mean[GROUP_TIMES] = RARE
        self.spread = np.full(len(self.mean), SPREAD)
        self.spread[[GROUP_TIMES, GROUP_WIDE + CELL_TIMES]] = WIDE

    def run(self, say: Callable[[int, float], None], stop: Callable[[], bool]) -> None:
        """All rounds; `say` gets the round and the share of fragments left by the best."""
        best = self.value(np.zeros(len(self.mean))), np.zeros(len(self.mean))
        for done in range(int(self.config["rounds"])):
            if stop():
                break
            shape = int(self.config["population"]), len(self.mean)
            tried = self.mean + self.spread * self.rng.normal(size=shape)
            tried[0] = self.mean
            values = np.array([self.value(one) for one in tried])
            order = values.argsort()
            if values[order[0]] < best[0]:
                best = float(values[order[0]]), tried[order[0]]
            elite = tried[order[: max(len(tried) // ELITE, 2)]]
            self.mean = elite.mean(axis=0)
            self.spread = KEPT * self.spread + (1 - KEPT) * elite.std(axis=0)
            say(done + 1, best[0])
        last = self.value(self.mean)
        self.set(self.mean if last <= best[0] else best[1])

    def set(self, tilt: np.ndarray) -> None:
        """Give the network coefficients (GROUP_WIDE + CELL_WIDE,)."""
        values = torch.from_numpy(tilt.astype(np.float32))
        self.network.group_tilt.copy_(values[:GROUP_WIDE])
        self.network.cell_tilt.copy_(values[GROUP_WIDE:])

    def value(self, tilt: np.ndarray) -> float:
        """The mean share of what staying costs that the best prefixes of episodes leave."""
        self.set(tilt)
        self.network.eval()
        walks = Walks(self.starts)
        first, best = walks.values.copy(), walks.values.copy()
        while not walks.over.all():
            walks.step(act(self.network, walks.looks(), self.rng))
            best = np.minimum(best, walks.values)
        return float(np.mean(best / np.maximum(first, 1)))
