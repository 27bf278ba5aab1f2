"""Dispatching rules keep every rule of the problem and do what their names say."""

from __future__ import annotations

from random import Random

import pytest

from optsched.generate.tasks import tasks as draw
from optsched.solvers.scheduling import RULES, dispatch
from optsched.solvers.scheduling.rules import TWINS, by_rank, soonest
from optsched.solvers.scheduling.timelines import Timelines
from optsched.tasks import Network, Nodes, TaskProblem, Tasks, check_schedule, evaluate


def one_site(speed: list[int], work: list[int], **tasks: object) -> TaskProblem:
    """Nodes at the devices' own site, so that only execution takes time."""
    nodes = Nodes.of(speed, idle=[100] * len(speed), busy=[100 + 10 * s for s in speed])
    table = Tasks.of(work, len(speed), **tasks)  # type: ignore[arg-type]
    return TaskProblem(Network.of(["here"]), nodes, table, horizon=100_000)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("seed", range(25))
def test_schedules_are_allowed(name: str, seed: int, tiny_tasks: object) -> None:
    """With memory, several cores, sleeping nodes, precedences, islands and hard deadlines."""
    problem = tiny_tasks(Random(seed), 6)  # type: ignore[operator]
    schedule = RULES[name](problem, seed)
    told = evaluate(problem, schedule)
    assert told.violations == ()
    assert check_schedule(problem, schedule).levels == told.levels
    assert RULES[name](problem, seed).node.tolist() == schedule.node.tolist()


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("seed", range(25))
def test_compiled_rules_agree_with_their_twins(name: str, seed: int, tiny_tasks: object) -> None:
    """Node by node and start by start."""
    small = tiny_tasks(Random(seed), 7)  # type: ignore[operator]
    for problem in (small, draw(seed, nodes=5, count=25, load=2.0, sleeping=0.6)):
        quick, slow = RULES[name](problem, 0), TWINS[name](problem, 0)
        assert quick.node.tolist() == slow.node.tolist()
        assert quick.start.tolist() == slow.start.tolist()


def test_eft_waits_for_the_fast_node_while_that_pays() -> None:
    """Ten times as fast: nine tasks queue there before the tenth goes to the slow one."""
    problem = one_site([1000, 100], [100] * 12)
    node = RULES["eft"](problem, 0).node.tolist()
    assert node == [0] * 10 + [1, 0]


def test_met_does_not_look_at_queues() -> None:
    """Everything goes to the fast node."""
    assert set(RULES["met"](one_site([1000, 100], [100] * 12), 0).node.tolist()) == {0}


def test_energy_takes_the_slow_node_if_time_allows() -> None:
    """The slow node needs less for the same work; with a deadline it is passed by."""
    nodes = Nodes.of([1000, 100], idle=0, busy=[50_000, 1000])
    for deadline, chosen in ((-1, 1), (500, 0)):
        tasks = Tasks.of([100], 2, deadline=[deadline])
        problem = TaskProblem(Network.of(["here"]), nodes, tasks, horizon=9000)
        assert RULES["energy"](problem, 0).node.tolist() == [chosen]


def test_edf_serves_the_urgent_first() -> None:
    """Of two that wait for one core."""
    problem = one_site([100], [10, 10], deadline=[500, 100])
    assert RULES["edf"](problem, 0).start.tolist() == [100, 0]
    assert RULES["eft"](problem, 0).start.tolist() == [0, 100]


def test_min_min_and_max_min_by_hand() -> None:
    """The shortest, or the longest, goes first."""
    problem = one_site([100], [30, 10, 20])
    assert RULES["min-min"](problem, 0).start.tolist() == [300, 0, 100]
    assert RULES["max-min"](problem, 0).start.tolist() == [0, 500, 300]


def test_sufferage_serves_who_has_no_other_node() -> None:
    """The task that may run on one node only goes before the one that may run on both."""
    problem = one_site([100, 80], [10, 10], eligible=[[True, True], [True, False]])
    assert RULES["sufferage"](problem, 0).node.tolist() == [1, 0]


def test_heft_ranks_the_longest_way_first() -> None:
    """A chain of two before a single one that is longer than each of them."""
    problem = one_site([100, 100], [12, 10, 10], before=[(1, 2)])
    assert by_rank(problem) == [1, 0, 2]
    schedule = RULES["heft"](problem, 0)
    assert evaluate(problem, schedule).violations == ()
    assert schedule.start.tolist() == [0, 0, 100]


def test_what_follows_a_rejected_task_is_rejected() -> None:
    """A task without its predecessor cannot run."""
    problem = one_site([100], [10, 10], before=[(0, 1)], eligible=[[False], [True]])
    assert RULES["eft"](problem, 0).node.tolist() == [-1, -1]


def test_gaps_are_filled() -> None:
    """A short task goes before one that was placed earlier, where there is time."""
    problem = one_site([100], [10, 10], arrival=[0, 0])
    lines = Timelines(problem)
    later = lines.option(0, 0)
    assert later is not None
    lines.place(0, later._replace(start=100, answer=200))
    gap = lines.option(1, 0)
    assert gap is not None
    assert gap.start == 0
    assert dispatch(problem, [1, 0], soonest).start.tolist() == [100, 0]
