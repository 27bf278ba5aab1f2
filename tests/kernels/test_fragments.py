"""The kernels of exchanges: their twins agree, and warming compiles all that a solve calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optsched import kernels
from optsched.budget import Budget
from optsched.kernels import ascent, fragment_traces, fragments
from optsched.kernels.jit import COMPILED, plain
from optsched.levels import Level, Term, TermKind
from optsched.plan import Order
from optsched.problem import Cells, Hosts, Items, PlacementProblem
from optsched.solvers.fragments import Fragments
from optsched.solvers.fragments.building import build
from optsched.solvers.fragments.model import Model
from optsched.solvers.fragments.pricing import Offer, Prices

compiled = pytest.mark.skipif(not COMPILED, reason="numba is not installed")


def problem_of(seed: int, terms: tuple[Term, ...]) -> PlacementProblem:
    """Four hosts of two cells, some VMs on one of them and some on both."""
    rng = np.random.default_rng(seed)
    needed = rng.integers(1, 3, 12)
    host = np.repeat(np.arange(4), 3)
    cells0 = np.full((12, 2), -1)
    cells0[:, 0] = 2 * host + np.where(needed == 2, 0, rng.integers(0, 2, 12))
    cells0[needed == 2, 1] = 2 * host[needed == 2] + 1
    units = rng.integers(1, 4, 12)
    items = Items.of(
        np.zeros((12, 0), int),
        cells_needed=needed,
        cell_demand=np.column_stack([units, units * rng.choice([1, 2, 3], 12)]),
        host0=host,
        cells0=cells0,
        lets_go_first=False,
    )
    return PlacementProblem.of(
        Hosts.of(np.zeros((4, 0), int)),
        items,
        cells=Cells.of(np.repeat(np.arange(4), 2), [(13, 24)] * 8, resources=("cpu", "mem")),
        objective=(Level("fragments", terms),),
        max_moves=4,
    )


TERMS = (
    (Term(TermKind.FRAGMENTS, size=4),),
    (Term(TermKind.FRAGMENTS, size=4), Term(TermKind.FRAGMENTS, size=3, cells=2, weight=2)),
)


def model_of(seed: int, terms: tuple[Term, ...], *, safe: bool) -> Model:
    """The model of `problem_of`."""
    problem = problem_of(seed, terms)
    model = build(problem, problem.objective[0], safe=safe)
    assert not isinstance(model, str)
    return model


def kernels_of(module: Any) -> list[Any]:
    """Compiled functions of a module."""
    return [one for one in vars(module).values() if hasattr(one, "py_func")]


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes the compiler's work away from all of these modules."""

    def run() -> None:
        for module in (fragments, fragment_traces, ascent):
            for name, one in list(vars(module).items()):
                if hasattr(one, "py_func"):
                    monkeypatch.setattr(module, name, plain(one))

    return run


@compiled
@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("seed", [0, 1])
def test_prices_and_exchanges_are_those_of_the_twin(
    uncompiled: Callable[[], None], seed: int, terms: tuple[Term, ...], safe: bool
) -> None:
    """Compiled or not, the same worth and the same exchanges."""
    model = model_of(seed, terms, safe=safe)
    rng = np.random.default_rng(seed)
    prices = Prices.of(rng.uniform(0, 1, len(model.shapes)), 0.3)
    fast = Offer(model, prices)
    found = fast.columns()
    uncompiled()
    slow = Offer(model, prices)
    assert slow.worth == fast.worth
    again = slow.columns()
    assert again.keys() == found.keys()
    assert again.gain.tolist() == found.gain.tolist()
    assert len(found)


@compiled
@pytest.mark.parametrize("terms", TERMS)
def test_ascents_are_those_of_the_twin(
    uncompiled: Callable[[], None], terms: tuple[Term, ...]
) -> None:
    """Compiled or not, the same moves."""
    from optsched.solvers.fragments.greedy import steepest

    model = model_of(3, terms, safe=True)
    fast = steepest(model)
    uncompiled()
    # `greedy` holds the name that it imported.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("optsched.solvers.fragments.greedy.ascend", ascent.ascend)
        slow = steepest(model)
    assert (fast.cells == slow.cells).all()
    assert (fast.cells != model.problem.items.cells0).any()


@compiled
def test_warming_compiles_all_that_a_solve_calls() -> None:
    """After `warm`, a solve of any kind adds no variant of a kernel."""
    kernels.warm()
    every = [one for m in (fragments, fragment_traces, ascent) for one in kernels_of(m)]
    before = {one.__name__: len(one.signatures) for one in every}
    for terms in TERMS:
        for order in (Order.SAFE, Order.WAVES):
            Fragments().solve(problem_of(5, terms), Budget.of(20), order=order)
    assert before == {one.__name__: len(one.signatures) for one in every}


def test_multisets_are_all_there_once() -> None:
    """Every way to take copies within both rooms, and -1 where there is no place for them."""
    units, memory, most = np.array([1, 2, 3]), np.array([3, 1, 0]), np.array([4, 2, 5])
    found = np.empty((200, 3), np.int64)
    number = fragment_traces.multisets(units, memory, most, 6, 5, found)
    expected = {
        (a, b, c)
        for a in range(5)
        for b in range(3)
        for c in range(6)
        if a + 2 * b + 3 * c <= 6 and 3 * a + b <= 5
    }
    assert sorted(map(tuple, found[:number].tolist())) == sorted(expected)
    assert fragment_traces.multisets(units, memory, most, 6, 5, found[:3]) == -1
