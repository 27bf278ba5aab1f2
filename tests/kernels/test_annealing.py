"""The annealing kernel: compiled and plain agree, and what it reports as best is what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optsched.kernels.annealing import anneal, draw, overload, shift_overload
from optsched.kernels.jit import plain

Version = Callable[[Any], Any]


def instance(seed: int) -> dict[str, Any]:
    """Twenty items on five hosts, some hosts closed to some items, some overloaded."""
    rng = np.random.default_rng(seed)
    items, hosts = 20, 5
    home = rng.integers(-1, hosts, items)
    demand = rng.integers(1, 9, (items, 2)).astype(np.float64)
    load = np.zeros((hosts, 2))
    np.add.at(load, home[home >= 0], demand[home >= 0])
    return {
        "demand": demand,
        "room": np.full((hosts, 2), demand.sum() / hosts / 2 * 1.05).round(),
        "row": rng.integers(0, 2, items),
        "open_to": np.array([[True] * hosts, rng.random(hosts) < 0.6]),
        "home": home,
        "host": home.copy(),
        "out": rng.integers(10, 20, items).astype(np.float64),
        "move": np.ones(items),
        "price": np.ones(2),
        "charge": 1.5,
        "load": load,
        "best": home.copy(),
        "best_cost": np.inf,
        "temperature": 2.0,
        "cooling": 0.8,
        "batches": 8,
        "state": np.array([seed + 1], dtype=np.uint64),
    }


@pytest.mark.parametrize("seed", range(4))
def test_versions_agree(seed: int) -> None:
    """From the same stream, compiled and plain code take the same steps."""
    one, two = instance(seed), instance(seed)
    with np.errstate(over="ignore"):
        answers = [anneal(*one.values()), plain(anneal)(*two.values())]
    assert answers[0] == pytest.approx(answers[1])
    for name in ("host", "best", "state"):
        assert (one[name] == two[name]).all(), name


@pytest.mark.parametrize("seed", range(8))
def test_the_best_fits_and_costs_what_is_said(seed: int) -> None:
    """No overload, no closed host except home, and the cost is that of the placement."""
    one = instance(seed)
    cost, _ = anneal(*one.values())
    best, home = one["best"], one["home"]
    assert np.isfinite(cost)
    load = np.zeros_like(one["room"])
    np.add.at(load, best[best >= 0], one["demand"][best >= 0])
    assert (load <= one["room"]).all()
    entered = np.flatnonzero((best >= 0) & (best != home))
    assert one["open_to"][one["row"][entered], best[entered]].all()
    moved = (best >= 0) & (home >= 0) & (best != home)
    assert cost == pytest.approx(one["out"][best < 0].sum() + one["move"][moved].sum())


def test_loads_follow_the_steps() -> None:
    """The load kept step by step is that of the placement it ends with."""
    one = instance(3)
    anneal(*one.values())
    load = np.zeros_like(one["room"])
    np.add.at(load, one["host"][one["host"] >= 0], one["demand"][one["host"] >= 0])
    assert np.allclose(load, one["load"])


@pytest.mark.parametrize("seed", range(20))
def test_a_change_of_overload_is_the_difference(version: Version, seed: int) -> None:
    """What a shift or swap is said to change is what it changes."""
    rng, one = np.random.default_rng(seed), instance(seed)
    i = int(rng.integers(len(one["home"])))
    a = int(one["host"][i])
    j = int(rng.choice(np.flatnonzero(one["host"] != a)))
    b = int(one["host"][j]) if seed % 2 else (a + 2) % 6 - 1
    fixed = one["room"], one["price"], one["charge"]
    before = version(overload)(one["load"], *fixed)
    change = version(shift_overload)(
        one["demand"], one["load"], *fixed, i, j if seed % 2 else -1, a, b
    )
    for item, source, target in ((i, a, b), *(((j, b, a),) if seed % 2 else ())):
        if source >= 0:
            one["load"][source] -= one["demand"][item]
        if target >= 0:
            one["load"][target] += one["demand"][item]
    assert version(overload)(one["load"], *fixed) == pytest.approx(before + change)


def test_the_stream_is_even(version: Version) -> None:
    """Draws lie in [0, 1), with the mean and spread of a uniform distribution."""
    state = np.array([88172645463325253], dtype=np.uint64)
    with np.errstate(over="ignore"):
        drawn = np.array([version(draw)(state) for _ in range(4000)])
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 0.03
    assert abs(drawn.std() - 12**-0.5) < 0.03
