"""Wishes as transformations of a problem."""

from __future__ import annotations

import pytest

from optsched.errors import ProblemError
from optsched.levels import TermKind, drain_first, place_first, then_host_cost, tier_order
from optsched.options import (
    PINNED,
    consolidate,
    find,
    with_drain,
    with_evict,
    with_order,
    with_pins,
)
from optsched.problem import Evict, PlacementProblem


def test_evict(small_cluster: PlacementProblem) -> None:
    """Evictions are allowed in the copy, not in the original."""
    assert with_evict(small_cluster, Evict.LOWER).evict is Evict.LOWER
    assert small_cluster.evict is Evict.NEVER


def test_order(small_cluster: PlacementProblem) -> None:
    """Another order replaces the tier levels and is named for the certificate."""
    changed = with_order(small_cluster, "place-first")
    assert changed.objective == place_first(2)
    assert changed.order == "place-first"
    assert with_order(changed, "tier").objective == tier_order(2)


def test_order_keeps_other_levels(small_cluster: PlacementProblem) -> None:
    """Draining stays in front, the cost of hosts stays behind."""
    both = small_cluster.replace(objective=then_host_cost(drain_first(tier_order(2))))
    kinds = [level.terms[0].kind for level in with_order(both, "place-first").objective]
    assert kinds[0] is TermKind.DRAINED
    assert kinds[-1] is TermKind.HOST_COST
    assert len(kinds) == len(both.objective)


def test_order_unknown(small_cluster: PlacementProblem) -> None:
    """An order that does not exist is refused."""
    with pytest.raises(ProblemError, match="no order 'random'"):
        with_order(small_cluster, "random")


def test_drain(small_cluster: PlacementProblem) -> None:
    """Draining marks the hosts and puts its level first, once."""
    once = with_drain(small_cluster, ["node-2"])
    twice = with_drain(once, ["node-3"])
    assert once.hosts.drain.tolist() == [False, True, False]
    assert twice.hosts.drain.tolist() == [False, True, True]
    assert twice.objective == drain_first(small_cluster.objective)


def test_pins(small_cluster: PlacementProblem) -> None:
    """A pinned item may not be moved and says why; one that was pinned keeps its reason."""
    pinned = with_pins(small_cluster, ["shop/web", "dns"])
    assert pinned.items.movable.tolist()[:4] == [False, True, True, False]
    assert pinned.pin_reasons[pinned.items.pinned_by[0]] == PINNED
    assert pinned.items.pinned_by[3] == 0
    assert not pinned.items.evictable[0]


def test_pins_one_after_another(small_cluster: PlacementProblem) -> None:
    """Pinning more items later gives the same reason, and each item keeps its own."""
    pinned = with_pins(with_pins(small_cluster, ["shop/web"]), ["shop/web", "dns"])
    assert pinned.pin_reasons.count(PINNED) == 1
    assert pinned.pin_reasons[pinned.items.pinned_by[0]] == PINNED


def test_pin_of_a_pending_item(small_cluster: PlacementProblem) -> None:
    """A pending item has no place to be pinned to."""
    with pytest.raises(ProblemError, match="'shop/wide': is pending"):
        with_pins(small_cluster, ["shop/wide"])


def test_consolidate(small_cluster: PlacementProblem) -> None:
    """The cost of hosts comes before moves, and is added once."""
    one = consolidate(small_cluster)
    kinds = [level.terms[0].kind for level in one.objective]
    assert kinds.index(TermKind.HOST_COST) < kinds.index(TermKind.MOVED)
    assert consolidate(one) is one


def test_find() -> None:
    """A name is found whole, or by what follows its last slash where that is unique."""
    names = ["a/web", "b/web", "b/mail", "mail-2"]
    assert find(names, "b/web", "item") == 1
    assert find(names, "mail", "item") == 2
    with pytest.raises(ProblemError, match="2 items are called 'web'"):
        find(names, "web", "item")
    with pytest.raises(ProblemError, match="no item 'b/mial'; did you mean 'b/mail'"):
        find(names, "b/mial", "item")
