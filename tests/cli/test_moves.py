"""What binds moves while they run: throttles, room on both ends, and moves that run already."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
HEAD = {"format": "optsched/snapshot", "version": 1, "kind": "placement"}


@pytest.fixture
def solve(run: Run, tmp_path: Path) -> Callable[..., tuple[list[list[dict[str, Any]]], Path]]:
    """Solves tables written by hand; gives the waves and the file of the plan."""

    def solving(tables: dict[str, Any], *words: object) -> tuple[list[list[dict[str, Any]]], Path]:
        file, plan = tmp_path / "snapshot.json", tmp_path / "plan.json"
        file.write_text(json.dumps(HEAD | tables))
        done = run("solve", file, "--workers", 1, "--plan-out", plan, *words)
        assert done.exit_code == 0, done.output
        assert run("check", file, plan, *words).exit_code == 0
        return json.loads(plan.read_bytes())["waves"], plan

    return solving


def throttled(**limits: int) -> dict[str, Any]:
    """Two items on a host that is to be emptied, and one that takes both."""
    full, empty = {"capacity": {"cpu": 4}}, {"capacity": {"cpu": 4}}
    if "moves_in" in limits:
        empty |= limits
    else:
        full |= limits
    return {
        "hosts": [{"name": "a", **full}, {"name": "b", **empty}],
        "items": [{"name": name, "demand": {"cpu": 2}, "host": "a"} for name in ("x", "y")],
    }


@pytest.mark.parametrize("side", ["moves_in", "moves_out"])
def test_throttles_of_hosts(run: Run, solve: Any, tmp_path: Path, side: str) -> None:
    """As many leave and enter a host in a wave as it allows; a plan for more is refused."""
    waves, plan = solve(throttled(), "--drain", "a")
    assert [len(wave) for wave in waves] == [2]
    bound = tmp_path / "bound.json"
    bound.write_text(json.dumps(HEAD | throttled(**{side: 1})))
    refused = run("check", bound, plan, "--drain", "a")
    assert refused.exit_code == 5
    assert "throttle" in refused.output
    waves, _ = solve(throttled(**{side: 1}), "--drain", "a")
    assert [len(wave) for wave in waves] == [1, 1]


@pytest.mark.parametrize(
    ("during", "first", "moves"), [([], False, 2), (["memory"], True, 2), (["memory"], False, 0)]
)
def test_room_on_both_ends(solve: Any, during: list[str], first: bool, moves: int) -> None:
    """What is held on both ends leaves no room behind it, unless the item lets go first."""
    vm = {"demand": {"memory": 3}, "lets_go_first": first}
    tables = {
        "during": during,
        "hosts": [{"name": name, "capacity": {"memory": 8}} for name in ("a", "b")],
        "items": [
            {"name": "x", "host": "a", **vm},
            {"name": "z", "host": "b", **vm},
            {"name": "big", "demand": {"memory": 6}},
        ],
    }
    waves, _ = solve(tables)
    assert [len(wave) for wave in waves] == [1] * moves


def test_moves_that_run_already(solve: Any, run: Run, tmp_path: Path) -> None:
    """Room on the source is held until the move is over."""
    tables = {
        "hosts": [{"name": name, "capacity": {"cpu": 4}} for name in ("a", "b")],
        "items": [
            {"name": "x", "host": "b", "demand": {"cpu": 3}, "movable": False},
            {"name": "p", "demand": {"cpu": 2}},
        ],
    }
    waves, plan = solve(tables)
    assert [move["to"] for wave in waves for move in wave] == ["a"]
    runs = tables | {"inflight": [{"item": "x", "source": "a"}]}
    file = tmp_path / "runs.json"
    file.write_text(json.dumps(HEAD | runs))
    assert run("check", file, plan).exit_code == 5
    assert solve(runs)[0] == []
