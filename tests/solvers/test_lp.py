"""What a linear program's duals prove: never more than a solution takes, and next to no less."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optsched.arrays import Ints
from optsched.solvers.lp import minimize


def packing(demand: Ints, size: Ints, room: int, worth: int) -> tuple[float, float]:
    """Value and proven bound of placing as much worth as fits on one host, items divisible."""
    classes = len(demand)
    found = minimize(
        np.full(classes, -float(worth)),
        size.astype(float),
        [-math.inf],
        [1.0],
        [(np.zeros(classes, np.int64), np.arange(classes), demand / room)],
        60.0,
    )
    assert found is not None
    return found.value, found.sure


@given(
    st.integers(10, 10**12),
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 500)), min_size=1, max_size=8),
    st.sampled_from([1, 1000, 10**6]),
    st.data(),
)
def test_the_bound_is_below_every_solution(
    base: int, classes: list[tuple[int, int]], worth: int, data: st.DataObject
) -> None:
    """Items that differ by next to nothing: a solver within its tolerance may take the wrong."""
    demand = np.array([base + more for more, _ in classes])
    size = np.array([many for _, many in classes])
    smallest = np.sort(np.repeat(demand, size))
    fit = data.draw(st.integers(1, len(smallest)))
    value, sure = packing(demand, size, int(smallest[:fit].sum()), worth)
    best = -worth * fit
    assert sure <= best * (1 - 1e-12)
    assert sure == pytest.approx(best, rel=1e-6)
    assert value == pytest.approx(best, rel=1e-6)


def test_rows_with_two_sides_and_columns_without_an_end() -> None:
    """Duals of either sign count with their side; a column that nothing ends must not pay."""
    inf = math.inf
    entries = [(np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3))]
    found = minimize(
        np.array([2.0, 3.0]), np.array([inf, inf]), [4.0, 1.0], [9.0, inf], entries, 60
    )
    assert found is not None
    assert found.value == pytest.approx(9)
    assert found.sure == pytest.approx(9)
