"""Limits over topology domains, kept and broken, after a plan and in a wave."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from optsched.plan import Order
from optsched.problem import Cells, Hosts, Items, Limit, LimitKind, PlacementProblem, Where

After = Callable[..., set[str]]
Along = Callable[..., set[tuple[str, int]]]

ZONES = (0, 0, 1, 1, -1)  # of five hosts; the last has no zone


def cluster(
    host0: Sequence[int],
    *limits: Limit,
    groups: Sequence[Sequence[int]] | None = None,
    zones: Sequence[Sequence[int]] = (ZONES,),
    host_sets: Sequence[Sequence[bool]] | None = None,
) -> PlacementProblem:
    """Five roomy hosts in two zones, small items, group 0 with all of them by default."""
    hosts, items = Hosts.of([[99]] * 5), Items.of([[1]] * len(host0), host0=list(host0))
    where = Where.of(
        hosts,
        items,
        keys=[f"key{k}" for k in range(len(zones))],
        domain=zones,
        groups=groups if groups is not None else [range(len(host0))],
        host_sets=host_sets,
    )
    return PlacementProblem.of(hosts, items, where=where, limits=limits)


def limit(kind: LimitKind, **columns: int) -> Limit:
    """A row of the kind over zones, for group 0."""
    return Limit(kind, **{"key": 1, "subject": 0, "counted": 0, **columns})  # type: ignore[arg-type]


BROKEN = {"limit"}


@pytest.mark.parametrize(
    ("key", "host", "broken"),
    [
        (0, [0, 1, 1], set()),
        (0, [0, 1, 4], set()),
        (0, [0, 0, 0], BROKEN),
        (1, [0, 1, 2], set()),
        (1, [0, 1, 1], BROKEN),
        (1, [0, 1, 4], set()),
        (-1, [0, 1, -1], set()),
        (-1, [0, 1, 4], BROKEN),
    ],
)
def test_max_bounds_a_domain(after: After, key: int, host: list[int], broken: set[str]) -> None:
    """A host, a zone or the whole cluster holds at most two; hosts without the key are free."""
    problem = cluster([0, -1, -1], limit(LimitKind.MAX, key=key, bound=2))
    assert after(problem, host) == broken


def test_max_lets_be_what_stays(after: After) -> None:
    """A domain above its bound is wrong only when one more enters, be it from within."""
    problem = cluster([0, 0, 2], limit(LimitKind.MAX, bound=1))
    assert after(problem, [0, 0, 3]) == set()
    assert after(problem, [0, 1, 2]) == BROKEN


def test_max_counts_leavers_in_a_wave(along: Along) -> None:
    """Room for one more must be there when the wave starts, and nobody counts twice."""
    problem = cluster([0, 2], limit(LimitKind.MAX, bound=1))
    assert along(problem, [(0, 0, 4)], [(1, 2, 0)]) == set()
    assert along(problem, [(0, 0, 2), (1, 2, 0)]) == {("limit", 0)}
    assert along(problem, [(0, 0, 1)]) == set()


@pytest.mark.parametrize(
    ("host", "broken"),
    [
        ([0, 2, -1], set()),
        ([0, 1, -1], BROKEN),
        ([4, 4, -1], set()),
        ([0, -1, 1], set()),
        ([-1, 0, 1], BROKEN),
        ([2, 3, -1], BROKEN),
    ],
)
def test_conflicting_groups_share_no_domain(
    after: After, host: list[int], broken: set[str]
) -> None:
    """Item 1 conflicts with items 0 and 2, whichever of them enters; 0 and 2 get on."""
    problem = cluster([-1, -1, -1], limit(LimitKind.CONFLICT, counted=1), groups=[[1], [0, 2]])
    assert after(problem, host) == broken


def test_a_conflict_binds_both_directions(after: After) -> None:
    """The counted item that enters is refused by the subject that stays, and the other way."""
    for host0, host in (([0, -1], [0, 1]), ([-1, 0], [1, 0])):
        problem = cluster(host0, limit(LimitKind.CONFLICT, counted=1), groups=[[0], [1]])
        assert after(problem, host) == BROKEN
    both = cluster([0, 1], limit(LimitKind.CONFLICT, counted=1), groups=[[0], [1]])
    assert after(both, [0, 1]) == set()


def test_a_conflict_counts_leavers_in_a_wave(along: Along) -> None:
    """Who conflicts with an arrival must be gone a wave before; the item itself may come back."""
    problem = cluster([0, 2], limit(LimitKind.CONFLICT))
    assert along(problem, [(0, 0, 4)], [(1, 2, 1)]) == set()
    assert along(problem, [(0, 0, 4), (1, 2, 1)]) == {("limit", 0)}
    assert along(problem, [(0, 0, 1)]) == set()
    assert along(problem, [(0, 0, 4), (1, 2, 4)]) == set()


@pytest.mark.parametrize(
    ("host", "broken"),
    [([0, 1], set()), ([0, 2], BROKEN), ([0, 4], BROKEN), ([-1, 1], BROKEN), ([4, 4], BROKEN)],
)
def test_require_needs_company(after: After, host: list[int], broken: set[str]) -> None:
    """Item 1 enters only a zone that holds item 0."""
    problem = cluster([-1, -1], limit(LimitKind.REQUIRE, counted=1), groups=[[1], [0]])
    assert after(problem, host) == broken


def test_require_does_not_count_leavers(along: Along) -> None:
    """Who is needed must be there when the wave starts and stay."""
    problem = cluster([-1, 0, 2], limit(LimitKind.REQUIRE, counted=1), groups=[[0], [1, 2]])
    assert along(problem, [(0, -1, 1)]) == set()
    assert along(problem, [(0, -1, 1), (1, 0, 1)]) == {("limit", 0)}
    assert along(problem, [(0, -1, 1)], [(1, 0, 2)]) == {("limit", -1)}
    assert along(problem, [(2, 2, 1)], [(1, 0, 2)], [(0, -1, 1)]) == set()
    assert along(problem, [(2, 2, 4), (0, -1, 3)]) == {("limit", 0), ("limit", -1)}


@pytest.mark.parametrize("lets_go_first", [False, True])
def test_who_changes_cells_is_company_if_it_holds_the_old_ones(
    along: Along, lets_go_first: bool
) -> None:
    """An item that frees its cells before it takes others is away for a moment."""
    hosts = Hosts.of([[9]])
    items = Items.of(
        [[1], [1]],
        cells_needed=1,
        cell_demand=[[1], [1]],
        host0=[0, -1],
        cells0=[[0], [-1]],
        lets_go_first=lets_go_first,
    )
    problem = PlacementProblem.of(
        hosts,
        items,
        cells=Cells.of([0, 0, 0], [[1]] * 3),
        where=Where.of(hosts, items, groups=[[1], [0]]),
        limits=[limit(LimitKind.REQUIRE, key=0, counted=1)],
    )
    assert along(problem, [(1, -1, 0, 2)]) == set()
    found = along(problem, [(0, 0, 0, 1), (1, -1, 0, 2)])
    assert found == ({("limit", 0)} if lets_go_first else set())


def test_a_group_that_requires_itself_starts_anywhere_together(after: After, along: Along) -> None:
    """The first of a self-affine group is free, the others follow it, or all start in one zone."""
    row = limit(LimitKind.REQUIRE, self_counts=True)
    problem = cluster([-1, -1], row)
    assert after(problem, [0, -1]) == set()
    assert after(problem, [0, 1]) == set()
    assert after(problem, [0, 2]) == BROKEN
    assert after(problem, [4, -1]) == BROKEN
    assert along(problem, [(0, -1, 0), (1, -1, 1)]) == set()
    assert along(problem, [(0, -1, 0)], [(1, -1, 1)]) == set()
    assert along(problem, [(0, -1, 0)], [(1, -1, 2)]) == {("limit", 1), ("limit", -1)}
    assert after(cluster([-1, -1], limit(LimitKind.REQUIRE)), [0, -1]) == BROKEN
    uncounted = limit(LimitKind.REQUIRE, counted=1, self_counts=True)
    follower = cluster([-1, -1], uncounted, groups=[[0], [1]])
    assert along(follower, [(0, -1, 0)]) == set()
    assert along(follower, [(0, -1, 0), (1, -1, 1)]) == set()
    assert along(follower, [(0, -1, 0), (1, -1, 2)], [(1, 2, 0)]) == {("limit", 0)}


def test_a_self_affine_group_changes_zone_only_through_parking(along: Along) -> None:
    """Two that need each other cannot cross in a wave; both leave first, then both start anew."""
    problem = cluster([0, 1], limit(LimitKind.REQUIRE, self_counts=True))
    assert along(problem, [(0, 0, 2), (1, 1, 3)]) == {("limit", 0)}
    parked = [(0, 0, -1), (1, 1, -1)], [(0, -1, 2), (1, -1, 3)]
    assert along(problem, *parked, order=Order.PARK) == set()
    single = cluster([0], limit(LimitKind.REQUIRE, self_counts=True))
    assert along(single, [(0, 0, 2)]) == set()


def test_a_bundle_shares_its_keys(after: After, along: Along) -> None:
    """Members on hosts with any key of the bundle count, and all its keys must agree."""
    racks = (0, 1, 2, 3, 4)
    rows = (
        limit(LimitKind.REQUIRE, self_counts=True, bundle=0),
        limit(LimitKind.REQUIRE, key=2, self_counts=True, bundle=0),
    )
    problem = cluster([-1, -1], *rows, zones=(ZONES, racks))
    assert after(problem, [0, 0]) == set()
    assert after(problem, [0, 1]) == BROKEN
    assert along(problem, [(0, -1, 0), (1, -1, 1)]) == {("limit", 0), ("limit", -1)}
    seen = cluster([4, -1], *rows, zones=(ZONES, racks))
    assert after(seen, [4, 0]) == BROKEN
    unseen = cluster([4, -1], limit(LimitKind.REQUIRE, self_counts=True), zones=(ZONES, racks))
    assert after(unseen, [4, 0]) == set()


@pytest.mark.parametrize(
    ("host", "broken"),
    [
        ([0, 2, -1], set()),
        ([0, -1, -1], set()),
        ([0, 1, -1], BROKEN),
        ([0, 1, 2], set()),
        ([0, 4, -1], BROKEN),
    ],
)
def test_skew_compares_with_the_smallest(after: After, host: list[int], broken: set[str]) -> None:
    """A zone may be one above the other; a host without a zone may not be entered."""
    problem = cluster([-1, -1, -1], limit(LimitKind.SKEW, bound=1, self_counts=True))
    assert after(problem, host) == broken


@pytest.mark.parametrize(("min_domains", "broken"), [(2, set()), (3, BROKEN)])
def test_too_few_domains_make_the_smallest_count_zero(
    after: After, min_domains: int, broken: set[str]
) -> None:
    """With fewer zones than asked for, each holds at most the bound."""
    row = limit(LimitKind.SKEW, bound=1, min_domains=min_domains, self_counts=True)
    problem = cluster([0, 2, -1], row)
    assert after(problem, [0, 2, 1]) == broken


def test_skew_counts_in_its_host_set(after: After) -> None:
    """Hosts outside the set make no domain and are not counted, but may be entered."""
    row = limit(LimitKind.SKEW, bound=1, host_set=0, self_counts=True)
    whole = cluster([0, -1], row, host_sets=[[True, True, True, True, True]])
    assert after(whole, [0, 1]) == BROKEN
    first = cluster([0, -1], row, host_sets=[[True, True, False, False, False]])
    assert after(first, [0, 1]) == set()
    outside = cluster([0, 2, 3, -1], row, host_sets=[[True, True, False, False, False]])
    assert after(outside, [0, 2, 3, 3]) == set()
    nowhere = cluster([0, 1, -1], row, host_sets=[[False] * 5])
    assert after(nowhere, [0, 1, 1]) == set()
    assert after(nowhere, [0, 1, 4]) == BROKEN


def test_skew_counts_an_entering_item_as_told(after: After) -> None:
    """`self_counts` adds one even for an item outside the counted group, and only then."""
    groups = [[2], [0, 1]]
    for self_counts, broken in ((False, set()), (True, BROKEN)):
        row = limit(LimitKind.SKEW, counted=1, bound=1, self_counts=self_counts)
        assert after(cluster([0, -1, -1], row, groups=groups), [0, -1, 1]) == broken


def test_skew_needs_every_key_of_its_bundle(after: After) -> None:
    """A host that lacks another row's key is neither entered nor counted."""
    racks = (0, -1, 1, 2, -1)
    rows = (
        limit(LimitKind.SKEW, bound=1, self_counts=True, bundle=0),
        limit(LimitKind.SKEW, key=2, bound=9, self_counts=True, bundle=0),
    )
    problem = cluster([1, -1], *rows, zones=(ZONES, racks))
    assert after(problem, [1, 0]) == set()
    assert after(cluster([0, -1], *rows, zones=(ZONES, racks)), [0, 1]) == BROKEN
    quota = limit(LimitKind.MAX, key=-1, bound=9, bundle=0)
    assert after(cluster([1, -1], *rows, quota, zones=(ZONES, racks)), [1, 0]) == set()
    alone = cluster([1, -1], rows[0], zones=(ZONES, racks))
    assert after(alone, [1, 0]) == BROKEN


def test_skew_takes_leavers_off_the_smallest_in_a_wave(along: Along) -> None:
    """The wave holds if all arrive before anyone leaves and if all leave before anyone arrives."""
    row = limit(LimitKind.SKEW, bound=1, self_counts=True)
    problem = cluster([0, 2, -1], row)
    assert along(problem, [(2, -1, 1)]) == set()
    assert along(problem, [(1, 2, 3), (2, -1, 1)]) == {("limit", 0)}
    assert along(problem, [(1, 2, 3)], [(2, -1, 1)]) == set()
    assert along(problem, [(0, 0, 1)]) == set()
    free = cluster([-1, -1], row)
    assert along(free, [(0, -1, 0), (1, -1, 2)]) == set()
    assert along(free, [(0, -1, 0), (1, -1, 1)]) == {("limit", 0), ("limit", -1)}
