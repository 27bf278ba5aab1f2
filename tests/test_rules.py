"""What is allowed, rule by rule, where the tables leave no doubt."""

from __future__ import annotations

from typing import Any

import pytest

from optsched.plan import Placement
from optsched.problem import (
    Budgets,
    Cells,
    Evict,
    Hosts,
    Inflight,
    Items,
    Limit,
    LimitKind,
    PlacementProblem,
    Scope,
    When,
    Where,
)
from optsched.rules import blocks, candidates, limit_blocks
from optsched.state import State, placement_violations


def broken(problem: PlacementProblem, *host: int, cells: object = None) -> set[str]:
    """The rules that a placement breaks."""
    placement = Placement.of(problem, host, cells)
    return {found.rule for found in placement_violations(problem, placement)}


def where_may(problem: PlacementProblem, item: int) -> list[int]:
    """The hosts that an item may enter from the current placement."""
    return candidates(State(problem), item).nonzero()[0].tolist()


def on(host0: list[int], *, size: int = 2, hosts: int = 3, **options: Any) -> PlacementProblem:
    """Items of size 1 on hosts of one size; options go to items or the problem."""
    of_items = {name: options.pop(name) for name in list(options) if name in Items.__annotations__}
    items = Items.of(of_items.pop("demand", [[1]] * len(host0)), host0=host0, **of_items)
    return PlacementProblem.of(Hosts.of([[size]] * hosts), items, **options)


def limited(host0: list[int], *rows: Limit, groups: list[list[int]]) -> PlacementProblem:
    """Items on four hosts: zones a, a, b and none; racks 0, none, 1, 0."""
    hosts, items = Hosts.of([[9]] * 4), Items.of([[1]] * len(host0), host0=host0)
    where = Where.of(
        hosts,
        items,
        keys=("zone", "rack"),
        domain=[[0, 0, 1, -1], [0, -1, 1, 0]],
        groups=groups,
        host_sets=[[True, False, True, True]],
    )
    return PlacementProblem.of(hosts, items, where=where, limits=rows)


def test_what_stays_breaks_nothing() -> None:
    """An overcommitted host full of immovable items with broken limits is allowed as it is."""
    row = Limit(LimitKind.CONFLICT, key=1, subject=0, counted=0)
    problem = limited([0, 1, 3], row, groups=[[0, 1, 2]])
    assert broken(problem, 0, 1, 3) == set()
    assert broken(on([0, 0, 0], movable=False), 0, 0, 0) == set()


def test_immovable_items_keep_their_host_but_pending_ones_enter_any() -> None:
    """`movable` False binds what has a host only."""
    problem = on([0, -1], movable=False)
    assert broken(problem, 1, -1) == {"movable"}
    assert broken(problem, 0, 2) == set()
    assert where_may(problem, 0) == []
    assert where_may(problem, 1) == [0, 1, 2]


def test_nothing_enters_excluded_or_drained_hosts() -> None:
    """Excluded and drained hosts receive nothing; what sits there may stay."""
    hosts, items = (
        Hosts.of([[2]] * 3, drain=[False, False, True]),
        Items.of([[1]] * 2, host0=[1, -1]),
    )
    table = Where.of(hosts, items, excluded=[[0, 1, 0]], rule_names=("taints",))
    problem = PlacementProblem.of(hosts, items, where=table)
    assert broken(problem, 1, 0) == set()
    assert broken(problem, 1, 1) == broken(problem, 1, 2) == {"eligible"}
    assert where_may(problem, 1) == [0]
    found = {(kind, name): row.tolist() for kind, name, row in blocks(State(problem), 1)}
    assert found["requirement", "taints"] == [False, True, False]
    assert found["drain", "the host is being drained"] == [False, False, True]


