"""Verdicts of the test of tasks: what is met, what is not, and what nothing could meet."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from benchmarks.iot_tasks.grid import SIMPLE, Cell
from benchmarks.iot_tasks.run import numbers
from benchmarks.iot_tasks.store import Measured
from benchmarks.iot_tasks.telling import Told, summary

# Mean response, energy, utilisation, missed share, weighted sum, done share, 99th percentile.
OURS = [70.0, 800.0, 0.60, 0.0, 80.0, 1.0, 40.0]
RULE = [100.0, 1000.0, 0.50, 0.0, 100.0, 1.0, 1.0]


def measured(shift: float, room: list[float], rule: list[float] | None = None) -> Measured:
    """One instance with two agents; all rules are alike but the first."""
    arms = {name: np.array([RULE if rule is None else rule]) for name in SIMPLE}
    arms[SIMPLE[0]] = np.array([[*RULE[:4], 120.0, *RULE[5:]]])
    ours = np.array(OURS)
    ours[:2] += shift
    return Measured(arms | {"hybrid": np.stack([ours, ours])}, room)


@pytest.mark.parametrize(
    ("room", "rule", "verdict"),
    [
        ([60.0, 700.0, 0.7, 70.0], None, "met"),
        ([60.0, 700.0, 0.7, 70.0], [80.0, *RULE[1:]], "not met"),
        ([90.0, 700.0, 0.7, 70.0], [80.0, *RULE[1:]], "not attainable"),
        ([60.0, 700.0, 0.7, 70.0], [*RULE[:3], -0.01, *RULE[4:]], "not met"),
    ],
)
def test_verdicts(room: list[float], rule: list[float] | None, verdict: str) -> None:
    """All three claims at once, no more misses, and room for them by the bound."""
    told = Told.of([measured(k, room, rule) for k in range(6)], "hybrid")
    line = next(one for one in told.lines if one[0] == "eft")
    assert line[-1] == verdict
    assert told.count == 6
    assert told.best != SIMPLE[0]
    assert told.taken() == "67%"  # 20 % of the 30 % that the bound leaves
    row = told.row("a cell")
    assert row[:3] == ["a cell", 6, told.best]
    assert row[-1] == "none"


def test_a_smaller_test_says_so() -> None:
    """The table of verdicts names how many instances there are and how many there should be."""
    told = Told.of([measured(0, [60.0, 700.0, 0.7, 70.0])], "hybrid")
    text = summary([(Cell(8, 0.5, False, False), told.lines)], [1])
    assert "30 instances in each of 48 cells, these 1 cells have 1." in text
    assert "Not the test" not in summary([(Cell(8, 0.5, False, False), told.lines)], [30])


def test_numbers_of_cells() -> None:
    """Ranges and single ones, each once; others end the program."""
    parser = argparse.ArgumentParser()
    assert numbers(parser, ["2", "5-7", "6"], 48) == [2, 5, 6, 7]
    for wrong in ("0", "49", "x", "-3"):
        with pytest.raises(SystemExit):
            numbers(parser, [wrong], 48)
