"""Whether everything can be placed where that leaves no room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from optsched.budget import Budget
from optsched.problem import Hosts, Items, PlacementProblem
from optsched.solvers import perfect
from optsched.solvers.ladder import Ladder
from optsched.solvers.perfect import PerfectPacking

Make = Callable[..., PlacementProblem]


def shown(problem: PlacementProblem, level: int = 0) -> int:
    """The bound of a level for 'stay'; 0: none."""
    found = PerfectPacking()(Ladder(problem), level, Budget.of(60))
    return 0 if found.bound is None else found.bound.value


@pytest.mark.parametrize(
    ("demand", "least"),
    [
        ([7, 5, 4, 4], 1),  # 7 fills no host of 10
        ([6, 5, 5, 4], 0),
        ([8, 8, 2, 2], 0),  # two of a class, one on each
        ([9, 9, 2], 1),
        ([5, 5, 5], 0),  # room to spare: nothing is said
        ([8, 8, 8], 1),  # more than there is
    ],
)
def test_full_hosts(on: Make, demand: Sequence[int], least: int) -> None:
    """Two hosts of 10 take all, or surely not; where there is room to spare nobody knows."""
    problem = on([-1] * len(demand), [10, 10], demand=[[d] for d in demand])
    assert shown(problem) == least


@pytest.mark.parametrize(("memory", "least"), [(10, 1), (11, 0)])
def test_every_resource_counts(memory: int, least: int) -> None:
    """What fills a host in one resource may not fit in another."""
    hosts = Hosts.of(np.array([[10, memory]] * 2))
    items = Items.of(np.array([[6, 5], [4, 6], [5, 5], [5, 4]]), host0=[-1] * 4)
    assert shown(PlacementProblem.of(hosts, items)) == least


def test_hosts_of_several_kinds(on: Make) -> None:
    """An item that fills one of them is enough."""
    assert shown(on([-1] * 3, [9, 6], demand=[[7], [6], [2]])) == 0
    assert shown(on([-1] * 3, [9, 6], demand=[[7], [4], [4]])) == 1


def asked_twice(
    problem: PlacementProblem, monkeypatch: pytest.MonkeyPatch, first: Budget, rows: int
) -> list[int]:
    """The bounds by one prover: in the `first` budget with at most `rows` sums, then in plenty."""
    ladder, prover, found = Ladder(problem), PerfectPacking(), []
    monkeypatch.setattr(perfect, "ROWS", rows)
    for budget in (first, Budget.of(60)):
        answer = prover(ladder, 0, budget).bound
        found.append(0 if answer is None else answer.value)
        monkeypatch.undo()
    return found


def test_too_many_sums_say_nothing(on: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """With far more of them the question is asked again."""
    problem = on([-1] * 5, [10, 10], demand=[[7], [5], [4], [2], [2]])
    assert asked_twice(problem, monkeypatch, Budget.of(60), 1) == [0, 1]


def test_what_was_answered_is_not_asked_again(on: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor with a little more."""
    problem = on([-1] * 4, [10, 10], demand=[[6], [5], [5], [4]])
    ladder, prover = Ladder(problem), PerfectPacking()
    assert prover(ladder, 0, Budget.of(60)).bound is None
    monkeypatch.setattr(perfect, "_fills", lambda *_: pytest.fail("asked again"))
    monkeypatch.setattr(perfect, "ROWS", perfect.ROWS * 3 // 2)
    assert prover(ladder, 0, Budget.of(60)).bound is None


def test_what_was_cut_short_is_asked_again(on: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock, or the user, ended the first attempt."""
    problem = on([-1] * 4, [10, 10], demand=[[7], [5], [4], [4]])
    stopped = Budget.of(60, stop=lambda: True)
    assert asked_twice(problem, monkeypatch, stopped, perfect.ROWS) == [0, 1]


def test_what_no_host_has_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resource that nobody asks for and no host has leaves the others to tell halves apart."""
    monkeypatch.setattr(perfect, "MATCHES", 20)
    hosts = Hosts.of(np.array([[0, 100], [0, 100]]))
    demand = [61, 51, 20, 18, 16, 14, 12, 8]  # an odd one fills no host with even ones
    items = Items.of(np.array([[0, d] for d in demand]), host0=[-1] * 8)
    assert shown(PlacementProblem.of(hosts, items)) == 1


def test_levels_that_count_moves_get_no_bound(on: Make) -> None:
    """Full hosts speak of what is placed only."""
    problem = on([0, 0, -1, -1], [10, 10], demand=[[7], [3], [6], [4]])
    names = [level.name for level in problem.objective]
    assert shown(problem, names.index("moved[0]")) == 0


def test_sums_beyond_64_bits_say_nothing(on: Make) -> None:
    """Sums of room that hardly fit an integer are not taken for none."""
    assert shown(on([-1], [2**53] * 512, demand=[[1]])) == 0


def test_out_of_time_says_nothing(on: Make) -> None:
    """A question that there is no time to answer bounds nothing."""
    problem = on([-1] * 4, [10, 10], demand=[[7], [5], [4], [4]])
    assert PerfectPacking()(Ladder(problem), 0, Budget.of(0)).bound is None
