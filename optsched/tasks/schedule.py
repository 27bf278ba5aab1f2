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
    """

    node: Ints
    start: Ints

    @classmethod
    def of(cls, node: Sequence[int] | Ints, start: Sequence[int] | Ints) -> Schedule:
        """A schedule of any integers; `evaluate` says what is wrong with it."""
        count = (len(node),)
        return cls(ints(node, count, "schedule.node"), ints(start, count, "schedule.start"))

    @classmethod
    def nothing(cls, tasks: int) -> Schedule:
        """All rejected."""
        return cls.of(np.full(tasks, NONE), np.full(tasks, NEVER))

    def __len__(self) -> int:
        return len(self.node)
