"""`optsched solve` for tasks: a schedule as text, JSON, file and report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .console import Paper
from .exits import Exit

if TYPE_CHECKING:
    from optsched.outcome import Outcome
    from optsched.tasks import Evaluation, Schedule, TaskProblem


def solve_tasks(
    problem: TaskProblem,
    *,
    solver: str,
    objective: str | None,
    time_limit: float,
    workers: int | None,
    seed: int,
    quiet: bool,
    plan_out: str | None,
    report: str | None,
    output: str,
    max_rows: int,
) -> None:
    """Solve and tell."""
    from optsched.api import schedule
    from optsched.snapshot import write_atomically
    from optsched.snapshot.task_files import encode_schedule
    from optsched.tasks import Objective

    from .watching import progress_words, run_stoppable, watching

    if objective is not None:
        problem = problem.replace(objective=Objective.parse(objective))
    with watching(f"solving {problem.name}", quiet=quiet) as say:
        outcome, _ = run_stoppable(
            lambda stop: schedule(
                problem,
                solver=solver,
                time_limit=time_limit,
                workers=workers,
                seed=seed,
                stop=stop,
                on_progress=lambda progress: say(progress_words(progress)),
            )
        )
    try:  # as for placements: the files all the same where nobody reads the answer to its end
        if output == "json":
            click.echo(_json(problem, outcome), nl=False)
        else:
            _print(Paper(max_rows), problem, outcome)
    finally:
        if plan_out:
            write_atomically(plan_out, encode_schedule(problem, outcome.schedule))
        if report:
            from optsched.report.schedules import schedule_page

            write_atomically(report, schedule_page(problem, outcome).encode())


def check_tasks(problem: TaskProblem, path: str, output: str, max_rows: int) -> Exit:
    """Read a schedule against the tables, and tell."""
    from optsched.report.units import plural
    from optsched.snapshot import text
    from optsched.snapshot.files import read_bytes
    from optsched.snapshot.task_files import ScheduleFile, decode_schedule
    from optsched.tasks import check_schedule

    from .documents import encode
    from .plans import FOREIGN

    data = read_bytes(path)
    found = check_schedule(problem, decode_schedule(data, problem, path))
    levels = list(zip(problem.objective.text.split(","), found.levels, strict=True))
    foreign = text.decode(data, ScheduleFile, path).problem != problem.digest()
    notes = [FOREIGN] if foreign else []
    if output == "json":
        click.echo(
            encode(
                "optsched/check",
                problem=problem.digest(),
                ok=not found.faults,
                notes=notes,
                levels=[{"name": name, "value": value} for name, value in levels],
                violations=[{"item": name, "text": what} for name, what in found.faults],
            ),
            nl=False,
        )
        return Exit.REFUSED if found.faults else Exit.OK
    paper = Paper(max_rows)
    for note in notes:
        paper.say(f"! {note}", "yellow")
    if found.faults:
        paper.say(plural(len(found.faults), "violation"), "bold red")
        paper.table("", ("task or node", "what"), found.faults)
    else:
        paper.say("The schedule keeps every rule, at every moment.", "bold green")
    paper.table("Worth", ("level", "#value"), levels)
    return Exit.REFUSED if found.faults else Exit.OK


def _print(paper: Paper, problem: TaskProblem, outcome: Outcome) -> None:
    from optsched.report.schedules import level_rows, node_rows, sla_rows, task_rows, verdict
    from optsched.tasks import evaluate

    from .text import STYLE, print_notes

    told = evaluate(problem, outcome.schedule)
    paper.say(verdict(problem, outcome, told), STYLE[outcome.status.value])
    paper.table(
        "Schedule, times in ms",
        ("task", "node", "#arrival", "#start", "#answer", "#response", "#late"),
        task_rows(problem, outcome.schedule, told),
    )
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
    print_notes(paper, (*problem.warnings, *outcome.notes))
    paper.say(f"\n{outcome.solver}, {outcome.seconds:.2f} s", "dim")


def _json(problem: TaskProblem, outcome: Outcome) -> bytes:
    from optsched.tasks import evaluate

    from .documents import encode

    told, schedule = evaluate(problem, outcome.schedule), outcome.schedule
    return encode(
        "optsched/outcome",
        problem=problem.digest(),
        status=outcome.status.value,
        solver=outcome.solver,
        seconds=outcome.seconds,
        levels=[
            {
                "name": level.name,
                "value": level.value,
                "bound": level.bound,
                "reference": level.stay,
                "gap": level.gap,
                "source": level.source,
            }
            for level in outcome.levels
        ],
        certificate=outcome.certificate.text,
        energy=told.energy,
        energy_of_network=told.sent,
        utilisation=told.utilisation,
        fairness=told.fairness,
        nodes=nodes_told(problem, told),
        tasks=tasks_told(problem, schedule, told),
        notes=[*problem.warnings, *outcome.notes],
    )


def nodes_told(problem: TaskProblem, told: Evaluation) -> list[dict[str, object]]:
    """What each node was and took, in mJ, for JSON."""
    return [
        {"name": name, "on": bool(told.on[j]), "energy": int(told.node_energy[j])}
        for j, name in enumerate(problem.nodes.names)
    ]


def tasks_told(
    problem: TaskProblem, schedule: Schedule, told: Evaluation
) -> list[dict[str, object]]:
    """Where and when each task ran, and what came of it, in ms, for JSON."""
    names = problem.nodes.names
    return [
        {
            "name": name,
            "node": names[int(schedule.node[i])] if schedule.node[i] >= 0 else None,
            "start": int(schedule.start[i]),
            "answer": int(told.finish[i]),
            "response": int(told.response[i]),
            "late": int(told.late[i]),
            "rejected": bool(told.rejected[i]),
            "unfinished": bool(told.unfinished[i]),
        }
        for i, name in enumerate(problem.tasks.names)
    ]
