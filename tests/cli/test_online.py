"""`optsched simulate` for tasks that arrive."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from optsched.cli import group, watching
from optsched.generate.tasks import tasks
from optsched.simulate import Window, World, roll
from optsched.snapshot.task_files import encode_tasks
from optsched.solvers.scheduling import RULES


def run(*words: str, given: bytes | None = None) -> tuple[int, str]:
    """Exit code and output."""
    told = CliRunner().invoke(group, words, input=given)
    return told.exit_code, told.output


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Thirty tasks on five nodes."""
    path = tmp_path / "tasks.json"
    path.write_bytes(encode_tasks(tasks(4, nodes=5, count=30, load=1.0)))
    return str(path)


def test_text_and_json_tell_the_same(file: str) -> None:
    """The same world and solver, twice; all tasks are there."""
    asked = ("simulate", file, "--solver", "greedy:eft", "--window", "40ms", "--quiet")
    code, text = run(*asked)
    assert code == 0
    code, answer = run(*asked, "--output", "json")
    assert code == 0
    told = json.loads(answer)
    assert told["format"] == "optsched/online"
    assert len(told["tasks"]) == 30
    assert f"{told['levels'][1]['value']:,}" in text
    assert sum(one["sent"] for one in told["windows"]) == 30
    assert [one["at"] % 40 for one in told["windows"]] == [0] * len(told["windows"])
    energy = sum(one["energy"] for one in told["nodes"]) + told["energy_of_network"]
    assert energy == told["energy"]


def test_logs_say_how_far_it_is(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where standard error is no terminal a plain line now and then, and none with --quiet."""
    monkeypatch.setattr(watching, "EVERY", 0.001)
    asked = ("simulate", file, "--solver", "greedy:eft", "--window", "1ms")
    assert re.search(r"at [\d,]+ ms \d+ of 30 tasks ended; \d+ s so far", run(*asked)[1])
    assert "so far" not in run(*asked, "--quiet")[1]


@pytest.mark.parametrize("solver", ["colony", "cpsat", "portfolio", "greedy"])
def test_every_solver_plans_windows(file: str, solver: str) -> None:
    """With noise and failures too, from standard input."""
    world = ("--noise", "0.3", "--drift", "0.2", "--failures", "500")
    data = Path(file).read_bytes()
    asked = ("--solver", solver, "--window", "500ms", "--think", "20ms", "--output", "json")
    code, answer = run("simulate", "-", *asked, *world, given=data)
    assert code == 0, answer
    assert len(json.loads(answer)["tasks"]) == 30


def test_what_is_not_finished_counts(tmp_path: Path) -> None:
    """Far more work than the horizon holds: late, unfinished or rejected, but told."""
    problem = tasks(1, nodes=3, count=60, load=90.0)
    path = tmp_path / "tasks.json"
    last = int(problem.tasks.arrival.max())
    path.write_bytes(encode_tasks(problem.replace(horizon=last + 1500)))
    code, answer = run("simulate", str(path), "--solver", "greedy:edf", "--output", "json")
    assert code == 0, answer
    told = json.loads(answer)["tasks"]
    assert len(told) == 60
    assert any(one["unfinished"] or one["rejected"] for one in told)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--config", "x.yaml"), "--config is for clusters"),
        (("--solver", "magic"), "no solver of tasks 'magic'"),
        (("--window", "0ms"), "--window takes at least 1ms"),
        (("--objective", "speed"), "there is no goal 'speed'"),
        (("--set", "first=3"), "takes no option 'first'"),
    ],
)
def test_what_makes_no_sense_is_refused(file: str, words: tuple[str, ...], said: str) -> None:
    """In one sentence."""
    code, text = run("simulate", file, *words)
    assert code == 2
    assert said in text


def test_options_for_tasks_need_tasks(tmp_path: Path) -> None:
    """A dump takes no window."""
    dump = tmp_path / "dump.json"
    dump.write_text('{"kind": "List", "apiVersion": "v1", "items": []}')
    code, text = run("simulate", str(dump), "--window", "50ms")
    assert code == 2
    assert "--window is for tasks; the file holds none" in text


def test_a_stopped_run_tells_how_far_it_came() -> None:
    """What was not decided on is rejected."""
    problem, seen = tasks(4, nodes=5, count=30), list[Window]()
    played = roll(
        World.of(problem),
        lambda one: RULES["eft"](one, 0),
        on_window=seen.append,
        stop=lambda: len(seen) == 3,
    )
    assert len(seen) == 3
    assert sum(one.sent for one in seen) == int((~played.evaluation.rejected).sum()) < 30
