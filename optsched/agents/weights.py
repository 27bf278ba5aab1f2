"""Weights to begin with: those of a run, or of a file that was exported."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optsched.agents.folder import Folder, fill, restoring
from optsched.agents.subject import Subject
from optsched.errors import FormatError, InputError
from optsched.solvers import agent_file


@dataclass(frozen=True)
class Given:
    """Weights by their names, and what is told of where they come from."""

    state: dict[str, Tensor]
    told: dict[str, Any]


def weights(path: Path, kind: Subject) -> Given:
    """The best weights of a run's folder, or those of an exported file.

    Raises
    ------
    InputError
        There is neither, or the run or file is for another problem.
    FormatError
        The weights are damaged, or of another network than this version trains.
    """
    if path.is_dir():
        folder = Folder.old(path)
        from optsched.agents.subject import subject

        _require(path, subject(folder.config()["problem"]).environment, kind)
        source, found = folder.best, folder.load(folder.best)
        with restoring(source):
            state = found["network"]
    else:
        _require(path, agent_file.environment_of(path), kind)
        source, state = path, _exported(path, kind)
    fill(kind.network(), state, str(source))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    return Given(state, {"file": source.name, "sha256": digest})


def _require(path: Path, environment: str, kind: Subject) -> None:
    if environment != kind.environment:
        raise InputError(f"{str(path)!r} is for {environment}, not for {kind.environment}")


def _exported(path: Path, kind: Subject) -> dict[str, Tensor]:
    """The weights in an ONNX file, which have the names that they have in the network."""
    import onnx
    from onnx import numpy_helper

    found = {
        part.name: torch.from_numpy(numpy_helper.to_array(part).copy())
        for part in onnx.load(str(path)).graph.initializer
    }
    merged = agent_file.about_of(path).get(agent_file.MERGED, {})
    state = {name: found.get(merged.get(name, name)) for name in kind.network().state_dict()}
    missing = [name for name, part in state.items() if part is None]
    if missing:
        raise FormatError(
            f"{str(path)!r} does not name its weights ({missing[0]} is not there); export its run "
            "anew, or give the run's folder"
        )
    return {name: part for name, part in state.items() if part is not None}
