"""The public Python API."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import optsched
from optsched.api import schedule
from optsched.errors import PlanError, ProblemError, UnsupportedError
from optsched.generate.tasks import tasks as draw_tasks
from optsched.plan import Plan
from optsched.problem import PlacementProblem
from optsched.snapshot import encode_snapshot


def test_exported_members() -> None:
    """`__all__` names what there is, and nothing private."""
    assert optsched.__all__ == sorted(optsched.__all__)
    for name in optsched.__all__:
        assert getattr(optsched, name) is not None
    assert set(optsched.__all__) <= set(dir(optsched))
    assert not {"sys", "Any", "import_module"} & set(dir(optsched))


def test_unknown_member() -> None:
    """A name that is not exported is an AttributeError as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'slove'"):
        _ = optsched.slove


def test_check_stays_a_function(small_cluster: PlacementProblem) -> None:
    """Importing the module optsched.check does not hide the function of that name."""
    module = importlib.import_module("optsched.check")
    assert optsched.check is not module
    report = optsched.check(small_cluster, optsched.Plan(small_cluster.digest()))
    assert report.violations == ()


def test_check_wants_a_plan(small_cluster: PlacementProblem) -> None:
    """Whatever is no plan is refused in a sentence."""
    with pytest.raises(PlanError, match="a NoneType is no plan; pass the `plan` of a result"):
        optsched.check(small_cluster, None)  # type: ignore[arg-type]


def test_tasks_and_files_are_told_the_way(small_cluster: PlacementProblem) -> None:
    """The functions for placements and for tasks name each other; a path is to be read first."""
    tasks, answer = draw_tasks(1, nodes=3, count=2), Plan("")
    with pytest.raises(UnsupportedError, match=r"optsched\.api\.schedule places tasks"):
        optsched.solve(tasks)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match=r"optsched\.tasks\.check_schedule"):
        optsched.check(tasks, answer)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match=r"a str is no .* optsched\.read gives one"):
        optsched.solve("cluster.json")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match=r"optsched\.solve places the rest"):
        schedule(small_cluster)  # type: ignore[arg-type]


def test_import_is_light() -> None:
    """`import optsched` alone loads neither numpy nor a solver library."""
    code = "import sys, optsched; print([m for m in ('numpy', 'ortools') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_read_solve_check(tmp_path: Path, small_cluster: PlacementProblem) -> None:
    """The three functions of the README work one after another."""
    path = tmp_path / "small.json.gz"
    from optsched.snapshot import write_atomically

    write_atomically(path, encode_snapshot(small_cluster))
    problem = optsched.read(path, format="snapshot")
    assert problem.digest() == small_cluster.digest()
    seen: list[optsched.Progress] = []
    result = optsched.solve(
        problem, solver="counts", time_limit=5, workers=1, on_progress=seen.append
    )
    assert isinstance(result, optsched.Result)
    assert optsched.check(problem, result.plan).violations == ()
    assert result.levels[0].value == 0


def test_unknown_solver(small_cluster: PlacementProblem) -> None:
    """A solver that does not exist is refused with the names that do."""
    with pytest.raises(UnsupportedError, match="did you mean 'greedy'"):
        optsched.solve(small_cluster, solver="gredy")


@pytest.mark.parametrize("limit", [-1.0, float("nan")])
def test_impossible_time_limit(small_cluster: PlacementProblem, limit: float) -> None:
    """A time limit below 0 is a ValueError."""
    with pytest.raises(ValueError, match="time limit"):
        optsched.solve(small_cluster, solver="greedy", time_limit=limit)


def test_errors_have_one_root() -> None:
    """Whoever catches OptschedError catches bad input too."""
    assert issubclass(ProblemError, optsched.OptschedError)
