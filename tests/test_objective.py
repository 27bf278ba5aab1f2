"""The objective: what each term counts, how orders line levels up, and one scalar for all."""

from __future__ import annotations

import numpy as np
import pytest

from optsched.levels import (
    Level,
    Term,
    TermKind,
    drain_first,
    place_first,
    then_host_cost,
    tier_order,
)
from optsched.objective import (
    blocks,
    evaluate,
    fragments,
    moved,
    scalar,
    scalar_weights,
    term_value,
)
from optsched.plan import Placement
from optsched.problem import Cells, Hosts, Items, PlacementProblem


def problem(**options: object) -> PlacementProblem:
    """Two hosts that cost 3 and 5, the second drained; a DaemonSet pod and one of cells on it.

    Items: 0 and 1 (of tier 1, weight 2) pending, 2 on the first host, 3 (does not occupy) and 4
    (two cells, of tier 1) on the second.
    """
    items = Items.of(
        [[1]] * 5,
        host0=[-1, -1, 0, 1, 1],
        tier=[0, 1, 0, 0, 1],
        weight=[1, 2, 1, 1, 1],
        occupies=[True, True, True, False, True],
        cells_needed=[0, 0, 0, 0, 2],
        cell_demand=[[0]] * 4 + [[6]],
        cells0=[[-1, -1]] * 4 + [[1, 2]],
    )
    hosts = Hosts.of([[9], [9]], cost=[3, 5], drain=[False, True])
    cells = Cells.of([0, 1, 1, 1], [[8]] * 4, fixed_use=[[1], [0], [0], [0]])
    return PlacementProblem.of(hosts, items, cells=cells, **options)


def value(term: Term, *host: int, cells: object = None) -> int:
    """What a term is worth."""
    return term_value(problem(), Placement.of(problem(), host, cells), term)


STAY = (-1, -1, 0, 1, 1)


def test_unplaced_items_count_by_weight() -> None:
    """All of a tier, or of all tiers; evicted ones too."""
    assert value(Term(TermKind.UNPLACED), *STAY) == 3
    assert value(Term(TermKind.UNPLACED, tier=1), *STAY) == 2
    assert value(Term(TermKind.UNPLACED, tier=1), -1, 0, -1, 1, -1) == 1


def test_evicted_and_moved_items_had_a_host() -> None:
    """Pending ones are neither; whoever has none now is evicted, on another host moved."""
    away = -1, 0, 1, -1, 1
    assert value(Term(TermKind.EVICTED), *away) == 1
    assert value(Term(TermKind.MOVED), *away) == 1
    assert value(Term(TermKind.MOVED), *STAY) == value(Term(TermKind.EVICTED), *STAY) == 0


def test_other_cells_are_a_move_and_the_same_in_another_order_are_not() -> None:
    """Cells are sets."""
    empty = [[-1, -1]] * 4
    turned, flipped = [*empty, [2, 1]], [*empty, [1, 3]]
    assert value(Term(TermKind.MOVED), *STAY, cells=turned) == 0
    assert value(Term(TermKind.MOVED), *STAY, cells=flipped) == 1
    assert moved(problem(), Placement.of(problem(), STAY, flipped)).tolist() == [False] * 4 + [True]


def test_what_does_not_occupy_neither_costs_nor_is_drained() -> None:
    """A host with a DaemonSet pod alone is empty."""
    assert value(Term(TermKind.DRAINED), *STAY) == 1
    assert value(Term(TermKind.DRAINED, tier=0), *STAY) == 0
    assert value(Term(TermKind.HOST_COST), *STAY) == 8
    assert value(Term(TermKind.HOST_COST), -1, -1, 0, 1, -1) == 3


def test_nobody_sits_on_a_drained_host_without_hosts() -> None:
    """A term over hosts is 0 where there are none."""
    nowhere = PlacementProblem.of(
        Hosts.of([]), Items.of([[]]), objective=drain_first(then_host_cost(tier_order(1)))
    )
    assert evaluate(nowhere, Placement.current(nowhere)) == (0, 1, 0, 0, 0)


def test_fragments_are_what_blocks_leave() -> None:
    """Free units of every cell modulo the block; an overcommitted cell has none."""
    assert value(Term(TermKind.FRAGMENTS, size=4), *STAY) == 7 % 4 + 0 + 2 + 2
    assert value(Term(TermKind.FRAGMENTS, size=5), *STAY) == 2 + 3 + 2 + 2
    empty = [[-1, -1]] * 4
    crowded = problem(), Placement.of(problem(), STAY, [*empty, [0, 1]])
    full = problem().replace(cells=Cells.of([0, 1, 1, 1], [[4]] * 4))
    term = Term(TermKind.FRAGMENTS, size=3)
    assert term_value(full, crowded[1], term) == 0 + 0 + 1 + 1


