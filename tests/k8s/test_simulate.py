"""A dump goes through the whole service without a cluster."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from optsched.cli import group

DEMO = str(files("optsched.datasets") / "demo-cluster.json.gz")


def optsched(*words: str, limit: str = "120s") -> Result:
    """The command line; what is proven ends long before the limit, if the machine is not busy."""
    environ = {"OPTSCHED_CONFIG_PLANNER_TIME_LIMIT": limit}
    return CliRunner().invoke(group, ["simulate", *words], env=environ)


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    """What the service does with the demo's cluster in mode Enforce."""
    done = optsched(DEMO, "--bench", "--max-plans", "2", "--output", "json", "--quiet")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_enforce(demo: dict[str, Any]) -> None:
    """Pods are moved and pending ones placed, within every budget, and none is lost."""
    assert demo["evictions"] > 0
    assert demo["budget_violations"] == []
    placed = len(demo["pending_before"]) - len(demo["pending_after"])
    assert placed > 0
    assert demo["running_after"] == demo["running_before"] + placed
    assert any(plan["status"]["phase"] == "Done" for plan in demo["plans"])


def test_tells(demo: dict[str, Any]) -> None:
    """Every pod that was pending is told something, and every pod that was moved."""
    told = {one["pod"] for one in demo["events"]}
    assert set(demo["pending_before"]) <= told
    moved = {
        f"{move['namespace']}/{move['name']}"
        for plan in demo["plans"]
        for move in plan["spec"].get("moves", ())
        if plan["status"].get("moves", {}).get(move["uid"], {}).get("evicted")
    }
    assert moved <= told


def test_advisory() -> None:
    """In mode Advisory the same is planned and nothing is done."""
    words = ("--bench", "--mode", "Advisory", "--max-plans", "1")
    done = optsched(DEMO, *words, "--output", "json", "-q")
    found = json.loads(done.stdout)
    assert found["evictions"] == 0
    assert found["pending_after"] == found["pending_before"]
    assert {plan["status"]["phase"] for plan in found["plans"]} == {"Recorded"}
    assert len(found["plans"]) == 1


def test_text() -> None:
    """Text for people names the plan and what pods are told; young pods are not moved."""
    done = optsched(DEMO, "--bench", "-q", "--max-plans", "1")
    assert "Done" in done.stdout
    assert "What kubectl describe pod would say" in done.stdout
    young = optsched(DEMO, "-q", "--now", "2020-01-01T00:00:00Z", "--output", "json")
    assert json.loads(young.stdout)["evictions"] == 0
    assert logging.getLogger("optsched").isEnabledFor(logging.ERROR), "who called goes on logging"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "no complete JSON"),
        ('{"kind": "List", "apiVersion": "v1", "items": []}', "neither nodes nor pods"),
        ('{"hosts": 3}', "no Kubernetes document"),
        ('{"kind": "List", "apiVersion": "v1", "items": [{"kind": "Pod"}]}', "no name"),
    ],
)
def test_bad_input(tmp_path: Path, text: str, why: str) -> None:
    """A file that is no dump ends in one sentence."""
    file = tmp_path / "file.json"
    file.write_text(text)
    done = optsched(str(file))
    assert done.exit_code == 2
    assert why in done.stderr
    assert optsched(DEMO, "--config", str(file)).exit_code == 2
    assert optsched(str(tmp_path / "absent")).exit_code == 2


def test_a_snapshot(tmp_path: Path, demo: dict[str, Any]) -> None:
    """As many pods are placed as from the dump, and what was assumed is told."""
    file = str(tmp_path / "snapshot.json")
    assert CliRunner().invoke(group, ["convert", DEMO, file]).exit_code == 0
    done = optsched(file, "--bench", "--max-plans", "1", "--output", "json", "-q")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert "grace periods" in found["assumed"][0]
    assert demo["assumed"] == []
    assert any(plan["status"]["phase"] == "Done" for plan in found["plans"])
    assert len(found["pending_before"]) == len(demo["pending_before"])
    assert len(found["pending_after"]) == len(demo["pending_after"])
    assert found["running_after"] == demo["running_after"]
    assert found["budget_violations"] == []
    text = optsched(file, "--mode", "Advisory", "--max-plans", "1", "-q", limit="1s").stdout
    assert "Assumed: a snapshot holds no rollouts of owners, grace periods and ages" in text


def test_a_snapshot_of_machines(tmp_path: Path) -> None:
    """What no pod can be is refused in one sentence."""
    file = str(tmp_path / "vms.json")
    made = CliRunner().invoke(group, ["generate", "vm", "--pms", "3", "-o", file])
    assert made.exit_code == 0, made.output
    done = optsched(file)
    assert done.exit_code == 2
    assert "needs cells of its host, which no pod can ask for" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_real_dump(data_path: Callable[[str], Path]) -> None:
    """A realistic cluster of 30 nodes: more pods run in the end, and no budget is violated."""
    file = data_path("kubectl-dumps") / "cluster-30.json.gz"
    words = ("--bench", "--output", "json", "-q", "--max-plans", "1")
    for limit in ("3s", "12s", "48s"):  # nothing is proven, so a busy machine needs more
        found = json.loads(optsched(str(file), *words, limit=limit).stdout)
        assert found["budget_violations"] == []
        if found["evictions"]:
            break
    assert found["running_after"] > found["running_before"]
