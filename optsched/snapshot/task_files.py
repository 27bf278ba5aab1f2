"""Task problems as files: sites, links, nodes and tasks by name, with sparse defaults.

Times are whole milliseconds, energies millijoules, powers milliwatts, sizes bytes, memory MiB,
speeds million instructions per second of one core, bandwidths bytes per millisecond. A small one:

    {
      "format": "optsched/tasks", "version": 1, "horizon": 1000,
      "sites": ["gateway", "cloud"],
      "links": [{"ends": ["gateway", "cloud"], "latency": 50, "bandwidth": 100}],
      "nodes": [
        {"name": "edge-1", "tier": "edge", "site": "gateway", "speed": 100},
        {"name": "big", "tier": "cloud", "site": "cloud", "speed": 1000, "cores": 4}
      ],
      "tasks": [{"name": "photo", "source": "gateway", "work": 40, "deadline": 400}]
    }
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, field

from optsched.arrays import NONE
from optsched.errors import InputError
from optsched.tasks import (
    Network,
    Nodes,
    Objective,
    Schedule,
    Taken,
    TaskProblem,
    Tasks,
    Tier,
    Underway,
    evaluate,
)

from . import text
from .names import Names
from .records import Amount, Positive, Record

FORMAT = "optsched/tasks"
SCHEDULE = "optsched/schedule"
VERSIONS = (1,)
Moment = Annotated[int, Meta(ge=-1, le=1 << 53)]


class LinkRecord(Record):
    """Two sites that are joined; `energy` in millijoules per megabyte.

    On one that is `shared`, inputs of tasks take turns, one at a time each way.
    """

    ends: tuple[str, str]
    latency: Amount = 0
    bandwidth: Amount = 1_000_000
    energy: Amount = 0
    shared: bool = False


class NodeRecord(Record, kw_only=True):
    """What runs tasks; off at first if `asleep`."""

    name: str
    tier: Literal["edge", "fog", "cloud"] = "edge"
    site: str
    speed: Amount
    cores: Amount = 1
    memory: Amount = 1 << 20
    idle: Amount = 0
    busy: Amount = 0
    sleep: Amount = 0
    wake_time: Amount = 0
    wake_energy: Amount = 0
    asleep: bool = False


class Need(Record):
    """A task whose result is needed, and the bytes of it."""

    task: str
    data: Amount = 0


class TaskRecord(Record, kw_only=True):
    """What is run once. `nodes` names those that may run it; left out: all."""

    name: str
    source: str
    arrival: Amount = 0
    work: Annotated[int, Meta(le=1 << 53)]
    input: Amount = 0
    output: Amount = 0
    cores: Positive = 1
    memory: Amount = 0
    deadline: Moment = NONE
    hard: bool = False
    weight: Positive = 1
    nodes: list[str] | None = None
    after: list[Need] = field(default_factory=list)


class TakenRecord(Record, kw_only=True):
    """What a node is busy with besides: memory from `held` on, cores from `begin` to `end`."""

    node: str
    held: Moment
    begin: Moment
    end: Moment
    cores: Amount = 1
    memory: Amount = 0


class UnderwayRecord(Record, kw_only=True):
    """What a shared link carries besides: `link` counts the links of the file from 0, and `back`
    is against the order of its ends."""

    link: Amount
    back: bool = False
    begin: Moment
    end: Moment


class TaskFile(Record, kw_only=True):
    """The document; `objective` as on the command line."""

    format: Literal["optsched/tasks"]
    version: Literal[1]
    name: str = "tasks"
    horizon: Positive
    objective: str = "sla,response,energy"
    sites: list[str]
    links: list[LinkRecord] = field(default_factory=list)
    nodes: list[NodeRecord]
    tasks: list[TaskRecord]
    taken: list[TakenRecord] = field(default_factory=list)
    underway: list[UnderwayRecord] = field(default_factory=list)


class RunRecord(Record):
    """One task; without a node it is rejected. `sent`: when its data leave, if not at once."""

    task: str
    node: str | None = None
    start: Moment = NONE
    sent: Moment | None = None


class ScheduleFile(Record, kw_only=True):
    """Where and when tasks run; `problem` is the digest of the problem.

    `woken` says when nodes are turned on, where that is not when the first task is sent there.
    """

    format: Literal["optsched/schedule"]
    version: Literal[1]
    problem: str
    runs: list[RunRecord] = field(default_factory=list)
    woken: dict[str, Moment] = field(default_factory=dict)


def decode_tasks(data: bytes, path: str = "tasks") -> TaskProblem:
    """The problem in a file; `path` is for messages.

    Raises
    ------
    InputError
        The file is not one of tasks, or contradicts itself.
    """
    text.check_head(text.read_head(data, path), path, (FORMAT,), VERSIONS)
    file = text.decode(data, TaskFile, path)
    try:
        return _possible(_problem_of(file))
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def _problem_of(file: TaskFile) -> TaskProblem:
    sites = Names("site", file.sites)
    nodes = Names("node", [one.name for one in file.nodes])
    tasks = Names("task", [one.name for one in file.tasks])
    names = list(nodes.table)
    eligible = np.ones((len(tasks), len(nodes)), bool)
    before, sent = [], []
    for i, one in enumerate(file.tasks):
        by = f"task {one.name[:80]!r}"
        if one.nodes is not None:
            eligible[i] = False
            eligible[i, nodes.find_all(one.nodes, by)] = True
        for need in one.after:
            before.append((tasks.find(need.task, by), i))
            sent.append(need.data)

    def column(rows: list[Any], name: str) -> list[Any]:
        return [getattr(row, name) for row in rows]

    plain = ("speed", "cores", "memory", "idle", "busy", "sleep", "wake_time", "wake_energy")
    given = ("work", "arrival", "input", "output", "cores", "memory", "deadline", "hard", "weight")
    return TaskProblem(
        Network.of(
            file.sites,
            [[sites.find(name, "a link") for name in one.ends] for one in file.links],
            latency=column(file.links, "latency"),
            bandwidth=column(file.links, "bandwidth"),
            energy=column(file.links, "energy"),
            shared=column(file.links, "shared"),
        ),
        Nodes.of(
            names=names,
            site=sites.column(column(file.nodes, "site"), names, "node"),
            tier=[Tier[one.tier.upper()] for one in file.nodes],
            asleep=column(file.nodes, "asleep"),
            **{name: column(file.nodes, name) for name in plain},
        ),
        Tasks.of(
            nodes=len(nodes),
            names=tasks.table,
            source=sites.column(column(file.tasks, "source"), tasks.table, "task"),
            eligible=eligible,
            before=before,
            data=sent,
            **{name: column(file.tasks, name) for name in given},
        ),
        horizon=file.horizon,
        objective=Objective.parse(file.objective),
        name=file.name,
        taken=Taken.of(
            [
                (nodes.find(one.node, "taken"), one.held, one.begin, one.end, one.cores, one.memory)
                for one in file.taken
            ]
        ),
        underway=Underway.of(
            [(2 * one.link + one.back, one.begin, one.end) for one in file.underway]
        ),
    )


def _possible(problem: TaskProblem) -> TaskProblem:
    """The problem, unless what nodes are busy with besides is more than they have.

    Windows of a simulation may believe so for a while; a file that says so is wrong.
    """
    if len(problem.taken):
        faults = evaluate(problem, Schedule.nothing(len(problem.tasks))).violations
        if faults:
            raise InputError(f"taken: {faults[0]}, before any task runs there; correct its rows")
    return problem


def encode_tasks(problem: TaskProblem) -> bytes:
    """The problem as a file, the same bytes for equal problems."""
    network, nodes, tasks = problem.network, problem.nodes, problem.tasks
    sites = network.sites
    links = [
        LinkRecord((sites[a], sites[b]), late, wide, energy, turns)
        for (a, b), late, wide, energy, turns in zip(
            network.ends.tolist(), network.latency.tolist(), network.bandwidth.tolist(),
            network.energy.tolist(), network.shared.tolist(), strict=True,
        )
    ]  # fmt: skip
    machines = [
        NodeRecord(
            name=name,
            tier=Tier(int(nodes.tier[j])).name.lower(),  # type: ignore[arg-type]
            site=sites[int(nodes.site[j])],
            asleep=bool(nodes.asleep[j]),
            **{
                one: int(getattr(nodes, one)[j])
                for one in (
                    "speed", "cores", "memory", "idle", "busy", "sleep", "wake_time", "wake_energy",
                )
            },
        )
        for j, name in enumerate(nodes.names)
    ]  # fmt: skip
    needs: list[list[Need]] = [[] for _ in tasks.names]
    for (first, second), size in zip(tasks.before.tolist(), tasks.data.tolist(), strict=True):
        needs[second].append(Need(task=tasks.names[first], data=size))
    own = ("work", "arrival", "input", "output", "cores", "memory", "deadline", "weight")
    work = [
        TaskRecord(
            name=name,
            source=sites[int(tasks.source[i])],
            hard=bool(tasks.hard[i]),
            nodes=None
            if tasks.eligible[i].all()
            else [nodes.names[j] for j in np.flatnonzero(tasks.eligible[i]).tolist()],
            after=needs[i],
            **{one: int(getattr(tasks, one)[i]) for one in own},
        )
        for i, name in enumerate(tasks.names)
    ]
    return text.encode(
        TaskFile(
            format="optsched/tasks",
            version=1,
            name=problem.name,
            horizon=problem.horizon,
            objective=problem.objective.text,
            sites=list(sites),
            links=links,
            nodes=machines,
            tasks=work,
            taken=[
                TakenRecord(
                    node=nodes.names[j], held=held, begin=begin, end=end, cores=cores, memory=memory
                )
                for j, held, begin, end, cores, memory in zip(
                    *(column.tolist() for column in vars(problem.taken).values()), strict=True
                )
            ],
            underway=[
                UnderwayRecord(link=lane // 2, back=bool(lane % 2), begin=begin, end=end)
                for lane, begin, end in zip(
                    *(column.tolist() for column in vars(problem.underway).values()), strict=True
                )
            ],
        )
    )


def encode_schedule(problem: TaskProblem, schedule: Schedule) -> bytes:
    """A schedule as a file."""
    return text.encode(schedule_record(problem, schedule))


def schedule_record(problem: TaskProblem, schedule: Schedule) -> ScheduleFile:
    """A schedule by names."""
    sent = [None] * len(schedule) if schedule.sent is None else schedule.sent.tolist()
    runs = [
        RunRecord(task=name)
        if node == NONE
        else RunRecord(task=name, node=problem.nodes.names[node], start=start, sent=leaves)
        for name, node, start, leaves in zip(
            problem.tasks.names, schedule.node.tolist(), schedule.start.tolist(), sent, strict=True
        )
    ]
    woken = [] if schedule.woken is None else schedule.woken.tolist()
    turned = {problem.nodes.names[j]: time for j, time in enumerate(woken) if time != NONE}
    return ScheduleFile(
        format="optsched/schedule", version=1, problem=problem.digest(), runs=runs, woken=turned
    )


def decode_schedule(data: bytes, problem: TaskProblem, path: str = "schedule") -> Schedule:
    """The schedule in a file; tasks that it does not name are rejected.

    Raises
    ------
    InputError
        The file is no schedule, or names what the problem does not have.
    """
    text.check_head(text.read_head(data, path), path, (SCHEDULE,), VERSIONS)
    return schedule_of(text.decode(data, ScheduleFile, path), problem, path)


def schedule_of(file: ScheduleFile, problem: TaskProblem, path: str = "schedule") -> Schedule:
    """As `decode_schedule`, of a record."""
    tasks, nodes = Names("task", problem.tasks.names), Names("node", problem.nodes.names)
    node, start = np.full(len(tasks), NONE), np.full(len(tasks), NONE)
    sent = problem.tasks.arrival.copy()
    for run in file.runs:
        row = tasks.find(run.task, f"{path}: the schedule")
        if run.node is not None:
            node[row] = nodes.find(run.node, f"{path}: the schedule")
            start[row] = run.start
            sent[row] = sent[row] if run.sent is None else run.sent
    at_once = bool((sent == problem.tasks.arrival).all())
    woken = np.full(len(nodes), NONE)
    for name, time in file.woken.items():
        woken[nodes.find(name, f"{path}: the schedule")] = time
    return Schedule.of(node, start, None if at_once else sent, woken if len(file.woken) else None)


class TasksFormat:
    """Reads and writes task problems; see `optsched.formats.base.Format`."""

    name = "tasks"
    describes = "optsched's own task problems, JSON"
    takes: tuple[str, ...] = ()

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether the file says that it holds tasks."""
        return b'"optsched/tasks"' in head

    def read(self, data: bytes, path: str, **options: Any) -> TaskProblem:
        """The problem in the file."""
        return decode_tasks(data, path)

    def write(self, problem: TaskProblem) -> bytes:
        """The problem as a file."""
        if not isinstance(problem, TaskProblem):
            raise InputError("the format 'tasks' holds task problems alone; write a snapshot")
        return encode_tasks(problem)
