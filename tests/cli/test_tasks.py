"""`optsched solve` and `generate` for tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from optsched.api import read
from optsched.cli import group
from optsched.report.schedules import sentence
from optsched.snapshot.files import read_bytes
from optsched.snapshot.task_files import decode_schedule
from optsched.tasks import Network, Nodes, Schedule, TaskProblem, Tasks, evaluate


def run(*words: str) -> tuple[int, str]:
    """Exit code and output."""
    told = CliRunner().invoke(group, words)
    return told.exit_code, told.output


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A small generated problem."""
    path = str(tmp_path / "tasks.json")
    size = ("--nodes", "4", "--count", "9", "--load", "1.1", "--seed", "2")
    assert run("generate", "tasks", *size, "-o", path)[0] == 0
    return path


def test_the_answer_in_every_form(file: str, tmp_path: Path) -> None:
    """Text, JSON, schedule file and report tell the same."""
    plan, page = tmp_path / "plan.json", tmp_path / "page.html"
    search = ("--solver", "cpsat", "--time-limit", "60s", "--workers", "1", "--quiet")
    code, text = run("solve", file, *search, "--plan-out", str(plan), "--report", str(page))
    assert code == 0
    assert "9 of 9 tasks in time" in text
    assert "Every level is proven optimal" in text
    code, text = run("solve", file, *search, "--output", "json")
    answer = json.loads(text)
    assert answer["status"] == "optimal"
    problem = read(file)
    assert isinstance(problem, TaskProblem)
    schedule = decode_schedule(read_bytes(plan), problem)
    told = evaluate(problem, schedule)
    assert told.violations == ()
    assert list(told.levels) == [level["value"] for level in answer["levels"]]
    assert (
        sum(one["energy"] for one in answer["nodes"]) + answer["energy_of_network"]
        == (answer["energy"])
    )
    html = page.read_text()
    assert html.count('role="img"') == 2
    assert all(name in html for name in problem.tasks.names)


@pytest.mark.parametrize("solver", ["greedy:edf", "colony", "cpsat"])
def test_objectives_and_solvers(file: str, solver: str) -> None:
    """By name."""
    asked = ("--objective", "energy,response", "--solver", solver, "--time-limit", "0.3s")
    code, text = run("solve", file, *asked, "--output", "json", "--quiet")
    assert code == 0
    assert [level["name"] for level in json.loads(text)["levels"]] == ["energy", "response"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--drain", "edge-0"), "--drain is for placements"),
        (("--moves", "0"), "--max-moves is for placements"),
        (("--goal-fr", "0"), "--goal-fr is for placements"),
        (("--now", "2026-11-23T08:00:00Z"), "now"),
        (("--set", "first=5"), "first"),
        (("--objective", "speed"), "there is no goal 'speed'"),
        (("--solver", "counts"), "no solver of tasks 'counts'"),
        (("--solver", "eft"), "one rule alone is greedy:RULE, such as greedy:eft"),
        (("--solver", "greedy:magic"), "no rule 'magic'"),
        (("--curve",), "--curve is for placements"),
        (("--sequence", "waves"), "--sequence is for placements"),
    ],
)
def test_what_makes_no_sense_is_refused(file: str, words: tuple[str, ...], said: str) -> None:
    """In one sentence."""
    code, text = run("solve", file, *words)
    assert code == 2
    assert said in text


def test_an_answer_is_no_problem(file: str, tmp_path: Path) -> None:
    """Where a schedule stands in place of the problem, in whatever order, that is said."""
    plan = tmp_path / "plan.json"
    run("solve", file, "--solver", "greedy:eft", "--workers", "1", "--plan-out", str(plan))
    for words in (("solve", str(plan)), ("check", str(plan), file), ("simulate", str(plan))):
        code, text = run(*words)
        assert code == 2
        assert "is of format 'optsched/schedule', an answer; give the problem" in text


def test_other_commands_say_so(file: str) -> None:
    """Placements only."""
    code, text = run("explain", file, "x")
    assert code == 2
    assert "holds tasks" in text


