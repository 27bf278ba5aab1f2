"""An agent beside solvers on instances that it never saw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from optsched.cli import group
from optsched.errors import UnsupportedError
from optsched.report.gaps import svg
from optsched.solvers.evaluation import Case, interval, measure, rows

SMALL = ["--count", "2", "--pms", "8", "--moves", "4"]


def test_every_arm_is_measured_on_the_same_bounds() -> None:
    """Gaps are shares of what the proven optimum gains: the optimum has none, nobody less."""
    case = Case(pms=12, moves=5, best_of=0.05)
    found = measure(None, ["fragments", "fragments-greedy"], range(1, 4), case)
    assert [len(runs) for runs in found.values()] == [3] * 4
    assert [run.gap for run in found["fragments"]] == [0.0] * 3
    for runs in found.values():
        for one, best in zip(runs, found["fragments"], strict=True):
            assert (one.seed, one.bound, one.stay) == (best.seed, best.bound, best.stay)
            assert one.gap >= 0
            assert best.bound <= one.value <= one.stay
    assert all(run.decisions and not run.fallbacks for run in found["agent"])
    table = rows(found)
    assert [line[0] for line in table] == list(found)
    assert table[2][1] == "0.00%"


def test_intervals_hold_the_mean() -> None:
    """They lie around it, and shrink to it where all values are equal."""
    values = np.random.default_rng(0).random(20)
    low, high = interval(values)
    assert values.min() < low < values.mean() < high < values.max()
    assert interval(np.full(5, 0.25)) == (0.25, 0.25)


def test_solvers_that_cannot_are_told() -> None:
    """An unknown solver ends in one sentence."""
    with pytest.raises(UnsupportedError, match="no solver 'fragment'"):
        measure(None, ["fragment"], range(2), Case(pms=4))


def test_the_command_prints_and_draws(tmp_path: Path) -> None:
    """A table with all arms, the same as JSON, and a picture."""
    picture = tmp_path / "gaps.svg"
    done = CliRunner().invoke(group, ["evaluate", *SMALL, "--plot", str(picture)])
    assert done.exit_code == 0, done.output
    assert "fragments-greedy" in done.stdout
    assert "2 instances, heldout" in done.stdout
    assert picture.read_text().count("<circle") == 4
    done = CliRunner().invoke(group, ["evaluate", *SMALL, "--output", "json", "--seed", "5"])
    found = json.loads(done.stdout)["arms"]
    assert [run["seed"] for run in found["agent"]] == [1_000_000_005, 1_000_000_006]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--instances", "test"], "no split 'test'"),
        (["--instances", "train", "--seed", "899999999"], "beyond the end"),
        (["none.onnx"], "cannot be read"),
        (["--plot", "/no/such/folder/gaps.svg"], "/no/such/folder"),
    ],
)
def test_bad_wishes_are_told(arguments: list[str], word: str) -> None:
    """What cannot be measured ends in one sentence, with the code for bad input."""
    done = CliRunner().invoke(group, ["evaluate", *SMALL, *arguments])
    assert done.exit_code == 2
    assert word in done.output
    assert "Traceback" not in done.output


def test_pictures_escape_names() -> None:
    """A name is text, whatever it holds; nothing measured is still a picture."""
    assert "<a>" not in svg({"<a>": [0.1]})
    assert svg({}).startswith("<svg")
