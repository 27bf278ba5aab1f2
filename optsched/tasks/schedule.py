"""Where and when tasks run: data only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optsched.arrays import NONE, Ints, ints

NEVER = NONE  # start of a task that is rejected


@dataclass(frozen=True)
class Schedule:
    """One row per task.

    Attributes
    ----------
    node
        (I,) where it runs; -1: it is rejected.
    start
        (I,) when its execution begins, in milliseconds; -1: it is rejected.
    sent
        (I,) when its data leave the source, if that is not at once when it arrives (None).
    woken
        (J,) when each sleeping node is turned on; -1, and None for all: when the first of its tasks
        is sent.
    """

    node: Ints
    start: Ints
    sent: Ints | None = None
    woken: Ints | None = None

    @classmethod
    def of(
        cls,
        node: Sequence[int] | Ints,
        start: Sequence[int] | Ints,
        sent: Sequence[int] | Ints | None = None,
        woken: Sequence[int] | Ints | None = None,
    ) -> Schedule:
        """A schedule of any integers; `evaluate` says what is wrong with it."""
        count = (len(node),)
        return cls(
            ints(node, count, "schedule.node"),
            ints(start, count, "schedule.start"),
            None if sent is None else ints(sent, count, "schedule.sent"),
            None if woken is None else ints(woken, (len(woken),), "schedule.woken"),
        )

    @classmethod
    def nothing(cls, tasks: int) -> Schedule:
        """All rejected."""
        return cls.of(np.full(tasks, NONE), np.full(tasks, NEVER))

    def __len__(self) -> int:
        return len(self.node)


@dataclass(frozen=True)
class Lost:
    """Runs that were cut short because their node failed, one row each.

    Attributes
    ----------
    task, node
        (L,) what ran where.
    begin, end
        (L,) in milliseconds; equal if it had not begun and only its data were sent in vain.
    """

    task: Ints
    node: Ints
    begin: Ints
    end: Ints

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]] | Ints = ()) -> Lost:
        """From rows (task, node, begin, end)."""
        table = np.asarray(rows, np.int64).reshape(-1, 4)
        names = ("task", "node", "begin", "end")
        return cls(*(ints(table[:, k], (len(table),), f"lost.{n}") for k, n in enumerate(names)))

    def __len__(self) -> int:
        return len(self.task)
