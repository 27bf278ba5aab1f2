"""The rules of the way, kept and broken: each wave on the state that the one before leaves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from optsched.check import check
from optsched.plan import Move, Order, Placement, Plan, Wave
from optsched.problem import (
    Budgets,
    Cells,
    Evict,
    Hosts,
    Inflight,
    Items,
    PlacementProblem,
    When,
    Where,
)

Along = Callable[..., set[tuple[str, int]]]


def hosts_of(
    count: int, demand: list[int], host0: list[int], **options: object
) -> PlacementProblem:
    """`count` hosts of capacity 10 with items; options of items are under `items`."""
    items = Items.of([[d] for d in demand], host0=host0, **options.pop("items", {}))  # type: ignore[arg-type]
    hosts = Hosts.of([[10]] * count, **options.pop("hosts", {}))  # type: ignore[arg-type]
    return PlacementProblem.of(hosts, items, **options)  # type: ignore[arg-type]


def test_the_empty_plan_is_right(along: Along) -> None:
    """Doing nothing breaks no rule."""
    assert along(hosts_of(1, [8, 8], [0, 0])) == set()


def test_a_plan_belongs_to_its_problem() -> None:
    """A plan with another problem's digest is refused."""
    report = check(hosts_of(1, [8], [0]), Plan("0" * 32))
    assert [violation.rule for violation in report.violations] == ["format"]


@pytest.mark.parametrize(
    ("move", "rule"),
    [
        ((0, 0, 1), None),
        ((2, 0, 1), "format"),
        ((-1, 0, 1), "format"),
        ((0, 1, 0), "format"),
        ((0, -1, 1), "format"),
        ((0, 0, 2), "format"),
        ((0, 0, -2), "format"),
        ((0, 0, 0), "format"),
        ((1, -1, -1), "format"),
        ((0, 0, 1, 0), "cells"),
    ],
)
def test_a_move_is_well_formed(along: Along, move: tuple[int, ...], rule: str | None) -> None:
    """A move goes from where its item is to another existing place."""
    found = along(hosts_of(2, [4, 4], [0, -1]), [move])
    assert found == (set() if rule is None else {(rule, 0)})


def test_a_malformed_move_is_left_out() -> None:
    """The report's placement is where the well-formed moves lead, level values included."""
    problem = hosts_of(2, [4, 4], [0, -1])
    waves = (Wave((Move(0, 1, 0), Move(1, -1, 1))),)
    report = check(problem, Plan(problem.digest(), Order.WAVES, waves))
    assert report.placement.host.tolist() == [0, 1]
    assert report.levels == (0, 0, 0)


def test_an_item_moves_once_per_wave(along: Along) -> None:
    """A hop over a third host takes two waves."""
    problem = hosts_of(3, [4], [0])
    assert along(problem, [(0, 0, 1)], [(0, 1, 2)]) == set()
    assert along(problem, [(0, 0, 1), (0, 1, 2)]) == {("wave", 0)}
    assert along(hosts_of(3, [4], [1]), [(0, 1, 0)], [(0, 0, 2)]) == set()


def test_an_immovable_item_does_not_even_hop(along: Along) -> None:
    """Leaving and coming back is a move too; a pending item is free."""
    problem = hosts_of(2, [4, 4], [0, -1], items={"movable": False})
    assert along(problem, [(1, -1, 1)]) == set()
    assert along(problem, [(0, 0, 1)], [(0, 1, 0)]) == {("movable", 0), ("movable", 1)}


def test_a_hop_enters_eligible_hosts_only(along: Along) -> None:
    """The host in between must be eligible and not to be emptied."""
    hosts, items = Hosts.of([[10]] * 4, drain=[False, False, False, True]), Items.of([[4]], host0=0)
    where = Where.of(hosts, items, excluded=[[0, 0, 1, 0]])
    problem = PlacementProblem.of(hosts, items, where=where)
    for between, broken in ((2, {("eligible", 0)}), (3, {("eligible", 0)})):
        assert along(problem, [(0, 0, between)], [(0, between, 1)]) == broken


