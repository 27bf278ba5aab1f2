"""What each node runs when, and how loaded it is, drawn over one axis of time."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import east_asian_width

import numpy as np

from optsched.tasks import Evaluation, Schedule, TaskProblem

from .markup import Html, join, tag
from .units import short

WIDE, LEFT, RIGHT = 1060, 130, 24  # pixels: all, names of nodes, and room for the last tick
LANE, GAP, RULER = 16, 8, 22  # pixels: a core, between nodes, and the axis
LETTER = 6.2  # pixels of a letter in a bar, on average; wide ones take two
TICKS = 10  # on the axis, or fewer
UNITS = (("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))
BINS = 60  # columns of the map of load
MOST = 3000  # bars of a node that a browser shows quickly


def load(
    problem: TaskProblem, schedule: Schedule, bins: int, until: int | None = None
) -> np.ndarray:
    """(J, bins) share of each node's cores in use over equal parts of the time `until`.

    By default that is the horizon.
    """
    last = problem.horizon if until is None else until
    edges = np.linspace(0, last, bins + 1)
    found = np.zeros((len(problem.nodes), bins))
    for i in np.flatnonzero(schedule.node >= 0).tolist():
        j = int(schedule.node[i])
        begin, end = int(schedule.start[i]), int(schedule.start[i] + problem.run[i, j])
        inside = np.clip(np.minimum(end, edges[1:]) - np.maximum(begin, edges[:-1]), 0, None)
        found[j] += inside * int(problem.tasks.cores[i])
    return found / (problem.nodes.cores[:, None] * last / bins)


def lanes(problem: TaskProblem, schedule: Schedule, j: int) -> list[tuple[int, int]]:
    """(task, first core) of what a node runs, each on the lowest cores that are free then."""
    own = np.flatnonzero(schedule.node == j)
    free, found = [0] * int(problem.nodes.cores[j]), list[tuple[int, int]]()
    for i in own[np.argsort(schedule.start[own], kind="stable")].tolist():
        start, need = int(schedule.start[i]), int(problem.tasks.cores[i])
        taken = [k for k, until in enumerate(free) if until <= start][:need]
        for k in taken:
            free[k] = start + int(problem.run[i, j])
        found.extend((i, k) for k in taken)
    return found


def ends(problem: TaskProblem, schedule: Schedule) -> tuple[np.ndarray, int]:
    """(I,) when each run ends, and when the last one does, in ms; rejected ones end at -1."""
    row, node = np.arange(len(problem.tasks)), np.maximum(schedule.node, 0)
    ended = schedule.start + np.where(schedule.node >= 0, problem.run[row, node], 0)
    return ended, max(1, int(ended.max(initial=1)))


def ticks(last: int) -> list[tuple[int, str]]:
    """Round moments from 0 to `last`, in ms, and how they are written."""
    unit, length = next(one for one in UNITS if last >= 5 * one[1] or one[1] == 1)
    least = last / length / TICKS
    step = next(
        size * power
        for power in (10**k for k in range(16))
        for size in (1, 2, 5)
        if size * power >= least
    )
    return [(k * length, f"{k:,} {unit}") for k in range(0, last // length + 1, step)]


def gantt(problem: TaskProblem, schedule: Schedule, told: Evaluation) -> Html:
    """One lane per core; late tasks in the colour of what is bad."""
    ended, last = ends(problem, schedule)
    rooms, bars, y = list[Html](), list[Html](), 0
    for j in range(len(problem.nodes)):
        placed = lanes(problem, schedule, j)[:MOST]
        high = LANE * (max((core for _, core in placed), default=0) + 1)
        rooms += [_name(problem, j, y), _box(LEFT, y, WIDE - LEFT - RIGHT, high, "room")]
        seen = set[int]()
        for i, core in placed:
            words = f"{short(problem.tasks.names[i])}: {int(schedule.start[i]):,} to "
            words += f"{int(ended[i]):,} ms, answered at {int(told.finish[i]):,} ms"
            if told.late[i]:
                words += f", {int(told.late[i]):,} ms late"
            kind = "run missed" if told.violated[i] else "run"
            name = "" if i in seen else short(problem.tasks.names[i])
            span = (int(schedule.start[i]), int(ended[i]))
            bars.append(_bar(span, last, y + core * LANE, kind, words, name))
            seen.add(i)
        y += high + GAP
    return join(
        (
            _chart(y - GAP, last, rooms, bars, "what runs when"),
            tag("p", "One lane for each core that is used. Red: answered late, or not before the "
                "end. The pointer shows names that do not fit, and times.", class_="quiet"),
        )
    )  # fmt: skip


def load_map(problem: TaskProblem, schedule: Schedule) -> Html:
    """Nodes by time; the stronger the colour, the more cores are in use."""
    last = ends(problem, schedule)[1]
    use, rooms, boxes = load(problem, schedule, BINS, last), list[Html](), list[Html]()
    wide, high = (WIDE - LEFT - RIGHT) / BINS, LANE + 2
    for j, name in enumerate(problem.nodes.names):
        y = j * high
        rooms += [_name(problem, j, y), _box(LEFT, y, WIDE - LEFT - RIGHT, LANE, "room")]
        for k in np.flatnonzero(use[j] > 0).tolist():
            words = f"{short(name)}: {100 * use[j, k]:.0f} % of its cores"
            shade = f"{max(0.08, min(1.0, float(use[j, k]))):.2f}"
            boxes.append(_box(LEFT + k * wide, y, wide, LANE, "stay", words, shade))
    return join(
        (
            _chart(len(problem.nodes) * high, last, rooms, boxes, "load of every node"),
            tag(
                "p",
                "Over the same time; the stronger the colour, the more cores are in use.",
                class_="quiet",
            ),
        )
    )


def _chart(
    height: int, last: int, behind: Sequence[Html], front: Sequence[Html], title: str
) -> Html:
    """Drawings below an axis of time that stays in sight while they are scrolled."""
    ruler, lines = list[Html](), list[Html]()
    for moment, words in ticks(last):
        x = f"{_at(moment, last):.1f}"
        ruler.append(tag("text", words, x=x, y=RULER - 8, text_anchor="middle"))
        ruler.append(tag("line", x1=x, x2=x, y1=RULER - 5, y2=RULER, class_="axis"))
        lines.append(tag("line", x1=x, x2=x, y1=0, y2=max(height, 1), class_="axis"))
    axis = tag("svg", *ruler, viewBox=f"0 0 {WIDE} {RULER}", width=WIDE, class_="ruler",
               aria_hidden="true")  # fmt: skip
    drawn = tag("svg", *behind, *lines, *front, viewBox=f"0 0 {WIDE} {max(height, 1)}", width=WIDE,
                role="img", aria_label=title)  # fmt: skip
    return tag("div", axis, drawn, class_="scroll over-time")


def _at(moment: int, last: int) -> float:
    """Where a moment is."""
    return LEFT + (WIDE - LEFT - RIGHT) * moment / last


def _name(problem: TaskProblem, j: int, y: int) -> Html:
    """Of a node, whole where the pointer is."""
    text = short(problem.nodes.names[j])
    cut = text if _length(text) <= LEFT - 10 else text[:17] + "…"
    return tag("text", tag("title", text), cut, x=6, y=y + LANE - 4, class_="node")


def _bar(span: tuple[int, int], last: int, y: int, kind: str, words: str, name: str) -> Html:
    """A run on one core, with its name if that has room."""
    left, right = (_at(moment, last) for moment in span)
    wide = max(1.0, right - left)
    drawn = _box(left, y + 1, wide, LANE - 2, kind, words)
    if not name or _length(name) > wide - 4:
        return drawn
    return join((drawn, tag("text", name, x=f"{left + 3:.1f}", y=y + LANE - 4, class_="name")))


def _length(text: str) -> float:
    """Pixels that a text takes."""
    return LETTER * sum(2 if east_asian_width(one) in "WF" else 1 for one in text)


def _box(
    x: float,
    y: float,
    wide: float,
    high: float,
    kind: str,
    words: str = "",
    shade: str | None = None,
) -> Html:
    return tag(
        "rect",
        tag("title", words) if words else "",
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        width=f"{wide:.1f}",
        height=f"{high:.1f}",
        class_=kind,
        opacity=shade,
    )
