"""A trained network as an ONNX file that `solvers.policy` serves."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from optsched.agents.folder import Folder, fill, restoring
from optsched.agents.subject import Subject, subject
from optsched.snapshot import write_atomically
from optsched.solvers.agent_file import FORMAT, KEY, MERGED


def export(network: nn.Module, path: str | Path, about: dict[str, Any], kind: Subject) -> None:
    """Write a network; it takes sets of any size and any number of states.

    Parameters
    ----------
    about
        What the file should say of itself, besides format, environment and tables.
    kind
        What the network is for.
    """
    import onnx

    network, graph = network.eval().to("cpu"), kind.graph()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The newer exporter needs one package more and gains nothing for a graph of this size.
        warnings.simplefilter("ignore")
        raw = os.path.join(folder, "agent.onnx")
        torch.onnx.export(
            network, tuple(graph.inputs.values()), raw, input_names=list(graph.inputs),
            output_names=graph.outputs, dynamic_axes=graph.axes, dynamo=False,
            do_constant_folding=False,  # weights keep their names, by which they are read again
        )  # fmt: skip
        model = onnx.load(raw)
    entry = model.metadata_props.add()
    entry.key = KEY
    known: dict[str, Any] = {
        "format": FORMAT, "environment": kind.environment, "tables": graph.tables,
    }  # fmt: skip
    merged = _merged(network, {part.name for part in model.graph.initializer})
    if merged:
        known[MERGED] = merged
    entry.value = json.dumps(about | known, sort_keys=True)
    write_atomically(str(path), model.SerializeToString())


def _merged(network: nn.Module, named: set[str]) -> dict[str, str]:
    """Weights that the exporter left out, as another one is equal, and the name of that one."""
    state = network.state_dict()
    return {
        name: next(other for other in sorted(named & set(state)) if torch.equal(state[other], part))
        for name, part in state.items()
        if name not in named
    }


def export_run(run: Path, path: str | Path) -> dict[str, Any]:
    """Write the weights of a run that validated best; what the file says of itself.

    Raises
    ------
    InputError
        There is no run, or it has not validated yet.
    FormatError
        Its weights are those of another version of the network.
    """
    folder = Folder.old(run)
    config, best = folder.config(), folder.load(folder.best)
    kind = subject(config["problem"])
    network = kind.network()
    with restoring(folder.best):
        fill(network, best["network"], str(folder.best))
        about = {
            "environment": kind.environment,
            "problem": config["problem"],
            "seed": config["seed"],
            "stage": best["stage"],
            "gap": best["gap"],
        }
    export(network, path, about, kind)
    return about
