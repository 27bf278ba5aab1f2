"""Holding what limits bind, so that the exact solvers may prove the rest."""

from __future__ import annotations

import numpy as np

from optsched.plan import Placement
from optsched.problem import Hosts, Items, Limit, LimitKind, PlacementProblem, Where
from optsched.rules import candidates
from optsched.solvers.loosening import loosened, tied_items
from optsched.state import State


def bound_pair() -> PlacementProblem:
    """Three hosts of 12; items 0 and 1 may not share one, 2 and 3 are free, 1 and 3 wait."""
    hosts = Hosts.of([[12], [12], [12]])
    items = Items.of([[4], [4], [4], [4]], host0=[0, -1, 0, -1])
    where = Where.of(hosts, items, groups=[[0, 1]])
    limits = [Limit(LimitKind.CONFLICT, key=0, subject=0, counted=0, name="apart")]
    return PlacementProblem.of(hosts, items, where=where, limits=limits)


def test_what_limits_speak_of_is_held() -> None:
    """It sits as the incumbent says, cannot move, and nothing else changes."""
    problem = bound_pair()
    assert tied_items(problem).tolist() == [True, True, False, False]
    placement = Placement.of(problem, np.array([1, 2, 0, -1]))
    held = loosened(problem, placement)
    assert held is not None
    assert held.items.host0.tolist() == [1, 2, 0, -1]
    assert held.items.movable.tolist() == [False, False, True, True]
    assert not len(held.limits)


def test_what_waits_and_is_bound_goes_on_waiting() -> None:
    """No host is open to it, and all are to the others."""
    problem = bound_pair()
    held = loosened(problem, Placement.current(problem))
    assert held is not None
    state = State(held)
    assert not candidates(state, 1).any()
    assert candidates(state, 3).all()


def test_problems_mostly_bound_are_left_alone() -> None:
    """There is little to prove where limits bind most items, or none."""
    problem = bound_pair()
    assert (
        loosened(problem.replace(limits=problem.limits.of(())), Placement.current(problem)) is None
    )
    where = Where.of(problem.hosts, problem.items, groups=[[0, 1, 2]])
    mostly = problem.replace(where=where)
    assert loosened(mostly, Placement.current(mostly)) is None
