"""Text on a terminal and in pipes: durations, tables, progress."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import Result

from optsched.budget import Progress
from optsched.cli import train, watching
from optsched.cli.console import Paper
from optsched.cli.parameters import Duration, split_names


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10", 10), ("10s", 10), ("500ms", 0.5), ("2m", 120), ("1.5 h", 5400), ("0", 0)],
)
def test_duration(text: str, seconds: float) -> None:
    """Durations are written as people write them."""
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "s", "ten", "-1", "1d", "1e3", "nan"])
def test_not_a_duration(text: str) -> None:
    """What is no duration is refused."""
    with pytest.raises(click.BadParameter, match="is not a duration"):
        Duration().convert(text, None, None)


def test_split_names() -> None:
    """Names may be repeated options, a list, or both."""
    assert split_names(("a,b", "c", "")) == ("a", "b", "c")


def test_tables_keep_what_they_show(capsys: pytest.CaptureFixture[str]) -> None:
    """Markup, escapes and long names in cells come out as text, none of it lost."""
    name = "[red]x[/red]" + "y" * 300
    Paper().table("T", ("name", "#count"), [(name, 1), ("\x1b[31mz", 2)])
    shown = capsys.readouterr().out
    assert "[red]x[/red]" in shown
    assert shown.count("y") == 300
    assert "\x1b" not in shown


def test_names_that_the_output_cannot_show(tmp_path: Path) -> None:
    """They come out with a ? where a letter is unknown, not as a fault."""
    file = tmp_path / "plain.json"
    head = {"format": "optsched/snapshot", "version": 1, "kind": "placement"}
    tables = {"hosts": [{"name": "n\u00f6de-\u2603"}], "items": [{"name": "p\u00f8d"}]}
    file.write_text(json.dumps(head | tables))
    code = "from optsched.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "solve", str(file), "--solver", "greedy"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 0, done.stderr
    assert b"n?de-?" in done.stdout
    assert b"p?d" in done.stdout


def test_long_tables_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """A table ends after --max-rows rows and says how many are left."""
    Paper(max_rows=2).table("T", ("n",), [(f"row-{n}",) for n in range(5)])
    shown = capsys.readouterr().out
    assert "row-1" in shown
    assert "row-2" not in shown
    assert "3 more rows" in shown


def test_progress_words() -> None:
    """A solver's progress shows what is known."""
    assert watching.progress_words(Progress("greedy")) == "greedy"
    assert watching.progress_words(Progress("counts", 3, 1)) == "counts (value 3, bound 1)"


class Terminal(io.StringIO):
    """Standard error that claims to be a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def shown(terminal: io.StringIO, text: str) -> bool:
    """Whether the text is there within a minute."""
    end = time.monotonic() + 60
    while text not in terminal.getvalue() and time.monotonic() < end:
        time.sleep(0.01)
    return text in terminal.getvalue()


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, what takes long is said while it lasts."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(watching, "SHOW_AFTER", 0.0)
    with watching.watching("reading [b]") as say:
        assert shown(terminal, "reading [b]")
        say("solving")
        assert shown(terminal, "solving")


def test_no_progress_for_what_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over at once leaves no trace, nor does anything with --quiet."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with watching.watching("reading"):
        pass
    monkeypatch.setattr(watching, "SHOW_AFTER", 0.0)
    with watching.watching("reading", quiet=True):
        time.sleep(0.05)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with watching.watching("reading"):
        time.sleep(0.05)
    assert terminal.getvalue() == ""


def test_plain_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said last, again and again while it lasts; nothing with --quiet, or in between."""
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    with watching.watching("reading"):
        pass
    assert log.getvalue() == ""
    monkeypatch.setattr(watching, "EVERY", 0.01)
    with watching.watching("reading", quiet=True):
        time.sleep(0.05)
    assert log.getvalue() == ""
    with watching.watching("reading") as say:
        assert shown(log, "reading; ")
        say("solving")
        assert shown(log, "s so far\nsolving; ")


