"""`optsched evaluate` measures agents beside what they have to beat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from optsched.cli import group


def test_agents_are_measured_on_the_same_instances(tmp_path: Path) -> None:
    """Tables and JSON name every arm; the picture is written."""
    runner, plot = CliRunner(), tmp_path / "gaps.svg"
    pods = ["evaluate", "--problem", "pod-packing", "--count", "2", "--nodes", "4", "--ppn", "4"]
    done = runner.invoke(group, [*pods, "--plot", str(plot)])
    assert done.exit_code == 0, done.output
    assert "default-scheduler" in done.output
    assert plot.read_text().startswith("<svg")
    found = json.loads(runner.invoke(group, [*pods, "--output", "json"]).output)["arms"]
    assert list(found) == ["agent", "best-fit", "default-scheduler"]
    assert len({run["seed"] for run in found["agent"]}) == 2
    vms = ["evaluate", "--count", "2", "--pms", "8", "--moves", "3", "--output", "json"]
    found = json.loads(runner.invoke(group, vms).output)["arms"]
    assert list(found) == ["agent", "fragments-greedy"]
    assert all(0 <= run["gap"] <= 1 for runs in found.values() for run in runs)


def test_the_best_of_many_episodes_of_pods() -> None:
    """It stands beside the one episode, is never worse, and costs what is given."""
    words = ["--problem", "pod-packing", "--count", "3", "--nodes", "4", "--best-of", "200ms"]
    done = CliRunner().invoke(group, ["evaluate", *words, "--output", "json"])
    found = json.loads(done.output)["arms"]
    pairs = zip(found["agent, best in 0.2 s"], found["agent"], strict=True)
    assert all(many["placed"] >= one["placed"] for many, one in pairs)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--problem", "pod-packing", "--against", "worst-fit"], "no rule 'worst-fit'"),
        (["--instances", "test"], "no split 'test'"),
        (["none.onnx"], "cannot be read"),
        (["--problem", "pod-packing", "--pms", "4"], "--pms means nothing for pod-packing"),
        (["--burst"], "--burst means nothing for vm-rescheduling"),
        (["--problem", "task-placement", "--tiers", "2"], "--tiers means nothing"),
    ],
)
def test_bad_wishes_are_told(words: list[str], told: str) -> None:
    """One sentence, and the exit code of bad input."""
    done = CliRunner().invoke(group, ["evaluate", "--count", "2", *words])
    assert done.exit_code == 2
    assert told in done.output
