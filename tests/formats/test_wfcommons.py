"""Recorded workflows: times and bytes by hand, and the real files where they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from optsched.api import read
from optsched.errors import InputError
from optsched.solvers.scheduling import RULES
from optsched.tasks import TaskProblem, evaluate

DATA = Path(os.environ.get("OPTSCHED_DATA", "/nowhere")) / "iot" / "wfinstances"


def document() -> dict[str, Any]:
    """Two tasks on two machines: 1.2345 s and 2 s, 300 kB between them, 50 kB in, 10 kB out."""
    return {
        "name": "chain",
        "workflow": {
            "specification": {
                "tasks": [
                    {"id": "a", "parents": [], "inputFiles": ["in"], "outputFiles": ["mid"]},
                    {"id": "b", "parents": ["a"], "inputFiles": ["mid"], "outputFiles": ["out"]},
                ],
                "files": [
                    {"id": "in", "sizeInBytes": 50_000},
                    {"id": "mid", "sizeInBytes": 300_000},
                    {"id": "out", "sizeInBytes": 10_000},
                ],
            },
            "execution": {
                "tasks": [
                    {"id": "a", "runtimeInSeconds": 1.2345},
                    {"id": "b", "runtimeInSeconds": 2, "coreCount": 3.0},
                ],
                "machines": [
                    {"nodeName": "m1", "cpu": {"coreCount": 1}},
                    {"nodeName": "m2", "cpu": {"coreCount": 4, "speedInMHz": 1200}},
                ],
            },
        },
    }


def written(tmp_path: Path, content: dict[str, Any]) -> str:
    """Its path."""
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(content))
    return str(path)


def test_by_hand(tmp_path: Path) -> None:
    """At 10 MB/s: 5 ms in, 1,235 ms of work, 60 ms over two links, 2,000 ms, 1 ms out."""
    problem = read(written(tmp_path, document()), bandwidth="10")
    assert isinstance(problem, TaskProblem)
    assert problem.upload.tolist() == [[5, 5], [0, 0]]
    assert problem.run.tolist() == [[1235, 1235], [2000, 2000]]
    assert problem.download.tolist() == [[0, 0], [1, 1]]
    assert problem.between.tolist() == [[[0, 60], [60, 0]]]
    assert problem.fits.tolist() == [[True, True], [False, True]]
    told = evaluate(problem, RULES["heft"](problem, 0))
    assert told.finish.tolist()[0] == 1240
    assert told.finish.tolist()[1] in (1240 + 2001, 1240 + 60 + 2001)
    assert told.violations == ()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("execution", "tasks", 1, "id"), "c", "'b' is specified but there is no record"),
        (("specification", "tasks", 1, "parents"), ["x"], "'b' names the task 'x'"),
        (("specification", "tasks", 1, "inputFiles"), ["x"], "names the file 'x'"),
        (("specification", "tasks", 0, "parents"), ["b"], "'a': it waits for itself"),
        (("execution", "tasks", 0, "runtimeInSeconds"), -1.0, ">= 0"),
    ],
)
def test_bad_files_are_refused(
    tmp_path: Path, path: tuple[Any, ...], value: object, words: str
) -> None:
    """One sentence that names the object."""
    content = document()
    at = content["workflow"]
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(InputError, match=words):
        read(written(tmp_path, content))
    with pytest.raises(InputError, match="MB/s"):
        read(written(tmp_path, document()), bandwidth="0")


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the data sets in OPTSCHED_DATA")
def test_the_real_ones() -> None:
    """All are read, and HEFT finishes every task within the horizon."""
    files = sorted(DATA.glob("*.json"))
    assert files
    for file in files[::4]:
        problem = read(file)
        assert isinstance(problem, TaskProblem)
        told = evaluate(problem, RULES["heft"](problem, 0))
        assert told.violations == ()
        assert not told.rejected.any()
        assert not told.unfinished.any()