def test_a_swap_needs_a_free_host(along: Along) -> None:
    """Two full hosts swap their items in no wave, but in three over a third host."""
    problem = hosts_of(3, [8, 8], [0, 1])
    assert along(problem, [(0, 0, 1), (1, 1, 0)]) == {("capacity", 0)}
    assert along(problem, [(0, 0, 1)], [(1, 1, 0)]) == {("capacity", 0)}
    assert along(problem, [(0, 0, 2)], [(1, 1, 0)], [(0, 2, 1)]) == set()
    assert along(problem, [(0, 0, 2)], [(1, 1, 0), (0, 2, 1)]) == {("capacity", 1)}


def test_leavers_count_until_the_wave_is_over(along: Along) -> None:
    """What enters fits beside all that leave in the same wave, and beside each other."""
    problem = hosts_of(2, [6, 6, 3], [0, -1, -1])
    assert along(problem, [(0, 0, 1), (1, -1, 0)]) == {("capacity", 0)}
    assert along(problem, [(0, 0, 1)], [(1, -1, 0)]) == set()
    assert along(problem, [(0, 0, 1), (2, -1, 0)]) == set()
    full = {("capacity", 1), ("capacity", -1)}
    assert along(problem, [(1, -1, 1), (2, -1, 1)], [(0, 0, 1)]) == full
    turned = hosts_of(2, [6, 6, 3], [1, -1, -1])
    assert along(turned, [(1, -1, 0), (2, -1, 0)], [(0, 1, 0)]) == full


def test_fixed_use_and_moves_in_flight_hold_room_in_every_wave(along: Along) -> None:
    """A host that is the source of a move in flight stays taken to the end."""
    for demand, broken in ((5, set()), (6, {("capacity", 1), ("capacity", -1)})):
        problem = hosts_of(
            3,
            [4, demand],
            [0, 2],
            hosts={"fixed_use": [[0], [1], [0]]},
            items={"movable": [False, True]},
            inflight=Inflight.of([0], [1]),
        )
        assert along(problem, [(1, 2, 0)], [(1, 0, 1)]) == broken


def test_during_rows_hold_to_the_end_of_the_plan(along: Along) -> None:
    """Waves free no room for a row that must hold as if nobody had left."""
    problem = hosts_of(2, [6, 6], [0, -1], items={"lets_go_first": False}, when=int(When.DURING))
    assert along(problem, [(0, 0, 1)], [(1, -1, 0)]) == {("capacity", -1)}
    assert along(hosts_of(2, [6, 6], [0, -1]), [(0, 0, 1)], [(1, -1, 0)]) == set()


def numa_swap(host_capacity: int) -> PlacementProblem:
    """One host with two NUMA nodes of 8 cores and a VM of 4 cores on the first."""
    hosts, cells = Hosts.of([[host_capacity]]), Cells.of([0, 0, 0], [[8]] * 3)
    items = Items.of(
        [[4], [4]],
        cells_needed=[1, 2],
        cell_demand=[[5], [4]],
        host0=0,
        cells0=[[0, -1], [1, 2]],
    )
    return PlacementProblem.of(hosts, items, cells=cells)


def test_changing_cells_holds_both_cells_and_the_host_once(along: Along) -> None:
    """A VM moves to another NUMA node of its host once there is room, without doubling."""
    problem = numa_swap(8)
    assert along(problem, [(0, 0, 0, 1)]) == {("cells", 0), ("cells", -1)}
    assert along(problem, [(1, 0, 0, 1, 0)]) == {("cells", 0), ("cells", -1)}
    assert along(problem, [(0, 0, 0, 0)]) == {("format", 0)}
    assert along(problem, [(1, 0, 0, 2, 1)]) == {("format", 0)}
    assert along(problem, [(1, 0, 0, 1, 1)]) == {("cells", 0)}
    assert along(problem, [(1, 0, 0, 1, 3)]) == {("cells", 0)}
    assert along(numa_swap(7), [(0, 0, 0, 1)]) >= {("capacity", 0), ("capacity", -1)}


