"""Single migrations against fragments, and bounds that need no search."""

from __future__ import annotations

import pytest

from optsched.budget import Budget
from optsched.generate.known_fragments import known_fragments
from optsched.generate.vm import snapshot
from optsched.levels import Level, Term, TermKind
from optsched.objective import cell_use, evaluate
from optsched.plan import Order, Placement
from optsched.problem import Cells, Hosts, Items, PlacementProblem
from optsched.rates import with_goal, with_objective
from optsched.sequence import sequence
from optsched.solvers.fragment_bounds import least_fragments
from optsched.solvers.greedy import Greedy
from optsched.solvers.migration import migrate
from optsched.solvers.search import Search


@pytest.mark.parametrize("moves", [0, 3, 8])
def test_known_gains_are_all_found(moves: int) -> None:
    """One block per move is what the certificate of the instance says, and what the bound says."""
    known = known_fragments(2, pms=20, gains=8, moves=moves)
    result = Greedy().solve(known.problem, Budget.of(30), order=Order.SAFE)
    assert result.levels[0].value == known.value
    bound = least_fragments(known.problem, known.problem.objective[0])
    assert (bound.value if bound else 0) == known.value
    assert len(result.plan.moves()) == moves


@pytest.mark.parametrize("spec", ["fr16", "fr16,fr64", "fr16:2,mem64", "fr32x2,mem32"])
def test_migrations_keep_the_rules_and_are_order_safe(spec: str) -> None:
    """Nothing is broken, nothing must wait for another move, and the value is the objective's."""
    drawn = snapshot(4, pms=30, memory="mixed", apart=6)
    problem = with_objective(drawn.replace(max_moves=15), spec)
    search = Search(problem)
    before = evaluate(problem, Placement.current(problem))
    migrate(search, Budget.of(30))
    placement = search.state.placement()
    assert tuple(search.value.tolist()) == evaluate(problem, placement) < before
    assert not search.state.violations()
    assert len(search.disturbed) <= 15
    assert not sequence(problem, placement, Order.SAFE).dropped
    room = problem.cells.capacity - cell_use(problem, Placement.current(problem))
    for item in search.entered:
        own = placement.cells[item][placement.cells[item] >= 0]
        room[own] -= problem.items.cell_demand[item]
    assert (room >= 0).all()


def test_migrations_stop_at_the_goal() -> None:
    """A level that is good enough is left alone."""
    known = known_fragments(1, pms=12, gains=6, moves=6)
    problem = known.problem
    free = int((problem.cells.capacity - cell_use(problem, Placement.current(problem)))[:, 0].sum())
    search = Search(with_goal(problem, 48 / free + 1e-9))
    migrate(search, Budget.of(30))
    assert len(search.disturbed) == 3


def nodes(*free: int, moves: int, demand: int = 4) -> PlacementProblem:
    """Hosts of one cell with so much free, each with one item of `demand`."""
    count = len(free)
    return PlacementProblem.of(
        Hosts.of([[]] * count),
        Items.of(
            [[]] * count,
            cells_needed=1,
            cell_demand=[[demand]] * count,
            host0=range(count),
            cells0=[[at] for at in range(count)],
        ),
        cells=Cells.of(range(count), [[one + demand] for one in free]),
        objective=(Level("fragments", (Term(TermKind.FRAGMENTS, size=16),)),),
        max_moves=moves,
    )


@pytest.mark.parametrize(
    ("problem", "least"),
    [
        (nodes(12, 12, 12, moves=1), 36 - 16),  # one move, one block
        (nodes(12, 12, 12, moves=3), 36 % 16),  # more blocks than 36 // 16 there are not
        (nodes(12, 12, 12, moves=-1), 36 % 16),
        (nodes(12, 12, 12, moves=0), 36),
        (nodes(12, 12, 12, moves=2, demand=16), 36),  # leaving takes as much as entering gives
    ],
)
def test_bounds_worked_by_hand(problem: PlacementProblem, least: int) -> None:
    """From the number of moves, and from all that is free."""
    bound = least_fragments(problem, problem.objective[0])
    assert bound is not None
    assert bound.value == least


def test_nothing_is_claimed_where_what_is_free_may_change() -> None:
    """A pending item, or an overfull cell."""
    waiting = nodes(12, 12, moves=2)
    pending = PlacementProblem.of(
        waiting.hosts,
        Items.of([[]], cells_needed=1, cell_demand=[[4]]),
        cells=waiting.cells,
        objective=waiting.objective,
    )
    assert least_fragments(pending, pending.objective[0]) is None
    overfull = nodes(-3, 12, moves=2)
    assert least_fragments(overfull, overfull.objective[0]) is None
