"""VM rescheduling as a subject of training."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from sb3_contrib import MaskablePPO

from optsched.agents import vm_instances
from optsched.agents.cloning import Cloning
from optsched.agents.correcting import Correcting
from optsched.agents.network import MigrationNetwork
from optsched.agents.ppo import anew, inside, make
from optsched.agents.subject import Graph, Stage
from optsched.agents.tilting import Tilting
from optsched.agents.validation import Validation
from optsched.agents.vm_lessons import Teaching
from optsched.envs.vm_merged import VMReschedulingMerged
from optsched.envs.vm_tables import GROUPS_PER_CELL, Settings
from optsched.kernels.layout import CELL_WIDE, GROUP_WIDE, TASK_WIDE

REWARD = 1 / 16  # a block of 16 cores is 1
INPUTS = ("cells", "bias", "groups", "task")


class VMRescheduling:
    """Clone `fragments`, then masked PPO, at last stages of its own."""

    environment = "optsched/VMRescheduling-v0"

    def network(self) -> MigrationNetwork:
        """An untrained one."""
        return MigrationNetwork()

    def course(
        self, network: MigrationNetwork, config: dict[str, Any], seed: int, workers: int
    ) -> Cloning:
        """The teacher is `fragments`."""
        teaching = Teaching(config["clone"], config["env_kwargs"])
        return Cloning(network, teaching, config["clone"], seed, workers)

    def measure(self, config: dict[str, Any]) -> Validation:
        """Gaps to proven bounds."""
        return Validation(config["env_kwargs"], int(config["validate"]["instances"]))

    def learner(self, config: dict[str, Any], seed: int, device: str, done: int = 0) -> MaskablePPO:
        """Masked PPO on instances of the training split."""
        options, moves = vm_instances.parted(config["env_kwargs"])
        settings = Settings(moves=moves, options=options, reward_scale=REWARD)
        if "base" in options:
            base = vm_instances.base(str(options["base"]))
            cells, most = len(base.cells), 2 * len(base.items)  # VMs, where no two are alike
            settings = replace(
                settings, source=partial(vm_instances.instance, options=options), options={},
                max_cells=cells, max_groups=max(GROUPS_PER_CELL * cells + 16, most),
            )  # fmt: skip
        batch = VMReschedulingMerged(int(config["n_envs"]), settings)
        return make(config, batch, MigrationNetwork, INPUTS, anew(seed, done), device)

    def inside(self, learner: MaskablePPO) -> MigrationNetwork:
        """The network inside a learner."""
        found: Any = inside(learner)
        return found

    def stages(
        self, network: MigrationNetwork, config: dict[str, Any], seed: int, workers: int
    ) -> dict[str, Stage]:
        """Coefficients by what episodes reach, then the correction of mistakes."""
        env = config["env_kwargs"]
        teaching = Teaching(config["clone"], env)
        return {
            "tilt": Tilting(network, config["tilt"], env, seed),
            "correct": Correcting(network, teaching, config["correct"], seed, workers),
        }

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
