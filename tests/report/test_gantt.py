"""The chart of a schedule: its axis of time, its bars and their names."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from optsched.report import gantt
from optsched.tasks import Network, Nodes, Schedule, TaskProblem, Tasks, evaluate


@pytest.mark.parametrize(
    ("last", "first", "final", "many"),
    [
        (1, (0, "0 ms"), (1, "1 ms"), 2),
        (2570, (0, "0 ms"), (2500, "2,500 ms"), 6),
        (4999, (0, "0 ms"), (4500, "4,500 ms"), 10),
        (5000, (0, "0 s"), (5000, "5 s"), 6),
        (299_000, (0, "0 s"), (250_000, "250 s"), 6),
        (3_600_000, (0, "0 min"), (3_600_000, "60 min"), 7),
        (65_894_000, (0, "0 h"), (64_800_000, "18 h"), 10),
        (10**12, (0, "0 h"), (900_000_000_000, "250,000 h"), 6),
    ],
)
def test_ticks_are_round(last: int, first: object, final: object, many: int) -> None:
    """Moments that people count in, from the beginning to the end, a handful of them."""
    found = gantt.ticks(last)
    assert (found[0], found[-1], len(found)) == (first, final, many)
    assert len({two[0] - one[0] for one, two in pairwise(found)}) == 1


def test_names_stand_where_they_fit() -> None:
    """In the bar if it is wide enough, else where the pointer is; once for all cores of a task."""
    nodes = Nodes.of([1000], names=["a node with a very long name"], cores=[3])
    tasks = Tasks.of(
        [900, 40, 60], 1, names=["wide <b>", "narrow", "\u6f22\u5b57" * 9], cores=[2, 1, 1],
        deadline=[-1, -1, 90],
    )  # fmt: skip
    problem = TaskProblem(Network.of(["here"]), nodes, tasks, 2000)
    schedule = Schedule.of([0, 0, 0], [0, 0, 40])
    drawn = gantt.gantt(problem, schedule, evaluate(problem, schedule))
    assert re.findall(r'class="name">([^<]*)<', drawn) == ["wide &lt;b&gt;"]
    titles = re.findall(r"<title>([^<]*)</title></rect>", drawn)
    assert [one.partition(":")[0] for one in titles].count("wide &lt;b&gt;") == 2
    assert "narrow: 0 to 40 ms, answered at 40 ms" in titles
    assert any(one.endswith("40 to 100 ms, answered at 100 ms, 10 ms late") for one in titles)
    assert drawn.count('class="run missed"') == 1
    assert drawn.count('class="run"') == 3
    assert "a node with a ver\u2026" in drawn
    assert "<title>a node with a very long name</title>" in drawn
    assert re.findall(r">([\d,]+ ms)</text>", drawn) == [f"{k} ms" for k in range(0, 901, 100)]


def test_bars_lie_on_the_axis() -> None:
    """A bar begins below the tick of its start."""
    problem = TaskProblem(Network.of(["here"]), Nodes.of([1000]), Tasks.of([300, 700], 1), 2000)
    schedule = Schedule.of([0, 0], [0, 300])
    drawn = gantt.gantt(problem, schedule, evaluate(problem, schedule))
    at = dict(re.findall(r'<text x="([\d.]+)"[^>]*>([\d,]+) ms', drawn))
    left = re.findall(r'<rect x="([\d.]+)"[^>]*class="run"', drawn)
    assert [at[one] for one in left] == ["0", "300"]
