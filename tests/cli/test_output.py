"""Where the answer goes: pipes that close, devices without room, tables in pipes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from optsched.cli.exits import Exit
from optsched.cli.wishes import read_placement
from optsched.problem import Hosts, Items, PlacementProblem
from optsched.snapshot import decode_plan, encode_snapshot

Run = Callable[..., Result]

SOLVE = ["solve", "--solver", "greedy", "--workers", "1"]
PATIENCE = 300.0  # seconds for a process to end on a busy machine
OPTSCHED = [sys.executable, "-c", "from optsched.cli import main; main()"]


def started(path: Path, stdout: object, *options: str) -> subprocess.Popen[str]:
    """The command as a process of its own, which alone can fail to write."""
    command = [*OPTSCHED, *SOLVE, str(path), *options]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)  # type: ignore[call-overload, no-any-return]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_no_room_for_the_answer(snapshot: Path) -> None:
    """One sentence, and the code for what this installation lacks."""
    with open("/dev/full", "w") as full, started(snapshot, full) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == Exit.USAGE
    assert said.startswith("Error: the answer cannot be written: ")
    assert said.count("\n") == 1


def test_a_reader_that_stops_reading(snapshot: Path) -> None:
    """Nothing is said, and the exit code tells it apart from a fault."""
    with started(snapshot, subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(timeout=PATIENCE) == Exit.CLOSED
    assert said == ""


def test_files_are_written_though_nobody_reads(snapshot: Path, tmp_path: Path) -> None:
    """`solve ... --plan-out plan.json | head -1` keeps the plan."""
    plan, page = tmp_path / "plan.json", tmp_path / "page.html"
    wanted = ("--plan-out", str(plan), "--report", str(page))
    with started(snapshot, subprocess.PIPE, *wanted) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=PATIENCE) == Exit.CLOSED
    problem = read_placement(str(snapshot))
    assert decode_plan(plan.read_bytes(), problem).problem == problem.digest()
    assert page.read_text().rstrip().endswith("</html>")


def test_a_reader_of_a_file_that_stops_reading(snapshot: Path) -> None:
    """`convert ... - | head -1` ends like any other command that nobody reads to its end."""
    command = [*OPTSCHED, "convert", str(snapshot), "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=PATIENCE) == Exit.CLOSED


def test_tables_in_pipes_have_one_row_a_line(run: Run, tmp_path: Path) -> None:
    """However long a name is, it can be searched and copied."""
    name, host = "web-" + "0123456789" * 7, "node-" + "0123456789" * 7
    hosts = Hosts.of([[4], [1]], names=[host, "small"])
    problem = PlacementProblem.of(hosts, Items.of([[2]], names=[name], tier=[0]))
    path = tmp_path / "long.json"
    path.write_bytes(encode_snapshot(problem))
    done = run(*SOLVE, path)
    assert done.exit_code == Exit.OK
    row = next(line for line in done.stdout.splitlines() if name in line)
    assert host in row


def test_the_answer_comes_before_files_that_fail(
    run: Run, snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that cannot be written after all does not cost the answer."""
    from optsched.snapshot import files

    def full(target: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_replace", full)
    done = run(*SOLVE, snapshot, "--report", tmp_path / "report.html")
    assert done.exit_code == Exit.USAGE
    assert done.stdout.startswith("small: 3 hosts")
    assert "No space left" in done.output
