"""What all benchmarks share: headers without paths, fresh processes, scores of our own."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from benchmarks import machine
from benchmarks.child import in_child
from benchmarks.cloud_balancing.run import cost, timefold
from optsched.problem import Hosts, Items, PlacementProblem


def test_header_leaves_paths_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is named without the files it wrote."""
    monkeypatch.setattr(
        sys, "argv", ["run", "--seeds", "3", "--out", "/secret/a", "--table=/secret/b", "--nodes=4"]
    )
    header = machine.header(workers=2)
    assert "--seeds 3 --nodes=4`" in header
    assert "secret" not in header
    assert "- workers: 2" in header


def test_a_child_is_another_process_and_its_memory_is_told() -> None:
    """The result comes back with the peak of a process that is not this one."""
    child, peak = in_child(os.getpid)
    assert child != os.getpid()
    assert 1 < peak < 4096


@pytest.mark.parametrize(
    ("host", "expected"), [([0, 0, 1], 12), ([1, 1, 1], None), ([0, 0, -1], None)]
)
def test_cost_counts_only_complete_answers_within_capacity(
    host: list[int], expected: int | None
) -> None:
    """A left-over process or an overfull computer has no cost."""
    problem = PlacementProblem.of(
        Hosts.of([[4], [2]], cost=[7, 5]), Items.of([[2], [2], [1]], names=["a", "b", "c"])
    )
    assert cost(problem, np.array(host)) == expected


def test_an_interpreter_without_timefold_is_said_so(
    data_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The optional arm ends in words, not in a traceback."""
    monkeypatch.setenv("OPTSCHED_DATA", str(data_path("")))  # type: ignore[operator]
    answer = timefold("100computers-300processes", 1.0, "/no/such/python")
    assert answer == "no answer"
    assert "Timefold gave no answer" in capsys.readouterr().err
