"""Pods that arrive one by one: instances of the published recipe, of any size."""

from __future__ import annotations

import numpy as np

from optsched.generate.paper import instance
from optsched.generate.paper import problem as paper_problem
from optsched.problem import PlacementProblem

PPN, PRIORITIES, USAGES = (4, 8), (1, 2, 4), (90, 95, 100, 105)


def arrivals(
    seed: int, *, nodes: int = 8, ppn: int = 0, priorities: int = 0, usage: int = 0
) -> PlacementProblem:
    """Draw an instance of `optsched.generate.paper`, all pods pending, in their order.

    Parameters
    ----------
    nodes
        At most; half as many at least.
    ppn, priorities, usage
        As there; 0: drawn from the published grid.
    """
    rng = np.random.default_rng(seed)
    count = int(rng.integers(max(nodes // 2, 1), nodes + 1))
    drawn = [int(rng.choice(values)) for values in (PPN, PRIORITIES, USAGES)]
    given = [own or found for own, found in zip((ppn, priorities, usage), drawn, strict=True)]
    return paper_problem(instance(seed, count, *given))
