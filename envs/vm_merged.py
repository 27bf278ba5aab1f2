"""VM rescheduling in batches with equal choices merged: what agents are trained on.

Items of one class at cells that look alike are one choice, and so are cells that look alike. An
episode is the same as in `VMRescheduling`; only what is seen is smaller, some ten times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from optsched.arrays import Bools, Ints
from optsched.envs.actions import many
from optsched.envs.vm_rescheduling import Seen
from optsched.envs.vm_tables import Settings, Tables
from optsched.errors import InputError
from optsched.kernels import layout
from optsched.simulate.walks import Looks, Walks


class VMReschedulingMerged:
    """N environments, stepped together; episodes that end begin anew in the same step.

    Observation
        `cells` (C, CELL_WIDE), `bias` (C,), `groups` (G, GROUP_WIDE) and `task` (TASK_WIDE,) as
        `simulate.walks.Looks`, padded; further distinct rows than C and G are left out.
    Action
        Discrete(G + 1 + C): a row of `groups`, the stop, a row of `cells`.
    Reward
        That of `VMRescheduling`.

    Parameters
    ----------
    num_envs, settings
        As of `VMReschedulingBatch`.
    shown
        C and G.
    """

    def __init__(
        self, num_envs: int, settings: Settings, shown: tuple[int, int] = (160, 256)
    ) -> None:
        if num_envs < 1:
            raise InputError(f"{num_envs} environments; give at least 1")
        self.num_envs, self.shown, self.render_mode = num_envs, shown, None
        self.tables = Tables(settings)
        box = {
            "cells": (shown[0], layout.CELL_WIDE),
            "bias": (shown[0],),
            "groups": (shown[1], layout.GROUP_WIDE),
            "task": (layout.TASK_WIDE,),
        }
        self.single_observation_space = spaces.Dict(
            {
                name: spaces.Box(-1e8 if name == "bias" else 0.0, 1e2, shape, np.float32)
                for name, shape in box.items()
            }
        )
        self.single_action_space = spaces.Discrete(sum(shown) + 1)
        self._rng = np.random.default_rng(0)
        self._walks: Walks | None = None
        self._looks: Looks | None = None
        self._sums = np.zeros(num_envs)

    def reset(self, *, seed: int | None = None) -> tuple[Seen, dict[str, Any]]:
        """Begin all episodes."""
        if seed is not None or self._walks is None:
            self._rng = np.random.default_rng(seed)
        starts = [self.tables.draw(self._rng)[1] for _ in range(self.num_envs)]
        self._walks = Walks(starts, (self.tables.cells, self.tables.groups), self.shown)
        self._sums[:] = 0
        return self._see(), {}

    def step(self, actions: Ints) -> tuple[Seen, np.ndarray, Bools, Bools, dict[str, Any]]:
        """One step of all.

        Raises
        ------
        InputError
            An action is not allowed, or they are not one for each.
        """
        walks, looks = self._begun()
        actions, known = many(actions, self.num_envs), looks.actions.shape[1]
        there = (actions >= 0) & (actions < known)
        found = looks.actions[np.arange(self.num_envs), np.where(there, actions, 0)]
        chosen = np.where(there, found, -1)
        if (chosen < 0).any():
            n = int(np.argmax(chosen < 0))
            raise InputError(f"environment {n}: action {actions[n]} is not allowed; see the masks")
        rewards = walks.step(chosen) * self.tables.settings.reward_scale
        self._sums += rewards
        done = walks.over.copy()
        infos: dict[str, Any] = {}
        if done.any():
            last = self._see()
            levels = [
                walks.starts[n].levels(walks.rows[n]) if done[n] else None
                for n in range(self.num_envs)
            ]
            final = [{name: table[n] for name, table in last.items()} for n in range(self.num_envs)]
            infos = {"final_obs": final, "levels": levels, "gain": self._sums.copy()}
            for n in np.flatnonzero(done).tolist():
                walks.reset(n, self.tables.draw(self._rng)[1])
            self._sums[done] = 0
        return self._see(), rewards, done, np.zeros(self.num_envs, bool), infos

    def action_masks(self) -> Bools:
        """(N, G + 1 + C) bool: what is allowed now."""
        return self._begun()[1].actions >= 0

    def _begun(self) -> tuple[Walks, Looks]:
        if self._walks is None or self._looks is None:
            raise InputError("call reset before anything else")
        return self._walks, self._looks

    def _see(self) -> Seen:
        assert self._walks is not None
        self._looks = looks = self._walks.show()
        return {
            "cells": looks.cells.copy(),
            "bias": looks.bias.copy(),
            "groups": looks.groups.copy(),
            "task": looks.tasks.copy(),
        }
