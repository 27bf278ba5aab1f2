"""Bounds by patterns: what they know, what they leave out, and when there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.levels import Level, Term, TermKind, place_first, then_host_cost, tier_order
from optsched.plan import Placement
from optsched.problem import Evict, Limit, LimitKind, PlacementProblem
from optsched.solvers import closing
from optsched.solvers.column_generation import ColumnGeneration
from optsched.solvers.enumeration import Pool, Verdict, columns_within
from optsched.solvers.ladder import Found, Ladder
from optsched.solvers.master import Group, Lock, Master

Make = Callable[..., PlacementProblem]


def bound(problem: PlacementProblem, level: int, *, stays: bool = False) -> int | None:
    """The bound of a level for 'stay', without looking for placements."""
    found = ask(problem, level, stays=stays)
    return found.bound.value if found.bound is not None else None


def ask(problem: PlacementProblem, level: int, *, stays: bool = False, **options: Any) -> Found:
    """What column generation finds from the current placement."""
    improver = ColumnGeneration(stays=stays, integer=False)
    return improver(Ladder(problem), level, options.get("budget", Budget.of(60)))


def test_what_fits_by_volume_but_not_by_pieces(on: Make) -> None:
    """Three halves and a bit do not fit on two hosts, though there is room for them in all."""
    assert bound(on([-1, -1, -1], [10, 10], demand=[[6], [6], [6]]), 0) == 1
    assert bound(on([-1, -1, -1], [10, 10], demand=[[5], [6], [5]]), 0) == 0


def placed(problem: PlacementProblem, host: list[int]) -> Placement:
    """A placement by hosts."""
    return Placement.of(problem, host)


def test_moves_are_bounded_given_what_is_placed(on: Make) -> None:
    """With everything placed, the small item must make way for the large one."""
    problem = on([0, 1, -1], [2, 2], demand=[[1], [1], [2]])
    ladder = Ladder(problem)
    ladder.offer(placed(problem, [1, 1, 0]))
    found = ColumnGeneration(stays=True, integer=False)(ladder, 2, Budget.of(60))
    assert found.bound is not None
    assert found.bound.value == ladder.values[2] == 1


def test_evictions_are_bounded_given_what_is_placed(on: Make) -> None:
    """A full host can take the higher item only if one goes."""
    problem = on([0, 0, -1], [2], tier=[1, 1, 0], evict=Evict.ANY)
    ladder = Ladder(problem)
    ladder.offer(placed(problem, [0, -1, 0]))
    found = ColumnGeneration(stays=False, integer=False)(ladder, 4, Budget.of(60))
    assert found.bound is not None
    assert (found.bound.value, ladder.values[4]) == (1, 1)


def test_overcommitted_hosts_may_keep_what_they_hold(on: Make) -> None:
    """Their patterns may use what is used now, so the bound is not above 'stay'."""
    problem = on([0, 0, 0, -1], [2, 0], evict=Evict.ANY)
    assert bound(problem, 0) in (0, 1)
    assert bound(on([0, 0, 0], [2]), 0) == 0


def test_rules_that_patterns_do_not_know_are_left_out(on: Make) -> None:
    """A limit can make things worse than the bound, never better."""
    alone = Limit(LimitKind.CONFLICT, key=0, subject=0, counted=0)
    assert bound(on([-1, -1], [2], groups=[[0, 1]], limits=[alone]), 0) == 0


def test_levels_that_are_not_counts_have_no_bound(on: Make) -> None:
    """Host costs and sums of terms are for others; earlier ones of them are left out."""
    costs = on([-1, 0], [1, 1], objective=then_host_cost(tier_order(1)))
    assert bound(costs, 3) is None
    both = Level("both", (Term(TermKind.EVICTED), Term(TermKind.MOVED, weight=2)))
    problem = on([0, -1, -1], [1], objective=(both, *place_first(1)))
    assert bound(problem, 0) is None
    assert bound(problem, 1) == 2


def test_moves_need_patterns_that_know_who_stays(on: Make) -> None:
    """Patterns of host kinds say nothing about moves; the others nothing without such levels."""
    problem = on([0, -1], [1, 1])
    assert bound(problem, 2) is None
    assert bound(problem, 0, stays=True) is None
    assert bound(on([-1, -1], [1]), 0, stays=True) is None


def test_no_bound_without_time(on: Make) -> None:
    """A budget that is over gives nothing."""
    found = ask(on([-1, -1], [1]), 0, budget=Budget.of(0))
    assert found == Found()


def test_bytes_are_exact(on: Make) -> None:
    """Hosts of petabytes, items that differ by a byte."""
    half = 1 << 49
    whole = on([-1, -1], [2 * half], demand=[[half], [half]])
    assert bound(whole, 0) == 0
    more = on([-1, -1], [2 * half], demand=[[half], [half + 1]])
    assert bound(more, 0) == 1


def test_absurd_weights_get_no_bound(on: Make) -> None:
    """Prices that could overflow are not computed."""
    heavy = on([-1, -1], [1], weight=1 << 50)
    assert bound(heavy, 0) is None


STUCK: list[dict[str, Any]] = [
    {
        "host0": [-1, 2, 1, 1],
        "size": [5, 6, 4],
        "demand": [[1]] * 4,
        "tier": [0, 1, 1, 0],
        "evictable": [True, True, False, True],
        "evict": Evict.LOWER,
    },
    {
        "host0": [0, 2, -1, 0, 2],
        "size": [1, 4, 3],
        "demand": [[2], [2], [2], [0], [3]],
        "tier": [0, 0, 0, 0, 1],
        "evictable": [False, True, False, False, False],
        "evict": Evict.ANY,
    },
]


@pytest.mark.parametrize("tables", STUCK)
def test_a_dive_that_gets_stuck_ends(
    on: Make, tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no pattern can be rounded up and no new one helps, the dive is over."""
    solved: list[Master] = []
    solve = Master.solve

    def counted(master: Master, seconds: float) -> Any:
        solved.append(master)
        return solve(master, seconds)

    monkeypatch.setattr(Master, "solve", counted)
    Ladder(on(**tables)).take(ColumnGeneration(stays=False), 0, Budget.of(2))
    assert 0 < len(solved) < 40


