"""The only way out of a solver: sequenced, checked, and graded against bounds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from optsched import result as module
from optsched.plan import Move, Order, Placement, Plan, Wave
from optsched.problem import Hosts, Items, PlacementProblem
from optsched.result import Bound, LevelValue, Result, Status, conclude
from optsched.sequence import Sequenced


def cramped(host0: Sequence[int] = (0, -1), hosts: int = 2) -> PlacementProblem:
    """Hosts for one item each; one tier."""
    return PlacementProblem.of(Hosts.of([[1]] * hosts), Items.of([[1]] * len(host0), host0=host0))


def graded(
    problem: PlacementProblem, goal: Sequence[int], *bounds: int | None, **options: Any
) -> Result:
    """The result for a placement with bounds by "us"."""
    given = [None if bound is None else Bound(bound, "us") for bound in bounds]
    placement = Placement.of(problem, goal)
    return conclude(problem, placement, given, solver="test", started=time.monotonic(), **options)


def test_a_plan_that_meets_its_bounds_is_optimal() -> None:
    """Counts are not negative, so a level at 0 needs no bound."""
    found = graded(cramped(), [0, 1])
    assert found.status is Status.OPTIMAL
    assert [level.value for level in found.levels] == [0, 0, 0]
    assert {level.source for level in found.levels} == {"counts are not negative"}
    assert found.notes == found.dropped == ()
    assert "Every level is proven optimal" in found.certificate.text
    assert found.certificate.ranged == "1 pending and 1 movable items; 0 are pinned"


def test_a_plan_short_of_a_bound_is_feasible() -> None:
    """The certificate names the levels that are open."""
    found = graded(cramped([0, -1]), [1, 0], 0, 0, 0)
    assert found.status is Status.FEASIBLE
    assert [level.proven for level in found.levels] == [True, True, False]
    assert "Not proven: moved[0]." in found.certificate.text


def test_bounds_and_their_sources_are_kept() -> None:
    """A level with a bound above 0 says where it comes from."""
    found = graded(cramped([0, -1, -1]), [0, 1, -1], 1)
    assert found.levels[0] == LevelValue("unplaced[0]", 1, 1, 2, "us")
    assert found.status is Status.OPTIMAL


def test_doing_nothing_wins_where_nothing_is_won() -> None:
    """A plan that is no better than 'stay' is not made."""
    found = graded(cramped([0, 1], hosts=3), [2, 1])
    assert found.plan.waves == ()
    assert found.status is Status.OPTIMAL


def test_a_bound_that_the_plan_refutes_is_dropped() -> None:
    """The level is open then, and a note asks to report it."""
    found = graded(cramped([0, -1, -1]), [0, 1, -1], 2)
    assert found.levels[0].bound == 0
    assert found.status is Status.FEASIBLE
    assert "test: its bound of unplaced[0] is above the value" in found.notes[0]


def test_bounds_of_later_levels_go_with_the_values_they_rest_on() -> None:
    """Where a dropped move changes a level, the bounds after it are not claimed."""
    problem = cramped([0, 1, -1], hosts=3)
    claimed = graded(problem, [2, 1, 0], 0, 0, 1)
    assert [level.bound for level in claimed.levels] == [0, 0, 1]
    reached = graded(problem, [2, 1, 0], 0, 0, 1, order=Order.SAFE)
    assert reached.dropped == (0, 2)
    assert [level.value for level in reached.levels] == [1, 0, 0]
    assert [level.bound for level in reached.levels] == [0, 0, 0]
    assert reached.status is Status.FEASIBLE
    assert reached.notes == ()


def test_the_next_best_placement_is_taken_where_the_best_cannot_be_reached() -> None:
    """Of several placements, the plan with the best values that can be sequenced is given."""
    problem = cramped([0, 1, -1, -1], hosts=3)
    other = Placement.of(problem, [0, 1, 2, -1])
    found = graded(problem, [1, 0, -1, 2], 1, 0, 0, order=Order.SAFE, others=[other])
    assert found.levels[0].value == 1


def test_nothing_but_stay_at_the_deadline_is_not_the_end() -> None:
    """As long as nothing better is known, the others are tried however late it is."""
    problem = cramped([0, 1, -1], hosts=3)
    goal, other = [2, 1, 0], Placement.of(problem, [0, 1, 2])
    assert graded(problem, goal, order=Order.SAFE).plan.waves == ()
    late = graded(problem, goal, order=Order.SAFE, others=[other], deadline=0.0)
    assert late.levels[0].value == 0


def test_after_the_deadline_what_is_better_than_stay_is_enough() -> None:
    """Others are then looked at only where their plans are known already."""
    problem = cramped([0, 1, -1, -1], hosts=4)
    other = Placement.of(problem, [0, 1, 2, 3])
    asked: dict[str, Any] = {"order": Order.SAFE, "others": [other]}
    known = module.way(problem, other, Order.SAFE, "test")
    placed = [
        graded(problem, [2, 1, 0, 3], **asked, **more).levels[0].value
        for more in ({}, {"deadline": 0.0}, {"deadline": 0.0, "ways": [known]})
    ]
    assert placed == [0, 1, 0]


def test_a_refused_plan_becomes_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the checker refuses is never returned, and a note says why."""
    problem = cramped([0, -1])

    def careless(problem: PlacementProblem, *_: object) -> Sequenced:
        wave = Wave((Move(1, -1, 0),))
        return Sequenced(Plan(problem.digest(), Order.WAVES, (wave,)), ())

    monkeypatch.setattr(module, "sequence", careless)
    found = graded(problem, [0, 1])
    assert found.plan.waves == ()
    assert [level.value for level in found.levels] == [1, 0, 0]
    assert found.status is Status.FEASIBLE
    assert "refused by the checker: host 'host0' needs 2 of 1" in found.notes[0]


@pytest.mark.parametrize(
    ("value", "bound", "stay", "gap"),
    [(5, 5, 9, 0.0), (9, 5, 9, 1.0), (6, 5, 9, 0.25), (3, 3, 3, 0.0), (4, 2, 2, 0.0)],
)
def test_the_gap_is_the_share_of_the_attainable_not_taken(
    value: int, bound: int, stay: int, gap: float
) -> None:
    """0 when nothing was attainable, 1 when nothing was attained."""
    assert LevelValue("level", value, bound, stay).gap == gap
