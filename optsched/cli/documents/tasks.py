"""What solve and simulate print for programs when tasks are placed."""

from __future__ import annotations

from optsched.snapshot.task_files import ScheduleFile

from . import Document, LevelWorth, Part

OUTCOME = "optsched/outcome"


class OutcomeLevel(Part):
    """A level, minimised; `reference` is its value without a solver: the earliest answer (EFT).

    `gap` is the share of the attainable improvement over it that is not taken.
    """

    name: str
    value: int
    bound: int
    reference: int
    gap: float
    source: str


class NodeTold(Part):
    """Whether a node is ever on, and its energy over the horizon in mJ."""

    name: str
    on: bool
    energy: int


class TaskTold(Part):
    """Where and when a task ran, in ms; without a node it is rejected, and `reason` says why."""

    name: str
    node: str | None
    start: int
    answer: int
    response: int
    late: int
    rejected: bool
    unfinished: bool
    reason: str | None = None  # files of before lack it


class OutcomeDocument(Document, tag="optsched/outcome"):
    """The answer to a task problem; energies in mJ, that of the network is what sending takes.

    `schedule` is the file that `--plan-out` writes.
    """

    problem: str
    status: str
    solver: str
    seconds: float
    levels: list[OutcomeLevel]
    certificate: str
    energy: int
    energy_of_network: int
    utilisation: float
    fairness: float
    nodes: list[NodeTold]
    tasks: list[TaskTold]
    notes: list[str]
    schedule: ScheduleFile


class Decisions(Part):
    """Quantiles of the time that the plan of a window took."""

    p50: float
    p99: float


class WindowTold(Part):
    """One window: counts at its start, and the seconds that its plan took; `at` in ms."""

    at: int
    planned: int
    sent: int
    rejected: int
    waiting: int
    active: int
    ended: int
    seconds: float


class OnlineDocument(Document, tag="optsched/online"):
    """What came of tasks that were placed as they arrived."""

    problem: str
    solver: str
    window_ms: int
    interrupted: bool
    levels: list[LevelWorth]
    response_mean_ms: float
    energy: int
    energy_of_network: int
    utilisation: float
    fairness: float
    runs_lost: int
    decision_ms: Decisions
    nodes: list[NodeTold]
    tasks: list[TaskTold]
    windows: list[WindowTold]
    notes: list[str]
