"""How far a network is from the proven optimum on instances that it is not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.agents import vm_instances
from optsched.agents.network import MigrationNetwork
from optsched.agents.vm_lessons import act
from optsched.budget import Budget
from optsched.envs.seeds import seeds
from optsched.plan import Order
from optsched.simulate.migration import Start
from optsched.simulate.walks import Walks
from optsched.solvers.fragments.exchange import Fragments

SECONDS = 30.0  # that a bound may take: it needs a tenth, but a run must not depend on the load


class Validation:
    """Instances of the validation split with their bounds.

    Parameters
    ----------
    env
        `env_kwargs` of the hyperparameters.
    count
        How many instances.
    """

    def __init__(self, env: dict[str, Any], count: int) -> None:
        options, moves = vm_instances.parted(env)
        self.cases: list[tuple[Start, int]] = []
        for seed in seeds("validation")[:count]:
            begun = vm_instances.begun(seed, options, moves)
            problem = begun.problem.replace(max_moves=moves)
            result = Fragments().solve(problem, Budget.of(SECONDS), order=Order.SAFE)
            self.cases.append((begun, result.levels[0].bound))

    def gap(self, network: MigrationNetwork) -> float:
        """Mean gap of the best prefixes of episodes of best choices."""
        network.eval()
        rng = np.random.default_rng(0)
        walks = Walks([begun for begun, _ in self.cases])
        first, best = walks.values.copy(), walks.values.copy()
        while not walks.over.all():
            walks.step(act(network, walks.looks(), rng))
            best = np.minimum(best, walks.values)
        gaps = [
            (low - bound) / (stay - bound) if stay > bound else 0.0
            for low, stay, (_, bound) in zip(best.tolist(), first.tolist(), self.cases, strict=True)
        ]
        return float(np.mean(gaps)) if gaps else 0.0
