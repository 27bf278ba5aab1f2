"""From a placement to waves: cycles, detours, and what cannot be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from optsched.check import check
from optsched.levels import then_host_cost, tier_order
from optsched.plan import Order, Placement
from optsched.problem import Budgets, Evict, Hosts, Items, PlacementProblem
from optsched.sequence import sequence

Moves = list[list[tuple[int, int]]]


def lead(
    problem: PlacementProblem, goal: Sequence[int], order: Order = Order.WAVES
) -> tuple[Moves, tuple[int, ...]]:
    """The waves as (item, target) pairs, checked, and what was dropped."""
    sequenced = sequence(problem, Placement.of(problem, goal), order)
    assert check(problem, sequenced.plan).violations == ()
    waves = [[(move.item, move.target) for move in wave.moves] for wave in sequenced.plan.waves]
    return waves, sequenced.dropped


def on(
    host0: Sequence[int], size: Sequence[int] = (1, 1), *, demand: object = None, **options: Any
) -> PlacementProblem:
    """Items (of size 1, or as demanded) on hosts of the sizes given."""
    of_items = {name: options.pop(name) for name in list(options) if name in Items.__annotations__}
    wants = demand if demand is not None else [[1]] * len(host0)
    items = Items.of(wants, host0=host0, **of_items)
    return PlacementProblem.of(Hosts.of([[one] for one in size]), items, **options)


def test_nothing_to_do_is_no_wave() -> None:
    """Where the goal is where everything is, the plan is empty."""
    assert lead(on([0, 1]), [0, 1]) == ([], ())


def test_what_waits_for_room_comes_in_a_later_wave() -> None:
    """A chain of moves needs a wave each."""
    problem = on([0, 1, -1], (1, 1, 1))
    assert lead(problem, [1, 2, 0]) == ([[(1, 2)], [(0, 1)], [(2, 0)]], ())


def test_an_order_safe_plan_is_one_wave() -> None:
    """What cannot go at once is dropped, and so is a move that only made room for it."""
    problem = on([0, 1, -1, -1], (1, 1, 1, 1))
    assert lead(problem, [1, 2, 0, 3], Order.SAFE) == ([[(3, 3)]], (0, 1, 2))


def test_a_swap_hops_over_a_third_host() -> None:
    """With room elsewhere one of the two makes way; without, both stay."""
    waves, dropped = lead(on([0, 1], (1, 1, 1)), [1, 0])
    assert dropped == ()
    assert [len(wave) for wave in waves] == [1, 1, 1]
    assert waves[0][0][1] == 2
    assert lead(on([0, 1], (1, 1)), [1, 0]) == ([], (0, 1))
    assert lead(on([0, 1], (1, 1, 1)), [1, 0], Order.SAFE) == ([], (0, 1))


@pytest.mark.parametrize("lets_go_first", [True, False])
def test_a_swap_parks_what_lets_go_first(lets_go_first: bool) -> None:
    """A pod may wait without a host for its replacement; a VM may not."""
    problem = on([0, 1], (1, 1), lets_go_first=lets_go_first)
    waves, dropped = lead(problem, [1, 0], Order.PARK)
    assert dropped == (() if lets_go_first else (0, 1))
    if lets_go_first:
        assert waves[0][0][1] == -1
        assert [len(wave) for wave in waves] == [1, 1, 1]


def test_a_hop_is_a_move() -> None:
    """Where a detour would be one move too many, the swap is not made."""
    assert lead(on([0, 1], (1, 1, 1), max_moves=3), [1, 0])[1] == ()
    assert lead(on([0, 1], (1, 1, 1), max_moves=2), [1, 0]) == ([], (0, 1))


def test_evictions_come_first() -> None:
    """An evicted item leaves in the wave before the one that takes its place."""
    problem = on([0, -1], (1,), tier=[1, 0], evict=Evict.LOWER)
    assert lead(problem, [-1, 0]) == ([[(0, -1)], [(1, 0)]], ())


def test_owners_and_budgets_stretch_a_plan() -> None:
    """One at a time is as many waves as items."""
    assert len(lead(on([0, 0, 0], (3, 3), owner=0, owner_at_once=1), [1, 1, 1])[0]) == 3
    budgets = Budgets.of([[0, 1, 2]], [2])
    assert len(lead(on([0, 0, 0], (3, 3), budgets=budgets), [1, 1, 1])[0]) == 2


def test_what_may_never_be_disturbed_is_dropped_with_what_waited_for_it() -> None:
    """A budget of 0 keeps its item home, and the pending one that wanted its place out."""
    problem = on([0, -1, -1], (1, 1, 1), budgets=Budgets.of([[0]], [0]))
    assert lead(problem, [1, 0, 2]) == ([[(2, 2)]], (0, 1))


def test_a_move_that_has_become_pointless_is_dropped_too() -> None:
    """The item that made room for a dropped one goes home again."""
    problem = on([0, 1, -1], (2, 1, 2), demand=[[1], [1], [2]], budgets=Budgets.of([[1]], [0]))
    # Item 0 goes to host 1, where item 1 cannot leave.
    assert lead(problem, [1, 2, 0]) == ([], (0, 1, 2))


def test_a_useful_move_survives_another_that_is_stuck() -> None:
    """A host that was emptied for its cost stays empty when a swap elsewhere fails."""
    levels = then_host_cost(tier_order(1), before_moves=True)
    problem = on([0, 1, 2, 3], (1, 1, 1, 3), objective=levels, max_moves=3)
    assert lead(problem, [1, 0, 3, 3]) == ([[(2, 3)]], (0, 1))


def test_gangs_are_dropped_whole() -> None:
    """If one member cannot arrive, none does."""
    problem = on([-1, -1, 0, -1], (1, 1, 1), gang=[0, 0, -1, -1], gangs=("pair",),
                 budgets=Budgets.of([[2]], [0]))  # fmt: skip
    assert lead(problem, [0, 1, 2, -1]) == ([], (0, 1, 2))
