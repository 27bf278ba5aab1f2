"""What a teacher of pod packing teaches: where each pod goes in a plan made with hindsight.

The teacher packs all pods of an instance at once, the higher tiers first, and then shows where each
goes as it arrives. It knows what no policy can know, so a clone learns how likely each choice is in
good plans; what to do with that is left to reinforcement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optsched.agents.cloning import Weights
from optsched.arrays import Bools, Ints
from optsched.budget import Budget
from optsched.envs.pod_batch import PodPackingBatch
from optsched.envs.pool import Pool
from optsched.envs.seeds import seeds
from optsched.generate.arrivals import arrivals
from optsched.problem import PlacementProblem
from optsched.solvers.patterns import Patterns

SECONDS = 0.3  # that the teacher may take


def drawn(seed: int, env: dict[str, Any]) -> PlacementProblem:
    """The instance of a seed."""
    return arrivals(seed, **{name: int(value) for name, value in env.items() if name != "ratio"})


def best_fit(masks: Bools, hosts: np.ndarray) -> Ints:
    """(N,) the allowed node with the least left free of its fuller resource; none: leave."""
    left = np.where(masks[:, :-1], hosts[..., 4], np.inf)
    return np.where(masks[:, :-1].any(axis=1), left.argmin(axis=1), masks.shape[1] - 1)


@dataclass(frozen=True)
class Example:
    """A state, what is allowed, and the share (H + 1,) that each choice should get."""

    hosts: np.ndarray
    task: np.ndarray
    legal: Bools
    wanted: np.ndarray


@dataclass(frozen=True)
class Teaching:
    """`agents.cloning.Teaching` of plans with hindsight, with the hyperparameters `clone`."""

    clone: dict[str, Any]
    env: dict[str, Any]

    def jobs(self, rng: np.random.Generator, done: int) -> list[int]:
        """Seeds of the training split."""
        own = seeds("train")
        count = int(self.clone["jobs_per_round"])
        return [int(seed) for seed in rng.integers(own.start, own.stop, count)]

    def study(self, job: int, weights: Weights) -> list[Example]:
        """Every pod of the instance."""
        problem = drawn(job, self.env)
        result = Patterns().solve(problem, Budget.of(SECONDS))
        host = result.plan.placement(problem).host
        batch = PodPackingBatch(1, Pool(lambda seed: problem), int(self.env.get("nodes", 8)))
        seen, found = batch.begin([problem]), []
        # Nodes that are alike now may change their parts in the plan.
        part = np.arange(len(problem.hosts))
        for item in np.flatnonzero(problem.items.host0 < 0).tolist():
            mask, hosts = batch.action_masks()[0], seen["hosts"][0]
            wanted, action = np.zeros(len(mask), np.float32), len(mask) - 1
            if host[item] >= 0:
                action = int(np.flatnonzero(part == host[item])[0])
                alike = np.flatnonzero((hosts == hosts[action]).all(axis=1) & mask[:-1])
                wanted[alike] = 1 / max(len(alike), 1)
            else:
                wanted[action] = 1.0
            if not mask[action]:
                break
            found.append(Example(hosts.copy(), seen["task"][0].copy(), mask, wanted))
            batch.play(np.array([action]))
            seen = batch.see()
        return found

    def collate(self, batch: Sequence[Example]) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """See `agents.cloning.Teaching`."""

        def stacked(name: str) -> Tensor:
            return torch.from_numpy(np.stack([getattr(one, name) for one in batch]))

        return (stacked("hosts"), stacked("task")), stacked("legal"), stacked("wanted")

    def scores(self, outputs: tuple[Tensor, ...]) -> Tensor:
        """Nodes, leaving."""
        return torch.cat(outputs[:2], dim=1)

    def size(self, example: Example) -> int:
        """All are of one size."""
        return 0