def test_enumeration_closes_the_gap(on: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the LP is weak, the patterns that could still matter decide."""
    rng = np.random.default_rng(2)
    demand = rng.integers(20, 60, (14, 1))
    problem = on([-1] * 14, [100] * 4, demand=demand)
    ladder = Ladder(problem)
    ladder.take(ColumnGeneration(stays=False), 0, Budget.of(60))
    assert ladder.proven(0)
    monkeypatch.setattr(closing, "patterns_within", lambda *_: None)
    other = Ladder(problem)
    other.take(ColumnGeneration(stays=False), 0, Budget.of(60))
    assert other.bounds[0].value <= ladder.values[0] <= other.values[0]


def test_few_patterns_find_what_dives_miss(on: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few patterns, those that prices like best, make up a placement that meets the bound."""
    rng = np.random.default_rng(5)
    problem = on([-1] * 18, [120] * 5, demand=rng.integers(20, 60, (18, 1)))
    monkeypatch.setattr(closing.Closing, "_dive", lambda _: False)
    tried: list[tuple[int, bool]] = []
    choose = closing.choose

    def noted(master: Master, pool: Pool, *args: Any, **options: Any) -> Verdict:
        verdict = choose(master, pool, *args, **options)
        tried.append((len(pool.group), verdict.taken is not None))
        return verdict

    monkeypatch.setattr(closing, "choose", noted)
    ladder = Ladder(problem)
    ladder.take(ColumnGeneration(stays=False), 0, Budget.of(60))
    assert ladder.proven(0)
    assert tried[-1][1]


def test_columns_are_chosen_by_what_they_miss(on: Make) -> None:
    """Those worth less than the least are left out; of too many, the best are kept."""
    ladder = Ladder(on([-1] * 3, [4], demand=[[1], [2], [3]]))
    lock = Lock(np.ones(3, bool), 0, unplaced=1)
    group = Group(np.array([0]), np.array([4]), np.zeros(3, np.int64), np.ones(3, np.int64))
    master = Master(ladder.problem, ladder.classes, [group], [], lock)
    prices = np.array([5, 3, 1]), np.zeros(3, np.int64)
    assert not len(columns_within(master, prices, [0], 9).group)
    none = np.zeros(3, np.int64)
    for counts in ([1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]):
        assert master.add(0, np.array(counts), none)
    assert columns_within(master, prices, [5], 9).counts.tolist() == [[1, 1, 0], [1, 0, 0]]
    assert columns_within(master, prices, [0], 1).counts.tolist() == [[1, 1, 0]]
