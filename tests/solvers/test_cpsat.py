"""CP-SAT under a budget."""

from __future__ import annotations

from random import Random

import pytest
from ortools.sat.python.cp_model import FEASIBLE, OPTIMAL, CpModel

from optsched.budget import Budget
from optsched.solvers import cpsat


def knapsack() -> CpModel:
    """Forty things, two resources, and what is left behind minimised."""
    random, model = Random(1), CpModel()
    taken = [model.new_bool_var("") for _ in range(40)]
    sizes = [[random.randint(50, 99) for _ in taken] for _ in range(2)]
    for size in sizes:
        model.add(sum(s * x for s, x in zip(size, taken, strict=True)) <= 900)
    worth = [100 + a * b % 37 for a, b in zip(*sizes, strict=True)]
    model.minimize(sum(w * (1 - x) for w, x in zip(worth, taken, strict=True)))
    return model


def test_a_solution_that_is_good_enough_ends_the_search() -> None:
    """Without asking for more it would have gone on to the best."""
    best, some = (cpsat.prepared(Budget.of(60), workers=1) for _ in range(2))
    assert cpsat.run(best, knapsack(), Budget.of(60)) == OPTIMAL
    assert cpsat.run(some, knapsack(), Budget.of(60), 10**6) == FEASIBLE
    assert best.objective_value < some.objective_value <= 10**6


def test_what_is_never_good_enough_ends_at_the_best() -> None:
    """A wish that cannot be met changes nothing."""
    solver = cpsat.prepared(Budget.of(60), workers=1)
    assert cpsat.run(solver, knapsack(), Budget.of(60), 0) == OPTIMAL


@pytest.mark.parametrize("workers", [1, 2])
def test_a_seed_of_any_size_is_taken(workers: int) -> None:
    """CP-SAT itself takes 31 bits."""
    budget = Budget.of(60, workers=workers)
    solver = cpsat.prepared(budget, seed=1 << 40)
    assert solver.parameters.num_workers == workers
    assert cpsat.run(solver, knapsack(), budget) == OPTIMAL


@pytest.mark.parametrize(("size", "loss"), [(10**3, 0), (10**12, 0), ((1 << 53) - 1, 100)])
def test_a_bound_is_never_above_what_there_is(size: int, loss: int) -> None:
    """All but one of three can be had; where floats lose units, they are taken off the bound."""
    model = CpModel()
    taken = [model.new_bool_var("") for _ in range(3)]
    model.add(sum(taken) <= 2)
    model.minimize(sum(worth * (1 - x) for worth, x in zip((size, size, 999), taken, strict=True)))
    solver = cpsat.prepared(Budget.of(60), workers=1)
    assert cpsat.run(solver, model, Budget.of(60)) == OPTIMAL
    assert 999 - loss <= cpsat.bound(solver, model) <= 999
