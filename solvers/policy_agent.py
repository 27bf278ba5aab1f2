"""An agent for VM rescheduling: read from its file, and asked for scores with onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optsched.kernels import layout
from optsched.simulate.walks import Floats, Looks
from optsched.solvers import agent_file

TABLES = [layout.CELL_WIDE, layout.GROUP_WIDE, layout.TASK_WIDE]
ENVIRONMENT = "optsched/VMRescheduling-v0"
SHIPPED = "vm-rescheduling.onnx"


@dataclass(frozen=True)
class Agent:
    """A loaded agent.

    Attributes
    ----------
    session
        onnxruntime's, on one thread.
    about
        What the file says of itself.
    options
        Of each run of the session: to leave out what the outputs asked for do not need.
    """

    session: Any
    about: dict[str, Any]
    options: Any = None

    def scores(self, looks: Looks) -> Floats:
        """(N, G + 1 + C) the score of every choice; higher is better.

        Only what the present phase of the episodes needs is computed; the other scores are zeros.

        Raises
        ------
        FormatError
            The network answers with something that is no number.
        """
        many = looks.groups.shape[1]
        inputs = {
            "cells": looks.cells, "bias": looks.bias, "groups": looks.groups, "task": looks.tasks,
        }  # fmt: skip
        allowed = looks.actions >= 0
        second = bool(allowed[:, many + 1 :].any())
        names = ["cell"] if second else []
        if not second or allowed[:, : many + 1].any():
            names += ["group", "stop"]
        found = agent_file.answers(self.session, names, inputs, self.options)
        scores = np.zeros(allowed.shape, np.float32)
        if "group" in found:
            scores[:, :many], scores[:, many : many + 1] = found["group"], found["stop"]
        if second:
            scores[:, many + 1 :] = found["cell"]
        agent_file.require_numbers(scores[allowed])
        return scores


def shipped() -> Path | None:
    """The agent that comes with the package; None where none does."""
    return agent_file.shipped(SHIPPED)


def load(path: str | Path | None) -> Agent:
    """Read an agent; without a path, the one that comes with the package.

    Raises
    ------
    OptschedError
        As `agent_file.read`.
    """
    chosen = Path(path) if path is not None else shipped()
    return Agent(*agent_file.read(chosen, ENVIRONMENT, TABLES), agent_file.only_asked())