def test_overcommitted_hosts_receive_only_what_asks_for_nothing_scarce() -> None:
    """Only resources that an entering item asks for are looked at."""
    hosts = Hosts.of([[1, 5], [5, 5]], fixed_use=[[3, 0], [0, 0]])
    problem = PlacementProblem.of(hosts, Items.of([[1, 1], [0, 1]]))
    assert broken(problem, 0, -1) == {"capacity"}
    assert broken(problem, -1, 0) == set()
    assert (where_may(problem, 0), where_may(problem, 1)) == ([1], [0, 1])


@pytest.mark.parametrize(
    ("when", "lets_go_first", "allowed"),
    [(When.AFTER, False, True), (When.DURING, True, True), (When.DURING, False, False)],
)
def test_who_holds_its_room_while_it_moves(when: When, lets_go_first: bool, allowed: bool) -> None:
    """On rows that hold during the plan, what left and did not let go first still counts."""
    problem = on([0, -1], size=1, when=int(when), lets_go_first=lets_go_first)
    assert broken(problem, 1, 0) == (set() if allowed else {"capacity"})


def test_moves_in_flight_hold_room_on_their_source() -> None:
    """The source of a running move is full until the move is over."""
    problem = on([1, -1], size=1, movable=[False, True], inflight=Inflight.of([0], [0]))
    assert where_may(problem, 1) == [2]
    assert broken(problem, 1, 0) == {"capacity"}


def test_a_cell_holds_a_demand_whole() -> None:
    """Cells must be enough, distinct, of the kind, with room each, and on the item's host."""
    cells = Cells.of([0, 0, 0, 1], [[4], [4], [4], [4]], kind=[0, 0, 1, 0], kinds=("numa", "gpu"))
    items = Items.of(
        [[1], [1]], cells_needed=[2, 1], cell_demand=[[3], [2]], cell_kind=0, host0=[-1, 0],
        cells0=[[-1, -1], [0, -1]],
    )  # fmt: skip
    problem = PlacementProblem.of(Hosts.of([[9]] * 2), items, cells=cells)
    at_home = [0, -1]
    assert broken(problem, 0, 0, cells=[[0, 1], at_home]) == {"cells"}  # no room on the first
    assert broken(problem, 0, 0, cells=[[1, 2], at_home]) == {"cells"}  # a GPU
    assert broken(problem, 0, 0, cells=[[1, -1], at_home]) == {"cells"}  # too few
    assert broken(problem, 0, 0, cells=[[1, 1], at_home]) == {"cells"}  # one twice
    assert broken(problem, 0, 0, cells=[[1, 3], at_home]) == {"cells"}  # another host's
    assert broken(problem, -1, 0, cells=[[1, -1], at_home]) == {"cells"}  # cells without a host
    assert broken(problem, 0, 1, cells=[[0, 1], [3, -1]]) == set()
    assert where_may(problem, 0) == []


def test_cells_of_the_same_host_can_be_changed_where_there_are_others() -> None:
    """The present host is a candidate for an item that could sit on other cells of it."""

    def numa(count: int, size: int) -> PlacementProblem:
        items = Items.of([[1]], cells_needed=1, cell_demand=[[1]], host0=0, cells0=[[0]])
        cells = Cells.of([0] * count, [[1]] * count)
        return PlacementProblem.of(Hosts.of([[size]]), items, cells=cells)

    assert where_may(numa(2, 1), 0) == [0]
    assert where_may(numa(1, 1), 0) == []  # only its own
    assert where_may(numa(2, 0), 0) == []  # changing cells is entering, and the host is too full
    assert broken(numa(2, 0), 0, cells=[[1]]) == {"capacity"}


def test_max_counts_what_is_there_when_something_enters() -> None:
    """At most `bound` items in a domain that one of them enters; hosts without the key are free."""
    row = Limit(LimitKind.MAX, key=1, subject=0, counted=0, bound=1)
    problem = limited([0, 1, -1], row, groups=[[0, 1, 2]])
    assert where_may(problem, 2) == [2, 3]
    assert broken(problem, 0, 1, 0) == {"limit"}
    assert broken(problem, 2, 1, 3) == set()
    whole = Limit(LimitKind.MAX, key=-1, subject=0, counted=0, bound=2)
    assert where_may(limited([0, 1, -1], whole, groups=[[0, 1, 2]]), 2) == []


