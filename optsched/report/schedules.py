"""The report of a schedule: what each node runs when, and how loaded it is, as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from optsched.outcome import Outcome
from optsched.tasks import Evaluation, Schedule, TaskProblem, Tier, evaluate, reasons

from .gantt import gantt, load, load_map
from .markup import Column, Html, join, section, table, tag
from .page import document
from .units import plural, short

POWERLESS = "the file names no power of any node or link, so every energy is 0 and says nothing"
REJECTED = ("task", "why it is rejected")
MOST = 3000  # rows that a browser shows quickly


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
        section("What runs when", gantt(problem, schedule, told), id_="gantt"),
        section("Load of every node", load_map(problem, schedule), id_="load"),
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
