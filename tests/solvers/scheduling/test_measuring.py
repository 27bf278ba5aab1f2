"""The shipped agent, measured as `optsched evaluate` measures it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from optsched.cli import group
from optsched.envs.seeds import seeds
from optsched.solvers.scheduling.measuring import Case, measure, rows

pytest.importorskip("onnxruntime")


def test_the_shipped_agent_is_better_than_eft_where_nodes_sleep() -> None:
    """On a few held-out instances, alone, without falling back."""
    found = measure(None, ("greedy:eft", "greedy:random"), seeds("heldout")[:12], Case(load=0.8))
    agent, eft, blind = (
        sum(run.ratio for run in found[name]) / 12
        for name in ("agent", "greedy:eft", "greedy:random")
    )
    assert eft == 1
    assert agent < 1 < blind
    assert not any(run.fallbacks for run in found["agent"])
    assert [line[0] for line in rows(found)] == ["agent", "greedy:eft", "greedy:random"]


def test_the_command() -> None:
    """JSON with every instance."""
    words = ["evaluate", "--problem", "task-placement", "--count", "2", "--tasks", "10"]
    done = CliRunner().invoke(group, [*words, "--against", "greedy:eft", "--output", "json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)["arms"]
    assert set(told) == {"agent", "greedy:eft"}
    assert told["greedy:eft"][0]["value"] == told["greedy:eft"][0]["eft"]
    wrong = CliRunner().invoke(group, [*words, "--load", "luck"])
    assert wrong.exit_code == 2
    assert "of tasks it is a number" in wrong.output
