"""Budgets end when they say, or earlier when asked."""

from __future__ import annotations

import pytest

from optsched import budget as module
from optsched.budget import Budget, Progress


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        """The time now."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that budgets look at."""
    hand = Clock()
    monkeypatch.setattr(module.time, "monotonic", hand)
    return hand


def test_a_budget_runs_out(clock: Clock) -> None:
    """Time remaining shrinks to 0 and no further."""
    budget = Budget.of(10)
    assert (budget.remaining(), budget.over()) == (10, False)
    clock.now += 4
    assert (budget.remaining(), budget.over()) == (6, False)
    clock.now += 7
    assert (budget.remaining(), budget.over()) == (0, True)


def test_shares_are_of_what_is_left(clock: Clock) -> None:
    """A share ends earlier than its budget, and never gets longer."""
    budget = Budget.of(10, workers=3)
    clock.now += 2
    half = budget.share(0.5)
    assert (half.remaining(), half.workers) == (4, 3)
    assert budget.until(3).remaining() == 3
    assert budget.until(30).remaining() == 8
    clock.now += 20
    assert budget.share(0.5).remaining() == 0


def test_stop_ends_it_at_once(clock: Clock) -> None:
    """Asked to stop, a budget and all its shares are over, with time left."""
    wish = [False]
    budget = Budget.of(10, stop=lambda: wish[0])
    share = budget.share(0.5)
    assert not share.over()
    wish[0] = True
    assert budget.over()
    assert share.over()
    assert clock.now < budget.deadline


def test_progress_is_reported() -> None:
    """What a solver says reaches the caller."""
    seen: list[Progress] = []
    Budget.of(1, on_progress=seen.append).share(0.5).report("counts", value=3, bound=1)
    assert seen == [Progress("counts", value=3, bound=1)]


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_impossible_times_are_refused(seconds: float) -> None:
    """A time limit is 0 or more."""
    with pytest.raises(ValueError, match="give 0 or more"):
        Budget.of(seconds)


def test_no_workers_are_refused() -> None:
    """Somebody must do the work."""
    with pytest.raises(ValueError, match="0 workers are not possible"):
        Budget.of(1, workers=0)
