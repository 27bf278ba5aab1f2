"""An agent for VM rescheduling: read from its file, and asked for scores with onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optsched.errors import FormatError
from optsched.kernels import migration as kernel
from optsched.simulate.walks import Floats, Look
from optsched.solvers import agent_file

TABLES = [kernel.CELL_WIDE, kernel.GROUP_WIDE, kernel.TASK_WIDE]
ENVIRONMENT = "optsched/VMRescheduling-v0"
SHIPPED = "vm-rescheduling.onnx"
NEVER = np.float32(-1e8)


@dataclass(frozen=True)
class Agent:
    """A loaded agent.

    Attributes
    ----------
    session
        onnxruntime's, on one thread.
    about
        What the file says of itself.
    """

    session: Any
    about: dict[str, Any]

    def scores(self, looks: Sequence[Look]) -> list[Floats]:
        """The score of every choice of each look; higher is better.

        Raises
        ------
        FormatError
            The network answers with something that is no number.
        """
        cells = max(len(look.cells) for look in looks)
        groups = max(len(look.groups) for look in looks)
        table = np.zeros((len(looks), cells, kernel.CELL_WIDE), np.float32)
        bias = np.full((len(looks), cells), NEVER)
        rows = np.zeros((len(looks), groups, kernel.GROUP_WIDE), np.float32)
        for n, look in enumerate(looks):
            table[n, : len(look.cells)] = look.cells
            bias[n, : len(look.cells)] = look.cells_log
            rows[n, : len(look.groups)] = look.groups
        tasks = np.stack([look.task for look in looks])
        inputs = {"cells": table, "bias": bias, "groups": rows, "task": tasks}
        group, stop, cell = self.session.run(["group", "stop", "cell"], inputs)
        found = []
        for n, look in enumerate(looks):
            if look.at is None:
                one = np.append(group[n, : len(look.groups)], stop[n])
            else:
                one = cell[n, look.at]
            if not np.isfinite(one).all():
                raise FormatError("the agent answers with something that is no number")
            found.append(one.astype(np.float32))
        return found


def shipped() -> Path | None:
    """The agent that comes with the package; None where none does."""
    return agent_file.shipped(SHIPPED)


def load(path: str | Path | None) -> Agent:
    """Read an agent; without a path, the one that comes with the package.

    Raises
    ------
    MissingExtraError
        onnxruntime is not installed.
    UnsupportedError
        No agent comes with this package.
    FormatError
        The file is none, is for another problem or version, or is too large.
    """
    chosen = Path(path) if path is not None else shipped()
    return Agent(*agent_file.read(chosen, ENVIRONMENT, TABLES))
