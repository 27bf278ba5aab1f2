"""The report of a schedule: what each node runs when, and how loaded it is, as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from optsched.outcome import Outcome
from optsched.tasks import Evaluation, Schedule, TaskProblem, Tier, evaluate, reasons

from .markup import Column, Html, esc, join, section, table, tag
from .page import document
from .units import plural, short

WIDE, LANE, LEFT, GAP = 1060, 13, 130, 8  # pixels of the charts
BINS = 60  # columns of the map of load
POWERLESS = "the file names no power of any node or link, so every energy is 0 and says nothing"
REJECTED = ("task", "why it is rejected")
MOST = 3000  # bars and rows that a browser shows quickly


def level_rows(outcome: Outcome) -> list[tuple[object, ...]]:
    """Name, value, bound, reference, gap, proof and source of every level."""
    return [
        (
            level.name,
            f"{level.value:,}",
            f"{level.bound:,}",
            f"{level.stay:,}",
            f"{100 * level.gap:.1f} %",
            "proven" if level.proven else "open",
            level.source,
        )
        for level in outcome.levels
    ]


def sla_rows(problem: TaskProblem, told: Evaluation) -> list[tuple[object, ...]]:
    """Per weight: tasks, with deadline, late, hard ones missed, rejected, unfinished, met in %."""
    tasks, rows = problem.tasks, list[tuple[object, ...]]()
    for weight in sorted({*tasks.weight.tolist()}, reverse=True):
        own = tasks.weight == weight
        late = own & (told.late > 0) & ~told.rejected & ~told.unfinished
        met = 100 * (1 - told.violated[own].mean())
        counts = (
            own, own & (tasks.deadline >= 0), late, own & told.violated & tasks.hard,
            own & told.rejected, own & told.unfinished,
        )  # fmt: skip
        rows.append((weight, *(int(one.sum()) for one in counts), f"{met:.1f} %"))
    return rows


def task_rows(
    problem: TaskProblem, schedule: Schedule, told: Evaluation
) -> list[tuple[object, ...]]:
    """Name, node, arrival, start, answer, response, lateness of every task, by arrival."""
    names, nodes = problem.tasks.names, problem.nodes.names
    rows = list[tuple[object, ...]]()
    for i in np.argsort(problem.tasks.arrival, kind="stable").tolist():
        j, arrival = int(schedule.node[i]), int(problem.tasks.arrival[i])
        if j < 0:
            rows.append((short(names[i]), "rejected", arrival, "-", "-", "-", "-"))
            continue
        rest = (int(column[i]) for column in (told.finish, told.response, told.late))
        rows.append((short(names[i]), short(nodes[j]), arrival, int(schedule.start[i]), *rest))
    return rows


def rejected_rows(problem: TaskProblem, why: Mapping[int, str]) -> list[tuple[object, ...]]:
    """Name and reason of every rejected task, by arrival; `why` as of `optsched.tasks.reasons`."""
    order = sorted(why, key=lambda i: int(problem.tasks.arrival[i]))
    return [(short(problem.tasks.names[i]), why[i]) for i in order]


def node_rows(
    problem: TaskProblem, schedule: Schedule, told: Evaluation
) -> list[tuple[object, ...]]:
    """Name, tier, state, tasks, mean use of cores in % and energy in J of every node."""
    nodes, rows = problem.nodes, list[tuple[object, ...]]()
    use = load(problem, schedule, 1)[:, 0]
    for j, name in enumerate(nodes.names):
        rows.append(
            (
                short(name),
                Tier(int(nodes.tier[j])).name.lower(),
                "on" if told.on[j] else "asleep",
                int((schedule.node == j).sum()),
                f"{100 * use[j]:.1f}",
                f"{told.node_energy[j] / 1000:,.1f}",
            )
        )
    return rows


def sentence(problem: TaskProblem, told: Evaluation) -> str:
    """What a schedule comes to."""
    count = len(problem.tasks)
    mean = told.response.mean() if count else 0.0
    return (
        f"{count - int(told.violated.sum()):,} of "
        f"{plural(count, 'task')} in time, {int(told.rejected.sum()):,} rejected, "
        f"{int(told.unfinished.sum()):,} unfinished; mean response {mean:,.1f} ms, energy "
        f"{told.energy / 1000:,.1f} J, utilisation of what is on {100 * told.utilisation:.1f} %."
    )


def known(problem: TaskProblem) -> tuple[str, ...]:
    """What is to be known whatever the schedule: what its reader says, and what is not in it."""
    nodes = problem.nodes
    powers = (nodes.idle, nodes.busy, nodes.sleep, nodes.wake_energy, problem.network.energy)
    return problem.warnings if any(one.any() for one in powers) else (*problem.warnings, POWERLESS)


def verdict(problem: TaskProblem, outcome: Outcome, told: Evaluation) -> str:
    """The answer in a sentence."""
    return f"{outcome.status.value.capitalize()}: {sentence(problem, told)}"


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


def schedule_page(problem: TaskProblem, answer: Outcome | Schedule) -> str:
    """The page of an answer; of a schedule alone, without a certificate."""
    outcome = answer if isinstance(answer, Outcome) else None
    schedule = answer.schedule if isinstance(answer, Outcome) else answer
    told = evaluate(problem, schedule)
    said = verdict(problem, outcome, told) if outcome else sentence(problem, told)
    wrong = [f"Not allowed: {one}" for one in told.violations]
    notes = (*wrong, *known(problem), *(outcome.notes if outcome else ()))
    by = f"{outcome.solver}, {outcome.seconds:.2f} s, " if outcome else ""
    body = (
        tag(
            "header",
            tag("p", "optsched report", class_="quiet"),
            tag("h1", problem.name),
            tag("p", said, class_="verdict"),
        ),
        section("What runs when", _gantt(problem, schedule, told), id_="gantt"),
        section("Load of every node", _map(problem, schedule), id_="load"),
        *(_certificate(outcome) if outcome else ()),
        section(
            "Service levels",
            _table(("#weight", "#tasks", "#with deadline", "#late", "#hard missed", "#rejected",
                    "#unfinished", "#met"), sla_rows(problem, told)),
            id_="sla",
        ),
        section(
            "Nodes",
            _table(("node", "tier", "state", "#tasks", "#cores in use, %", "#energy, J"),
                   node_rows(problem, schedule, told)),
            id_="nodes",
        ),
        _tasks(problem, schedule, told),
        *_rejected(problem, reasons(problem, schedule)),
        *_notes(notes),
        tag("footer", tag("p", f"{by}for problem {problem.digest()}", class_="quiet")),
    )  # fmt: skip
    return document(problem.name, join(body))


def _certificate(outcome: Outcome) -> tuple[Html, ...]:
    titles = ("level", "#value", "#bound", "#EFT", "#gap", "proof", "bound from")
    words = tag("p", outcome.certificate.text)
    return (section("Certificate", words, _table(titles, level_rows(outcome)), id_="certificate"),)


def _tasks(problem: TaskProblem, schedule: Schedule, told: Evaluation) -> Html:
    numbers = [Column(title, number=True) for title in ("arrival", "start", "answer", "response")]
    rows = task_rows(problem, schedule, told)
    columns = (Column("task"), Column("node"), *numbers, Column("late", number=True))
    return section(
        "Tasks",
        tag("p", "Times in milliseconds.", class_="quiet"),
        table(columns, rows[:MOST], class_="sortable"),
        tag("p", f"The first {MOST:,} of {len(rows):,} are shown.") if len(rows) > MOST else "",
        id_="tasks",
    )


def _rejected(problem: TaskProblem, why: Mapping[int, str]) -> tuple[Html, ...]:
    if not why:
        return ()
    rows = rejected_rows(problem, why)
    more = tag("p", f"The first {MOST:,} of {len(rows):,} are shown.") if len(rows) > MOST else ""
    return (section("Rejected tasks", _table(REJECTED, rows[:MOST]), more, id_="rejected"),)


def _table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> Html:
    columns = [Column(t.removeprefix("#"), number=t.startswith("#")) for t in titles]
    return table(columns, rows)


def _notes(notes: Sequence[str]) -> tuple[Html, ...]:
    if not notes:
        return ()
    return (section("Notes", tag("ul", *(tag("li", one) for one in notes)), id_="notes"),)


def _gantt(problem: TaskProblem, schedule: Schedule, told: Evaluation) -> Html:
    """One lane per core; late tasks in the colour of what is bad."""
    ended, last = ends(problem, schedule)
    scale = (WIDE - LEFT) / last
    parts, y = list[Html](), 0
    for j, name in enumerate(problem.nodes.names):
        placed = lanes(problem, schedule, j)
        used = max((core for _, core in placed), default=0) + 1
        parts.append(_label(short(name), y + LANE - 2))
        parts.append(_box(LEFT, y, WIDE - LEFT, used * LANE, "var(--raised)"))
        for i, core in placed[:MOST]:
            start = int(schedule.start[i])
            wide = max(1.0, (int(ended[i]) - start) * scale)
            words = f"{short(problem.tasks.names[i])}: {start} to {int(ended[i])} ms"
            if told.late[i]:
                words += f", {int(told.late[i])} ms late"
            colour = "var(--bad)" if told.violated[i] else "var(--stay)"
            left = LEFT + start * scale
            parts.append(_box(left, y + core * LANE + 1, wide, LANE - 2, colour, words))
        y += used * LANE + GAP
    return join(
        (
            _svg(y, parts, "what runs when"),
            tag("p", f"0 to {last:,} ms; one lane for each core that is used. Red: answered late.",
                class_="quiet"),
        )
    )  # fmt: skip


def _map(problem: TaskProblem, schedule: Schedule) -> Html:
    """Nodes by time; the darker, the more cores are in use."""
    last = ends(problem, schedule)[1]
    use, parts = load(problem, schedule, BINS, last), list[Html]()
    wide = (WIDE - LEFT) / BINS
    for j, name in enumerate(problem.nodes.names):
        y = j * (LANE + 5)
        parts.append(_label(short(name), y + LANE - 2))
        parts.append(_box(LEFT, y, WIDE - LEFT, LANE + 3, "var(--raised)"))
        for k in np.flatnonzero(use[j] > 0).tolist():
            words = f"{short(name)}: {100 * use[j, k]:.0f} % of its cores"
            shade = f"{max(0.08, min(1.0, float(use[j, k]))):.2f}"
            parts.append(_box(LEFT + k * wide, y, wide, LANE + 3, "var(--stay)", words, shade))
    return join(
        (
            _svg(len(problem.nodes) * (LANE + 5), parts, "load of every node"),
            tag("p", f"0 to {last:,} ms, as above; darker: more cores in use.",
                class_="quiet"),
        )
    )  # fmt: skip


def _svg(height: int, parts: Sequence[Html], title: str) -> Html:
    box = tag("svg", *parts, viewBox=f"0 0 {WIDE} {max(height, 1)}", width=WIDE, role="img",
              aria_label=title)  # fmt: skip
    return tag("div", box, class_="scroll")


def _label(text: str, y: float) -> Html:
    cut = text if len(text) <= 18 else text[:17] + "…"
    return tag("text", esc(cut), x=0, y=f"{y:.0f}", font_size=11, fill="var(--text)")


def _box(
    x: float, y: float, wide: float, high: float, fill: str, words: str = "", shade: str = "1"
) -> Html:
    return tag(
        "rect",
        tag("title", words) if words else "",
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        width=f"{wide:.1f}",
        height=f"{high:.1f}",
        fill=fill,
        opacity=shade,
    )
