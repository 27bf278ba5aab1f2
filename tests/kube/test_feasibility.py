"""The nodes that a pod may enter are those that a real kube-scheduler let through."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run() -> ModuleType:
    """The benchmark, loaded from its file."""
    path = ROOT / "benchmarks" / "feasibility" / "run.py"
    if not path.exists():
        pytest.skip("benchmarks/ is not part of this distribution")
    spec = importlib.util.spec_from_file_location("feasibility_run", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_probe_agrees(run: ModuleType, data_path: Callable[[str], Path]) -> None:
    """All probes agree but those that hit an upstream bug, and nearly all are modelled."""
    folder = data_path("feasibility")
    verdicts = [v for path in sorted(folder.glob("*.json.gz")) for v in run.judge(path)]
    assert len(verdicts) > 2000
    assert [v for v in verdicts if v.outcome == "differs"] == []
    modelled = sum(v.outcome != "not modelled" for v in verdicts)
    assert modelled >= 0.95 * len(verdicts)
    bugs = {v.note for v in verdicts if v.outcome == "known bug"}
    assert bugs == {"kubernetes/kubernetes#141526"}


def test_a_wrong_answer_is_reported(
    run: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A probe that the recording answers otherwise is listed and makes the run fail."""
    node = {"kind": "Node", "metadata": {"name": "n1"}, "status": {"allocatable": {"pods": "1"}}}
    pod = {"kind": "Pod", "metadata": {"name": "p", "namespace": "x"}, "spec": {"containers": []}}
    gated = {
        "kind": "Pod",
        "metadata": {"name": "g", "namespace": "x"},
        "spec": {"containers": [], "resourceClaims": [{"name": "c"}]},
    }
    probes = [
        {"pod": pod, "feasible": [], "features": ["noRequests"]},
        {"pod": gated, "feasible": ["n1"], "features": ["claims"]},
    ]
    recording = {"objects": {"nodes": [node]}, "probes": probes}
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps(recording).encode()))
    assert run.main([str(tmp_path), "--output", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["features"]["noRequests"]["differs"] == 1
    assert report["features"]["claims"]["not modelled"] == 1
    assert run.main([str(tmp_path)]) == 1
    assert "wrongly open: n1" in capsys.readouterr().out


def test_what_is_no_recording(
    run: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty folder and a file of another kind are named, with exit code 2."""
    assert run.main([str(tmp_path)]) == 2
    (tmp_path / "c.json").write_text("[]")
    assert run.main([str(tmp_path)]) == 2
    assert "c.json: this is no recording" in capsys.readouterr().err
