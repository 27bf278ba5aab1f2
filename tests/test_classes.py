"""Interchangeable items: what tells them apart, and counts dealt back to items."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optsched.classes import count, deal, eligible, item_classes, pinned_use
from optsched.plan import Placement
from optsched.problem import (
    Budgets,
    Hosts,
    Inflight,
    Items,
    Limit,
    LimitKind,
    PlacementProblem,
    Scope,
    Where,
)


def twins(**options: Any) -> PlacementProblem:
    """Two items on two hosts, alike but for the options."""
    of_items = {name: options.pop(name) for name in list(options) if name in Items.__annotations__}
    items = Items.of(of_items.pop("demand", [[1], [1]]), **of_items)
    hosts = Hosts.of([[9], [9]])
    where = Where.of(hosts, items, **options.pop("where", {}))
    return PlacementProblem.of(hosts, items, where=where, **options)


ALONE = {"groups": [[0]]}
SAME: dict[str, dict[str, Any]] = {
    "host": {"host0": [0, 1]},
    "whether it runs": {"host0": [0, -1]},
    "name and owner": {"names": ["a", "b"], "owner": [0, 1]},
    "wave budget": {"budgets": Budgets.of([[0]], [1])},
    "group that no limit uses": {"where": ALONE},
    "pending and fixed": {"host0": -1, "movable": [True, False]},
}
OTHER: dict[str, dict[str, Any]] = {
    "demand": {"demand": [[1], [2]]},
    "tier": {"tier": [0, 1]},
    "weight": {"weight": [1, 2]},
    "gang": {"gang": [0, -1]},
    "evictable": {"evictable": [True, False]},
    "may evict others": {"may_evict_others": [True, False]},
    "lets go first": {"lets_go_first": [True, False]},
    "occupies": {"occupies": [True, False]},
    "eligible hosts": {"where": {"excluded": [[0, 0], [0, 1]], "item_eligible": [0, 1]}},
    "plan budget": {"budgets": Budgets.of([[0]], [1], scope=int(Scope.PLAN))},
    "limited group": {
        "where": ALONE,
        "limits": [Limit(LimitKind.MAX, key=0, subject=0, counted=0, bound=1)],
    },
}


@pytest.mark.parametrize("what", sorted(SAME))
def test_what_makes_no_difference(what: str) -> None:
    """Where an item sits, and what binds single waves only, does not part a class."""
    assert len(item_classes(twins(**SAME[what]))) == 1


@pytest.mark.parametrize("what", sorted(OTHER))
def test_what_makes_a_difference(what: str) -> None:
    """Whatever a rule or level could tell apart parts a class."""
    assert len(item_classes(twins(**OTHER[what]))) == 2


def test_pinned_items_are_in_no_class() -> None:
    """What cannot move is room that is used; moves in flight use it twice."""
    items = Items.of([[1], [2], [4], [4]], host0=[0, 1, -1, 0], movable=[True, False, False, False])
    problem = PlacementProblem.of(
        Hosts.of([[9], [9]], fixed_use=[[0], [3]]), items, inflight=Inflight.of([1], [0])
    )
    classes = item_classes(problem)
    assert classes.of_item.tolist() == [0, -1, 1, -1]
    assert classes.first.tolist() == [0, 2]
    assert (classes.size.tolist(), classes.running.tolist()) == ([1, 1], [1, 0])
    assert pinned_use(problem, classes).tolist() == [[2 + 4], [3 + 2]]


def test_classes_know_their_hosts() -> None:
    """Neither excluded nor drained hosts may be entered."""
    hosts, items = Hosts.of([[1]] * 3, drain=[True, False, False]), Items.of([[1]])
    where = Where.of(hosts, items, excluded=[[0, 1, 0]])
    problem = PlacementProblem.of(hosts, items, where=where)
    assert eligible(problem, item_classes(problem)).tolist() == [[False, False, True]]


def test_dealing_moves_as_few_as_possible() -> None:
    """Items stay where their class is wanted, running ones go before pending ones."""
    problem = PlacementProblem.of(Hosts.of([[9]] * 3), Items.of([[1]] * 4, host0=[-1, 0, 0, 1]))
    classes = item_classes(problem)
    assert deal(problem, classes, np.array([[1, 1, 1]])).host.tolist() == [-1, 0, 2, 1]
    assert deal(problem, classes, np.array([[0, 0, 4]])).host.tolist() == [2, 2, 2, 2]
    assert deal(problem, classes, np.array([[0, 0, 0]])).host.tolist() == [-1, -1, -1, -1]
    with pytest.raises(ValueError, match="class 0: 5 placed of 4"):
        deal(problem, classes, np.array([[5, 0, 0]]))


def test_dealing_loses_whom_it_is_told_to() -> None:
    """Of those that leave a host, the given number is left out even if others are placed."""
    problem = PlacementProblem.of(Hosts.of([[9]] * 3), Items.of([[1]] * 4, host0=[0, 0, 1, -1]))
    classes = item_classes(problem)
    counts, lost = np.array([[1, 0, 2]]), np.array([[0, 1, 0]])
    dealt = deal(problem, classes, counts, lost)
    assert dealt.host.tolist() == [0, 2, -1, 2]
    assert count(problem, classes, dealt).tolist() == counts.tolist()


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32 - 1))
def test_counts_survive_dealing(seed: int) -> None:
    """A placement counted and dealt has the same counts, and no more disturbed items."""
    random = Random(seed)
    number, hosts = random.randint(1, 7), random.randint(1, 3)

    def draw(choices: list[Any]) -> list[Any]:
        return [random.choice(choices) for _ in range(number)]

    anywhere = [*range(-1, hosts)]
    items = Items.of(draw([[1], [2]]), host0=draw(anywhere), movable=draw([True, True, False]))
    problem = PlacementProblem.of(Hosts.of([[9]] * hosts), items)
    fixed = ~items.movable & (items.host0 >= 0)
    goal = Placement.of(problem, np.where(fixed, items.host0, draw(anywhere)))
    classes = item_classes(problem)
    counts = count(problem, classes, goal)
    dealt = deal(problem, classes, counts)
    assert (count(problem, classes, dealt) == counts).all()
    runs = items.host0 >= 0
    changed = [((one.host != items.host0) & runs).sum() for one in (dealt, goal)]
    assert changed[0] <= changed[1]
    assert (dealt.host[fixed] == items.host0[fixed]).all()
