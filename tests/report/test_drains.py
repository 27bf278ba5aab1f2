"""Who stays on hosts that should be empty, and why."""

from __future__ import annotations

from optsched.options import with_drain, with_max_moves
from optsched.plan import Plan
from optsched.problem import Hosts, Items, PlacementProblem
from optsched.report.drains import left_behind
from optsched.result import LevelValue


def crowded(**options: object) -> PlacementProblem:
    """Three hosts of 8; on "old" items of 2, 6, 9 (too many) and a pinned one; little room else."""
    return PlacementProblem.of(
        Hosts.of([[20], [8], [8]], names=["old", "left", "right"]),
        Items.of(
            [[2], [6], [9], [1], [4], [5]],
            names=["small", "large", "huge", "fixed", "a", "b"],
            host0=[0, 0, 0, 0, 1, 2],
            movable=[True, True, True, False, True, True],
            pinned_by=[-1, -1, -1, 0, -1, -1],
        ),
        resources=("slots",),
        pin_reasons=("it uses a local disk",),
        **options,
    )


def test_every_reason_is_told() -> None:
    """Pinned, too large for any other host, no room, and the limit of moves."""
    problem = with_max_moves(with_drain(crowded(), ["old"]), 0)
    told = left_behind(problem, Plan(problem.digest()))
    assert len(told) == 1
    assert told[0].startswith("old is not emptied, 4 items stay: small (the limit of 0 moves")
    assert "large (of 3 hosts 2 lack slots" in told[0]
    assert "; 1 more" in told[0]


def test_what_no_host_could_hold_and_what_is_pinned() -> None:
    """Each with its own words."""
    problem = with_drain(crowded(), ["old"])
    words = left_behind(problem, Plan(problem.digest()))[0]
    assert "huge (it fits on no host, not even on an empty one)" in words
    alone = problem.replace()
    told = left_behind(alone, Plan(alone.digest()), [LevelValue("drained", 4, 0, 4)])
    assert told[-1] == "proven: no plan leaves fewer than 1 on the hosts to be emptied"


def test_an_empty_host_is_not_told_of() -> None:
    """Nothing to say."""
    problem = with_drain(
        PlacementProblem.of(Hosts.of([[1], [1]]), Items.of([[1]], host0=[1])), ["host0"]
    )
    assert left_behind(problem, Plan(problem.digest())) == ()
