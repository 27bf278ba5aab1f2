"""Tasks in the commands that know placements too: schedules as text, JSON, files and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .console import Paper
from .exits import Exit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optsched.outcome import Outcome
    from optsched.tasks import Evaluation, Schedule, TaskProblem

    from .answer import Answer
    from .documents.tasks import NodeTold, OutcomeDocument, TaskTold
    from .parameters import Search


def solve_tasks(problem: TaskProblem, solver: str, search: Search, answer: Answer) -> Exit:
    """Solve and tell."""
    from optsched.report.schedules import schedule_page
    from optsched.snapshot import write_atomically
    from optsched.snapshot.task_files import encode_schedule

    from .searching import find_schedule

    outcome, _ = find_schedule(problem, solver, search, f"solving {problem.name}")
    try:  # as for placements: the files all the same where nobody reads the answer to its end
        if answer.output == "json":
            click.echo(_json(problem, outcome), nl=False)
        else:
            _print(Paper(answer.max_rows), problem, outcome)
    finally:
        if answer.plan_out:
            write_atomically(answer.plan_out, encode_schedule(problem, outcome.schedule))
        if answer.report:
            write_atomically(answer.report, schedule_page(problem, outcome).encode())
    return Exit.OK


def read_schedule(
    problem: TaskProblem, path: str
) -> tuple[Schedule, OutcomeDocument | None, tuple[str, ...]]:
    """The schedule in a file, the answer around it if there is one, and notes about it.

    Raises
    ------
    InputError
        The file is neither a schedule nor an answer with one, or names what the problem lacks.
    """
    from optsched.snapshot import text
    from optsched.snapshot.files import read_bytes
    from optsched.snapshot.task_files import SCHEDULE, VERSIONS, ScheduleFile, schedule_of

    from .documents.tasks import OUTCOME, OutcomeDocument
    from .plans import FOREIGN

    data, whole = read_bytes(path), None
    head = text.read_head(data, path)
    text.check_head(head, path, (SCHEDULE, OUTCOME), VERSIONS)
    if head.format == OUTCOME:
        whole = text.decode(data, OutcomeDocument, path)
        file = whole.schedule
    else:
        file = text.decode(data, ScheduleFile, path)
    notes = () if file.problem == problem.digest() else (FOREIGN,)
    return schedule_of(file, problem, path), whole, notes


def report_tasks(problem: TaskProblem, path: str | None) -> tuple[str, tuple[str, ...]]:
    """The page of a schedule or of an answer, and notes about it.

    Raises
    ------
    click.UsageError
        No schedule is named.
    """
    from optsched.report.schedules import schedule_page

    if path is None:
        raise click.UsageError(
            "tasks are placed nowhere yet, so there is nothing to show; name a schedule, "
            "or let solve --report make both"
        )
    schedule, whole, notes = read_schedule(problem, path)
    if whole is None or notes:
        return schedule_page(problem, schedule), notes
    return schedule_page(problem, _outcome(problem, schedule, whole)), notes


def _outcome(problem: TaskProblem, schedule: Schedule, told: OutcomeDocument) -> Outcome:
    """The answer that a document tells of."""
    from optsched.outcome import Outcome
    from optsched.report.schedules import known
    from optsched.result import Certificate, LevelValue, Status

    return Outcome(
        status=Status(told.status),
        schedule=schedule,
        levels=tuple(
            LevelValue(one.name, one.value, one.bound, one.reference, one.source)
            for one in told.levels
        ),
        certificate=Certificate("", "", "", told.certificate),
        solver=told.solver,
        seconds=told.seconds,
        notes=tuple(one for one in told.notes if one not in known(problem)),
    )


def check_tasks(problem: TaskProblem, path: str, output: str, max_rows: int) -> Exit:
    """Read a schedule against the tables, and tell."""
    from optsched.report.units import plural
    from optsched.tasks import check_schedule

    schedule, _, notes = read_schedule(problem, path)
    found = check_schedule(problem, schedule)
    levels = list(zip(problem.objective.text.split(","), found.levels, strict=True))
    code = Exit.REFUSED if found.faults else Exit.OK
    if output == "json":
        from .documents import LevelWorth, encode
        from .documents.answers import Check, Violation

        document = Check(
            version=1,
            problem=problem.digest(),
            ok=not found.faults,
            notes=[*notes],
            levels=[LevelWorth(name=name, value=value) for name, value in levels],
            violations=[Violation(item=name, text=what) for name, what in found.faults],
        )
        click.echo(encode(document), nl=False)
        return code
    paper = Paper(max_rows)
    for note in notes:
        paper.say(f"! {note}", "yellow")
    if found.faults:
        paper.say(plural(len(found.faults), "violation"), "bold red")
        paper.table("", ("task or node", "what"), found.faults)
    else:
        paper.say("The schedule keeps every rule, at every moment.", "bold green")
    paper.table("Worth", ("level", "#value"), levels)
    return code


def _print(paper: Paper, problem: TaskProblem, outcome: Outcome) -> None:
    from optsched.report.schedules import (
        REJECTED,
        known,
        level_rows,
        node_rows,
        rejected_rows,
        sla_rows,
        task_rows,
        verdict,
    )
    from optsched.tasks import evaluate, reasons

    from .text import STYLE, print_notes

    told = evaluate(problem, outcome.schedule)
    paper.say(verdict(problem, outcome, told), STYLE[outcome.status.value])
    paper.table(
        "Schedule, times in ms",
        ("task", "node", "#arrival", "#start", "#answer", "#response", "#late"),
        task_rows(problem, outcome.schedule, told),
    )
    if why := reasons(problem, outcome.schedule):
        paper.table("Rejected tasks", REJECTED, rejected_rows(problem, why))
    paper.table(
        "Nodes",
        ("node", "tier", "state", "#tasks", "#cores in use, %", "#energy, J"),
        node_rows(problem, outcome.schedule, told),
    )
    paper.table(
        "Service levels by weight",
        (
            "#weight", "#tasks", "#with deadline", "#late", "#hard missed", "#rejected",
            "#unfinished", "#met",
        ),
        sla_rows(problem, told),
    )  # fmt: skip
    paper.table(
        "Proof, most important level first",
        ("level", "#value", "#bound", "#EFT", "#gap", "proof", "bound from"),
        level_rows(outcome),
    )
    paper.say(outcome.certificate.text)
    print_notes(paper, (*known(problem), *outcome.notes))
    paper.say(f"\n{outcome.solver}, {outcome.seconds:.2f} s", "dim")


def _json(problem: TaskProblem, outcome: Outcome) -> bytes:
    from optsched.report.schedules import known
    from optsched.snapshot.task_files import schedule_record
    from optsched.tasks import evaluate, reasons

    from .documents import encode
    from .documents.tasks import OutcomeDocument, OutcomeLevel

    told, schedule = evaluate(problem, outcome.schedule), outcome.schedule
    return encode(
        OutcomeDocument(
            version=1,
            problem=problem.digest(),
            status=outcome.status.value,
            solver=outcome.solver,
            seconds=outcome.seconds,
            levels=[
                OutcomeLevel(
                    name=level.name,
                    value=level.value,
                    bound=level.bound,
                    reference=level.stay,
                    gap=level.gap,
                    source=level.source,
                )
                for level in outcome.levels
            ],
            certificate=outcome.certificate.text,
            **worth_told(problem, schedule, told, reasons(problem, schedule)),
            notes=[*known(problem), *outcome.notes],
            schedule=schedule_record(problem, schedule),
        )
    )


def worth_told(
    problem: TaskProblem, schedule: Schedule, told: Evaluation, why: Mapping[int, str]
) -> dict[str, Any]:
    """What a schedule took and what came of it, as the fields that documents of both kinds have.

    `why` is per rejected task why it is.
    """
    return {
        "energy": told.energy,
        "energy_of_network": told.sent,
        "utilisation": told.utilisation,
        "fairness": told.fairness,
        "nodes": _nodes(problem, told),
        "tasks": _tasks(problem, schedule, told, why),
    }


def _nodes(problem: TaskProblem, told: Evaluation) -> list[NodeTold]:
    """What each node was and took, for JSON."""
    from .documents.tasks import NodeTold

    return [
        NodeTold(name=name, on=bool(told.on[j]), energy=int(told.node_energy[j]))
        for j, name in enumerate(problem.nodes.names)
    ]


def _tasks(
    problem: TaskProblem, schedule: Schedule, told: Evaluation, why: Mapping[int, str]
) -> list[TaskTold]:
    """Where and when each task ran, and what came of it, for JSON."""
    from .documents.tasks import TaskTold

    names = problem.nodes.names
    return [
        TaskTold(
            name=name,
            node=names[int(schedule.node[i])] if schedule.node[i] >= 0 else None,
            start=int(schedule.start[i]),
            answer=int(told.finish[i]),
            response=int(told.response[i]),
            late=int(told.late[i]),
            rejected=bool(told.rejected[i]),
            unfinished=bool(told.unfinished[i]),
            reason=why.get(i),
        )
        for i, name in enumerate(problem.tasks.names)
    ]
