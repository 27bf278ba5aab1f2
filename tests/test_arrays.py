"""Rows numbered by their content."""

from __future__ import annotations

import numpy as np
import pytest

from optsched.arrays import row_numbers


@pytest.mark.parametrize("width", [1, 2, 5])
def test_equal_rows_have_equal_numbers(width: int) -> None:
    """Two rows have one number exactly if they are equal; numbers run from 0 without a gap."""
    table = np.random.default_rng(width).integers(-2, 2, size=(60, width))
    table[:, 0] = 7  # a column that tells nothing apart
    number = row_numbers(table)
    same = (table[:, None] == table[None]).all(axis=2)
    assert ((number[:, None] == number[None]) == same).all()
    assert sorted(set(number.tolist())) == list(range(number.max() + 1))


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (4, 2)])
def test_nothing_to_tell_apart(shape: tuple[int, int]) -> None:
    """No rows, no columns, or all the same: every number is 0."""
    assert row_numbers(np.zeros(shape, np.int64)).tolist() == [0] * shape[0]
