"""What environments of VM rescheduling share: instances, sizes, spaces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium import spaces

from optsched.envs.pool import Pool
from optsched.errors import InputError
from optsched.generate.vm import snapshot
from optsched.kernels import layout
from optsched.kernels import migration as kernel
from optsched.plan import Order
from optsched.problem import PlacementProblem
from optsched.simulate.migration import Start, start, unfit

GROUPS_PER_CELL = 4  # of generated snapshots, at most; the published mix has 2.3


@dataclass(frozen=True)
class Settings:
    """What an environment of VM rescheduling is made from.

    Attributes
    ----------
    problem
        The one instance; without it, instances are drawn.
    moves
        The most migrations in an episode; a limit of the problem's own holds too.
    order
        "order-safe" or "waves", see `optsched.plan.Order`.
    source
        From a seed to a problem; by default `optsched.generate.vm.snapshot`.
    options
        For the default source, such as `pms` and `load`.
    split, instances
        Of the seeds, see `Pool`.
    max_cells, max_groups
        Sizes of the padded tables; by default what the one problem has, or generated ones may have.
    reward_scale
        Factor of rewards; 1: the fall of the scalarised objective as it is.
    """

    problem: PlacementProblem | None = None
    moves: int = 50
    order: str = Order.SAFE.value
    source: Callable[[int], PlacementProblem] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    split: str = "train"
    instances: int = 0
    max_cells: int = 0
    max_groups: int = 0
    reward_scale: float = 1.0


class Tables:
    """Starts of episodes, all of the same padded sizes.

    Attributes
    ----------
    cells, groups
        The padded sizes C and G.
    observation_space, action_space
        Tables as `kernels.migration` writes them; an action is a group, G plus a cell, or G + C:
        stop.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        try:
            self.order = Order(settings.order)
        except ValueError:
            raise InputError(
                f"order {settings.order!r}: give {Order.SAFE.value!r} or {Order.WAVES.value!r}"
            ) from None
        if self.order is Order.PARK:
            raise InputError("VMs are never without a host: give order-safe or waves")
        if settings.moves < 1:
            raise InputError(f"{settings.moves} moves make no episode; give at least 1")
        self.pool = Pool(self._make, settings.split, settings.instances)
        self._fixed = self.prepare(settings.problem) if settings.problem is not None else None
        self.cells, self.groups = self._sizes()
        box = {
            "cells": (self.cells, layout.CELL_WIDE),
            "groups": (self.groups, layout.GROUP_WIDE),
            "task": (layout.TASK_WIDE,),
        }
        self.observation_space = spaces.Dict(
            {name: spaces.Box(0.0, 1.0, shape, np.float32) for name, shape in box.items()}
        )
        self.actions = self.groups + self.cells + 1
        self.action_space = spaces.Discrete(self.actions)

    def _sizes(self) -> tuple[int, int]:
        settings = self.settings
        if self._fixed is not None:
            cells, groups = self._fixed.cells, self._fixed.groups
        elif settings.source is None:
            cells = 2 * int(settings.options.get("pms", 279))
            groups = GROUPS_PER_CELL * cells + 16
        elif settings.max_cells and settings.max_groups:
            cells = groups = 0
        else:
            raise InputError("a source of problems needs max_cells and max_groups too")
        return settings.max_cells or cells, settings.max_groups or groups

    def _make(self, seed: int) -> Start:
        source = self.settings.source
        return self.prepare(
            source(seed) if source is not None else snapshot(seed, **self.settings.options)
        )

    def prepare(self, problem: PlacementProblem) -> Start:
        """The start of an episode on a problem.

        Raises
        ------
        InputError
            Single migrations cannot express it.
        """
        reason = unfit(problem)
        if reason is not None:
            raise InputError(f"{problem.name[:80]!r} cannot be rescheduled move by move: {reason}")
        return start(problem, self.settings.moves, self.order)

    def draw(self, rng: np.random.Generator) -> tuple[int, Start]:
        """A seed (-1: the one problem) and the start of its episode."""
        seed, begun = (-1, self._fixed) if self._fixed is not None else self.pool.draw(rng)
        return seed, self.fitting(begun)

    def fitting(self, begun: Start) -> Start:
        """The start, if it fits into the padded tables.

        Raises
        ------
        InputError
            It does not.
        """
        if begun.cells > self.cells or begun.groups > self.groups:
            raise InputError(
                f"{begun.problem.name[:80]!r} has {begun.cells:,} cells and {begun.groups:,} "
                f"groups of items, the environment is made for {self.cells:,} and {self.groups:,}; "
                "make it with a larger max_cells and max_groups"
            )
        return begun


class Buffers:
    """Rows and tables of N environments.

    Attributes
    ----------
    rows
        (N, L) int64; L grows with the largest start so far.
    cells, groups, tasks, masks, gains, ends
        As `kernels.migration.step` wants them.
    """

    def __init__(self, tables: Tables, count: int) -> None:
        self.starts: list[Start | None] = [None] * count
        self.rows = np.zeros((count, 0), np.int64)
        self.cells = np.zeros((count, tables.cells, layout.CELL_WIDE), np.float32)
        self.groups = np.zeros((count, tables.groups, layout.GROUP_WIDE), np.float32)
        self.tasks = np.zeros((count, layout.TASK_WIDE), np.float32)
        self.masks = np.zeros((count, tables.actions), bool)
        self.gains, self.ends = np.zeros(count, np.int64), np.zeros(count, np.int64)

    def load(self, n: int, begun: Start) -> None:
        """Begin an episode of one of them."""
        length = len(begun.row)
        if length > self.rows.shape[1]:
            wider = np.zeros((len(self.rows), length), np.int64)
            wider[:, : self.rows.shape[1]] = self.rows
            self.rows = wider
        self.starts[n] = begun
        self.rows[n, :length] = begun.row
        kernel.show(self.rows[n], self.cells[n], self.groups[n], self.tasks[n], self.masks[n])

    def step(self, actions: Any) -> None:
        """Act in all of them."""
        kernel.step(
            self.rows, actions, self.cells, self.groups, self.tasks, self.masks, self.gains,
            self.ends,
        )  # fmt: skip

    def begun(self, n: int) -> Start:
        """Where the episode of one of them began."""
        found = self.starts[n]
        if found is None:
            raise InputError("call reset before anything else")
        return found

    def levels(self, n: int) -> tuple[int, ...]:
        """The value of every level of the objective now."""
        return self.begun(n).levels(self.rows[n])
