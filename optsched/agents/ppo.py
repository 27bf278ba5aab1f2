"""Masked PPO with Stable-Baselines3: a policy whose network gives the scores of choices itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from optsched.agents.hyperparameters import schedule
from optsched.agents.vector import Batch, BatchedVecEnv

OURS = (
    "branch", "clone", "correct", "critic_rollouts", "env_kwargs", "n_envs", "n_timesteps", "tilt",
    "validate",
)  # fmt: skip


class Scores(BaseFeaturesExtractor):
    """A network as a features extractor: scores of all choices and the value in one row.

    Parameters
    ----------
    observation_space
        Its tables, by the names of `inputs`, are what the network takes.
    make
        Makes the network, which gives the parts of the scores in the order of the actions, and the
        value last.
    inputs
        The order in which it takes the tables.
    actions
        How many there are.
    """

    def __init__(
        self,
        observation_space: gym.spaces.Dict,
        make: Callable[[], nn.Module],
        inputs: tuple[str, ...],
        actions: int,
    ) -> None:
        super().__init__(observation_space, actions + 1)
        self.network, self.inputs = make(), inputs

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """(B, actions + 1)."""
        *scores, value = self.network(*(observations[name] for name in self.inputs))
        return torch.cat([*scores, value.unsqueeze(1)], dim=1)


class _Split(nn.Module):
    """Scores for the actor, the value for the critic."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.latent_dim_pi, self.latent_dim_vf = wide - 1, 1

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: Tensor) -> Tensor:
        """All but the last column."""
        return features[:, :-1]

    def forward_critic(self, features: Tensor) -> Tensor:
        """The last column."""
        return features[:, -1:]


class PointerPolicy(MaskableMultiInputActorCriticPolicy):
    """A policy whose network gives the scores itself, whatever the size of the set."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"features_extractor_class": Scores, "ortho_init": False}
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        parts: Any = self  # declared as layers that there is no use for here
        parts.mlp_extractor = _Split(self.features_dim)
        parts.action_net, parts.value_net = nn.Identity(), nn.Identity()
        kind: Any = self.optimizer_class
        self.optimizer = kind(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    @property
    def network(self) -> nn.Module:
        """The network inside."""
        scores: Any = self.features_extractor
        found: nn.Module = scores.network
        return found


def make(
    config: dict[str, Any],
    batch: Batch,
    network: Callable[[], nn.Module],
    inputs: tuple[str, ...],
    seed: int,
    device: str,
) -> MaskablePPO:
    """A learner on a batch of environments, with the hyperparameters of a run."""
    arguments = {name: value for name, value in config.items() if name not in OURS}
    for name in ("learning_rate", "clip_range"):
        if name in arguments:
            arguments[name] = schedule(arguments[name])
    extra = {"make": network, "inputs": inputs, "actions": int(batch.single_action_space.n)}
    return MaskablePPO(
        PointerPolicy,
        BatchedVecEnv(batch),
        seed=seed,
        device=device,
        policy_kwargs={"features_extractor_kwargs": extra},
        **arguments,
    )


def anew(seed: int, done: int) -> int:
    """A seed for a learner that has so many steps behind it; at first that of the run.

    Stable-Baselines3 begins its draws and environments at a seed. With the same one, a run that was
    resumed would learn from the instances of its first rollouts again.
    """
    return int(np.random.SeedSequence([seed, done]).generate_state(1)[0]) if done else seed


def inside(learner: MaskablePPO) -> nn.Module:
    """The network inside a learner."""
    policy: Any = learner.policy
    found: nn.Module = policy.network
    return found


class AfterRollout(BaseCallback):
    """Calls back once after every rollout; the learner stops where the answer is False."""

    def __init__(self, call: Callable[[MaskablePPO], bool]) -> None:
        super().__init__()
        self.call, self._go = call, True

    def _on_step(self) -> bool:
        return self._go

    def _on_rollout_start(self) -> None:
        if self.num_timesteps:
            model: Any = self.model
            self._go = self.call(model)
