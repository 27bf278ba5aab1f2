"""WfCommons: recorded workflows (WfFormat 1.5) as tasks that need each other's files.

Recorded is how long each task ran, not how much it computed, and clocks of the same machine differ
between files with its power state; so each machine counts 1,000 million instructions per second and
a task's work in them is its run time in milliseconds. Machines hang on one switch, at which a
storage holds what no task makes; latencies and bandwidths are not recorded. Nothing has a deadline.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from optsched.errors import FormatError, InputError
from optsched.snapshot import text
from optsched.snapshot.names import Names
from optsched.tasks import Goal, Network, Nodes, Objective, TaskProblem, Tasks

SPEED = 1000  # million instructions per second, of every machine
MEGABYTE, MEBIBYTE = 1_000_000, 1 << 20
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Count = Annotated[int, Meta(ge=0, le=1 << 53)]


class File(msgspec.Struct, rename="camel"):
    """What a task reads or writes."""

    id: str
    size_in_bytes: Count = 0


class Step(msgspec.Struct, rename="camel"):
    """A task as specified."""

    id: str
    parents: list[str] = []
    input_files: list[str] = []
    output_files: list[str] = []


class Specification(msgspec.Struct):
    """What was to be run."""

    tasks: list[Step]
    files: list[File] = []


class Ran(msgspec.Struct, rename="camel"):
    """A task as it ran."""

    id: str
    runtime_in_seconds: Seconds
    core_count: float = 1
    memory_in_bytes: Count = 0


class Processor(msgspec.Struct, rename="camel"):
    """Of a machine."""

    core_count: Annotated[int, Meta(ge=1)] = 1


class Machine(msgspec.Struct, rename="camel"):
    """What ran tasks."""

    node_name: str
    cpu: Processor = msgspec.field(default_factory=Processor)


class Execution(msgspec.Struct):
    """How it went."""

    tasks: list[Ran]
    machines: list[Machine] = []


class Workflow(msgspec.Struct):
    """Both."""

    specification: Specification
    execution: Execution


class Document(msgspec.Struct, rename="camel"):
    """The file."""

    name: str
    workflow: Workflow


def problem_of(document: Document, bandwidth: float) -> TaskProblem:
    """The tables; `bandwidth` of every link in megabytes per second.

    Raises
    ------
    InputError
        The file contradicts itself: it names what it does not have, or tasks wait for themselves.
    """
    steps, ran = document.workflow.specification.tasks, document.workflow.execution.tasks
    names = Names("task", [step.id for step in steps])
    took = {one.id: one for one in ran}
    size = {one.id: one.size_in_bytes for one in document.workflow.specification.files}
    makes = [{*step.output_files} for step in steps]
    made = set[str]().union(*makes)
    read = set[str]().union(*({*step.input_files} for step in steps))
    before, data = [], []
    for i, step in enumerate(steps):
        by = f"task {step.id[:80]!r}"
        if step.id not in took:
            raise FormatError(f"{by} is specified but there is no record of its run")
        for parent in step.parents:
            first = names.find(parent, by)
            before.append((first, i))
            data.append(sum(_size(size, f, by) for f in makes[first] & {*step.input_files}))
    machines = document.workflow.execution.machines or [Machine("machine")]
    sites = ["storage", *(f"machine {one.node_name}" for one in machines)]
    rows = [took[step.id] for step in steps]
    work = [-(-round(one.runtime_in_seconds * 1_000_000) // 1000) for one in rows]
    nodes = Nodes.of(
        [SPEED] * len(machines),
        names=[one.node_name for one in machines],
        site=range(1, len(sites)),
        cores=[one.cpu.core_count for one in machines],
    )
    moved = [
        [sum(_size(size, f, step.id) for f in {*step.input_files} - made) for step in steps],
        [sum(_size(size, f, step.id) for f in {*step.output_files} - read) for step in steps],
    ]
    tasks = Tasks.of(
        work,
        len(nodes),
        names=names.table,
        input=moved[0],
        output=moved[1],
        cores=[max(1, -int(-one.core_count // 1)) for one in rows],
        memory=[-(-one.memory_in_bytes // MEBIBYTE) for one in rows],
        before=before,
        data=data,
    )
    rate = round(bandwidth * MEGABYTE / 1000)
    network = Network.of(sites, [(0, k) for k in range(1, len(sites))], bandwidth=max(rate, 1))
    sent = sum(moved[0]) + sum(moved[1]) + 2 * sum(data)
    return TaskProblem(
        network,
        nodes,
        tasks,
        horizon=sum(work) + -(-sent // max(rate, 1)) + 2 * (3 * len(work) + 2 * len(data)) + 1,
        objective=Objective((Goal.RESPONSE,)),
        name=document.name,
    )


def _size(size: dict[str, int], file: str, by: str) -> int:
    if file not in size:
        raise FormatError(f"{by} names the file {file[:80]!r}, which the document does not have")
    return size[file]


class WfCommonsFormat:
    """Reads recorded workflows; see `optsched.formats.base.Format`."""

    name = "wfcommons"
    describes = "a recorded workflow of WfCommons (WfFormat 1.5), JSON"
    takes = ("bandwidth",)

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether it is a workflow with a specification."""
        return b'"workflow"' in head and b'"specification"' in head

    def read(self, data: bytes, path: str, **options: Any) -> TaskProblem:
        """The problem in the file; `bandwidth` in MB/s, by default 125 (1 Gbit/s)."""
        given = options.get("bandwidth", 125)
        try:
            bandwidth = float(given)
        except ValueError as error:
            raise InputError(f"bandwidth={given}: a number of MB/s is needed") from error
        if not 0.001 <= bandwidth <= 1e9:
            raise InputError(f"bandwidth={given}: MB/s above 0 are needed")
        return problem_of(text.decode(data, Document, path), bandwidth)
