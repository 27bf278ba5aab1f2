"""Pod packing as a subject of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sb3_contrib import MaskablePPO
from torch import nn

from optsched.agents.branching import Branching
from optsched.agents.cloning import Cloning
from optsched.agents.pod_lessons import Teaching, best_fit, drawn
from optsched.agents.pod_network import PodNetwork
from optsched.agents.ppo import anew, inside, make
from optsched.agents.subject import Graph, Stage
from optsched.envs.pod_batch import PodPackingBatch
from optsched.envs.pool import Pool
from optsched.envs.seeds import seeds
from optsched.problem import PlacementProblem
from optsched.simulate.pod_sight import HOST_WIDE, TASK_WIDE

INPUTS = ("hosts", "task")
REWARD = 1 / 8  # of a pod of the highest tier


class PodPacking:
    """Clone plans made with hindsight, then masked PPO, at last a stage of its own."""

    environment = "optsched/PodPacking-v0"

    def network(self) -> PodNetwork:
        """An untrained one."""
        return PodNetwork()

    def course(
        self, network: nn.Module, config: dict[str, Any], seed: int, workers: int
    ) -> Cloning:
        """The teacher knows all pods beforehand."""
        teaching = Teaching(config["clone"], config["env_kwargs"])
        return Cloning(network, teaching, config["clone"], seed, workers)

    def measure(self, config: dict[str, Any]) -> Measure:
        """Placed pods, worth by tier."""
        return Measure.of(config["env_kwargs"], int(config["validate"]["instances"]))

    def learner(self, config: dict[str, Any], seed: int, device: str, done: int = 0) -> MaskablePPO:
        """Masked PPO on instances of the training split."""
        batch = _batch(config["env_kwargs"], int(config["n_envs"]))
        return make(config, batch, PodNetwork, INPUTS, anew(seed, done), device)

    def inside(self, learner: MaskablePPO) -> PodNetwork:
        """The network inside a learner."""
        found: Any = inside(learner)
        return found

    def stages(
        self, network: PodNetwork, config: dict[str, Any], seed: int, workers: int
    ) -> dict[str, Stage]:
        """Every choice tried."""
        return {"branch": Branching(network, config["branch"], config["env_kwargs"], seed, workers)}

    def graph(self) -> Graph:
        """Tables of nodes of any size."""
        return Graph(
            inputs={"hosts": torch.rand(1, 5, HOST_WIDE), "task": torch.rand(1, TASK_WIDE)},
            axes={"hosts": {0: "states", 1: "hosts"}, "task": {0: "states"}},
            outputs=["host", "leave", "value"],
            tables=[HOST_WIDE, TASK_WIDE],
        )


def _batch(env: dict[str, Any], count: int) -> PodPackingBatch:
    def source(seed: int) -> PlacementProblem:
        return drawn(seed, env)

    nodes, ratio = int(env.get("nodes", 8)), float(env.get("ratio", 4.0))
    return PodPackingBatch(count, Pool(source), nodes, ratio, REWARD)


@dataclass(frozen=True)
class Measure:
    """Instances of the validation split.

    The gap is that to the worth of all pods that best fit left pending: 1: as good as best fit, 0:
    every pod placed. It may be more than 1.
    """

    problems: list[PlacementProblem]
    env: dict[str, Any]

    @classmethod
    def of(cls, env: dict[str, Any], count: int) -> Measure:
        """The first instances of the split."""
        _batch(env, 1)  # refuses what no environments can be made of
        own = seeds("validation")[:count]
        return cls([drawn(seed, env) for seed in own], env)

    @torch.no_grad()
    def gap(self, network: nn.Module) -> float:
        """What the network's best choices leave pending, by what best fit leaves."""
        network.eval()
        device = next(network.parameters()).device
        batch = _batch(self.env, len(self.problems))
        seen = batch.begin(self.problems)
        lost = np.zeros((2, len(self.problems)))
        whole = batch.worth()
        while not batch.over.all():
            tables = (torch.from_numpy(seen[name]).to(device) for name in INPUTS)
            scores, leave, _ = network(*tables)
            every = torch.cat([scores, leave], dim=1).cpu().numpy()
            batch.play(np.where(batch.action_masks(), every, -np.inf).argmax(axis=1))
            seen = batch.see()
        lost[0] = whole - batch.earned()
        seen = batch.begin(self.problems)
        while not batch.over.all():
            batch.play(best_fit(batch.action_masks(), seen["hosts"]))
            seen = batch.see()
        lost[1] = whole - batch.earned()
        return float(lost[0].sum() / max(lost[1].sum(), 1e-9))