def test_the_report_again(file: str, tmp_path: Path) -> None:
    """From an answer as solve draws it; from a schedule without what only the answer knows."""
    answer, plan, page = (tmp_path / name for name in ("answer.json", "plan.json", "page.html"))
    search = ("--solver", "greedy", "--workers", "1", "--output", "json")
    code, text = run("solve", file, *search, "--plan-out", str(plan), "--report", str(page))
    assert code == 0
    answer.write_text(text)
    again = tmp_path / "again.html"
    assert run("report", file, str(answer), "-o", str(again))[0] == 0
    assert again.read_bytes() == page.read_bytes()
    assert run("report", file, str(plan), "-o", str(again))[0] == 0
    alone = again.read_text()
    assert alone.count('role="img"') == 2
    assert 'id="tasks"' in alone
    assert 'id="certificate"' not in alone
    code, text = run("report", file, "-o", str(again))
    assert code == 2
    assert "name a schedule" in text
    assert again.read_text() == alone


def test_a_report_says_what_is_wrong(file: str, tmp_path: Path) -> None:
    """A schedule that breaks a rule is drawn, with the fault beside it."""
    plan, page = tmp_path / "plan.json", tmp_path / "page.html"
    run("solve", file, "--solver", "greedy", "--workers", "1", "--plan-out", str(plan))
    document = json.loads(plan.read_bytes())
    document["runs"][0]["start"] = 0
    plan.write_text(json.dumps(document))
    assert run("report", file, str(plan), "-o", str(page))[0] == 0
    assert "Not allowed: " in page.read_text()


def test_schedules_and_solvers_side_by_side(file: str, tmp_path: Path) -> None:
    """Every level beside that of EFT; what breaks a rule cannot be best."""
    plan, broken = tmp_path / "plan.json", tmp_path / "broken.json"
    run("solve", file, "--solver", "greedy:eft", "--workers", "1", "--plan-out", str(plan))
    document = json.loads(plan.read_bytes())
    document["runs"][0]["start"] = 0
    broken.write_text(json.dumps(document))
    sides = (str(plan), str(broken), "--solvers", "greedy:eft,cpsat", "--time-limit", "20s")
    code, text = run("compare", file, *sides, "--output", "json")
    told = json.loads(text)
    assert code == 5
    assert told["levels"] == ["sla", "response", "energy"]
    first, wrong, eft, exact = told["entries"]
    assert first["values"] == eft["values"]
    assert first["bounds"] is None
    assert wrong["violations"]
    assert exact["values"] <= eft["values"]
    assert exact["steps"] == 9
    assert "cpsat" in told["best"]
    assert "broken.json" not in str(told["best"])
    code, text = run("compare", file, str(plan), "--solvers", "greedy:edf")
    assert code == 0
    assert "EFT" in text
    assert f"{first['values'][2]:,}" in text
    code, text = run("compare", file, str(plan), str(plan), "--sequence", "waves")
    assert code == 2
    assert "--sequence is for placements" in text


def test_check_reads_schedules(file: str, tmp_path: Path) -> None:
    """A schedule is read against every rule, in text and JSON; a broken one is refused."""
    plan = tmp_path / "plan.json"
    search = ("--solver", "greedy", "--workers", "1", "--quiet", "--plan-out", str(plan))
    assert run("solve", file, *search)[0] == 0
    code, text = run("check", file, str(plan))
    assert code == 0
    assert "keeps every rule" in text
    document = json.loads(plan.read_bytes())
    document["runs"][0]["start"] = 0
    document["runs"][0]["node"] = document["runs"][1]["node"]
    plan.write_text(json.dumps(document))
    code, text = run("check", file, str(plan), "--output", "json")
    told = json.loads(text)
    assert code == 5
    assert not told["ok"]
    assert told["violations"][0]["item"] == document["runs"][0]["task"]


def test_a_schedule_with_other_options(file: str, tmp_path: Path) -> None:
    """It is judged by them, and the answer says that it was made otherwise."""
    plan = tmp_path / "plan.json"
    run("solve", file, "--solver", "greedy", "--workers", "1", "--plan-out", str(plan))
    code, text = run("check", file, str(plan), "--objective", "energy")
    assert code == 0
    assert "with other options" in text
    assert "response" not in text


def test_convert_writes_tasks(file: str, tmp_path: Path) -> None:
    """The same problem again; neither kind of problem goes into the other's format."""
    again = tmp_path / "again.json.gz"
    assert run("convert", file, str(again))[0] == 0
    assert read(again).digest() == read(file).digest()
    code, text = run("convert", file, str(tmp_path / "no.json"), "--to", "snapshot")
    assert code == 2
    assert "write 'tasks'" in text
    assert not (tmp_path / "no.json").exists()