def test_sigterm_gives_up(tmp_path: Path) -> None:
    """The work ends where it is, its processes too, and the exit code is that of SIGTERM."""
    code = """
import multiprocessing, os, signal, sys, time
from optsched.cli.watching import run_stoppable

def work(stop):
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    child.start()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            time.sleep(0.01)
    finally:
        print("ended", child.join(60), child.exitcode)

if __name__ == "__main__":
    run_stoppable(work)
"""
    (tmp_path / "work.py").write_text(code)
    done = subprocess.run([sys.executable, str(tmp_path / "work.py")], capture_output=True)
    assert done.returncode == 143
    assert done.stdout == f"ended None {-signal.SIGTERM}\n".encode()
    assert done.stderr == b""


def test_every_command_says_what_takes_long(
    run: Callable[..., Result], snapshot: Path, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever may take longer than a second is said on a terminal while it lasts."""
    told: list[str] = []

    @contextmanager
    def watched(stage: str, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
        told.append(stage.replace(str(snapshot.parent), ""))
        yield lambda text: None

    monkeypatch.setattr(watching, "watching", watched)
    page, copy = snapshot.parent / "page.html", snapshot.parent / "copy.json"
    for words in (
        ("solve", snapshot, "--solver", "greedy", "--workers", 1),
        ("check", snapshot, plan),
        ("explain", snapshot, "shop/huge"),
        ("compare", snapshot, plan, "--solvers", "greedy", "--workers", 1),
        ("report", snapshot, "-o", page),
        ("convert", snapshot, copy),
        ("generate", "paper", "--nodes", 4, "-o", copy),
    ):
        assert run(*words).exit_code == 0
    read = "reading /small.json"
    assert told == [
        *(read, "solving small"),
        *(read, "checking /plan.json"),
        *(read, "explaining shop/huge"),
        *(read, "greedy"),
        *(read, "drawing the report"),
        *(read, "writing /copy.json"),
        "generating",
    ]


def test_errors_of_the_work_are_raised() -> None:
    """An error in the thread that works is raised where it was started."""

    def work(stop: object) -> None:
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        watching.run_stoppable(work)


def test_training_shows_how_far_it_is_and_how_long_it_will_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a terminal a bar a stage with rounds, gap and ETA; elsewhere lines."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    rounds = [
        SimpleNamespace(stage="clone", done=k, total=4, loss=0.5, gap=gap, best=gap, validated=new)
        for k, gap, new in ((1, None, False), (2, 0.12, True), (3, 0.12, False))
    ]
    rounds.append(
        SimpleNamespace(
            stage="ppo", done=32, total=64, loss=None, gap=0.1, best=0.1, validated=True
        )
    )
    with train._Bar(False) as bar:
        for one in rounds:
            bar.step(one)
            bar.bar.refresh()
    drawn = terminal.getvalue()
    assert "clone loss 0.500 gap 12.0%, best 12.0%" in drawn
    assert "3/4" in drawn
    assert "ppo gap 10.0%, best 10.0%" in drawn
    assert "32/64" in drawn
    assert re.search(r"-:--:--|\d:\d\d:\d\d", drawn)
    plain = io.StringIO()
    monkeypatch.setattr(sys, "stderr", plain)
    for quiet in (False, True):
        with train._Bar(quiet) as bar:
            for one in rounds:
                bar.step(one)
    assert plain.getvalue().splitlines() == [
        "clone loss 0.500 (1 of 4 rounds)",
        "clone loss 0.500 gap 12.0%, best 12.0% (2 of 4 rounds)",
        "ppo gap 10.0%, best 10.0% (32 of 64 decisions)",
    ]
    monkeypatch.setattr(watching, "EVERY", 0.01)
    with train._Bar(False) as bar:
        assert shown(plain, "getting ready; ")
        for one in rounds[:3]:
            bar.step(one)
        assert shown(plain, "clone loss 0.500 gap 12.0%, best 12.0% (3 of 4 rounds); ")
