"""The checker's own values of the objective's levels."""

from __future__ import annotations

from optsched.check import check
from optsched.levels import Level, Term, TermKind
from optsched.plan import Move, Plan, Wave
from optsched.problem import Cells, Evict, Hosts, Items, PlacementProblem

KINDS = (
    TermKind.UNPLACED,
    TermKind.EVICTED,
    TermKind.MOVED,
    TermKind.DRAINED,
    TermKind.HOST_COST,
)


def values(problem: PlacementProblem, *moves: Move) -> tuple[int, ...]:
    """Levels after one wave."""
    return check(problem, Plan(problem.digest(), waves=(Wave(moves),))).levels


def test_levels_count_items_per_tier() -> None:
    """Unplaced items weigh, evicted, moved and drained ones count, hosts in use cost."""
    levels = tuple(Level(kind.value, (Term(kind),)) for kind in KINDS)
    levels += tuple(Level(f"{kind.value}[1]", (Term(kind, weight=10, tier=1),)) for kind in KINDS)
    problem = PlacementProblem.of(
        Hosts.of([[9], [9], [9]], cost=[5, 7, 11], drain=[True, False, False]),
        Items.of(
            [[1]] * 5,
            host0=[0, 0, 1, -1, 0],
            tier=[0, 1, 1, 0, 0],
            weight=[1, 2, 3, 4, 1],
            occupies=[True, True, True, True, False],
        ),
        objective=levels,
        evict=Evict.ANY,
    )
    assert values(problem) == (4, 0, 0, 2, 12, 0, 0, 0, 10, 120)
    moved = (Move(1, 0, 2), Move(2, 1, -1))
    assert values(problem, *moved) == (7, 1, 1, 1, 16, 30, 10, 10, 0, 160)
    assert values(problem, Move(0, 0, -1), Move(3, -1, 0))[:3] == (1, 1, 0)
    assert values(problem, Move(0, 0, 2), Move(1, 0, 2)) == (4, 0, 2, 0, 18, 0, 0, 10, 0, 180)


def test_a_level_is_a_weighted_sum() -> None:
    """Terms of one level add up with their weights."""
    level = Level("both", (Term(TermKind.UNPLACED, weight=3), Term(TermKind.MOVED, weight=2)))
    problem = PlacementProblem.of(
        Hosts.of([[9], [9]]), Items.of([[1], [1]], host0=[0, -1]), objective=(level,)
    )
    assert values(problem, Move(0, 0, 1)) == (5,)


def test_fragments_are_what_no_block_of_the_size_uses() -> None:
    """Free units of each cell modulo the size; an overcommitted cell has none; cells can move."""
    levels = (
        Level("fragments", (Term(TermKind.FRAGMENTS, resource=1, size=16),)),
        Level("moved", (Term(TermKind.MOVED),)),
    )
    problem = PlacementProblem.of(
        Hosts.of([[9], [9]]),
        Items.of(
            [[1], [1]],
            cells_needed=1,
            cell_demand=[[0, 4], [0, 10]],
            host0=[0, 1],
            cells0=[[0], [2]],
        ),
        cells=Cells.of([0, 0, 1], [[0, 40], [0, 20], [0, 8]], fixed_use=[[0, 0], [0, 1], [0, 0]]),
        objective=levels,
    )
    assert values(problem) == (36 % 16 + 19 % 16 + 0, 0)
    assert values(problem, Move(0, 0, 0, (1,))) == (40 % 16 + 15 % 16 + 0, 1)
    assert values(problem, Move(1, 1, 0, (1,))) == (36 % 16 + 9 % 16 + 8 % 16, 1)


def test_blocks_over_cells_are_counted_per_host() -> None:
    """A machine with two NUMA nodes of 44 cores, a VM on one of them or on both; goals reached."""
    double = Term(TermKind.FRAGMENTS, size=16, cells=2)
    levels = (
        Level("both", (double, Term(TermKind.FRAGMENTS, size=16, weight=3))),
        Level("goal", (double,), goal=43),
    )
    problem = PlacementProblem.of(
        Hosts.of([[], []]),
        Items.of(
            [[], []],
            cells_needed=[1, 2],
            cell_demand=[[14], [8]],
            host0=[0, 1],
            cells0=[[0, -1], [2, 3]],
        ),
        cells=Cells.of([0, 0, 1, 1], [[44]] * 4),
        objective=levels,
    )
    # 30 and 44 free: 1 + 2 blocks of 16 and one of 16 + 16. 36 and 36: 2 + 2 and two.
    assert values(problem) == (42 + 8 + 3 * (26 + 8), 42 + 8 - 43)
    # Both on the second: 44 and 44 free, 36 and 22.
    assert values(problem, Move(0, 0, 1, (3,))) == (24 + 26 + 3 * (24 + 10), 24 + 26 - 43)
    # All on the first: 22 and 36 free, 44 and 44.
    assert values(problem, Move(1, 1, 0, (0, 1))) == (26 + 24 + 3 * (10 + 24), 26 + 24 - 43)
    # Nobody on the first, nobody out of reach of the goal of fewer than 43.
    assert values(problem, Move(0, 0, 0, (1,)))[1] == 7
