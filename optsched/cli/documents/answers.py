"""What check, explain, compare, solve --curve and evaluate print for programs."""

from __future__ import annotations

from . import Document, LevelWorth, Part


class Violation(Part, kw_only=True):
    """A rule that the plan breaks, in wave `wave` from 1, or after all of them.

    Of a schedule `item` is a task or a node, and nothing else is known.
    """

    rule: str | None = None
    text: str
    item: str | None
    host: str | None = None
    wave: int | None = None


class ReplayedRate(Part):
    """A fragment rate as counted from the room at the end: `wasted` of `free` units."""

    name: str
    free: int
    wasted: int
    rate: float


class Played(Part):
    """What came of carrying the plan out in `orders` random orders; without faults, its rates."""

    orders: int
    faults: list[str]
    rates: list[ReplayedRate]


class Check(Document, tag="optsched/check"):
    """What the checker says of a plan or a schedule; `problem` is the digest of the problem.

    `replay` is there where it was asked for and the plan breaks no rule.
    """

    problem: str
    ok: bool
    notes: list[str]
    levels: list[LevelWorth]
    violations: list[Violation]
    replay: Played | None = None


class Blocker(Part):
    """A requirement that keeps the item off `hosts` hosts, off `alone` of them by itself.

    Of a resource: what the item asks for, and the most that a host has free which nothing else
    blocks.
    """

    kind: str
    name: str
    hosts: int
    alone: int
    demand: int | None
    most_free: int | None


class Requirement(Part):
    """The kind and name of a blocker."""

    kind: str
    name: str


class Relaxation(Part):
    """A smallest set of requirements without which `hosts` hosts, such as `example`, are open."""

    without: list[Requirement]
    hosts: int
    example: str


class EmptyHosts(Part):
    """Whether hosts like this one would do if nothing ran there but what runs everywhere."""

    like: str
    hosts: int
    eligible: bool
    short: list[str]
    fits: bool


class Explanation(Document, tag="optsched/explanation"):
    """Why an item is where it is, or fits nowhere.

    `before` is its host now, `host` that in the placement explained, `pinned` why it may not move.
    """

    problem: str
    item: str
    before: str | None
    host: str | None
    pinned: str | None
    open: list[str]
    blockers: list[Blocker]
    relaxations: list[Relaxation]
    empty_hosts: list[EmptyHosts]


class Entry(Part):
    """One plan or solver: its values by level, and of solvers bounds, status and seconds.

    `waves` is null for tasks, whose schedules have none; `steps` counts the tasks that run.
    """

    name: str
    values: list[int]
    bounds: list[int] | None
    status: str | None
    steps: int
    waves: int | None
    seconds: float | None
    violations: list[str]


class Comparison(Document, tag="optsched/comparison"):
    """Plans or solvers side by side; `best` names those that no other one betters."""

    problem: str
    levels: list[str]
    best: list[str]
    entries: list[Entry]


class CurvePoint(Part):
    """The rate with at most `moves` moves, and the least possible one.

    Not `looked` at: time was up, and the plan of a lower limit stands.
    """

    moves: int
    rate: float
    least: float
    gap: float
    proven: bool
    looked: bool = True


class Curve(Document, tag="optsched/curve"):
    """A fragment rate against the limit of moves; `blocks` is how many rates it weighs."""

    problem: str
    name: str
    rate: str
    blocks: int
    seconds: float
    points: list[CurvePoint]


class Evaluation(Document, tag="optsched/evaluation"):
    """What every arm did on every instance; the fields of a run depend on what the agent is for."""

    agent_of: str
    split: str
    arms: dict[str, list[dict[str, int | float | list[int]]]]