def test_conflict_binds_both_sides() -> None:
    """Neither group enters a domain where the other is; equals of one group are free."""
    row = Limit(LimitKind.CONFLICT, key=1, subject=0, counted=1)
    problem = limited([0, -1, -1], row, groups=[[0, 2], [1]])
    assert where_may(problem, 1) == [2, 3]
    assert where_may(problem, 2) == [0, 1, 2, 3]
    assert broken(problem, 2, 1, -1) == set()
    assert broken(problem, 0, 1, -1) == {"limit"}
    assert broken(problem, 0, 2, 2) == {"limit"}


def test_require_wants_company() -> None:
    """An item enters only a domain in which another counted item sits."""
    row = Limit(LimitKind.REQUIRE, key=1, subject=1, counted=0)
    problem = limited([0, -1], row, groups=[[0], [1]])
    assert where_may(problem, 1) == [0, 1]
    assert broken(problem, -1, 0) >= {"limit"}


@pytest.mark.parametrize("self_counts", [False, True])
def test_the_first_of_a_group_that_requires_itself(self_counts: bool) -> None:
    """Where nobody of the group is anywhere, its first item is free to choose any domain."""
    row = Limit(LimitKind.REQUIRE, key=1, subject=0, counted=0, self_counts=self_counts)
    problem = limited([-1, -1], row, groups=[[0, 1]])
    assert where_may(problem, 0) == ([0, 1, 2] if self_counts else [])
    assert broken(problem, 0, 2) == {"limit"}
    assert broken(problem, 0, 1) == set()  # together they are company for each other
    elsewhere = limited([3, -1], row, groups=[[0, 1]])  # on a host without the key: not seen
    assert where_may(elsewhere, 1) == ([0, 1, 2] if self_counts else [])


def test_skew_keeps_counts_even() -> None:
    """A domain may not be more than `bound` above the emptiest; without the key, nothing enters."""
    row = Limit(LimitKind.SKEW, key=1, subject=0, counted=0, bound=1, self_counts=True)
    problem = limited([0, -1, -1], row, groups=[[0, 1, 2]])
    assert where_may(problem, 1) == [2]
    assert broken(problem, 0, 2, 2) == set()
    assert broken(problem, 0, 2, 3) == {"limit"}
    assert broken(problem, 0, 0, -1) == {"limit"}


def test_skew_takes_fewer_domains_than_wanted_for_an_empty_one() -> None:
    """With fewer domains than `min_domains` the smallest count is 0."""
    row = Limit(
        LimitKind.SKEW, key=1, subject=0, counted=0, bound=1, min_domains=3, self_counts=True
    )
    problem = limited([0, 2, -1], row, groups=[[0, 1, 2]])
    assert where_may(problem, 2) == []


def test_skew_may_bind_items_that_it_does_not_count() -> None:
    """An item that is not counted adds 1 where `self_counts` says so, and nothing else."""

    def skew(self_counts: bool) -> PlacementProblem:
        row = Limit(LimitKind.SKEW, key=1, subject=1, counted=0, bound=1, self_counts=self_counts)
        return limited([0, -1], row, groups=[[0], [1]])

    assert where_may(skew(True), 1) == [2]
    assert where_may(skew(False), 1) == [0, 1, 2]


def test_skew_counts_only_the_hosts_of_its_set() -> None:
    """Hosts outside the set can be entered, and their domain counts without them."""
    row = Limit(LimitKind.SKEW, key=1, subject=0, counted=0, bound=1, host_set=0, self_counts=True)
    problem = limited([1, 1, -1], row, groups=[[0, 1, 2]])
    assert where_may(problem, 2) == [0, 1, 2]


