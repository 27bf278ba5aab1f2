"""A later stage of training: a few coefficients, chosen by what episodes of best choices reach.

A clone gives each choice its share in the teacher's plans. The best of them is not always the one
with the largest share: what is rare and fits is soon gone, what is frequent can wait. So each score
gets a sum of columns of its row on top, and the coefficients are found by the cross-entropy method
(Rubinstein 1999) on instances of the training split: no solver is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch

from optsched.agents import vm_instances
from optsched.agents.network import MigrationNetwork
from optsched.agents.vm_lessons import act
from optsched.envs.seeds import seeds
from optsched.kernels.layout import CELL_TIMES, CELL_WIDE, GROUP_TIMES, GROUP_WIDE
from optsched.simulate.migration import Start
from optsched.simulate.walks import Walks

SPREAD, WIDE = 0.6, 1.5  # of the coefficients at first, and of those of how many are equal
RARE = -4.2  # where the coefficient of how many groups are equal begins
ELITE, KEPT = 4, 0.7  # one of so many shapes the next round, which keeps so much of its spread


class Tilting:
    """The search for the coefficients of a network; see `agents.subject.Stage`.

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
        self.network, self.config, self.env, self.seed = network, config, env, seed
        self.total, self.round = int(config["rounds"]), 0
        self.every = max(self.total, 1)  # validated at its end alone
        self.mean = np.zeros(GROUP_WIDE + CELL_WIDE)
        self.mean[GROUP_TIMES] = RARE
        self.spread = np.full(len(self.mean), SPREAD)
        self.spread[[GROUP_TIMES, GROUP_WIDE + CELL_TIMES]] = WIDE
        self.best: tuple[float, np.ndarray] | None = None

    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        value, tilt = self.best or (0.0, self.mean)
        return {
            "round": self.round, "mean": self.mean.tolist(), "spread": self.spread.tolist(),
            "value": value, "best": tilt.tolist(),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.round, self.mean = state["round"], np.array(state["mean"])
        self.spread, self.best = (
            np.array(state["spread"]),
            (state["value"], np.array(state["best"])),
        )

    def rounds(self, stop: Callable[[], bool]) -> Iterator[float]:
        """After every round that is left, the share of fragments that the best leaves.

        The network has the best coefficients then, where even none may be the best.
        """
        while self.round < self.total and not stop():
            best = self.best or self._at_first()
            rng = np.random.default_rng([self.seed, 7, self.round])
            shape = int(self.config["population"]), len(self.mean)
            tried = self.mean + self.spread * rng.normal(size=shape)
            tried[0] = self.mean
            values = np.array([self.value(one) for one in tried])
            order = values.argsort()
            elite = tried[order[: max(len(tried) // ELITE, 2)]]
            self.mean = elite.mean(axis=0)
            self.spread = KEPT * self.spread + (1 - KEPT) * elite.std(axis=0)
            self.round += 1
            found = [best, (float(values[order[0]]), tried[order[0]])]
            if self.round == self.total:
                found.append((self.value(self.mean), self.mean))
            self.best = min(found, key=lambda one: one[0])
            self.set(self.best[1])
            yield self.best[0]

    def _at_first(self) -> tuple[float, np.ndarray]:
        """What the network's own coefficients reach; none, before this stage was there."""
        own = torch.cat([self.network.group_tilt, self.network.cell_tilt]).cpu().numpy()
        return self.value(own.astype(float)), own.astype(float)

    @cached_property
    def starts(self) -> list[Start]:
        """Instances of the training split."""
        rng, (options, moves) = np.random.default_rng([self.seed, 7]), vm_instances.parted(self.env)
        own = rng.integers(0, len(seeds("train")), int(self.config["instances"]))
        return [vm_instances.begun(int(one), options, moves) for one in own.tolist()]

    def set(self, tilt: np.ndarray) -> None:
        """Give the network coefficients (GROUP_WIDE + CELL_WIDE,)."""
        values = torch.from_numpy(tilt.astype(np.float32))
        self.network.group_tilt.copy_(values[:GROUP_WIDE])
        self.network.cell_tilt.copy_(values[GROUP_WIDE:])

    def value(self, tilt: np.ndarray) -> float:
        """The mean share of what staying costs that the best prefixes of episodes leave."""
        self.set(tilt)
        self.network.eval()
        walks, rng = Walks(self.starts), np.random.default_rng(0)  # nothing is drawn
        first, best = walks.values.copy(), walks.values.copy()
        while not walks.over.all():
            walks.step(act(self.network, walks.looks(), rng))
            best = np.minimum(best, walks.values)
        return float(np.mean(best / np.maximum(first, 1)))
