"""Bad input and usage: one sentence with file and reason, exit code 2, no traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


def refused(done: Result) -> str:
    """What a refused command said on standard error."""
    assert done.exit_code == 2, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   ",
        b"not json",
        b"{",
        b"[1, 2",
        b"\xff\xfe\x00",
        b'{"a": 1}',
        b'{"format": "optsched/snapshot", "version": 99, "kind": "placement"}',
        b'{"format": "optsched/snapshot", "version": 1, "kind": "weather"}',
        b'{"format": "optsched/snapshot", "version": 1, "kind": "placement", "hosts": 3}',
        b"\x1f\x8b\x08\x00broken",
        b"[" * 100_000,
        b'{"kind": "List", "apiVersion": "v1", "items": ' + b"[" * 100_000,
        b'{"kind": "List", "apiVersion": "v1", "items": [{"kind": "Pod", "spec": '
        + b'{"a":' * 100_000,
        b'{"kind": "List", "apiVersion": "v1", "items": [{"apiVersion": "v1", "kind": "Pod", '
        b'"metadata": {"name": "p\xe9"}}]}',
    ],
)
def test_broken_files(run: Run, tmp_path: Path, content: bytes) -> None:
    """Whatever is wrong with a file, its name is in the message."""
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    assert str(path) in refused(run("solve", path))


def test_standard_input_has_a_name(run: Run) -> None:
    """A dash says nothing."""
    assert "standard input: the file is empty" in refused(run("solve", "-", stdin=b""))


def test_missing_file(run: Run, tmp_path: Path) -> None:
    """A file that is not there is named."""
    assert "nowhere.json" in refused(run("solve", tmp_path / "nowhere.json"))


def test_control_characters_are_not_printed(run: Run, snapshot: Path) -> None:
    """A name that would colour the terminal is printed as text."""
    said = refused(run("solve", snapshot, "--drain", "\x1b[31mred"))
    assert "\x1b" not in said
    assert "there is no host" in said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--solver", "gready"), "did you mean 'greedy'"),
        (("--time-limit", "soon"), "is not a duration"),
        (("--time-limit", "-3"), "is not a duration"),
        (("--workers", "0"), "0 is not in the range"),
        (("--format", "exel"), "no format 'exel'"),
        (("--drain", "node-9"), "there is no host 'node-9'"),
        (("--pin", "shop/none"), "there is no item 'shop/none'"),
        (("--add-host-like", "node-9:2"), "there is no host 'node-9'"),
        (("--set", "colour"), "write NAME=VALUE"),
        (("--set", "colour=red"), "colour"),
        (("--now", "later"), "is no time"),
        (("--now", "2026-11-23T08:00:00"), "has no zone"),
        (("--no-such-option",), "--no-such-option"),
        (("--plan-out", "/nonexistent/plan.json"), "there is no folder '/nonexistent'"),
        (("--report", "/"), "it is a folder"),
        (("--plan-out", "-"), "the answer goes to standard output"),
        (("--plan-out", "one.json", "--report", "./one.json"), "are the same file, one.json"),
        (("--workers", "100000"), "100000 is not in the range"),
        (("--add-host-like", "node-1:0"), "0 hosts like 'node-1' are none"),
    ],
)
def test_bad_options(run: Run, snapshot: Path, options: tuple[str, ...], reason: str) -> None:
    """An option that cannot be meant so says why."""
    options = options if "--solver" in options else (*options, "--solver", "greedy")
    assert reason in refused(run("solve", snapshot, *options))


@pytest.mark.parametrize("content", [b"{", b'{"format": "optsched/weather", "version": 1}'])
@pytest.mark.parametrize("command", ["check", "report"])
def test_broken_plans(
    run: Run, snapshot: Path, tmp_path: Path, command: str, content: bytes
) -> None:
    """A plan that cannot be read is named."""
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    assert str(path) in refused(run(command, snapshot, path))


@pytest.mark.parametrize("command", [("generate", "tasks"), ("generate", "vm"), ("report", "x")])
def test_outputs_are_tried_first(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    """A folder that is missing is told before anything is read or drawn."""
    out = tmp_path / "nowhere" / "out"
    assert "there is no folder" in refused(run(*command, "-o", out))


@pytest.mark.parametrize(
    ("closed", "words"),
    [
        ("<&-", "standard input: cannot be read"),
        (">&-", "the answer cannot be written"),
        ("<&- >&- 2>&-", ""),
    ],
)
def test_closed_streams(snapshot: Path, closed: str, words: str) -> None:
    """A stream that is closed ends in a sentence, where there is a stream left to tell it."""
    what = "-" if "<" in closed else str(snapshot)
    line = f'"$0" -c "from optsched.cli import main; main()" convert "$1" - {closed}'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, what], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_command(run: Run) -> None:
    """A command that does not exist is refused."""
    assert "No such command" in refused(run("slove"))
