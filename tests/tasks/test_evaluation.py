"""The evaluator against sums by hand and against the second reading."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optsched.errors import ProblemError
from optsched.tasks import (
    Network,
    Nodes,
    Schedule,
    TaskProblem,
    Tasks,
    check_schedule,
    evaluate,
)

SEEDS = st.integers(0, 1 << 32).map(Random)


def test_by_hand(two_nodes: TaskProblem) -> None:
    """Times, energies, utilisation and fairness of two tasks on two nodes."""
    # upload of the large task: 50 + 20,000 / 100 = 250 ms; run 100 / 1000 s; download 50 + 10 ms
    assert two_nodes.upload.tolist() == [[0, 60], [0, 250]]
    assert two_nodes.download.tolist() == [[0, 51], [0, 60]]
    assert two_nodes.run.tolist() == [[100, 10], [1000, 100]]
    # running: 2 W for 0.1 s, 40 W / 4 for 0.01 s; sending 1.1 kB at 2 J/MB
    assert two_nodes.energy.tolist() == [[200, 100 + 3], [2000, 1000 + 42]]
    told = evaluate(two_nodes, Schedule.of([0, 1], [0, 260]))
    assert told.violations == ()
    assert told.finish.tolist() == [100, 420]
    assert told.response.tolist() == [100, 410]
    assert told.late.tolist() == [0, 0]
    assert told.node_energy.tolist() == [1000 + 200, 50_000 + 1000]
    assert told.sent == 42
    assert told.levels == (0, 510, 1200 + 51_000 + 42)
    assert told.utilisation == pytest.approx(110 / (100 + 4000))
    assert told.fairness == pytest.approx((0.1 + 0.025) ** 2 / (2 * (0.1**2 + 0.025**2)))


def test_what_is_late_rejected_or_unfinished_counts(two_nodes: TaskProblem) -> None:
    """Nothing is dropped: rejected and unfinished tasks answer when the horizon ends."""
    late = evaluate(two_nodes, Schedule.of([0, 0], [0, 100]))
    assert late.finish.tolist() == [100, 1100]
    assert late.unfinished.tolist() == [False, True]
    assert late.levels[:2] == (3, 100 + 990)
    rejected = evaluate(two_nodes, Schedule.of([0, -1], [0, -1]))
    assert rejected.rejected.tolist() == [False, True]
    assert rejected.levels[:2] == (3, 100 + 990)
    assert rejected.violations == ()


@pytest.mark.parametrize(
    ("node", "start", "words"),
    [
        ([0, 1], [0, 259], "'large' begins before it is ready"),
        ([0, 2], [0, 300], "'large' runs on a node that does not exist"),
        ([0, 0], [0, 50], "'edge' has too few cores from 50 ms on"),
        ([0, -1], [0, 7], "'large' is rejected and yet begins"),
    ],
)
def test_violations_are_named(
    two_nodes: TaskProblem, node: list[int], start: list[int], words: str
) -> None:
    """One sentence each."""
    assert words in evaluate(two_nodes, Schedule.of(node, start)).violations


def test_memory_is_held_from_the_end_of_the_upload(two_nodes: TaskProblem) -> None:
    """A task that waits for a core takes its memory already."""
    nodes = Nodes.of([100], memory=[10])
    tasks = Tasks.of([10, 10], 1, memory=[6, 6])
    problem = TaskProblem(Network.of(["here"]), nodes, tasks, horizon=900)
    told = evaluate(problem, Schedule.of([0, 0], [0, 100]))
    assert told.violations == ("'node0' has too few memory from 0 ms on",)


@settings(max_examples=100)
@given(random=SEEDS)
def test_both_readings_agree(
    random: Random,
    draw_tasks: Callable[[Random], TaskProblem],
    draw_schedule: Callable[[Random, TaskProblem], Schedule],
) -> None:
    """On what is allowed, and on what it is worth."""
    problem = draw_tasks(random)
    for _ in range(4):
        schedule = draw_schedule(random, problem)
        told, read = evaluate(problem, schedule), check_schedule(problem, schedule)
        assert bool(told.violations) == bool(read.faults), (told.violations, read.faults)
        if not told.violations:
            assert told.levels == read.levels


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"work": [-1]}, "'task0': its work is negative"),
        ({"work": [1], "arrival": 5, "deadline": 4}, "its deadline is before its arrival"),
        ({"work": [1], "hard": True}, "it is hard without a deadline"),
        ({"work": [1, 1], "before": [(0, 1), (1, 0)]}, "'task0': it waits for itself"),
        ({"work": [float("nan")]}, "tasks.work: integers are needed"),
    ],
)
def test_bad_tasks_are_refused(change: dict[str, object], words: str) -> None:
    """One sentence that names the task."""
    with pytest.raises(ProblemError, match=words):
        Tasks.of(nodes=1, **change)  # type: ignore[arg-type]


def test_bad_networks_are_refused() -> None:
    """Links without bandwidth, and sites that do not exist."""
    with pytest.raises(ProblemError, match="link a-b': its bandwidth is not above 0"):
        Network.of(["a", "b"], [(0, 1)], bandwidth=0)
    with pytest.raises(ProblemError, match="it joins a site that does not exist"):
        Network.of(["a"], [(0, 1)])
    with pytest.raises(ProblemError, match="'b' cannot be reached from 'a'"):
        Network.of(["a", "b"]).path(0, 1)


def test_of_paths_that_are_equally_short_all_take_the_same() -> None:
    """Answers go back the way of the input; a bandwidth tells the two ways apart."""
    ends = [(0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)]
    network = Network.of(
        list("abcdef"), ends, latency=1, bandwidth=[1000, 10, 1000, 1000, 1000, 1000]
    )
    problem = TaskProblem(
        network,
        Nodes.of([1000], site=[5]),
        Tasks.of([1], 1, source=0, input=10_000, output=20_000),
        horizon=10_000,
    )
    upload, download = int(problem.upload[0, 0]), int(problem.download[0, 0])
    links = network.path(0, 5)
    assert upload == network.times(links, problem.tasks.input)[0]
    assert download == network.times(links, problem.tasks.output)[0]
    schedule = Schedule.of([0], [upload])
    assert evaluate(problem, schedule).violations == ()
    assert check_schedule(problem, schedule).faults == ()
    assert check_schedule(problem, schedule).levels == evaluate(problem, schedule).levels


def test_what_cannot_come_is_never_ready() -> None:
    """A task needs the data of one that runs where nothing leads from."""
    problem = TaskProblem(
        Network.of(["a", "b"]),
        Nodes.of([1000, 1000], site=[0, 1]),
        Tasks.of([1000, 1000], 2, source=[0, 1], before=[(0, 1)]),
        horizon=10_000,
    )
    told = evaluate(problem, Schedule.of([0, 1], [0, 1000]))
    assert told.violations == ("'task1' cannot be reached from 'task0'",)


def test_a_horizon_ends_after_the_last_arrival(two_nodes: TaskProblem) -> None:
    """Else what arrives later could not be counted."""
    with pytest.raises(ProblemError, match="ends before the last arrival"):
        two_nodes.replace(horizon=10)


def test_digests_tell_problems_apart(two_nodes: TaskProblem) -> None:
    """By every table and the horizon, not by the name."""
    assert two_nodes.digest() == two_nodes.replace(name="other").digest()
    assert two_nodes.digest() != two_nodes.replace(horizon=1001).digest()
