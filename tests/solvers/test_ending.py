"""What is kept back of a budget for the end of a solve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from optsched import result
from optsched.budget import Budget
from optsched.plan import Order, Placement
from optsched.problem import PlacementProblem
from optsched.result import Status, conclude
from optsched.solvers import ending
from optsched.solvers.ending import LEAST, MARGIN, MOST, PRINT, PRINTED, Ending

Make = Callable[..., PlacementProblem]


class Clock:
    """Seconds that pass only when a plan is made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, each: float) -> None:
        self.now, self.plans, self._each, self._way = 1000.0, 0, each, ending.way
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr(ending, "way", self.way)

    def way(self, *asked: object) -> result.Way:
        """The way, after a while."""
        self.plans += 1
        self.now += self._each
        return self._way(*asked)  # type: ignore[arg-type]


def test_as_long_as_a_plan_took_is_kept_back(on: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is measured little is; then some more than the plan took."""
    clock = Clock(monkeypatch, each=2.0)
    kept = Ending(on([-1], [1]), Order.WAVES, Budget.of(10), "some")
    search = kept.search()
    clock.now += 7.9
    assert not search.over()
    clock.now -= 7.0
    kept.way(Placement.of(kept.problem, np.array([0])))
    clock.now = 1010 - kept.least - MARGIN * 2.0 + 0.01
    assert search.over()
    assert kept.search().remaining() == 0
    clock.now -= 0.02
    assert not search.over()


@pytest.mark.parametrize(("seconds", "least"), [(10, LEAST + PRINT), (1, LEAST + PRINTED)])
def test_a_little_is_left_for_printing(on: Make, seconds: float, least: float) -> None:
    """More where there is more, and hardly any of a second."""
    kept = Ending(on([-1], [1]), Order.WAVES, Budget.of(seconds), "some")
    assert kept.least == pytest.approx(least, rel=0.01)


def test_never_most_of_the_time_is_kept_back(on: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that takes longer than all the time there is leaves some for the search."""
    clock = Clock(monkeypatch, each=100.0)
    kept = Ending(on([-1], [1]), Order.WAVES, Budget.of(10), "some")
    kept.way(Placement.of(kept.problem, np.array([0])))
    clock.now = 1000.0
    assert kept.search().remaining() == pytest.approx(10 * (1 - MOST))


def test_a_way_is_made_once(on: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again, or at the end, a placement is not sequenced again; then bounds get the time."""
    clock = Clock(monkeypatch, each=1.0)
    problem = on([-1, -1], [1, 1])
    kept = Ending(problem, Order.WAVES, Budget.of(10), "some")
    placement = Placement.of(problem, np.array([0, 1]))
    assert kept.proofs(placement).remaining() < 10 - kept.least
    assert kept.way(placement) is kept.way(placement)
    assert clock.plans == 1
    clock.now = 1000.0
    assert kept.proofs(placement).remaining() == pytest.approx(10 - kept.least)
    monkeypatch.setattr(result, "sequence", lambda *_: pytest.fail("sequenced again"))
    bounds = [result.Bound(0, "tried")] * len(problem.objective)
    answer = conclude(problem, placement, bounds, solver="some", started=1000.0, ways=kept.ways)
    assert answer.status is Status.OPTIMAL
    assert answer.plan.placement(problem).host.tolist() == [0, 1]


def test_it_stops_when_the_user_stops(on: Make) -> None:
    """Ctrl-C ends the search at once."""
    stopped: list[int] = []
    budget = Budget.of(60, stop=lambda: bool(stopped))
    search = Ending(on([-1], [1]), Order.WAVES, budget, "some").search()
    assert not search.over()
    stopped.append(1)
    assert search.over()
