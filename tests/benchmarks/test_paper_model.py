"""The baseline model against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.pod_packing import paper_model
from benchmarks.pod_packing.default_scheduler import place
from optsched.generate.paper import Instance, instance, problem
from optsched.problem import Hosts, Items, PlacementProblem


def _pending(seed: int, nodes: int, ppn: int, priorities: int, usage: int) -> PlacementProblem:
    """An instance whose first pod that found a node has lost it again."""
    drawn: Instance = instance(seed, nodes, ppn, priorities, usage)
    host = place(drawn, seed=seed).copy()
    if (host >= 0).all():
        host[int(np.argmax(drawn.demand()[:, 0]))] = -1
    return problem(drawn, host)


def _best(asked: PlacementProblem) -> list[int]:
    """Values of the stages that are lexicographically best, over all placements."""
    items, hosts = asked.items, asked.hosts
    best: list[int] | None = None
    for choice in itertools.product(range(-1, len(hosts)), repeat=len(items)):
        host = np.array(choice)
        use = np.zeros_like(hosts.capacity)
        np.add.at(use, host[host >= 0], items.demand[host >= 0])
        if (use > hosts.capacity).any() or not (host[items.host0 < 0] >= 0).any():
            continue
        values = []
        for tier in sorted(set(items.tier.tolist())):
            within = items.tier <= tier
            running = within & (items.host0 >= 0)
            values.append(-int((host[within] >= 0).sum()))
            if running.any():
                gone = int((host[running] < 0).sum())
                moved = int((host != items.host0)[running].sum()) - gone
                values.append(paper_model.EVICTION * gone + paper_model.MOVE * moved)
        best = values if best is None else min(best, values)
    assert best is not None
    return best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("nodes", "ppn", "priorities"), [(2, 2, 1), (2, 3, 2), (3, 2, 2)])
def test_stages_reach_the_values_of_brute_force(
    seed: int, nodes: int, ppn: int, priorities: int
) -> None:
    """With time to prove every stage, the model finds the lexicographic optimum."""
    asked = _pending(seed, nodes, ppn, priorities, 100)
    answer = paper_model.solve(asked, 30, workers=1)
    found = [-s.value if s.kind == "place" else s.value for s in answer.stages]
    assert answer.status == "OPTIMAL"
    assert found == _best(asked)


def test_immovable_items_keep_their_host() -> None:
    """Two pods that would have to swap hosts stay if they are protected."""
    hosts = Hosts.of([[4], [3]])
    free = Items.of([[2], [2], [2]], host0=[0, 1, -1])
    stuck = Items.of([[2], [3], [3]], host0=[0, 1, -1], movable=[False, True, True])
    placed = paper_model.solve(PlacementProblem.of(hosts, free), 30, workers=1)
    assert placed.status == "OPTIMAL"
    assert (placed.host >= 0).all()
    asked = PlacementProblem.of(hosts, stuck)
    answer = paper_model.solve(asked, 30, workers=1)
    assert answer.status == "OPTIMAL"
    assert answer.host[0] == 0
    still = asked.replace(items=Items.of([[2], [3], [3]], host0=[0, 1, -1], movable=False))
    assert paper_model.solve(still, 30, workers=1).status == "INFEASIBLE"


def test_out_of_time_keeps_the_current_placement() -> None:
    """Without a solution the answer is UNKNOWN and nothing moves."""
    asked = _pending(3, 4, 4, 4, 100)
    answer = paper_model.solve(asked, 0, workers=1)
    assert answer.status == "UNKNOWN"
    assert (answer.host == asked.items.host0).all()
