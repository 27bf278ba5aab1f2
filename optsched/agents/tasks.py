"""Placement of tasks as a subject of training."""

from __future__ import annotations

from typing import Any

import torch

from optsched.agents.placement_network import PlacementNetwork
from optsched.agents.placing import check_env
from optsched.agents.placing_ants import AntTuning
from optsched.agents.placing_course import PlacementCourse, PlacementMeasure
from optsched.agents.placing_ppo import PlacementLearner
from optsched.agents.subject import Graph
from optsched.kernels.views import NODE_WIDE, TASK_WIDE


class TaskPlacement:
    """Clone teachers, then masked PPO with an input-dependent baseline, then learn from ants."""

    environment = "optsched/TaskPlacement-v0"

    def network(self) -> PlacementNetwork:
        """An untrained one."""
        return PlacementNetwork()

    def course(
        self, network: PlacementNetwork, config: dict[str, Any], seed: int, workers: int
    ) -> PlacementCourse:
        """Teachers are asked in this process."""
        check_env(config["env_kwargs"])
        return PlacementCourse(network, config, seed)

    def measure(self, config: dict[str, Any]) -> PlacementMeasure:
        """Gaps to bounds that need no search."""
        return PlacementMeasure(config)

    def learner(self, config: dict[str, Any], seed: int, device: str, done: int = 0) -> Any:
        """Our own learner: its baseline needs several rollouts of one world.

        By itself it draws anew for every rollout.
        """
        return PlacementLearner(config, seed, device)

    def inside(self, learner: Any) -> PlacementNetwork:
        """The network inside a learner."""
        found: PlacementNetwork = learner.network
        return found

    def stages(
        self, network: PlacementNetwork, config: dict[str, Any], seed: int, workers: int
    ) -> dict[str, AntTuning]:
        """What ants make of the network's belief."""
        return {"ants": AntTuning(network, config["ants"], config["env_kwargs"], seed)}

    def graph(self) -> Graph:
        """Nodes of any number."""
        return Graph(
            inputs={"nodes": torch.rand(2, 5, NODE_WIDE), "task": torch.rand(2, TASK_WIDE)},
            axes={
                "nodes": {0: "states", 1: "nodes"},
                "task": {0: "states"},
                "scores": {0: "states", 1: "choices"},
            },
            outputs=["scores"],
            tables=[NODE_WIDE, TASK_WIDE],
        )
