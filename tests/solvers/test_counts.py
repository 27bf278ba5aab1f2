"""CP-SAT on class counts, rule by rule where counts are easily read wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.check import check
from optsched.generate.vm import snapshot
from optsched.levels import Level, Term, TermKind, drain_first, place_first, tier_order
from optsched.plan import Move, Plan, Wave
from optsched.problem import (
    Budgets,
    Cells,
    Evict,
    Hosts,
    Items,
    Limit,
    LimitKind,
    Limits,
    PlacementProblem,
    Scope,
    When,
)
from optsched.result import Status
from optsched.solvers import counts as module
from optsched.solvers.counts import Counts, CpSat
from optsched.solvers.ladder import Ladder

Make = Callable[..., PlacementProblem]
Climb = Callable[..., Ladder]


def values(climb: Climb, problem: PlacementProblem) -> tuple[int, ...]:
    """The values of every level, all of them proven, also by what disturbs little on its way."""
    ladder, gently = climb(problem, CpSat()), climb(problem, CpSat(gently=True))
    assert ladder.done()
    assert gently.done()
    assert ladder.values == gently.values
    return ladder.values


def test_a_swap_is_found(on: Make, climb: Climb) -> None:
    """Places the large pending item by moving a small one away."""
    problem = on([0, 1, -1], [2, 2], demand=[[1], [1], [2]])
    assert values(climb, problem) == (0, 0, 1)


def test_a_host_may_stay_overcommitted_but_not_be_entered(on: Make, climb: Climb) -> None:
    """What is too full stays as it is, unless enough leaves."""
    problem = on([0, 0, 0, -1], [2, 0], evict=Evict.ANY)
    assert values(climb, problem) == (1, 0, 0)
    problem = on([0, 0, 0, -1], [2, 2])
    assert values(climb, problem) == (0, 0, 0)
    problem = on([0, 0, 0, -1], [3, 1], demand=[[2], [1], [1], [2]])
    assert values(climb, problem) == (1, 0, 0)


def test_leavers_may_hold_their_room(on: Make, climb: Climb) -> None:
    """On rows that hold during the plan a VM makes no room by leaving."""
    problem = on([0, -1], [2, 1], demand=[[1], [2]], lets_go_first=False)
    assert values(climb, problem) == (0, 0, 1)
    assert values(climb, problem.replace(when=np.array([When.DURING]))) == (1, 0, 0)
    pods = on([0, -1], [2, 1], demand=[[1], [2]], when=int(When.DURING))
    assert values(climb, pods) == (0, 0, 1)


def test_evictions_are_dealt_to_the_right_hosts(on: Make, climb: Climb) -> None:
    """Of equal items, the one is evicted whose host the higher item takes."""
    # The pending item fits on host 1 alone, from where one of two equals must go; host 0 has a
    # hole for a pending item of their own tier, which may not enter where one was evicted.
    problem = on(
        [0, 1, -1, -1], [3, 2], demand=[[2], [2], [2], [1]], tier=[1, 1, 0, 1],
        excluded=[[0, 0], [1, 0]], item_eligible=[0, 0, 1, 0], evict=Evict.LOWER,
    )  # fmt: skip
    ladder = climb(problem, CpSat())
    assert ladder.placement.host.tolist() == [0, -1, 1, 0]
    assert ladder.done()


def test_evicting_one_may_pay_though_its_like_is_placed(on: Make, climb: Climb) -> None:
    """Where moves are dear or not allowed, a pending twin takes the room instead."""
    only_evict = {"evict": Evict.ANY, "max_moves": 0, "tier": [1, 1, 0]}
    assert values(climb, on([0, -1, -1], [1, 1], **only_evict)) == (0, 0, 0, 1, 0, 0)
    # The high item may enter host 0 alone: its occupant goes, its twin takes host 1.
    narrow = on([0, -1, -1], [1, 1], excluded=[[0, 0], [0, 1]], item_eligible=[0, 0, 1],
                **only_evict)  # fmt: skip
    assert values(climb, narrow) == (0, 0, 0, 1, 1, 0)
    cost = Level("cost", (Term(TermKind.EVICTED), Term(TermKind.MOVED, weight=2)))
    published = narrow.replace(max_moves=-1, objective=(*place_first(2)[:2], cost))
    assert values(climb, published) == (0, 1, 1)


def test_a_gang_in_part_may_stay_grow_or_go(on: Make, climb: Climb) -> None:
    """One of two runs: it stays as it is, both run, or neither."""
    gang = {"gang": [0, 0, -1], "gangs": ("pair",), "evict": Evict.ANY}
    assert values(climb, on([0, -1, -1], [1], tier=[0, 0, 1], **gang))[:2] == (1, 0)
    assert values(climb, on([0, -1, -1], [2], tier=[0, 0, 1], **gang))[:4] == (0, 0, 0, 1)
    assert values(climb, on([0, -1, -1], [1], tier=[1, 1, 0], **gang)) == (0, 0, 0, 2, 1, 0)


def test_protected_tiers_make_no_way(on: Make, climb: Climb) -> None:
    """Nothing enters where an item of a higher tier leaves."""
    problem = on([0, -1], [2, 1], demand=[[1], [2]], tier=[0, 1], objective=place_first(2))
    assert values(climb, problem) == (0, 0, 0, 1, 0, 0)
    assert values(climb, problem.replace(protect_higher=True)) == (0, 1, 0, 0, 0, 0)


def test_plan_budgets_and_max_moves_bind(on: Make, climb: Climb) -> None:
    """Two moves are one too many."""
    pair = {"demand": [[1], [1], [2]]}
    problem = on([0, 0, -1], [2, 1, 1], **pair)
    assert values(climb, problem) == (0, 0, 2)
    assert values(climb, on([0, 0, -1], [2, 1, 1], max_moves=1, **pair)) == (1, 0, 0)
    budgets = Budgets.of([[0, 1]], [1], scope=int(Scope.PLAN))
    assert values(climb, on([0, 0, -1], [2, 1, 1], budgets=budgets, **pair)) == (1, 0, 0)


def zones(on: Make, host0: list[int], row: dict[str, Any], groups: list[list[int]]) -> Any:
    """Items on four hosts of two: zones a, a, b and none."""
    limit = Limit(**{"key": 1, "subject": 0, "counted": 0, "name": "row", **row})
    return on(host0, [2] * 4, keys=["zone"], domain=[[0, 0, 1, -1]], groups=groups, limits=[limit])


def test_limits_bind_what_enters(on: Make, climb: Climb) -> None:
    """Each kind leaves out as many pending items as it must, and broken ones as they are."""
    everyone = [[0, 1, 2, 3]]
    wait = [-1] * 4
    most = {"kind": LimitKind.MAX, "bound": 1}
    assert values(climb, zones(on, wait, {**most, "key": -1}, everyone))[0] == 3
    assert values(climb, zones(on, [0, 1, 0, -1], most, everyone)) == (0, 0, 0)
    apart = {"kind": LimitKind.CONFLICT, "counted": 1}
    assert values(climb, zones(on, [0, 2, -1, -1], apart, [[0, 1], [2, 3]])) == (0, 0, 0)
    needs = {"kind": LimitKind.REQUIRE, "counted": 1}
    assert values(climb, zones(on, [3, -1, -1, -1], needs, [[1, 2, 3], [0]]))[:1] == (0,)
    spread = {"kind": LimitKind.SKEW, "bound": 1, "self_counts": True}
    assert values(climb, zones(on, wait, spread, everyone)) == (0, 0, 0)
    alone = {**spread, "min_domains": 3}
    assert values(climb, zones(on, wait, alone, everyone))[0] == 2


@pytest.mark.parametrize("self_counts", [True, False])
def test_a_group_that_requires_itself_starts(on: Make, climb: Climb, self_counts: bool) -> None:
    """Two that need each other go together; one alone needs leave to be the first."""
    row = {"kind": LimitKind.REQUIRE, "self_counts": self_counts}
    assert values(climb, zones(on, [-1, -1], row, [[0, 1]]))[0] == 0
    assert values(climb, zones(on, [-1], row, [[0]]))[0] == (0 if self_counts else 1)


def test_drained_hosts_are_emptied_tier_by_tier(on: Make, climb: Climb) -> None:
    """A drained level of one tier counts that tier only, pinned items with it."""
    levels = (Level("drained", (Term(TermKind.DRAINED, tier=1),)), *tier_order(2))
    problem = on([0, 0, 0], [3, 1], drain=[True, False], tier=[0, 1, 1],
                 movable=[True, True, False], objective=levels)  # fmt: skip
    assert values(climb, problem) == (1, 0, 0, 0, 0, 0, 1)
    both = problem.replace(objective=drain_first(tier_order(2)))
    assert values(climb, both) == (2, 0, 0, 0, 0, 0, 1)


def test_fragments_do_not_matter_without_cells(on: Make, climb: Climb) -> None:
    """A level over cells that nobody uses is a constant."""
    hosts, items = Hosts.of([[1]]), Items.of([[1]], cell_demand=[[0]])
    goal = Level("fragments", (Term(TermKind.FRAGMENTS, size=4),))
    problem = PlacementProblem.of(
        hosts, items, cells=Cells.of([0], [[7]]), objective=(goal, *tier_order(1))
    )
    assert values(climb, problem) == (3, 0, 0, 0)


def test_cells_and_sizes_that_are_not_served(on: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is one sentence."""
    problem = on([-1], [1, 1])
    assert Counts().supports(problem) is None
    monkeypatch.setattr(module, "LARGEST", 1)
    assert "2 variables" in str(Counts().supports(problem))
    items = Items.of([[1]], cells_needed=1, cell_demand=[[1]])
    numa = PlacementProblem.of(Hosts.of([[1]]), items, cells=Cells.of([0], [[1]]))
    assert "waiting items are left" in str(Counts().supports(numa))


