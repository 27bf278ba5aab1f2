"""`optsched evaluate` measures agents beside what they have to beat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from optsched.cli import group
from optsched.solvers import policy_agent

PODS = ["evaluate", "--problem", "pod-packing", "--count", "2", "--nodes", "4", "--ppn", "4"]
VMS = ["evaluate", "--count", "2", "--pms", "8", "--moves", "3"]
SHIPPED = str(policy_agent.shipped())


def test_agents_are_measured_on_the_same_instances(tmp_path: Path) -> None:
    """Tables and JSON name every arm; the picture is written."""
    runner, plot = CliRunner(), tmp_path / "gaps.svg"
    done = runner.invoke(group, [*PODS, "--plot", str(plot)])
    assert done.exit_code == 0, done.output
    assert "default-scheduler" in done.output
    assert plot.read_text().startswith("<svg")
    found = json.loads(runner.invoke(group, [*PODS, "--output", "json"]).output)["arms"]
    assert list(found) == ["agent", "best-fit", "default-scheduler"]
    assert len({run["seed"] for run in found["agent"]}) == 2
    found = json.loads(runner.invoke(group, [*VMS, "--output", "json"]).output)["arms"]
    assert list(found) == ["agent", "fragments-greedy"]
    assert all(0 <= run["gap"] <= 1 for runs in found.values() for run in runs)


def test_the_best_of_many_episodes_of_pods() -> None:
    """It stands beside the one episode and is never worse, unless greedy had to take over."""
    words = ["--problem", "pod-packing", "--count", "3", "--nodes", "4", "--best-of", "200ms"]
    done = CliRunner().invoke(group, ["evaluate", *words, "--output", "json"])
    found = json.loads(done.output)["arms"]
    pairs = zip(found["agent, best in 0.2 s"], found["agent"], strict=True)
    assert all(many["placed"] >= one["placed"] or many["fallbacks"] for many, one in pairs)


def test_solvers_that_cannot_serve_are_left_out() -> None:
    """What is named as anywhere is told apart: VMs need cells, which `patterns` does not choose."""
    done = CliRunner().invoke(group, [*VMS, "--against", "greedy,patterns,fragments-greedy"])
    assert done.exit_code == 0, done.output
    assert "left out: 'patterns' cannot serve these instances" in done.stderr
    lines = [line.split()[0] for line in done.stdout.splitlines() if "%" in line]
    assert [line for line in lines if line != "arm"] == ["agent", "greedy", "fragments-greedy"]


def test_solvers_may_stand_beside_an_agent_for_pods() -> None:
    """They know all pods beforehand, so the best of them places at least as much."""
    words = [*PODS, "--against", "greedy,patterns,chance,best-fit", "--output", "json"]
    found = json.loads(CliRunner().invoke(group, words).output)["arms"]
    assert list(found) == ["agent", "greedy", "patterns", "chance", "best-fit"]
    for agent, best in zip(found["agent"], found["patterns"], strict=True):
        assert best["placed"] >= agent["placed"]
        assert best["pods"] == agent["pods"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--problem", "pod-packing", "--against", "worst-fit"],
            "rules are best-fit, default-sched",
        ),
        (["--problem", "pod-packing", SHIPPED], "is an agent for vm-rescheduling"),
        (["--against", "greedy,worst"], "no solver 'worst' (there are: counts"),
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
