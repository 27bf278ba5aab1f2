"""Our batched environments as vector environments of Stable-Baselines3."""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv


class Batch(Protocol):
    """What is asked of a batched environment; episodes that end begin anew in the same step."""

    num_envs: int
    single_observation_space: Any
    single_action_space: Any

    def reset(self, *, seed: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin all episodes."""
        ...

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One step of all."""
        ...

    def action_masks(self) -> np.ndarray:
        """(N, A) what is allowed now."""
        ...


class BatchedVecEnv(VecEnv):
    """A batched environment as a vector environment of Stable-Baselines3."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        super().__init__(batch.num_envs, batch.single_observation_space, batch.single_action_space)
        self._actions = np.zeros(batch.num_envs, np.int64)

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
        return seen, np.asarray(rewards, np.float32), done, infos

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
