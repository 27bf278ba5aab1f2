"""A trained agent in an ONNX file: read, checked, and asked for scores with onnxruntime.

The file holds the graph of `agents.network` and, as metadata under the key "optsched", what it is
for: format, environment, and the widths of the tables it reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from optsched.errors import FormatError, MissingExtraError, UnsupportedError
from optsched.kernels import migration as kernel
from optsched.simulate.walks import Floats, Look

KEY, FORMAT = "optsched", 1
TABLES = [kernel.CELL_WIDE, kernel.GROUP_WIDE, kernel.TASK_WIDE]
ENVIRONMENT = "optsched/VMRescheduling-v0"
SHIPPED = "vm-rescheduling.onnx"
NEVER = np.float32(-1e8)
_LARGEST = 64 << 20


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
    path = resources.files("optsched.datasets") / "agents" / SHIPPED
    return Path(str(path)) if path.is_file() else None


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
    if chosen is None:
        raise UnsupportedError(
            "no agent comes with this package; name one: --solver policy:agent.onnx"
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "agents need the package 'onnxruntime': pip install 'optsched[serve]'"
        ) from error
    told = str(chosen)[:200]
    try:
        if chosen.stat().st_size > _LARGEST:
            raise FormatError(f"{told!r} is too large for an agent; at most 64 MiB are read")
        content = chosen.read_bytes()
    except OSError as error:
        raise FormatError(f"{told!r} cannot be read: {error.strerror or error}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # it is an error of ours to tell, not of the log
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        about = json.loads(session.get_modelmeta().custom_metadata_map.get(KEY, "null"))
    except Exception as error:  # onnxruntime raises a dozen classes without a common one
        raise FormatError(f"{told!r} is no ONNX file, or a damaged one") from error
    _check(told, about)
    return Agent(session, about)


def _check(told: str, about: Any) -> None:
    """Refuse what was not exported for this program, problem and version."""
    if not isinstance(about, dict) or "format" not in about:
        raise FormatError(f"{told!r} is a network, but no agent of optsched export")
    if about["format"] != FORMAT:
        raise FormatError(
            f"{told!r} has format {about['format']!r}, this version reads {FORMAT}; export it anew"
        )
    if about.get("environment") != ENVIRONMENT:
        raise FormatError(
            f"{told!r} is an agent for {str(about.get('environment'))[:60]!r}, "
            f"not for {ENVIRONMENT!r}"
        )
    if about.get("tables") != TABLES:
        raise FormatError(
            f"{told!r} reads tables of widths {about.get('tables')!r}, this version shows "
            f"{TABLES!r}; train or export it anew"
        )
