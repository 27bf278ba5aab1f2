"""Every rule for the placement after a plan, kept and broken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from optsched.check import check_placement
from optsched.plan import Placement
from optsched.problem import (
    Budgets,
    Cells,
    Evict,
    Hosts,
    Inflight,
    Items,
    PlacementProblem,
    Scope,
    When,
    Where,
)

After = Callable[..., set[str]]


def two_hosts(demand: list[int], host0: list[int], **columns: object) -> PlacementProblem:
    """Two hosts of capacity 10 and items on them; `of_problem` holds options of the problem."""
    options = columns.pop("of_problem", {})
    items = Items.of([[d] for d in demand], host0=host0, **columns)
    return PlacementProblem.of(Hosts.of([[10], [10]]), items, **options)  # type: ignore[arg-type]


def test_the_current_placement_is_never_wrong(after: After) -> None:
    """An overcommitted host with a drain and a broken limit is no violation if nothing moves."""
    items = Items.of([[8], [8]], host0=0)
    problem = PlacementProblem.of(
        Hosts.of([[10]], drain=True), items, where=Where.of(Hosts.of([[10]]), items, excluded=[[1]])
    )
    assert after(problem, [0, 0]) == set()


def test_an_immovable_item_keeps_its_host(after: After) -> None:
    """An immovable item stays; a pending one may be placed."""
    problem = two_hosts([4, 4], [0, -1], movable=False)
    assert after(problem, [0, 1]) == set()
    assert after(problem, [1, 1]) == {"movable"}


def test_an_item_enters_eligible_hosts_only(after: After) -> None:
    """Neither an excluded host nor one to be emptied may be entered."""
    hosts = Hosts.of([[10], [10], [10]], drain=[False, False, True])
    items = Items.of([[4]], host0=-1)
    where = Where.of(hosts, items, excluded=[[0, 3, 0]], rule_names=("taints", "selector"))
    problem = PlacementProblem.of(hosts, items, where=where)
    assert after(problem, [0]) == set()
    assert after(problem, [2]) == {"eligible"}
    (violation,) = check_placement(problem, Placement.of(problem, [1]))
    assert violation.rule == "eligible"
    assert "taints, selector" in violation.text


def test_capacity_binds_what_enters(after: After) -> None:
    """Fixed use and all demands fit on the host."""
    items = Items.of([[4], [4]], host0=[0, -1])
    for fixed, broken in ((2, set()), (3, {"capacity"})):
        problem = PlacementProblem.of(Hosts.of([[10]], fixed_use=fixed), items)
        assert after(problem, [0, 0]) == broken


def test_capacity_of_what_nobody_demands_is_not_looked_at(after: After) -> None:
    """An item without demand for an overcommitted resource may enter."""
    hosts = Hosts.of([[10, 10]])
    items = Items.of([[4, 20], [4, 0]], host0=[0, -1])
    assert after(PlacementProblem.of(hosts, items), [0, 0]) == set()
    items = Items.of([[4, 20], [4, 1]], host0=[0, -1])
    assert after(PlacementProblem.of(hosts, items), [0, 0]) == {"capacity"}


@pytest.mark.parametrize(
    ("when", "lets_go_first", "broken"),
    [
        (When.AFTER, False, set()),
        (When.DURING, True, set()),
        (When.DURING, False, {"capacity"}),
    ],
)
def test_rows_that_hold_during_the_plan_count_what_left(
    after: After, when: When, lets_go_first: bool, broken: set[str]
) -> None:
    """An item that holds its old room until it has the new one still counts on its old host."""
    problem = two_hosts(
        [6, 6], [0, -1], lets_go_first=lets_go_first, of_problem={"when": int(when)}
    )
    assert after(problem, [1, 0]) == broken


def test_a_move_in_flight_holds_its_source(after: After) -> None:
    """An item in flight counts on both hosts, once on each."""
    options = {"inflight": Inflight.of([0], [1])}
    for demand, broken in ((6, set()), (7, {"capacity"})):
        problem = two_hosts([4, demand], [0, -1], movable=[False, True], of_problem=options)
        assert after(problem, [0, 1]) == broken
        assert after(problem, [0, 0]) == broken


def two_numa() -> tuple[Hosts, Cells]:
    """Two hosts with two NUMA nodes of 8 cores each; the last node has 4."""
    hosts = Hosts.of(np.zeros((2, 0), np.int64))
    return hosts, Cells.of([0, 0, 1, 1], [[8], [8], [8], [4]], resources=("cores",))


@pytest.mark.parametrize(
    ("host", "cells", "broken"),
    [
        (0, [0, 1], set()),
        (0, [1, 0], set()),
        (0, [0, -1], {"cells"}),
        (0, [1, 1], {"cells"}),
        (0, [0, 2], {"cells"}),
        (-1, [0, 1], {"cells"}),
        (1, [2, 3], {"cells"}),
        (-1, [-1, -1], set()),
    ],
)
def test_a_vm_on_two_numa_nodes(
    after: After, host: int, cells: list[int], broken: set[str]
) -> None:
    """A VM split over two NUMA nodes sits on two cells of one host with room on each."""
    hosts, numa = two_numa()
    vm = Items.of(np.zeros((1, 0), np.int64), cells_needed=2, cell_demand=[[6]])
    problem = PlacementProblem.of(hosts, vm, cells=numa)
    assert after(problem, [host], [cells]) == broken


def test_other_cells_of_the_same_host_are_entered(after: After) -> None:
    """An item that changes cells enters its host: the new cells need room, the order is free."""
    hosts, numa = two_numa()
    vms = Items.of(
        np.zeros((3, 0), np.int64),
        cells_needed=[1, 1, 2],
        cell_demand=[[5], [3], [2]],
        host0=[0, 0, 1],
        cells0=[[0, -1], [1, -1], [2, 3]],
    )
    problem = PlacementProblem.of(hosts, vms, cells=numa)
    assert after(problem, [0, 0, 1], [[1, -1], [1, -1], [3, 2]]) == set()
    heavier = problem.replace(
        cells=Cells.of([0, 0, 1, 1], [[8], [7], [8], [4]], resources=("cores",))
    )
    assert after(heavier, [0, 0, 1], [[1, -1], [1, -1], [3, 2]]) == {"cells"}
    pinned = problem.replace(
        items=Items.of(
            np.zeros((3, 0), np.int64),
            cells_needed=[1, 1, 2],
            cell_demand=[[5], [3], [2]],
            host0=[0, 0, 1],
            cells0=[[0, -1], [1, -1], [2, 3]],
            movable=False,
        )
    )
    assert after(pinned, [0, 0, 1], [[0, -1], [1, -1], [3, 2]]) == set()
    assert after(pinned, [0, 0, 1], [[1, -1], [1, -1], [3, 2]]) == {"movable"}


def test_a_four_gpu_pod_and_a_gpu_share(after: After) -> None:
    """A pod of four GPUs needs four whole ones, a share of 300 milli fits beside others."""
    hosts = Hosts.of([[64]])
    gpus = Cells.of([0] * 5, [[1000]] * 5, kind=[0, 0, 0, 0, 0], kinds=("gpu", "mig"))
    pods = Items.of(
        [[8], [1], [1]],
        cells_needed=[4, 1, 1],
        cell_demand=[[1000], [300], [700]],
        cell_kind=0,
        host0=[-1, 0, -1],
        cells0=[[-1] * 4, [4, -1, -1, -1], [-1] * 4],
    )
    problem = PlacementProblem.of(hosts, pods, cells=gpus)
    share = [4, -1, -1, -1]
    assert after(problem, [0, 0, 0], [[0, 1, 2, 3], share, share]) == set()
    assert after(problem, [0, 0, -1], [[0, 1, 2, 4], share, [-1] * 4]) == {"cells"}
    bigger = problem.replace(cells=Cells.of([0] * 5, [[1000]] * 5, fixed_use=1, kinds=("gpu",)))
    assert after(bigger, [-1, 0, 0], [[-1] * 4, share, share]) == {"cells"}
    other = problem.replace(
        cells=Cells.of([0] * 5, [[1000]] * 5, kind=[0, 0, 0, 1, 0], kinds=("gpu", "mig"))
    )
    assert after(other, [0, 0, 0], [[0, 1, 2, 3], share, share]) == {"cells"}


def test_cell_resources_that_nobody_demands_are_not_looked_at(after: After) -> None:
    """A full cell resource stops only items that demand some of it."""
    hosts = Hosts.of([[9]])
    gpu = Cells.of([0], [[1000, 1]], fixed_use=[[0, 2]])
    for demand, broken in ((0, set()), (1, {"cells"})):
        items = Items.of([[1]], cells_needed=1, cell_demand=[[500, demand]])
        assert after(PlacementProblem.of(hosts, items, cells=gpu), [0], [[0]]) == broken


def test_nothing_is_evicted_by_default(after: After) -> None:
    """Without evictions, what had a host has one."""
    problem = two_hosts([8, 8], [0, -1], tier=[1, 0])
    assert after(problem, [1, 0]) == set()
    assert after(problem, [-1, 0]) == {"evict"}


@pytest.mark.parametrize(
    ("columns", "broken"),
    [
        ({"tier": [1, 0]}, set()),
        ({"tier": [0, 0]}, {"evict"}),
        ({"tier": [0, 1]}, {"evict"}),
        ({"tier": [1, 0], "evictable": False}, {"evict"}),
        ({"tier": [1, 0], "may_evict_others": False}, {"evict"}),
    ],
)
def test_only_a_higher_tier_evicts(
    after: After, columns: dict[str, object], broken: set[str]
) -> None:
    """With LOWER, an evictable item makes way only for what may evict it."""
    problem = two_hosts([8, 8], [0, -1], **columns, of_problem={"evict": Evict.LOWER})
    assert after(problem, [-1, 0]) == broken


def test_any_eviction_needs_an_evictable_item(after: After) -> None:
    """With ANY, tiers do not matter, the item's flag does."""
    problem = two_hosts([8, 8], [0, -1], of_problem={"evict": Evict.ANY})
    assert after(problem, [-1, 0]) == set()
    problem = two_hosts([8, 8], [0, -1], evictable=False, of_problem={"evict": Evict.ANY})
    assert after(problem, [-1, 0]) == {"evict"}


