"""Whatever a command prints or writes as JSON is what the published schemas say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from optsched.snapshot.files import read_bytes
from optsched.snapshot.schema import RECORDS, published

jsonschema = pytest.importorskip("jsonschema", reason="make dev installs it")

Run = Callable[..., Result]
FAST = ("--solver", "greedy", "--workers", "1", "--output", "json")


def faults(document: Any) -> list[str]:
    """What keeps a document from being what its `format` says it is."""
    schema = json.loads(published(document["format"].removeprefix("optsched/")))
    found = jsonschema.Draft202012Validator(schema).iter_errors(document)
    return [f"{one.json_path}: {one.message[:200]}" for one in found]


@pytest.mark.parametrize("name", RECORDS)
def test_schemas_are_schemas(name: str) -> None:
    """Each keeps the rules of its own language."""
    jsonschema.Draft202012Validator.check_schema(json.loads(published(name)))


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
    if kind != "tasks":  # the answer of tasks has no file format: see test_other_documents
        made.append(json.loads(done.stdout))
    for document in made:
        assert faults(document) == []
    assert run("check", again, plan).exit_code == 0


def test_what_convert_makes_of_a_dump(run: Run, tmp_path: Path) -> None:
    """Rules, budgets, owners, domains and warnings of a cluster."""
    file, again = tmp_path / "demo.json", tmp_path / "again.json"
    assert run("generate", "demo", "-o", file).exit_code == 0
    assert run("convert", file, again).exit_code == 0
    assert faults(json.loads(read_bytes(again))) == []
    answer = run("solve", file, *FAST, "--evict", "lower", "--add-hosts")
    assert faults(json.loads(answer.stdout)) == []


@pytest.mark.parametrize(
    ("words", "format"),
    [
        (("check", "FILE", "PLAN"), "optsched/check"),
        (("explain", "FILE", "shop/huge"), "optsched/explanation"),
        (("compare", "FILE", "PLAN", "--solvers", "greedy", "--workers", "1"), "comparison"),
    ],
)
def test_other_documents(
    run: Run, snapshot: Path, plan: Path, words: tuple[str, ...], format: str
) -> None:
    """Answers without a file format say what they are and of which version, all the same."""
    paths = {"FILE": snapshot, "PLAN": plan}
    done = run(*(paths.get(word, word) for word in words), "--output", "json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["format"].endswith(format)
    assert document["version"] == 1