def test_out_of_time_is_an_answer(on: Make) -> None:
    """Without any time the plan is to stay, or the one that was given."""
    problem = on([0, -1], [1, 1])
    result = Counts().solve(problem, Budget.of(0))
    assert (result.status, result.plan.waves) == (Status.FEASIBLE, ())
    start = Plan(problem.digest(), waves=(Wave((Move(1, -1, 1),)),))
    result = Counts().solve(problem, Budget.of(0), start=start)
    assert result.plan.moves() == start.moves()
    assert result.status is Status.OPTIMAL  # nothing is left to be better


def test_stopping_returns_the_incumbent(on: Make) -> None:
    """A wish to stop ends the search; the plan is checked all the same."""
    problem = on([-1] * 30, [7, 7, 7], demand=[[1 + k % 5] for k in range(30)])
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    result = Counts().solve(problem, Budget.of(60, stop=stop))
    assert check(problem, result.plan).violations == ()


def test_the_model_is_not_built_to_its_end_when_time_is_up(
    on: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every look at the clock on the way building ends, and nothing is asked or claimed."""
    limits = [Limit(LimitKind.MAX, key=0, subject=0, counted=0, bound=2)]
    problem = on([0, -1, -1], [2, 2], evict=Evict.LOWER, groups=[[0, 1]], limits=limits)
    monkeypatch.setattr(module.cpsat, "run", lambda *_: pytest.fail("asked with half a model"))
    # The first variable, two hosts for room and for evictions, the limit, two levels, the end.
    for most in range(9):
        looks: list[int] = []

        def stop(looks: list[int] = looks, most: int = most) -> bool:
            looks.append(1)
            return len(looks) > most

        found = CpSat()(Ladder(problem), 1, Budget.of(60, stop=stop))
        assert (found.placement, found.bound) == (None, None)
        assert len(looks) == most + 1


def test_the_same_seed_gives_the_same_plan(on: Make) -> None:
    """One worker and enough time: deterministic."""
    problem = on([0, 0, 1, -1, -1], [4, 4, 2], demand=[[2], [1], [3], [2], [2]])
    plans = [Counts().solve(problem, Budget.of(60), seed=3).plan for _ in range(2)]
    assert plans[0] == plans[1]


def test_bytes_are_counted_exactly(on: Make, climb: Climb) -> None:
    """One byte too many does not fit, on hosts of petabytes."""
    half = 1 << 49
    assert values(climb, on([-1, -1], [2 * half], demand=[[half], [half]]))[0] == 0
    assert values(climb, on([-1, -1], [2 * half], demand=[[half], [half + 1]]))[0] == 1


def test_what_is_not_supported_is_not_proven() -> None:
    """Asked past `supports` for two groups that may not meet, counts stays and claims nothing."""
    drawn = snapshot(0, pms=3, apart=2)
    limits = [Limit(LimitKind.CONFLICT, 0, 0, 1, name="apart")]
    problem = drawn.replace(limits=Limits.of(limits))
    assert Counts().supports(problem) is not None
    result = Counts().solve(problem, Budget.of(60))
    assert result.plan.waves == ()
    assert result.status is Status.FEASIBLE
    assert result.levels[0].bound < result.levels[0].value
