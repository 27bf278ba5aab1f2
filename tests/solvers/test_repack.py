"""Packing a neighbourhood anew: when the search goes there, and when it stays where it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from optsched.budget import Budget
from optsched.problem import PlacementProblem
from optsched.solvers.repack import Repacking
from optsched.solvers.search import Search

Make = Callable[..., PlacementProblem]
SIZES = [[2], [1], [1], [2]]  # of items 0, 1 and 2 on hosts 0, 1 and 2, and of item 3, which waits


@pytest.fixture
def search(on: Make) -> Search:
    """Three hosts; one waiting item of size 2 fits where one of size 1 makes room."""
    return Search(on([0, 1, 2, -1], [2, 2, 2], demand=SIZES))


def solved(search: Search, items: list[int], hosts: list[int]) -> Repacking:
    """A neighbourhood after CP-SAT has worked on it."""
    packing = Repacking(search, items, hosts)
    packing.solve(Budget.of(60), effort=60.0)
    return packing


def test_room_is_made_for_what_waits(search: Search) -> None:
    """One small item joins the other, and the waiting one takes its place."""
    before = search.value.copy()
    outcome = solved(search, [1, 2, 3], [1, 2]).apply()
    assert (outcome.changed, outcome.closed) == (True, True)
    assert search.state.host[3] in (1, 2)
    assert search.state.host[1] == search.state.host[2] != search.state.host[3]
    assert tuple(search.value) < tuple(before)


def test_where_nothing_is_better_it_says_so(search: Search) -> None:
    """Without the second small item's host there is no room, and that is proven."""
    outcome = solved(search, [0, 3], [0]).apply()
    assert (outcome.changed, outcome.closed) == (False, True)
    assert search.state.host.tolist() == [0, 1, 2, -1]


def test_the_search_stays_until_it_is_applied(search: Search) -> None:
    """Building the model and solving it leave the placement alone; so does what was not solved."""
    before = search.value.copy()
    solved(search, [1, 2, 3], [1, 2])
    assert search.state.host.tolist() == [0, 1, 2, -1]
    assert (search.value == before).all()
    outcome = Repacking(search, [1, 2, 3], [1, 2]).apply()
    assert (outcome.changed, outcome.closed) == (False, False)
    assert search.state.host.tolist() == [0, 1, 2, -1]


def test_what_has_become_impossible_is_not_taken(on: Make) -> None:
    """If the room was given away since, the search stays where it is then."""
    search = Search(on([0, 1, -1, -1], [2, 2], demand=[[1], [1], [2], [1]]))
    packing = solved(search, [0, 1, 2], [0, 1])
    search.put(3, 0)
    assert not packing.apply().changed
    assert search.state.host.tolist() == [0, 1, -1, 0]


def test_sideways_takes_what_is_as_good(on: Make) -> None:
    """A placement of the same worth is taken only when asked for."""
    for sideways in (False, True):
        search = Search(on([-1, -1], [1], tier=[0, 0]))
        search.put(0, 0)
        packing = solved(search, [0, 1], [0])
        assert packing.apply(sideways=sideways).changed is sideways
        assert (search.state.host >= 0).sum() == 1


def test_a_kind_of_item_is_counted_at_once(on: Make) -> None:
    """Of items that are alike, those that can keep their host do."""
    search = Search(on([0, 0, -1, -1], [2, 2], demand=[[1], [1], [1], [1]]))
    outcome = solved(search, [0, 1, 2, 3], [0, 1]).apply()
    assert outcome.changed
    assert search.state.host.tolist() == [0, 0, 1, 1]