@pytest.mark.parametrize(
    ("tier", "broken"), [([1, 0], set()), ([0, 0], set()), ([0, 1], {"protect"})]
)
def test_higher_tiers_do_not_make_way(after: After, tier: list[int], broken: set[str]) -> None:
    """With protection, nothing enters a host that a higher tier leaves."""
    problem = two_hosts([8, 8], [0, -1], tier=tier, of_problem={"protect_higher": True})
    assert after(problem, [1, 0]) == broken
    assert after(problem.replace(protect_higher=False), [1, 0]) == set()


def test_a_gang_is_placed_whole_or_not(after: After) -> None:
    """A touched gang has all or none of its members placed; an untouched one may be broken."""
    problem = two_hosts([2, 2, 2], [-1, -1, 0], gang=[0, 0, -1])
    assert after(problem, [-1, -1, 1]) == set()
    assert after(problem, [0, 1, 0]) == set()
    assert after(problem, [0, -1, 0]) == {"gang"}
    broken = two_hosts([2, 2], [0, -1], gang=0)
    assert after(broken, [0, -1]) == set()
    assert after(broken, [1, -1]) == {"gang"}
    whole = two_hosts([2, 2], [0, 0], gang=0, of_problem={"evict": Evict.ANY})
    assert after(whole, [-1, -1]) == set()
    assert after(whole, [-1, 0]) == {"gang"}


