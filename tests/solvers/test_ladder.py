"""The incumbent and its bounds, and what the levels below it freeze or leave out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from optsched.budget import Budget
from optsched.levels import then_host_cost, tier_order
from optsched.plan import Placement
from optsched.problem import (
    Budgets,
    Evict,
    Limit,
    LimitKind,
    PlacementProblem,
    When,
)
from optsched.result import Bound
from optsched.solvers.counts import CpSat
from optsched.solvers.ladder import Found, Ladder, Step

Make = Callable[..., PlacementProblem]


def bounds(ladder: Ladder) -> list[int]:
    """The bound of every level."""
    return [bound.value for bound in ladder.bounds]


def test_only_better_and_allowed_placements_are_taken(on: Make) -> None:
    """An offer that is worse, as good, or breaks a rule changes nothing."""
    problem = on([0, -1, -1], [1, 1])
    ladder = Ladder(problem)
    assert not ladder.offer(Placement.current(problem))
    assert not ladder.offer(Placement.of(problem, [0, 1, 1]))
    assert ladder.offer(Placement.of(problem, [1, 0, -1]))
    assert ladder.values == (1, 0, 1)
    assert ladder.offer(Placement.of(problem, [0, 1, -1]))
    assert ladder.values == (1, 0, 0)
    assert not ladder.offer(Placement.of(problem, [1, 0, -1]))


def test_a_start_is_an_offer(on: Make) -> None:
    """A bad start is ignored."""
    problem = on([0, -1], [1, 1])
    assert Ladder(problem, Placement.of(problem, [0, 1])).values == (0, 0, 0)
    assert Ladder(problem, Placement.of(problem, [0, 0])).values == (1, 0, 0)


def test_bounds_rest_on_the_levels_before(on: Make) -> None:
    """They only rise, and those after a level that changed are gone."""
    problem = on([0, 0, -1, -1], [2, 1], tier=[0, 0, 1, 1])
    ladder = Ladder(problem)
    for level in range(6):
        ladder.best.prove(level, Bound(1, "us"), ladder.values[:level])
    ladder.best.prove(3, Bound(0, "us"), ladder.values[:3])
    assert bounds(ladder) == [1] * 6
    ladder.best.prove(0, Bound(2, "us"), ())
    ladder.best.prove(5, Bound(9, "us"), (9, 9, 9, 9, 9))  # for other values than there are
    assert bounds(ladder) == [2, 1, 1, 1, 1, 1]
    assert ladder.offer(Placement.of(problem, [0, 0, 1, -1]))
    assert bounds(ladder) == [2, 1, 1, 1, 0, 0]


def test_climbing_skips_what_is_proven(on: Make) -> None:
    """Improvers are asked in turn until a level is proven; what they find is kept."""
    problem = on([0, -1, -1], [1, 1])
    asked: list[tuple[str, int]] = []

    def places(ladder: Ladder, level: int, budget: Budget) -> Found:
        del ladder, budget
        asked.append(("places", level))
        return Found(Placement.of(problem, [0, 1, -1]))

    def proves(ladder: Ladder, level: int, budget: Budget) -> Found:
        del budget
        asked.append(("proves", level))
        return Found(bound=Bound(ladder.values[level], "us"))

    def never(ladder: Ladder, level: int, budget: Budget) -> Found:
        raise AssertionError

    ladder = Ladder(problem)
    ladder.climb([Step(places), Step(proves), Step(never)], Budget.of(60))
    assert asked == [("places", 0), ("proves", 0)]
    assert ladder.done()
    assert bounds(ladder) == [1, 0, 0]


def test_no_time_no_climb(on: Make) -> None:
    """With a budget that is over nobody is asked."""

    def never(ladder: Ladder, level: int, budget: Budget) -> Found:
        raise AssertionError

    Ladder(on([-1], [1])).climb([Step(never)], Budget.of(0))


def test_bounds_for_other_values_are_not_kept(on: Make) -> None:
    """If an improver bounds a level for values that have changed meanwhile, that is void."""
    problem = on([0, -1], [1, 1])

    def hasty(ladder: Ladder, level: int, budget: Budget) -> Found:
        del level, budget
        ladder.offer(Placement.of(problem, [0, 1]))
        return Found(bound=Bound(7, "us"))

    ladder = Ladder(problem)
    ladder.take(hasty, 2, Budget.of(60))
    assert bounds(ladder) == [0, 0, 0]


def test_lower_tiers_do_not_bind_where_anything_may_be_evicted(on: Make) -> None:
    """Up to the levels of a tier, only that tier and higher ones are in play."""
    problem = on([0, 0, -1], [2], tier=[0, 1, 2], evict=Evict.ANY)
    ladder = Ladder(problem)
    assert [ladder.in_play(level).sum() for level in range(9)] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert ladder.items_of(ladder.in_play(3)).tolist() == [True, True, False]


@pytest.mark.parametrize(
    "options",
    [
        {"evict": Evict.LOWER},
        {"evict": Evict.NEVER},
        {"evictable": [True, False, True]},
        {"gang": [-1, -1, 0], "gangs": ("g",)},
        {"protect_higher": True},
        {"max_moves": 3},
        {"budgets": Budgets.of([[1]], [1])},
        {"groups": [[1]], "limits": [Limit(LimitKind.MAX, key=0, subject=0, counted=0, bound=9)]},
        {"objective": then_host_cost(tier_order(3))[::-1]},
        {"lets_go_first": False, "when": int(When.DURING)},
    ],
    ids=lambda options: " ".join(options),
)
def test_lower_tiers_bind_where_rules_look_at_them(on: Make, options: dict[str, Any]) -> None:
    """As soon as an item of a lower tier could be in the way, all are in play."""
    problem = on([0, 0, -1], [2], **{"tier": [0, 1, 2], "evict": Evict.ANY, **options})
    assert Ladder(problem).in_play(0).all()


def test_the_rest_is_put_where_it_fits(on: Make) -> None:
    """Items out of play keep their place if there is room, else go elsewhere, else out."""
    problem = on([0, 0, 1, -1], [2, 2], tier=[1, 1, 1, 0], evict=Evict.ANY,
                 demand=[[1], [1], [2], [2]])  # fmt: skip
    ladder = Ladder(problem)
    play = ladder.in_play(0)
    whole = ladder.complete(Placement.of(problem, [-1, -1, -1, 1]).host, play)
    assert whole.host.tolist() == [0, 0, -1, 1]
    roomy = on([0, 0, 1, -1], [2, 4], tier=[1, 1, 1, 0], evict=Evict.ANY,
               demand=[[1], [1], [2], [2]])  # fmt: skip
    whole = Ladder(roomy).complete(Placement.of(roomy, [-1, -1, -1, 0]).host, play)
    assert whole.host.tolist() == [1, 1, 1, 0]


def test_what_was_neither_moved_nor_evicted_is_frozen(on: Make) -> None:
    """Once both levels of a tier are locked at 0, its running items stay."""
    problem = on([0, 0, -1, 0], [9, 9], tier=[0, 1, 0, 0], evict=Evict.ANY,
                 movable=[True, True, True, False])  # fmt: skip
    ladder = Ladder(problem)
    frozen = [ladder.frozen(level).tolist() for level in range(6)]
    nobody, first = [False] * 4, [True, False, False, False]
    assert frozen == [nobody, nobody, nobody, first, first, first]
    assert Ladder(problem.replace(evict=Evict.NEVER)).frozen(3).tolist() == first


def test_what_no_wave_may_disturb_is_frozen(on: Make) -> None:
    """A budget of nothing, like being pinned, keeps items where they are on all levels."""
    budgets = Budgets.of([[0]], [0])
    problem = on([0, 0, -1], [2, 9], budgets=budgets, excluded=[[0, 0], [0, 1]],
                 item_eligible=[0, 0, 1], demand=[[1], [1], [2]])  # fmt: skip
    ladder = Ladder(problem)
    assert [ladder.frozen(level).tolist() for level in range(3)] == [[True, False, False]] * 3
    ladder.climb([Step(CpSat())], Budget.of(60))
    assert ladder.done()
    assert ladder.values == (1, 0, 0)
    assert Ladder(problem.replace(budgets=Budgets.of())).frozen(0).tolist() == [False] * 3


def test_a_view_pins_what_is_frozen_and_shares_the_incumbent(on: Make) -> None:
    """Improvers that work on the view improve the ladder."""
    problem = on([0, -1], [1, 1], tier=[0, 1])
    ladder = Ladder(problem)
    assert ladder.view(0) is ladder
    view = ladder.view(3)
    assert view is ladder.view(4)
    assert len(view.classes) == 1
    assert view.offer(Placement.of(problem, [0, 1]))
    assert ladder.values == (0,) * 6


@pytest.mark.parametrize("hosts", [0, 1])
def test_nothing_to_do(on: Make, hosts: int) -> None:
    """Without hosts, or without items that may be placed or moved, all is proven at once."""
    problem = on([0] * hosts + [-1] * (1 - hosts), [1] * hosts, movable=False, tiers=("a", "b"))
    ladder = Ladder(problem)
    assert len(ladder.classes) == 1 - hosts
    assert ladder.complete(problem.items.host0, ladder.in_play(0)).host.tolist() == [hosts - 1]
    assert ladder.done()
    assert bounds(ladder)[0] == 1 - hosts