def test_cells_free_up_wave_by_wave(along: Along) -> None:
    """A GPU share takes the GPU that another left in the wave before."""
    hosts, cells = Hosts.of([[9], [9]]), Cells.of([0, 1], [[1000], [1000]])
    items = Items.of(
        [[1], [1]], cells_needed=1, cell_demand=[[800], [300]], host0=[0, -1], cells0=[[0], [-1]]
    )
    problem = PlacementProblem.of(hosts, items, cells=cells)
    assert along(problem, [(0, 0, 1, 1)], [(1, -1, 0, 0)]) == set()
    assert along(problem, [(0, 0, 1, 1), (1, -1, 0, 0)]) == {("cells", 0)}
    assert along(problem, [(1, -1, 0)]) == {("cells", 0)}
    assert along(problem, [(1, -1, 0, 1)]) == {("cells", 0)}
    assert along(problem, [(0, 0, -1, 0)]) == {("cells", 0)}


def test_an_order_safe_plan_is_one_wave(along: Along) -> None:
    """What needs a second wave is not order-safe."""
    problem = hosts_of(3, [4, 4], [0, 1])
    assert along(problem, [(0, 0, 2), (1, 1, 2)], order=Order.SAFE) == set()
    assert along(problem, [(0, 0, 2)], [(1, 1, 2)], order=Order.SAFE) == {("wave", 1)}


def test_only_parking_places_again_what_left(along: Along) -> None:
    """An item that lets go first may wait between waves, if the order says so."""
    parked = [(0, 0, -1)], [(1, 1, 0)], [(0, -1, 1)]
    problem = hosts_of(2, [8, 8], [0, 1])
    assert along(problem, *parked, order=Order.PARK) == set()
    assert along(problem, *parked) == {("wave", 2)}
    back = [(0, 0, -1)], [(0, -1, 0)]
    assert along(problem, *back, order=Order.PARK) == set()
    assert along(problem, *back) == {("wave", 1)}
    holding = hosts_of(2, [8, 8], [0, 1], items={"lets_go_first": [False, True]})
    assert along(holding, *parked, order=Order.PARK) == {("wave", 2)}


def test_a_final_eviction_is_judged_after_the_plan(along: Along) -> None:
    """An eviction may be in any wave; whether it is allowed depends on who comes."""
    options = {"items": {"tier": [1, 0]}, "evict": Evict.LOWER}
    problem = hosts_of(1, [8, 8], [0, -1], **options)
    assert along(problem, [(0, 0, -1)], [(1, -1, 0)]) == set()
    assert along(problem, [(0, 0, -1), (1, -1, 0)]) == {("capacity", 0)}
    never = problem.replace(evict=Evict.NEVER)
    assert along(never, [(0, 0, -1)], [(1, -1, 0)]) == {("evict", -1)}


def test_budgets_hold_in_every_wave(along: Along) -> None:
    """Moved and evicted members of one wave count, with those in flight; placed ones do not."""
    options = {"budgets": Budgets.of([[0, 1, 2, 3]], [1]), "evict": Evict.ANY}
    problem = hosts_of(3, [1, 1, 1, 1], [0, 0, -1, 0], **options)
    assert along(problem, [(0, 0, 1), (2, -1, 1)], [(1, 0, 1)]) == set()
    assert along(problem, [(0, 0, 1), (1, 0, 1)]) == {("budget", 0)}
    assert along(problem, [(0, 0, 1)], [(1, 0, 1), (3, 0, -1)]) == {("budget", 1)}
    flying = hosts_of(
        3,
        [1, 1, 1, 1],
        [0, 0, -1, 0],
        items={"movable": [True, True, True, False]},
        inflight=Inflight.of([3], [2]),
        **options,
    )
    assert along(flying, [(2, -1, 1)]) == set()
    assert along(flying, [(0, 0, 1)]) == {("budget", 0)}