def test_large_numbers_have_commas() -> None:
    """All of a sentence alike."""
    problem = TaskProblem(Network.of(["here"]), Nodes.of([1]), Tasks.of([1] * 1200, 1), 99)
    told = sentence(problem, evaluate(problem, Schedule.nothing(1200)))
    assert told.startswith("0 of 1,200 tasks in time, 1,200 rejected, 0 unfinished; ")


def section(help_text: str, title: str) -> str:
    """One section of a help text, on one line."""
    return " ".join(help_text.partition(f"\n{title}")[2].partition("\n\n")[0].split())


@pytest.mark.parametrize("command", ["solve", "compare", "check", "report", "convert"])
def test_goals_of_tasks_have_their_own_heading(command: str) -> None:
    """Rates of fragments stand under virtual machines, goals under tasks."""
    text = run(command, "--help")[1]
    goals, rates = section(text, "Tasks:"), section(text, "Virtual machines")
    assert "--objective GOAL[,..]" in goals
    assert "response:3+energy:1" in goals
    assert "--objective RATE[:W][,..]" in rates
    assert "response" not in rates


def test_evaluate_says_what_is_for_tasks() -> None:
    """Options that mean nothing for the rest stand under a heading of their own."""
    text = run("evaluate", "--help")[1]
    assert "--burst" in section(text, "Tasks:")
    assert "--pms" in section(text, "Virtual machines:")
    assert "--tiers" in section(text, "Pods:")


def test_energy_without_power_says_nothing(file: str, tmp_path: Path) -> None:
    """One note in every form, where no node and no link has a power; none where one has."""
    flow, page = tmp_path / "flow.json", tmp_path / "page.html"
    parts = {
        "specification": {"tasks": [{"id": "a"}], "files": []},
        "execution": {"tasks": [{"id": "a", "runtimeInSeconds": 1}]},
    }
    flow.write_text(json.dumps({"name": "flow", "workflow": parts}))
    note = "names no power of any node or link, so every energy is 0 and says nothing"
    quick = ("--solver", "greedy:eft", "--quiet", "--workers", "1")
    assert run("solve", str(flow), *quick, "--report", str(page))[1].count(note) == 1
    assert page.read_text().count(note) == 1
    text = run("solve", str(flow), *quick, "--output", "json")[1]
    assert [note in one for one in json.loads(text)["notes"]] == [True]
    answer, again = tmp_path / "answer.json", tmp_path / "again.html"
    answer.write_text(text)
    assert run("report", str(flow), str(answer), "-o", str(again))[0] == 0
    assert again.read_text().count(note) == 1
    played = ("simulate", str(flow), "--solver", "greedy:eft", "--quiet")
    assert run(*played)[1].count(note) == 1
    assert note in json.loads(run(*played, "--output", "json")[1])["notes"][-1]
    assert note not in run("solve", file, *quick)[1]


def test_rejected_tasks_have_a_reason(file: str, tmp_path: Path) -> None:
    """In the text, the page and the JSON; nothing is said where all run."""
    quick = ("--solver", "greedy:eft", "--quiet", "--workers", "1")
    assert "Rejected tasks" not in run("solve", file, *quick)[1]
    document = json.loads(Path(file).read_text())
    task = document["tasks"][0]
    task["cores"] = 999
    greedy = tmp_path / "greedy.json"
    greedy.write_text(json.dumps(document))
    why, page = "it needs 999 cores, and no node that it may use has more than", tmp_path / "page"
    text = run("solve", str(greedy), *quick, "--report", str(page))[1]
    assert "Rejected tasks" in text
    assert why in text
    assert why in page.read_text()
    played = ("simulate", str(greedy), "--solver", "greedy:eft", "--quiet")
    assert why in run(*played)[1]
    for words in (("solve", str(greedy), *quick), played):
        told = {one["name"]: one for one in json.loads(run(*words, "--output", "json")[1])["tasks"]}
        assert told[task["name"]]["reason"].startswith(why)
        assert {one["reason"] for one in told.values() if not one["rejected"]} == {None}
