"""Walks of migrations for policies: one episode, seen as the few rows that are distinct."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from optsched.arrays import Bools, Ints
from optsched.kernels import migration as kernel
from optsched.plan import Plan
from optsched.simulate.migration import Start

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """What a policy sees of a state, equal rows once.

    Attributes
    ----------
    cells, cells_log
        (C', CELL_WIDE), and (C',) the logarithm of how many cells each row stands for.
    groups
        (G', GROUP_WIDE) the groups that may be chosen; in the second phase one row of zeros.
    task
        (TASK_WIDE,).
    choices, choices_log
        (N,) an action for every distinct choice, and the logarithm of how many are equal to it. In
        the first phase one for every row of `groups` and then the stop, in the second one for every
        row of `at`.
    at
        In the second phase, (N,) the row of `cells` behind each choice.
    alike
        (A,) the choice that every action is equal to, -1 where it is not allowed.
    """

    cells: Floats
    cells_log: Floats
    groups: Floats
    task: Floats
    choices: Ints
    choices_log: Floats
    at: Ints | None
    alike: Ints


def _distinct(table: Floats, mark: Bools) -> tuple[Ints, Ints, Floats]:
    """Number of each row, first row of each number, and the logarithm of how many are equal."""
    number, first = np.empty(len(table), np.int64), np.empty(len(table), np.int64)
    many = kernel.distinct(table, mark, number, first)
    times = np.bincount(number, minlength=many)
    return number, first[:many], np.log(times).astype(np.float32)


class Walk:
    """One episode.

    Attributes
    ----------
    row, cells, groups, task, mask
        Views of the live state, see `kernels.migration`.
    moves
        The migrations so far, (group, cell).
    value
        The scalarised objective now.
    """

    def __init__(self, begun: Start) -> None:
        self.begun = begun
        count, many = begun.cells, begun.groups
        self._rows = begun.row[None].copy()
        self._cells = np.zeros((1, count, kernel.CELL_WIDE), np.float32)
        self._groups = np.zeros((1, many, kernel.GROUP_WIDE), np.float32)
        self._tasks = np.zeros((1, kernel.TASK_WIDE), np.float32)
        self._masks = np.zeros((1, many + count + 1), bool)
        self._gains, self._ends = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self._action = np.zeros(1, np.int64)
        self.row, self.cells, self.groups = self._rows[0], self._cells[0], self._groups[0]
        self.task, self.mask = self._tasks[0], self._masks[0]
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.row[:] = self.begun.row
        kernel.show(self.row, self.cells, self.groups, self.task, self.mask)
        self.moves: list[tuple[int, int]] = []
        self.value = int(kernel.value(self.row))

    @property
    def over(self) -> bool:
        """Whether no step follows."""
        return bool(self.row[kernel.OVER])

    @property
    def chosen(self) -> int:
        """The group whose item is on its way; -1: none."""
        return int(self.row[kernel.CHOSEN])

    @property
    def stop(self) -> int:
        """The action that ends the episode."""
        return len(self.mask) - 1

    def step(self, action: int) -> int:
        """Act; by how much the scalarised objective fell.

        Raises
        ------
        ValueError
            The mask forbids it; nothing has changed.
        """
        group = self.chosen
        self._action[0] = action
        kernel.step(
            self._rows, self._action, self._cells, self._groups, self._tasks, self._masks,
            self._gains, self._ends,
        )  # fmt: skip
        if self._ends[0] == kernel.ILLEGAL:
            raise ValueError(f"action {action} is not allowed now; see the mask")
        if group >= 0:
            self.moves.append((group, action - self.begun.groups))
        gain = int(self._gains[0])
        self.value -= gain
        return gain

    def plan(self, length: int | None = None) -> Plan:
        """The migrations so far, or the first few of them, as a plan."""
        return self.begun.plan(self.moves[:length])

    def look(self) -> Look:
        """What a policy sees now."""
        many, alike = self.begun.groups, np.full(len(self.mask), -1)
        if self.chosen >= 0:
            legal = self.mask[many:-1]
            number, first, times = _distinct(self.cells, legal)
            at = np.flatnonzero(legal[first])
            back = np.full(len(first), -1)
            back[at] = np.arange(len(at))
            alike[many:-1] = back[number]
            none = np.zeros((1, kernel.GROUP_WIDE), np.float32)
            return Look(
                self.cells[first], times, none, self.task.copy(), first[at] + many, times[at], at,
                alike,
            )  # fmt: skip
        _, first, times = _distinct(self.cells, np.ones(len(self.cells), bool))
        open_groups = np.flatnonzero(self.mask[:many])
        rows = self.groups[open_groups]
        number, lead, equal = _distinct(rows, np.ones(len(rows), bool))
        alike[open_groups] = number
        alike[-1] = len(lead)
        return Look(
            self.cells[first],
            times,
            rows[lead],
            self.task.copy(),
            np.append(open_groups[lead], self.stop),
            np.append(equal, np.float32(0)),
            None,
            alike,
        )
