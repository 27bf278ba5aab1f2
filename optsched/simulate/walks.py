"""Walks of migrations for policies: episodes side by side, seen as the rows that are distinct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from optsched.arrays import Bools, Ints
from optsched.kernels import layout
from optsched.kernels import migration as kernel
from optsched.plan import Plan
from optsched.simulate.migration import Start

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Looks:
    """What a policy sees of N states, equal rows once; see `kernels.layout` for the columns.

    Attributes
    ----------
    cells, bias
        (N, C, CELL_WIDE), and (N, C) the logarithm of how many cells each row stands for, -1e8 for
        padding.
    groups
        (N, G, GROUP_WIDE) groups that may be chosen; zeros in the second phase and as padding.
    tasks
        (N, TASK_WIDE).
    actions
        (N, G + 1 + C) the action behind every choice: a row of `groups`, the stop, a row of
        `cells`; -1: not allowed.
    alike
        (N, A) the choice that every action is equal to, -1 where it is not allowed.
    """

    cells: Floats
    bias: Floats
    groups: Floats
    tasks: Floats
    actions: Ints
    alike: Ints

    def __len__(self) -> int:
        return len(self.cells)

    def best(self, scores: Floats) -> Ints:
        """(N,) the allowed action with the highest of the scores (N, G + 1 + C); -1: none."""
        chosen = np.where(self.actions >= 0, scores, -np.inf).argmax(axis=1)
        return self.actions[np.arange(len(self)), chosen]

    def only(self, rows: Ints) -> Looks:
        """Those of some states."""
        return Looks(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


class Walks:
    """Episodes side by side.

    Attributes
    ----------
    rows, cells, groups, tasks, masks
        (N, ...) the live states, see `kernels.layout` and `kernels.migration`.
    moves
        Per episode the migrations so far, (group, cell).
    values
        (N,) the scalarised objectives now.

    Parameters
    ----------
    starts
        Where the episodes begin.
    sizes
        The most cells and groups that a start may have; by default, those of these starts.
    shown
        The most distinct cells and groups that looks show; further ones are left out.
    """

    def __init__(
        self,
        starts: Sequence[Start],
        sizes: tuple[int, int] = (0, 0),
        shown: tuple[int, int] | None = None,
    ) -> None:
        count = len(starts)
        self.count = max(sizes[0], *(begun.cells for begun in starts))
        self.many = max(sizes[1], *(begun.groups for begun in starts))
        wide, actions = max(len(begun.row) for begun in starts), self.many + self.count + 1
        self.starts: list[Start] = list(starts)
        self.rows = np.zeros((count, wide), np.int64)
        self.cells = np.zeros((count, self.count, layout.CELL_WIDE), np.float32)
        self.groups = np.zeros((count, self.many, layout.GROUP_WIDE), np.float32)
        self.tasks = np.zeros((count, layout.TASK_WIDE), np.float32)
        self.masks = np.zeros((count, actions), bool)
        self.gains, self.ends = np.zeros(count, np.int64), np.zeros(count, np.int64)
        deep, self.top = shown if shown is not None else (self.count, self.many)
        self._out = np.zeros((count, deep, layout.CELL_WIDE), np.float32)
        self._lines = np.zeros((count, self.top, layout.GROUP_WIDE), np.float32)
        self._bias = np.zeros((count, deep), np.float32)
        self._actions = np.zeros((count, self.top + 1 + deep), np.int64)
        self._alike = np.zeros((count, actions), np.int64)
        self._sizes = np.zeros((count, 2), np.int64)
        self.moves: list[list[tuple[int, int]]] = [[] for _ in starts]
        self.values = np.zeros(count, np.int64)
        for n in range(count):
            self.reset(n)

    def __len__(self) -> int:
        return len(self.starts)

    def reset(self, n: int, begun: Start | None = None) -> None:
        """Begin an episode anew, or another one of the same sizes or smaller."""
        if begun is not None:
            self.starts[n] = begun
        row = self.starts[n].row
        if len(row) > self.rows.shape[1]:
            wider = np.zeros((len(self), len(row)), np.int64)
            wider[:, : self.rows.shape[1]] = self.rows
            self.rows = wider
        self.rows[n, : len(row)] = row
        kernel.show(self.rows[n], self.cells[n], self.groups[n], self.tasks[n], self.masks[n])
        self.moves[n] = []
        self.values[n] = kernel.value(self.rows[n])

    @property
    def over(self) -> Bools:
        """(N,) whether no step follows."""
        return self.rows[:, layout.OVER] != 0

    @property
    def chosen(self) -> Ints:
        """(N,) the group whose item is on its way; -1: none."""
        return self.rows[:, layout.CHOSEN]

    def step(self, actions: Ints) -> Ints:
        """Act in all that go on; (N,) by how much the scalarised objectives fell.

        Raises
        ------
        ValueError
            A mask forbids an action; nothing has changed in that episode.
        """
        over, groups = self.over, self.chosen.copy()
        kernel.step(
            self.rows, actions, self.cells, self.groups, self.tasks, self.masks, self.gains,
            self.ends,
        )  # fmt: skip
        wrong = np.flatnonzero((self.ends == layout.ILLEGAL) & ~over)
        if len(wrong):
            raise ValueError(f"action {actions[wrong[0]]} is not allowed now; see the mask")
        for n in np.flatnonzero((groups >= 0) & ~over).tolist():
            self.moves[n].append((int(groups[n]), int(actions[n]) - self.many))
        self.values -= self.gains
        return self.gains

    def looks(self) -> Looks:
        """What a policy sees now; of episodes that are over, nothing that is allowed."""
        self.show()
        lines, cells = (max(int(size), 1) for size in self._sizes.max(axis=0))
        top = self.top
        kept = np.r_[0:lines, top, top + 1 : top + 1 + cells]
        alike = np.where(self._alike >= top, self._alike - (top - lines), self._alike)
        return Looks(
            self._out[:, :cells].copy(),
            self._bias[:, :cells].copy(),
            self._lines[:, :lines].copy(),
            self.tasks.copy(),
            self._actions[:, kept],
            alike,
        )

    def show(self) -> Looks:
        """What a policy sees now, as views that are padded to the most that may be shown."""
        kernel.looks(
            self.rows, self.cells, self.groups, self.masks, self._out, self._bias, self._lines,
            self._actions, self._alike, self._sizes,
        )  # fmt: skip
        self._actions[self.over] = -1
        return Looks(self._out, self._bias, self._lines, self.tasks, self._actions, self._alike)

    def plan(self, n: int, length: int | None = None) -> Plan:
        """The migrations of an episode so far, or the first few of them, as a plan."""
        return self.starts[n].plan(self.moves[n][:length])


class Walk:
    """One episode; its arrays are views of a batch of one."""

    def __init__(self, begun: Start) -> None:
        self.begun, self.walks = begun, Walks([begun])
        walks = self.walks
        self.row, self.cells, self.groups = walks.rows[0], walks.cells[0], walks.groups[0]
        self.task, self.mask = walks.tasks[0], walks.masks[0]
        self._action = np.zeros(1, np.int64)

    @property
    def moves(self) -> list[tuple[int, int]]:
        """The migrations so far, (group, cell)."""
        return self.walks.moves[0]

    @property
    def value(self) -> int:
        """The scalarised objective now."""
        return int(self.walks.values[0])

    @property
    def over(self) -> bool:
        """Whether no step follows."""
        return bool(self.row[layout.OVER])

    @property
    def chosen(self) -> int:
        """The group whose item is on its way; -1: none."""
        return int(self.row[layout.CHOSEN])

    @property
    def stop(self) -> int:
        """The action that ends the episode."""
        return len(self.mask) - 1

    def reset(self) -> None:
        """Begin anew."""
        self.walks.reset(0)

    def step(self, action: int) -> int:
        """Act; by how much the scalarised objective fell.

        Raises
        ------
        ValueError
            The mask forbids it; nothing has changed.
        """
        self._action[0] = action
        if self.over:
            raise ValueError("the episode is over")
        return int(self.walks.step(self._action)[0])

    def plan(self, length: int | None = None) -> Plan:
        """The migrations so far, or the first few of them, as a plan."""
        return self.walks.plan(0, length)

    def look(self) -> Looks:
        """What a policy sees now: `Looks` of one state."""
        return self.walks.looks()