def test_few_items_of_one_owner_move_at_once(along: Along) -> None:
    """Items without an owner are free; those in flight count."""
    options = {"owner_at_once": 1}
    problem = hosts_of(3, [1] * 4, [0] * 4, items={"owner": [0, 0, -1, -1]}, **options)
    assert along(problem, [(0, 0, 1), (2, 0, 1), (3, 0, 1)], [(1, 0, 1)]) == set()
    assert along(problem, [(0, 0, 1), (1, 0, 1)]) == {("throttle", 0)}
    flying = hosts_of(
        3,
        [1] * 3,
        [0] * 3,
        items={"owner": [0, 0, 1], "movable": [False, True, True]},
        inflight=Inflight.of([0], [2]),
        **options,
    )
    assert along(flying, [(2, 0, 1)]) == set()
    assert along(flying, [(1, 0, 1)]) == {("throttle", 0)}
    assert along(problem.replace(owner_at_once=0), [(2, 0, 1)]) == set()
    assert along(problem.replace(owner_at_once=0), [(1, 0, 1)]) == {("throttle", 0)}


def test_hosts_bound_moves_in_and_out(along: Along) -> None:
    """Arrivals and departures of one wave are bounded per host, moves in flight included."""
    throttled = {"moves_in": [-1, 1, -1], "moves_out": [1, -1, -1]}
    problem = hosts_of(3, [1] * 4, [0, 0, -1, 2], hosts=throttled)
    assert along(problem, [(0, 0, 1), (3, 2, 0)], [(1, 0, 1)]) == set()
    assert along(problem, [(0, 0, 1), (1, 0, 2)]) == {("throttle", 0)}
    assert along(problem, [(2, -1, 1), (3, 2, 1)]) == {("throttle", 0)}
    flying = hosts_of(
        3,
        [1] * 3,
        [1, 0, 2],
        hosts=throttled,
        items={"movable": [False, True, True]},
        inflight=Inflight.of([0], [0]),
    )
    assert along(flying, [(1, 0, 2)]) == {("throttle", 0)}
    assert along(flying, [(2, 2, 1)]) == {("throttle", 0)}
    assert along(flying, [(2, 2, 0)]) == set()
    closed = hosts_of(2, [1, 1, 1], [0, 1, -1], hosts={"moves_in": [0, -1], "moves_out": [-1, 0]})
    assert along(closed, [(0, 0, 1)]) == set()
    assert along(closed, [(1, 1, 0)]) == {("throttle", 0)}
    assert along(closed, [(2, -1, 0)]) == {("throttle", 0)}
    assert along(closed, [(1, 1, -1)]) == {("throttle", 0), ("evict", -1)}


def test_max_moves_counts_hops(along: Along) -> None:
    """Every move from host to host counts, placing a pending item does not."""
    problem = hosts_of(3, [4, 4], [0, -1], max_moves=1)
    assert along(problem, [(0, 0, 1), (1, -1, 2)]) == set()
    assert along(problem, [(0, 0, 2)], [(0, 2, 1)]) == {("budget", -1)}
    assert along(problem.replace(max_moves=0), [(1, -1, 2)]) == set()
    assert along(problem.replace(max_moves=0), [(0, 0, 1)], [(0, 1, 0)]) == {("budget", -1)}


def test_the_report_agrees_with_the_plan() -> None:
    """The placement in the report is the plan's own, cells and padding included."""
    problem = numa_swap(20)
    plan = Plan(problem.digest(), Order.WAVES, (Wave((Move(1, 0, 0, (2, 0)),)),))
    report, own = check(problem, plan), plan.placement(problem)
    assert np.array_equal(report.placement.host, own.host)
    assert np.array_equal(report.placement.cells, own.cells)
    assert np.array_equal(
        check(problem, Plan(problem.digest())).placement.cells, Placement.current(problem).cells
    )
