"""The two readings of the objective agree, and one scalar orders placements as the levels do."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from optsched.check import check_placement
from optsched.check.reading import Reading, read_cells
from optsched.check.seating import Seating
from optsched.check.values import level_values
from optsched.objective import evaluate, scalar, scalar_weights
from optsched.plan import Placement
from optsched.problem import PlacementProblem

Make = Callable[..., PlacementProblem]
Draw = Callable[..., Placement]

SEEDS = st.integers(0, 2**32 - 1).map(Random)


@settings(max_examples=200)
@given(random=SEEDS)
def test_both_readings_agree(random: Random, make_problem: Make, make_placement: Draw) -> None:
    """Numpy and plain Python give every level the same value, whatever rules are broken."""
    problem = make_problem(random)
    placement = make_placement(random, problem)
    if any(found.rule == "cells" for found in check_placement(problem, placement)):
        return  # an item on cells that it does not need, or twice on one
    reading, cells = Reading(problem), read_cells(placement.cells)
    seating = Seating(reading, placement.host.tolist(), cells, range(len(problem.items)))
    assert evaluate(problem, placement) == level_values(reading, seating)


@settings(max_examples=200)
@given(random=SEEDS)
def test_the_scalar_orders_placements_as_the_levels_do(
    random: Random, make_problem: Make, make_placement: Draw
) -> None:
    """Of two placements, the lexicographically smaller has the smaller weighted sum."""
    problem = make_problem(random)
    weights = scalar_weights(problem)
    one, two = (evaluate(problem, make_placement(random, problem)) for _ in range(2))
    assert (one < two) == (scalar(one, weights) < scalar(two, weights))
