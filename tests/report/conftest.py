"""Answers to show."""

from __future__ import annotations

import time

import pytest

from optsched.plan import Placement
from optsched.problem import PlacementProblem
from optsched.result import Bound, Result, conclude


@pytest.fixture
def answer(small_cluster: PlacementProblem) -> Result:
    """The small cluster's best plan: shop/cart-1 moves, then shop/wide is placed."""
    placement = Placement.of(small_cluster, [0, 1, 1, 1, 0, -1])
    bounds = [Bound(value, "by hand") for value in (0, 0, 0, 1, 0, 0)]
    return conclude(
        small_cluster, placement, bounds, solver="by hand", started=time.monotonic(), notes=("hm",)
    )
