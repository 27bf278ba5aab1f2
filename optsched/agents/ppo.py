"""Masked PPO with Stable-Baselines3 on the batched environment and the size-free network."""

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
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from optsched.agents.hyperparameters import schedule
from optsched.agents.network import NEVER, MigrationNetwork
from optsched.envs.vm_batch import VMReschedulingBatch
from optsched.envs.vm_tables import Settings

REWARD = 1 / 16  # a block of 16 cores is 1


class BatchedVecEnv(VecEnv):
    """`VMReschedulingBatch` as a vector environment of Stable-Baselines3."""

    def __init__(self, batch: VMReschedulingBatch) -> None:
        self.batch = batch
        super().__init__(batch.num_envs, batch.single_observation_space, batch.single_action_space)
        self._actions = np.zeros(batch.num_envs, np.int64)
        self._begun = False

    def reset(self) -> Any:
        """Begin all episodes."""
        seed = self._seeds[0] if self._seeds and self._seeds[0] is not None else None
        self._reset_seeds()
        return self.batch.reset(seed=seed)[0]

    def step_async(self, actions: np.ndarray) -> None:
        """Take note of actions."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Act."""
        seen, rewards, done, _, told = self.batch.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for n in np.flatnonzero(done).tolist():
            infos[n] = {
                "terminal_observation": told["final_obs"][n],
                "levels": told["levels"][n],
                "episode": {"r": float(told["gain"][n]), "l": 0, "t": 0.0},
            }
        return seen, rewards.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the batch, once for each of them."""
        return [getattr(self.batch, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Single ones of a batch cannot be changed."""
        raise NotImplementedError(f"{attr_name} of single environments of a batch")

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """`action_masks`; a batch has no other method of single ones."""
        if method_name != "action_masks":
            raise NotImplementedError(f"{method_name} of single environments of a batch")
        return list(self.batch.action_masks()[list(self._get_indices(indices))])

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        """None is."""
        return [False] * len(list(self._get_indices(indices)))

    def has_attr(self, attr_name: str) -> bool:
        """Whether the batch has it."""
        return hasattr(self.batch, attr_name)


class Scores(BaseFeaturesExtractor):
    """The network as a features extractor: all logits and the value in one row."""

    def __init__(self, observation_space: gym.spaces.Dict) -> None:
        tables: Any = observation_space
        many = tables["groups"].shape[0] + tables["cells"].shape[0] + 1
        super().__init__(observation_space, many + 1)
        self.network = MigrationNetwork()

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """(B, G + C + 2): groups, cells, stop, value."""
        cells = observations["cells"]
        bias = (1 - cells[..., -1]) * NEVER
        group, stop, cell, value = self.network(
            cells, bias, observations["groups"], observations["task"]
        )
        return torch.cat([group, cell, stop, value.unsqueeze(1)], dim=1)


class _Split(nn.Module):
    """Logits for the actor, the value for the critic."""

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
    """A policy whose network gives the logits itself, whatever the size of the set."""

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
    def network(self) -> MigrationNetwork:
        """The network inside."""
        scores: Any = self.features_extractor
        found: MigrationNetwork = scores.network
        return found


OURS = ("clone", "env_kwargs", "n_envs", "n_timesteps", "validate")


def make(config: dict[str, Any], seed: int, device: str, tensorboard: str | None) -> MaskablePPO:
    """A learner on its environments, with the hyperparameters of a run."""
    options = dict(config["env_kwargs"])
    moves = int(options.pop("moves", 50))
    settings = Settings(moves=moves, options=options, reward_scale=REWARD)
    env = BatchedVecEnv(VMReschedulingBatch(int(config["n_envs"]), settings))
    arguments = {name: value for name, value in config.items() if name not in OURS}
    for name in ("learning_rate", "clip_range"):
        if name in arguments:
            arguments[name] = schedule(arguments[name])
    return MaskablePPO(
        PointerPolicy, env, seed=seed, device=device, tensorboard_log=tensorboard, **arguments
    )


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
