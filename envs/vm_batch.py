"""Many environments of VM rescheduling in one process: one call of the compiled loop a step."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from optsched.arrays import Bools, Ints
from optsched.envs.actions import many
from optsched.envs.vm_rescheduling import Seen
from optsched.envs.vm_tables import Buffers, Settings, Tables
from optsched.errors import InputError
from optsched.kernels import layout


class VMReschedulingBatch(VectorEnv[Seen, Ints, Any]):
    """N environments of `VMRescheduling`, stepped together.

    An episode that ends begins anew in the same step: `infos["final_obs"]`, where
    `infos["_final_obs"]`, is the last observation, `infos["levels"]` the values it ended with and
    `infos["gain"]` the sum of its rewards. Illegal actions raise.

    Parameters
    ----------
    num_envs
        N.
    settings
        What each is made from.
    copy
        Whether observations are copies, or views that the next step changes.
    keep_last
        Whether last observations are kept for `infos`.
    """

    def __init__(
        self,
        num_envs: int,
        settings: Settings | None = None,
        *,
        copy: bool = True,
        keep_last: bool = True,
    ) -> None:
        if num_envs < 1:
            raise InputError(f"{num_envs} environments; give at least 1")
        self.num_envs = num_envs
        self.tables = Tables(settings if settings is not None else Settings())
        self.single_observation_space = self.tables.observation_space
        self.single_action_space = self.tables.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.copy, self.keep_last = copy, keep_last
        self._buffers = Buffers(self.tables, num_envs)
        self._views = {
            "cells": self._buffers.cells,
            "groups": self._buffers.groups,
            "task": self._buffers.tasks,
        }
        self._sums = np.zeros(num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Begin all episodes; one seed serves all, that of the first where there are several."""
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        if options:
            raise InputError(f"reset knows no option {next(iter(options))!r}")
        for n in range(self.num_envs):
            self._buffers.load(n, self.tables.draw(self.np_random)[1])
        self._sums[:] = 0
        return self._seen(), {}

    def step(
        self, actions: Ints
    ) -> tuple[Seen, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of all.

        Raises
        ------
        InputError
            An action is not allowed; the others were taken. Or they are not one for each.
        """
        buffers = self._buffers
        buffers.step(many(actions, self.num_envs))
        ends = buffers.ends
        if (ends == layout.ILLEGAL).any():
            n = int(np.argmax(ends == layout.ILLEGAL))
            raise InputError(f"environment {n}: action {actions[n]} is not allowed; see the masks")
        rewards = buffers.gains * self.tables.settings.reward_scale
        self._sums += rewards
        done = ends == layout.FINISHED
        infos = self._restart(done) if done.any() else {}
        return self._seen(), rewards, done, np.zeros(self.num_envs, bool), infos

    def action_masks(self) -> Bools:
        """(N, G + C + 1) bool: what is allowed now."""
        return self._buffers.masks.copy() if self.copy else self._buffers.masks

    def _restart(self, done: Bools) -> dict[str, Any]:
        """Begin the episodes that have ended anew, and tell of the ends."""
        levels: list[tuple[int, ...] | None] = [None] * self.num_envs
        last: list[Seen | None] = [None] * self.num_envs
        gain = np.where(done, self._sums, 0.0)
        for n in np.flatnonzero(done).tolist():
            levels[n] = self._buffers.levels(n)
            if self.keep_last:
                last[n] = {name: view[n].copy() for name, view in self._views.items()}
            self._buffers.load(n, self.tables.draw(self.np_random)[1])
        self._sums[done] = 0
        infos: dict[str, Any] = {"levels": levels, "_levels": done, "gain": gain, "_gain": done}
        if self.keep_last:
            infos |= {"final_obs": np.array(last, dtype=object), "_final_obs": done}
        return infos

    def _seen(self) -> Seen:
        if not self.copy:
            return self._views
        return {name: view.copy() for name, view in self._views.items()}


def make_batch(num_envs: int = 1, **options: Any) -> VMReschedulingBatch:
    """N environments from the arguments of `VMRescheduling`: entry of `gymnasium.make_vec`."""
    known = {name for name in Settings.__dataclass_fields__ if name != "options"}
    own = {name: options.pop(name) for name in list(options) if name in known}
    extra = {name: options.pop(name) for name in ("copy", "keep_last") if name in options}
    return VMReschedulingBatch(num_envs, Settings(options=options, **own), **extra)