def test_a_bundle_needs_all_its_keys() -> None:
    """Rows of one template bind only hosts that have the keys of all of them."""
    rows = [
        Limit(LimitKind.SKEW, key=k, subject=0, counted=0, bound=1, bundle=0, self_counts=True)
        for k in (1, 2)
    ]
    over_all = Limit(LimitKind.MAX, key=-1, subject=0, counted=0, bound=9, bundle=0)
    problem = limited([-1], *rows, over_all, groups=[[0]])
    assert where_may(problem, 0) == [0, 2]


def test_limits_say_nothing_about_others() -> None:
    """A row does not look at items that it neither binds nor counts."""
    rows = [Limit(kind, key=1, subject=0, counted=0, bound=1) for kind in LimitKind]
    problem = limited([0, -1], *rows, groups=[[0]])
    for row in range(len(rows)):
        assert (
            limit_blocks(State(problem), 1, row) is None
            or not limit_blocks(State(problem), 1, row).any()
        )


@pytest.mark.parametrize(
    ("evict", "evictable", "allowed"),
    [
        (Evict.NEVER, True, False),
        (Evict.LOWER, True, True),
        (Evict.ANY, True, True),
        (Evict.ANY, False, False),
    ],
)
def test_who_may_be_left_without_a_host(evict: Evict, evictable: bool, allowed: bool) -> None:
    """An eviction needs a problem that allows it, and an item that is evictable."""
    problem = on([0], evict=evict, evictable=evictable)
    assert broken(problem, -1) == (set() if allowed else {"evict"})


@pytest.mark.parametrize(
    ("tier", "may_evict_others", "allowed"),
    [(0, True, True), (0, False, False), (1, True, False), (2, True, False)],
)
def test_who_may_take_the_place_of_the_evicted(
    tier: int, may_evict_others: bool, allowed: bool
) -> None:
    """With LOWER, all that enter are of a higher tier and may evict others."""
    problem = on(
        [0, -1], tier=[1, tier], may_evict_others=may_evict_others, evict=Evict.LOWER,
        tiers=("a", "b", "c"),
    )  # fmt: skip
    assert broken(problem, -1, 0) == (set() if allowed else {"evict"})
    assert broken(problem, -1, 1) == set()


def test_protected_items_make_way_for_nobody_below() -> None:
    """With `protect_higher`, nothing enters where an item of a higher tier leaves."""
    problem = on([0, -1], tier=[0, 1], protect_higher=True)
    assert broken(problem, 1, 0) == {"protect"}
    assert broken(problem, 1, 2) == set()
    assert broken(on([0, -1], tier=[0, 1]), 1, 0) == set()


def test_gangs_are_placed_all_or_none() -> None:
    """A gang that something happens to is whole afterwards; one left alone may be in part."""
    problem = on([0, -1, -1], gang=[0, 0, -1], gangs=("pair",), evict=Evict.ANY)
    assert broken(problem, 0, -1, 2) == set()
    assert broken(problem, 0, 1, -1) == set()
    assert broken(problem, 1, -1, -1) == {"gang"}
    assert broken(problem, -1, -1, -1) == set()


def test_budgets_of_the_plan_bound_disturbances() -> None:
    """Moves and evictions draw on them, arrivals do not; wave budgets are for the checker."""
    plan = Budgets.of([[0, 1, 2], [0]], [1, 0], scope=[int(Scope.PLAN), int(Scope.WAVE)])
    problem = on([0, 0, -1], budgets=plan, evict=Evict.ANY)
    assert broken(problem, 1, 0, 2) == set()
    assert broken(problem, 1, -1, 2) == {"budget"}
    assert broken(on([0, 0, -1], max_moves=1), 1, 2, 2) == {"budget"}
    assert broken(on([0, 0, -1], max_moves=1, evict=Evict.ANY), 1, -1, 2) == set()
