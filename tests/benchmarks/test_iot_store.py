"""Results of the test of tasks are kept, read again, and never mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.iot_tasks.grid import Cell
from benchmarks.iot_tasks.store import Measured, Store

ONE, TWO = Cell(8, 0.5, False, False), Cell(8, 0.5, True, False)


def found(value: float) -> Measured:
    """Of one arm."""
    return Measured({"eft": np.array([[value, 2.0]])}, [1.0, 2.0])


def test_what_is_measured_is_read_again(tmp_path: Path) -> None:
    """By cell and seed, from several files; a line that was cut off is measured again."""
    file, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    store = Store([file], {"count": 60})
    store.add((ONE, 1), found(3.0))
    Store([other], {"count": 60}).add((TWO, 2), found(4.0))
    with file.open("a") as out:
        out.write('{"settings": {"cou')
    again = Store([file, other], {"count": 60})
    assert {*again.found} == {(ONE, 1), (TWO, 2)}
    assert again.of(ONE, [1, 2])[0].arms["eft"].tolist() == [[3.0, 2.0]]
    assert again.of(ONE, [2]) == []
    again.add((ONE, 2), found(5.0))
    assert {*Store([file], {"count": 60}).found} == {(ONE, 1), (ONE, 2)}


def test_other_settings_are_refused(tmp_path: Path) -> None:
    """Else one table would hold two tests."""
    Store([tmp_path / "a"], {"count": 60}).add((ONE, 1), found(3.0))
    with pytest.raises(SystemExit, match="give another file to --store"):
        Store([tmp_path / "a"], {"count": 20})
