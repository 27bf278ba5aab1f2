"""VM rescheduling as a subject of training."""

from __future__ import annotations

from typing import Any

import torch
from sb3_contrib import MaskablePPO

from optsched.agents.cloning import Cloning
from optsched.agents.network import MigrationNetwork
from optsched.agents.ppo import make
from optsched.agents.subject import Graph
from optsched.agents.validation import Validation
from optsched.kernels.migration import CELL_WIDE, GROUP_WIDE, TASK_WIDE


class VMRescheduling:
    """Clone `fragments`, then masked PPO on the batched environment."""

    environment = "optsched/VMRescheduling-v0"

    def network(self) -> MigrationNetwork:
        """An untrained one."""
        return MigrationNetwork()

    def course(
        self, network: MigrationNetwork, config: dict[str, Any], seed: int, workers: int
    ) -> Cloning:
        """The teacher is `fragments`, in this process."""
        return Cloning(network, config, seed)

    def measure(self, config: dict[str, Any]) -> Validation:
        """Gaps to proven bounds."""
        return Validation(config["env_kwargs"], int(config["validate"]["instances"]))

    def learner(self, config: dict[str, Any], seed: int, device: str) -> MaskablePPO:
        """Masked PPO."""
        return make(config, seed, device, None)

    def inside(self, learner: MaskablePPO) -> MigrationNetwork:
        """The network inside a learner."""
        policy: Any = learner.policy
        found: MigrationNetwork = policy.network
        return found

    def graph(self) -> Graph:
        """Tables of cells and groups of any size."""
        return Graph(
            inputs={
                "cells": torch.rand(1, 5, CELL_WIDE),
                "bias": torch.zeros(1, 5),
                "groups": torch.rand(1, 7, GROUP_WIDE),
                "task": torch.rand(1, TASK_WIDE),
            },
            axes={
                "cells": {0: "states", 1: "cells"},
                "bias": {0: "states", 1: "cells"},
                "groups": {0: "states", 1: "groups"},
                "task": {0: "states"},
            },
            outputs=["group", "stop", "cell", "value"],
            tables=[CELL_WIDE, GROUP_WIDE, TASK_WIDE],
        )