def test_budgets_of_the_plan_bound_disturbed_items(after: After) -> None:
    """Moved and evicted members count, placed ones do not."""
    budgets = Budgets.of([[0, 1, 2]], [1], scope=int(Scope.PLAN))
    problem = two_hosts([2, 2, 2], [0, 0, -1], of_problem={"budgets": budgets, "evict": Evict.ANY})
    assert after(problem, [1, 0, 0]) == set()
    assert after(problem, [1, 1, 0]) == {"budget"}
    assert after(problem, [1, -1, 0]) == {"budget"}
    waves = problem.replace(budgets=Budgets.of([[0, 1, 2]], [1]))
    assert after(waves, [1, 1, 0]) == set()


def test_max_moves_bounds_moved_items(after: After) -> None:
    """Only items that had a host and have another are moved."""
    problem = two_hosts([2, 2, 2], [0, 0, -1], of_problem={"max_moves": 1, "evict": Evict.ANY})
    assert after(problem, [1, -1, 0]) == set()
    assert after(problem, [1, 1, 0]) == {"budget"}
    still = two_hosts([2], [1], of_problem={"max_moves": 0})
    assert after(still, [1]) == set()
    assert after(still, [0]) == {"budget"}


def test_arrays_of_another_problem_are_refused() -> None:
    """A placement with foreign shapes, hosts or cells is named as such."""
    hosts, numa = two_numa()
    vm = Items.of(np.zeros((1, 0), np.int64), cells_needed=1, cell_demand=[[1]])
    problem = PlacementProblem.of(hosts, vm, cells=numa)
    for host, cells in (
        ([0, 0], [[0]]),
        ([0], [[0], [1]]),
        ([2], [[0]]),
        ([-2], [[-1]]),
        ([0], [[4]]),
        ([0], [[-2]]),
    ):
        (violation,) = check_placement(problem, Placement(np.array(host), np.array(cells)))
        assert violation.rule == "format"
