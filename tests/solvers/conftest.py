"""Short ways to make problems and to climb ladders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.problem import Hosts, Items, PlacementProblem, Where
from optsched.solvers.ladder import Improver, Ladder, Step


@pytest.fixture
def on() -> Callable[..., PlacementProblem]:
    """Maker of items (of size 1, or as demanded) on hosts of the sizes given.

    Options are fields of items, of `where` (`groups`, `excluded`, `keys`, `domain`) or the problem.
    """

    def make(host0: Sequence[int], size: Sequence[int], **options: Any) -> PlacementProblem:
        def some(names: set[str]) -> dict[str, Any]:
            return {name: options.pop(name) for name in names & set(options)}

        demand = options.pop("demand", np.ones((len(host0), 1), int))
        capacity = np.reshape(np.array(size, dtype=int), (-1, 1))
        hosts = Hosts.of(capacity, **some({"fixed_use", "drain", "cost"}))
        items = Items.of(demand, host0=host0, **some(set(Items.__annotations__)))
        where = Where.of(
            hosts, items, **some({"groups", "excluded", "item_eligible", "keys", "domain"})
        )
        return PlacementProblem.of(hosts, items, where=where, **options)

    return make


@pytest.fixture
def climb() -> Callable[..., Ladder]:
    """Climbs a problem's ladder once with improvers that have plenty of time."""

    def go(problem: PlacementProblem, *improvers: Improver) -> Ladder:
        ladder = Ladder(problem)
        ladder.climb([Step(one) for one in improvers], Budget.of(60))
        return ladder

    return go
