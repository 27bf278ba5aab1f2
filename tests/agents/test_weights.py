"""Weights to begin with: those of runs, and of files that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch

from optsched.agents import PROBLEMS
from optsched.agents.export import export_run
from optsched.agents.subject import subject
from optsched.agents.training import Step, Training, train
from optsched.agents.weights import weights
from optsched.errors import FormatError, InputError
from optsched.solvers import agent_file


def test_a_run_begins_with_given_weights(tmp_path: Path, small: dict[str, Any]) -> None:
    """From a run or its exported file: the same weights, kept in the folder and told."""
    small |= {"n_timesteps": 0, "tilt": small["tilt"] | {"rounds": 0}}
    small["correct"] |= {"rounds": 0}
    first = train("vm-rescheduling", tmp_path / "first", small, 0, device="cpu")
    gap = first.run()
    export_run(tmp_path / "first", tmp_path / "agent.onnx")
    best = first.folder.load(first.folder.best)["network"]
    small["clone"] |= {"rounds": 0}
    for name in ("first", "agent.onnx"):
        steps: list[Step] = []
        later = train(
            "vm-rescheduling", tmp_path / f"from-{name}", small, 0, tmp_path / name,
            device="cpu", on_step=steps.append,
        )  # fmt: skip
        state = later.network.state_dict()
        assert all(torch.equal(part, best[key]) for key, part in state.items())
        assert later.run() == pytest.approx(gap)
        assert [step.stage for step in steps] == ["init"]
        told = later.folder.config()["init"]
        assert told["file"] in ("best.pt", "agent.onnx")
        assert len(told["sha256"]) == 64
        kept = later.folder.load(later.folder.init)["network"]
        assert all(torch.equal(part, best[key]) for key, part in kept.items())
        again = Training(later.folder, device="cpu")
        assert again.run() == pytest.approx(gap), "it goes on from there"


def test_weights_to_begin_with_are_checked(tmp_path: Path, small: dict[str, Any]) -> None:
    """Those of another problem, damaged ones and none at all are refused, and nothing is left."""
    pods = agent_file.shipped("pod-packing.onnx")
    assert pods is not None
    (tmp_path / "noise.onnx").write_bytes(b"noise")
    (tmp_path / "empty").mkdir()
    for init, error, word in (
        (pods, InputError, "is for optsched/PodPacking-v0, not for optsched/VMRescheduling-v0"),
        (tmp_path / "noise.onnx", FormatError, "no ONNX file"),
        (tmp_path / "none.onnx", FormatError, "cannot be read"),
        (tmp_path / "empty", InputError, "holds no run"),
    ):
        with pytest.raises(error, match=word):
            train("vm-rescheduling", tmp_path / "run", small, 0, init, device="cpu")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_shipped_agents_can_be_trained_on(problem: str) -> None:
    """The weights of every file that ships can be read again, and score as the file does."""
    kind = subject(problem)
    path = agent_file.shipped(f"{problem}.onnx")
    assert path is not None
    network = kind.network()
    network.load_state_dict(weights(path, kind).state)
    graph = kind.graph()
    session, _ = agent_file.read(path, kind.environment, graph.tables)
    given = {name: table.numpy() for name, table in graph.inputs.items()}
    expected = session.run(graph.outputs, given)
    found = network.eval()(*graph.inputs.values())
    for one, other in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
        assert np.allclose(one.detach().numpy(), other, atol=1e-4)
