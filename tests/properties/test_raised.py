"""Objects made of a problem hold its rules: what may go where is the same after `lower`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import msgspec
import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from optsched.kube import Cluster, lower, objects_of
from optsched.levels import tier_order
from optsched.problem import PlacementProblem
from optsched.rules import candidates
from optsched.state import State


@settings(max_examples=200)
@given(random=st.integers(0, 2**32 - 1).map(Random))
def test_pods_may_go_where_the_items_may(
    random: Random, make_problem: Callable[..., PlacementProblem]
) -> None:
    """Every item has the same candidates, but for those that keep still: these have none."""
    problem = make_problem(random, cells=False)
    items = replace(problem.items, lets_go_first=np.ones(len(problem.items), dtype=bool))
    problem = problem.replace(items=items, objective=tier_order(3), when=0 * problem.when)
    objects = objects_of(problem)
    cluster = Cluster()
    for one in objects:
        cluster.add(msgspec.Raw(msgspec.json.encode(one)))
    again = lower(cluster)
    pods = [one for one in objects if one["kind"] == "Pod"]
    before, after = State(problem), State(again)
    for item, pod in enumerate(pods):
        gated = "schedulingGates" in pod["spec"]
        if gated:
            assert not candidates(after, item).any()
        elif items.host0[item] < 0 or again.items.movable[item]:
            event("an item that is free")
            assert (candidates(before, item) == candidates(after, item)).all()
        assert problem.items.movable[item] or items.host0[item] < 0 or not again.items.movable[item]
