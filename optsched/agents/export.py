"""A trained network as an ONNX file that `solvers.policy` serves."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from optsched.agents.folder import Folder
from optsched.agents.network import MigrationNetwork
from optsched.kernels.migration import CELL_WIDE, GROUP_WIDE, TASK_WIDE
from optsched.snapshot import write_atomically
from optsched.solvers.policy_agent import ENVIRONMENT, FORMAT, KEY, TABLES

_OUTPUTS = ["group", "stop", "cell", "value"]


def export(network: MigrationNetwork, path: str | Path, about: dict[str, Any]) -> None:
    """Write a network; it takes any number of cells, groups and states.

    Parameters
    ----------
    about
        What the file should say of itself, besides format, environment and tables.
    """
    import onnx

    network = network.eval().to("cpu")
    example = (
        torch.rand(1, 5, CELL_WIDE),
        torch.zeros(1, 5),
        torch.rand(1, 7, GROUP_WIDE),
        torch.rand(1, TASK_WIDE),
    )
    axes = {
        "cells": {0: "states", 1: "cells"},
        "bias": {0: "states", 1: "cells"},
        "groups": {0: "states", 1: "groups"},
        "task": {0: "states"},
    }
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The newer exporter needs one package more and gains nothing for a graph of this size.
        warnings.simplefilter("ignore")
        raw = os.path.join(folder, "agent.onnx")
        torch.onnx.export(
            network, example, raw, input_names=list(axes), output_names=_OUTPUTS,
            dynamic_axes=axes, dynamo=False,
        )  # fmt: skip
        model = onnx.load(raw)
    entry = model.metadata_props.add()
    entry.key = KEY
    known = {"format": FORMAT, "environment": ENVIRONMENT, "tables": TABLES}
    entry.value = json.dumps(about | known, sort_keys=True)
    write_atomically(str(path), model.SerializeToString())


def export_run(run: Path, path: str | Path) -> dict[str, Any]:
    """Write the weights of a run that validated best; what the file says of itself.

    Raises
    ------
    InputError
        There is no run, or it has not validated yet.
    """
    folder = Folder.old(run)
    config, best = folder.config(), folder.load(folder.best)
    network = MigrationNetwork()
    network.load_state_dict(best["network"])
    about = {
        "environment": ENVIRONMENT,
        "problem": config["problem"],
        "seed": config["seed"],
        "stage": best["stage"],
        "gap": best["gap"],
    }
    export(network, path, about)
    return about
