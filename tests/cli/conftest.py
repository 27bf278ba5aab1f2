"""Files and a runner for the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from optsched.cli import group
from optsched.problem import PlacementProblem
from optsched.snapshot import encode_snapshot, write_atomically

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Runs a command line; `stdin` is fed to it."""

    def invoke(*args: object, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(group, list(map(str, args)), input=stdin)

    return invoke


@pytest.fixture
def snapshot(tmp_path: Path, small_cluster: PlacementProblem) -> Path:
    """The small cluster in a file."""
    path = tmp_path / "small.json"
    write_atomically(path, encode_snapshot(small_cluster))
    return path


@pytest.fixture
def plan(tmp_path: Path, run: Run, snapshot: Path) -> Path:
    """The best plan for the small cluster, in a file."""
    path = tmp_path / "plan.json"
    done = run("solve", snapshot, "--solver", "counts", "--workers", 1, "--plan-out", path)
    assert done.exit_code == 0, done.output
    return path