# Free cores on the two NUMA nodes of a machine with 44 on each; blocks of 64 take 32 of each.
MACHINES = {
    "empty": ((44, 44), 24, 24, 24),  # 88 free: 2 + 2 blocks of 16, one of 32 + 32, 2 of 16 + 16
    "one node full": ((0, 40), 8, 40, 40),
    "uneven": ((31, 44), 15 + 12, 75, 75 - 32),
    "enough in sum only": ((20, 43), 4 + 11, 63, 63 - 32),
    "overcommitted": ((-5, 44), 12, 44, 44),
    "just enough": ((32, 32), 0, 0, 0),
    "none": ((15, 15), 30, 30, 30),
}


@pytest.mark.parametrize("case", MACHINES)
def test_blocks_of_two_cells_need_both(case: str) -> None:
    """FR16, FR64 and blocks of 16 + 16 cores, worked by hand."""
    free, singles, doubles, small = MACHINES[case]
    host = np.array([0, 0])
    assert fragments(np.array(free), host, 16, 1) == singles
    assert fragments(np.array(free), host, 32, 2) == doubles
    assert fragments(np.array(free), host, 16, 2) == small


def test_a_block_uses_no_cell_twice() -> None:
    """Cells with room for 5, 1 and 1 parts: two blocks of two, one of three; hosts on their own."""
    whole, host = np.array([5, 1, 1, 3, 3, 9]), np.array([0, 0, 0, 2, 2, 3])
    assert blocks(whole, host, 1).tolist() == [7, 6, 9]
    assert blocks(whole, host, 2).tolist() == [2, 3, 0]
    assert blocks(whole, host, 3).tolist() == [1, 0, 0]
    assert blocks(np.array([2, 2, 1]), np.array([0, 0, 0]), 2).tolist() == [2]


def test_a_goal_takes_off_what_is_good_enough() -> None:
    """A level is worth what exceeds its goal."""
    term = Term(TermKind.FRAGMENTS, weight=2, size=5)  # 2 * (2 + 3 + 2 + 2) now
    for goal, left in ((0, 18), (5, 13), (18, 0), (99, 0)):
        one = problem(objective=(Level("fragments", (term,), goal),))
        assert evaluate(one, Placement.current(one)) == (left,)


def test_orders_line_up_their_levels() -> None:
    """The paper's order goes tier by tier; place-first disturbs only after all is placed."""
    by_tier = [level.name for level in tier_order(2)]
    kinds = ["unplaced", "evicted", "moved"]
    assert by_tier == [f"{kind}[{tier}]" for tier in (0, 1) for kind in kinds]
    first = [level.name for level in place_first(2)]
    assert first[:3] == ["unplaced[0]", "unplaced[1]", "evicted[0]"]
    assert sorted(first) == sorted(by_tier)
    assert drain_first(tier_order(1))[0].name == "drained"
    assert then_host_cost(tier_order(1))[-1].name == "host_cost"
    consolidate = [level.name for level in then_host_cost(tier_order(2), before_moves=True)]
    assert consolidate[-3:] == ["host_cost", "moved[0]", "moved[1]"]


def test_levels_add_weighted_terms() -> None:
    """A published cost model: an eviction costs 1, a move 2."""
    cost = Level("cost", (Term(TermKind.EVICTED), Term(TermKind.MOVED, weight=2)))
    one = problem(objective=(cost,))
    assert evaluate(one, Placement.of(one, (-1, -1, 1, -1, 0))) == (1 + 2 * 2,)


@pytest.mark.parametrize("tiers", [2, 40])
def test_the_scalar_never_lets_a_later_level_win(tiers: int) -> None:
    """One unit of a level outweighs the worst of all later ones, also beyond 64 bits."""
    one = problem(tiers=[str(t) for t in range(tiers)], objective=tier_order(tiers))
    weights = scalar_weights(one)
    worst = int(one.items.weight.sum())
    for at in range(len(weights)):
        better = [worst] * at + [0] + [worst] * (len(weights) - at - 1)
        worse = [worst] * at + [1] + [0] * (len(weights) - at - 1)
        assert scalar(better, weights) < scalar(worse, weights)
