"""`optsched/VMRescheduling-v0`: fewer fragments by a few migrations, one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsInt

import gymnasium as gym
import numpy as np

from optsched.arrays import Bools
from optsched.envs.actions import one
from optsched.envs.drawing import Picture, draw_cells
from optsched.envs.vm_tables import Buffers, Settings, Tables
from optsched.errors import InputError
from optsched.kernels import layout
from optsched.plan import Plan
from optsched.problem import PlacementProblem
from optsched.simulate.walks import Floats

Seen = dict[str, Floats]

PATIENCE = 100  # illegal actions before an episode is cut short


class VMRescheduling(gym.Env[Any, Any]):
    """Migrate VMs so that fewer free cores are fragments.

    A migration is two steps: first a *group* (VMs of one class at one source), of which the first
    VM that has not moved moves; then the cell (NUMA node) that receives it, or for a VM on two
    cells the first cell of the host. A VM moves at most once.

    Observation
        `cells` (C, 10), `groups` (G, 12) and `task` (67,), float32 in [0, 1], padded with zeros;
        the columns are those of `optsched.kernels.migration`. Only rows of hosts that a move
        touches change.
    Action
        Discrete(G + C + 1): a group, G + a cell, or G + C to stop. `action_masks()` says which are
        allowed: exactly what `optsched.rules` allows. Others change nothing (`info["illegal"]`),
        and after 100 of them the episode is truncated; with illegal="raise" they raise.
    Reward
        How much the scalarised objective fell, times `reward_scale`; 0 in the first step of a
        migration. Rewards of an episode add up to the objective's difference.
    Termination
        After `moves` migrations, or the stop.
    Info
        `levels`: the lexicographic values; `moves`: migrations so far; `seed`: of the instance, -1
        for a given problem. `plan()` is the plan so far.

    Parameters
    ----------
    problem, moves, order, source, split, instances, max_cells, max_groups, reward_scale
        See `Settings`.
    copy
        Whether observations are copies. Without, they are views that the next step changes: some
        times faster, for those who take care.
    illegal
        "refuse" or "raise".
    **options
        For `optsched.generate.vm.snapshot`, such as `pms` and `load`.
    """

    metadata = {  # noqa: RUF012 - Gymnasium's own attribute
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 4,
    }

    def __init__(
        self,
        *,
        problem: PlacementProblem | None = None,
        moves: int = 50,
        order: str = "order-safe",
        source: Callable[[int], PlacementProblem] | None = None,
        split: str = "train",
        instances: int = 0,
        max_cells: int = 0,
        max_groups: int = 0,
        reward_scale: float = 1.0,
        copy: bool = True,
        illegal: str = "refuse",
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise InputError(f"render mode {render_mode!r}: give 'ansi' or 'rgb_array'")
        if illegal not in ("refuse", "raise"):
            raise InputError(f"illegal={illegal!r}: give 'refuse' or 'raise'")
        self.tables = Tables(
            Settings(
                problem, moves, order, source, options, split, instances, max_cells, max_groups,
                reward_scale,
            )
        )  # fmt: skip
        self.observation_space = self.tables.observation_space
        self.action_space = self.tables.action_space
        self.render_mode, self.copy, self.illegal = render_mode, copy, illegal
        self._buffers = Buffers(self.tables, 1)
        self._action = np.zeros(1, np.int64)
        self._views = {
            "cells": self._buffers.cells[0],
            "groups": self._buffers.groups[0],
            "task": self._buffers.tasks[0],
        }
        self._moves: list[tuple[int, int]] = []
        self._seed, self._refused = -1, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Begin an episode.

        Parameters
        ----------
        seed
            Of all that is drawn from now on.
        options
            "problem": the problem of this episode; "instance": the seed of its instance.
        """
        super().reset(seed=seed)
        wishes = dict(options or {})
        problem, instance = wishes.pop("problem", None), wishes.pop("instance", None)
        if wishes:
            raise InputError(f"reset knows no option {next(iter(wishes))!r}")
        if problem is not None:
            self._seed, begun = -1, self.tables.prepare(problem)
        elif instance is not None:
            self._seed, begun = int(instance), self.tables.pool.get(int(instance))
        else:
            self._seed, begun = self.tables.draw(self.np_random)
        self._buffers.load(0, self.tables.fitting(begun))
        self._moves, self._refused = [], 0
        return self._seen(), self._info(False)

    def step(self, action: SupportsInt) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Choose a group, or the cell that receives its VM, or stop.

        Raises
        ------
        InputError
            The action is not allowed now, with illegal="raise"; it is no whole number; or there was
            no reset.
        """
        buffers = self._buffers
        buffers.begun(0)
        group = int(buffers.rows[0, layout.CHOSEN])
        chosen = one(action)
        self._action[0] = chosen
        buffers.step(self._action)
        end = int(buffers.ends[0])
        if end == layout.ILLEGAL:
            self._refused += 1
            if self.illegal == "raise":
                raise InputError(f"action {chosen} is not allowed now; see action_masks()")
        elif group >= 0:
            self._moves.append((group, chosen - self.tables.groups))
        reward = float(buffers.gains[0]) * self.tables.settings.reward_scale
        cut = self._refused >= PATIENCE
        info = self._info(end == layout.ILLEGAL)
        return self._seen(), reward, bool(buffers.rows[0, layout.OVER]), cut, info

    def action_masks(self) -> Bools:
        """(G + C + 1,) bool: what is allowed now."""
        mask = self._buffers.masks[0]
        return mask.copy() if self.copy else mask

    def plan(self) -> Plan:
        """The migrations so far."""
        return self._buffers.begun(0).plan(self._moves)

    def render(self) -> str | Picture | None:
        """Words ("ansi"), or a picture (H, W, 3) uint8 of all cells ("rgb_array")."""
        begun = self._buffers.begun(0)
        if self.render_mode == "ansi":
            levels = zip(begun.problem.objective, self._buffers.levels(0), strict=True)
            told = ", ".join(f"{level.name} {value:,}" for level, value in levels)
            limit = int(self._buffers.rows[0, layout.LIMIT])
            return f"{begun.problem.name}: {len(self._moves)} of {limit} migrations, {told}\n"
        if self.render_mode == "rgb_array":
            return draw_cells(self._buffers.rows[0])
        return None

    def _seen(self) -> Seen:
        if not self.copy:
            return self._views
        return {name: view.copy() for name, view in self._views.items()}

    def _info(self, illegal: bool) -> dict[str, Any]:
        return {
            "levels": self._buffers.levels(0),
            "moves": len(self._moves),
            "seed": self._seed,
            "illegal": illegal,
        }
