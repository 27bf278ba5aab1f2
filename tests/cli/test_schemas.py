"""Whatever a command prints or writes as JSON is what the published schemas say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from optsched.cli.documents.schema import DOCUMENTS
from optsched.snapshot.files import read_bytes
from optsched.snapshot.schema import RECORDS, published, schema

jsonschema = pytest.importorskip("jsonschema", reason="make dev installs it")

Run = Callable[..., Result]
FAST = ("--solver", "greedy", "--workers", "1", "--output", "json")


def faults(document: Any) -> list[str]:
    """What keeps a document from being what its `format` says it is."""
    rules = json.loads(published(document["format"].removeprefix("optsched/")))
    found = jsonschema.Draft202012Validator(rules).iter_errors(document)
    return [f"{one.json_path}: {one.message[:200]}" for one in found]


@pytest.mark.parametrize("name", [*RECORDS, *DOCUMENTS])
def test_schemas_are_schemas(name: str) -> None:
    """Each keeps the rules of its own language."""
    jsonschema.Draft202012Validator.check_schema(json.loads(published(name)))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schemas_of_documents_are_current(name: str) -> None:
    """The shipped ones are those of the code: python -m optsched.cli.documents.schema."""
    assert published(name) == schema(name, DOCUMENTS[name])


def test_schemas_refuse(run: Run, snapshot: Path) -> None:
    """A document that lacks something, or has more, or something else, does not pass."""
    answer = json.loads(run("solve", snapshot, *FAST).stdout)
    assert faults(answer) == []
    assert faults({**answer, "colour": "red"})
    assert faults({**answer, "seconds": "soon"})
    assert faults({key: value for key, value in answer.items() if key != "plan"})
    assert faults({**answer, "version": 2})


GENERATED = {
    "paper": ("--nodes", "4"),
    "cluster": ("--nodes", "6", "--pods-per-node", "5"),
    "known-optimum": ("--hosts", "4"),
    "vm": ("--pms", "12"),
    "tasks": ("--nodes", "4", "--count", "9"),
}


@pytest.mark.parametrize("kind", GENERATED)
def test_what_is_generated_and_its_answer(run: Run, tmp_path: Path, kind: str) -> None:
    """Problem, answer, plan and what convert makes of it, for every kind of problem."""
    file, plan, again = tmp_path / "p.json", tmp_path / "plan.json.gz", tmp_path / "again.json"
    assert run("generate", kind, *GENERATED[kind], "-o", file).exit_code == 0
    done = run("solve", file, *FAST, "--plan-out", plan)
    assert done.exit_code == 0, done.output
    assert run("convert", file, again).exit_code == 0
    made = [json.loads(read_bytes(one)) for one in (file, again, plan)]
    for document in (*made, json.loads(done.stdout)):
        assert faults(document) == []
    answer = tmp_path / "answer.json"
    answer.write_text(done.stdout)
    for one in (plan, answer):
        assert run("check", again, one).exit_code == 0


def test_what_convert_makes_of_a_dump(run: Run, tmp_path: Path) -> None:
    """Rules, budgets, owners, domains and warnings of a cluster."""
    file, again = tmp_path / "demo.json", tmp_path / "again.json"
    assert run("generate", "demo", "-o", file).exit_code == 0
    assert run("convert", file, again).exit_code == 0
    assert faults(json.loads(read_bytes(again))) == []
    answer = run("solve", file, *FAST, "--evict", "lower", "--add-hosts")
    assert faults(json.loads(answer.stdout)) == []


def test_what_is_explained(run: Run, snapshot: Path, plan: Path) -> None:
    """Of pods that run, that fit and that fit nowhere, before and after a plan."""
    items = [one["name"] for one in json.loads(snapshot.read_bytes())["items"]]
    for item in items:
        for words in ((), ("--plan", plan)):
            done = run("explain", snapshot, item, *words, "--output", "json")
            assert faults(json.loads(done.stdout)) == []


def test_sound_and_broken_plans(run: Run, snapshot: Path, plan: Path, tmp_path: Path) -> None:
    """Violations with a host and a wave, and without."""
    tree = json.loads(plan.read_bytes())
    moved = {move["item"] for wave in tree["waves"] for move in wave}
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({**tree, "waves": tree["waves"] * 2}))
    for file, fine in ((plan, True), (broken, False)):
        for words in ((), ("--replay", 2)):
            told = json.loads(run("check", snapshot, file, *words, "--output", "json").stdout)
            assert faults(told) == []
            assert told["ok"] is fine
            assert (told["replay"] is not None) is (fine and bool(words))
    assert {one["item"] for one in told["violations"]} <= moved
    words = (plan, broken, "--solvers", "greedy", "--workers", "1")
    told = json.loads(run("compare", snapshot, *words, "--output", "json").stdout)
    assert faults(told) == []
    assert [bool(one["violations"]) for one in told["entries"]] == [False, True, False]


def test_documents_of_tasks(run: Run, tmp_path: Path) -> None:
    """A refused schedule, a comparison, and a simulation."""
    file, plan = tmp_path / "p.json", tmp_path / "plan.json"
    run("generate", "tasks", *GENERATED["tasks"], "-o", file)
    run("solve", file, "--solver", "greedy", "--plan-out", plan)
    tree = json.loads(plan.read_bytes())
    tree["runs"][0]["start"] = 0
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(tree))
    for words, code in (
        (("check", file, broken), 5),
        (("compare", file, plan, "--solvers", "greedy:edf"), 0),
        (("simulate", file, "--solver", "greedy:eft", "--quiet"), 0),
    ):
        done = run(*words, "--output", "json")
        assert done.exit_code == code, done.output
        assert faults(json.loads(done.stdout)) == []


def test_curve_and_agents(run: Run, tmp_path: Path) -> None:
    """Of virtual machines; agents of all three kinds."""
    file = tmp_path / "vms.json"
    run("generate", "vm", *GENERATED["vm"], "-o", file)
    small = ("--count", "2", "--nodes", "4")
    for words in (
        ("solve", file, "--curve", "--moves", "4"),
        ("evaluate", "--count", "2", "--pms", "8", "--moves", "3"),
        ("evaluate", "--problem", "pod-packing", *small, "--ppn", "4"),
        ("evaluate", "--problem", "task-placement", *small, "--tasks", "8"),
    ):
        done = run(*words, "--output", "json")
        assert done.exit_code == 0, done.output
        assert faults(json.loads(done.stdout)) == []


def test_documents_of_the_service(run: Run, tmp_path: Path) -> None:
    """A cluster that is played, with plans and events, and an examination that finds faults."""
    file, config = tmp_path / "demo.json", tmp_path / "scheduler.yaml"
    run("generate", "demo", "-o", file)
    config.write_text("kind: KubeSchedulerConfiguration\n")
    played = run("simulate", file, "--bench", "--max-plans", "1", "--quiet", "--output", "json")
    told = json.loads(played.stdout)
    assert faults(told) == []
    assert told["plans"]
    assert told["events"]
    words = ("--no-cluster", "--scheduler-config", config, "--output", "json")
    told = json.loads(run("doctor", *words).stdout)
    assert faults(told) == []
    assert told["findings"]
