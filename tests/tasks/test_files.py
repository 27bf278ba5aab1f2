"""Task problems and schedules as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optsched
from optsched.errors import InputError
from optsched.snapshot import task_files
from optsched.snapshot.task_files import decode_schedule, decode_tasks, encode_schedule
from optsched.tasks import Goal, Mix, Objective, Schedule, TaskProblem, evaluate

SMALL = b"""{
  "format": "optsched/tasks", "version": 1, "horizon": 1000, "objective": "response:3+energy,sla",
  "sites": ["gateway", "cloud"],
  "links": [{"ends": ["gateway", "cloud"], "latency": 50, "bandwidth": 100}],
  "nodes": [
    {"name": "edge-1", "site": "gateway", "speed": 100},
    {"name": "big", "tier": "cloud", "site": "cloud", "speed": 1000, "cores": 4}
  ],
  "tasks": [
    {"name": "photo", "source": "gateway", "work": 40, "deadline": 400},
    {"name": "after", "source": "gateway", "work": 10, "nodes": ["big"],
     "after": [{"task": "photo", "data": 100}]}
  ]
}"""


@settings(max_examples=60)
@given(random=st.integers(0, 1 << 32).map(Random))
def test_equal_to_the_last_bit(random: Random, draw_tasks: Callable[[Random], TaskProblem]) -> None:
    """Written and read again."""
    problem = draw_tasks(random)
    again = decode_tasks(task_files.encode_tasks(problem))
    assert again.digest() == problem.digest()
    assert task_files.encode_tasks(again) == task_files.encode_tasks(problem)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    """`optsched.read` finds tasks, and by hand: 400 ms here, 10 ms and 51 ms there."""
    path = tmp_path / "tasks.json"
    path.write_bytes(SMALL)
    problem = optsched.read(path)
    assert isinstance(problem, TaskProblem)
    assert problem.run.tolist() == [[400, 40], [100, 10]]
    assert problem.between.tolist() == [[[0, 51], [51, 0]]]
    assert problem.tasks.eligible.tolist() == [[True, True], [False, True]]
    told = evaluate(problem, Schedule.of([0, 1], [0, 451]))
    assert told.violations == ()
    assert told.levels == (3 * (400 + 461 + 50), 0)


def test_schedules_return(two_nodes: TaskProblem) -> None:
    """With what is rejected."""
    schedule = Schedule.of([1, -1], [60, -1])
    again = decode_schedule(encode_schedule(two_nodes, schedule), two_nodes)
    assert again.node.tolist() == [1, -1]
    assert again.start.tolist() == [60, -1]
    assert (again.sent, again.woken) == (None, None)
    later = Schedule.of([1, 0], [90, 50], [30, 10], [-1, 7])
    again = decode_schedule(encode_schedule(two_nodes, later), two_nodes)
    assert again.sent is not None
    assert again.woken is not None
    assert (again.sent.tolist(), again.woken.tolist()) == ([30, 10], [-1, 7])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"site": "cloud"', b'"site": "moon"', "node 'big' names the site 'moon'"),
        (b'"bandwidth": 100', b'"bandwidth": 0', "link gateway-cloud': its bandwidth"),
        (b'"task": "photo", "data"', b'"task": "after", "data"', "'after': it waits for itself"),
        (b'"work": 40', b'"work": -4', "'photo': its work is negative"),
        (b'"work": 40', b'"work": NaN', "'work' of 'photo' is NaN; give a number"),
        (b'"bandwidth": 100', b'"bandwidth": Infinity', "of link gateway-cloud is Infinity"),
        (b'"bandwidth": 100', b'"bandwidth": 0.5', r"bandwidth` \(link gateway-cloud\)"),
        (b'"deadline": 400', b'"deadline": 400, "arrival": 500', "deadline is before its arrival"),
        (b'"speed": 100}', b'"speed": 0}', "'edge-1': its speed is not above 0"),
        (b'"horizon": 1000', b'"horizon": 1000, "moon": 1', "moon"),
        (b"response:3+energy", b"response:x", "the weight 'x' of response is no whole number"),
        (b"response:3+energy", b"response:-1", "'-1' of response is no whole number from 0 on"),
        (b"response:3+energy", b"response:0+energy:0", "weighs nothing; give a weight above 0"),
        (b'"tasks": [', b'"tasks": [["photo"], ', "Expected `object`, got `array`"),
        (b'"version": 1', b'"version": 2', "has version 2"),
    ],
)
def test_bad_files_are_refused(old: bytes, new: bytes, words: str) -> None:
    """One sentence that names the object."""
    assert old in SMALL
    with pytest.raises(InputError, match=words):
        decode_tasks(SMALL.replace(old, new, 1))


@pytest.mark.parametrize("text", ["sla,response,energy", "response:3+energy:1,sla", "energy:2"])
def test_objectives_return(text: str) -> None:
    """As they were written."""
    assert Objective.parse(text).text == text


def test_objectives_weigh() -> None:
    """A sum of goals is one level."""
    both = Objective.parse("response:3+energy")
    assert both.levels == (Mix(((Goal.RESPONSE, 3), (Goal.ENERGY, 1))),)
    assert both.read({goal: k for k, goal in enumerate(Goal)}) == (3 * 1 + 2,)
    with pytest.raises(InputError, match="no goal 'speed'"):
        Objective.parse("speed")
