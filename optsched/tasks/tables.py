"""Nodes, tasks and what is wanted of their schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np

from optsched.arrays import NONE, Bools, Ints, bools, ints, refuse, unique_names
from optsched.errors import ProblemError


class Tier(IntEnum):
    """How far from the devices a node is."""

    EDGE = 0
    FOG = 1
    CLOUD = 2


@dataclass(frozen=True)
class Nodes:
    """What runs tasks.

    Attributes
    ----------
    names, tier, site
        (J,) unique; a `Tier`; index into the network's sites.
    speed
        (J,) of one core, in million instructions per second.
    cores, memory
        (J,) tasks at a time, and MiB.
    idle, busy, sleep
        (J,) milliwatts when on without work, with all cores at work, and off.
    wake_time, wake_energy
        (J,) milliseconds and millijoules that it takes to turn the node on.
    asleep
        (J,) bool: off at first; it is woken when the first of its tasks arrives.
    """

    names: tuple[str, ...]
    tier: Ints
    site: Ints
    speed: Ints
    cores: Ints
    memory: Ints
    idle: Ints
    busy: Ints
    sleep: Ints
    wake_time: Ints
    wake_energy: Ints
    asleep: Bools

    @classmethod
    def of(
        cls,
        speed: Any,
        *,
        names: Sequence[str] | None = None,
        site: Any = 0,
        tier: Any = Tier.EDGE,
        cores: Any = 1,
        memory: Any = 1 << 20,
        idle: Any = 0,
        busy: Any = 0,
        sleep: Any = 0,
        wake_time: Any = 0,
        wake_energy: Any = 0,
        asleep: Any = False,
    ) -> Nodes:
        """Nodes with defaults filled in."""
        shape = (len(speed),)
        given = {
            "tier": tier, "site": site, "speed": speed, "cores": cores, "memory": memory,
            "idle": idle, "busy": busy, "sleep": sleep, "wake_time": wake_time,
            "wake_energy": wake_energy,
        }  # fmt: skip
        table = {name: ints(value, shape, f"nodes.{name}") for name, value in given.items()}
        made = cls(
            names=unique_names(names, len(speed), "node"),
            asleep=bools(asleep, shape, "nodes.asleep"),
            **table,
        )
        for name in ("speed", "cores"):
            refuse(table[name] <= 0, made.names, f"its {name} is not above 0")
        for name in ("memory", "idle", "busy", "sleep", "wake_time", "wake_energy"):
            refuse(table[name] < 0, made.names, f"its {name} is negative")
        refuse(made.busy < made.idle, made.names, "it takes less power busy than idle")
        refuse((made.tier < 0) | (made.tier > max(Tier)), made.names, "its tier does not exist")
        return made

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Tasks:
    """What is to be run, once each and without interruption.

    Attributes
    ----------
    names, source
        (I,) unique; the site it comes from and answers to.
    arrival
        (I,) in milliseconds.
    work
        (I,) in million instructions.
    input, output
        (I,) bytes sent to the node before, and back after.
    cores, memory
        (I,) what it takes on its node; memory in MiB, from the end of the upload on.
    deadline
        (I,) milliseconds, absolute, of the answer; -1: none.
    hard
        (I,) bool: an answer after the deadline is not allowed.
    weight
        (I,) of lateness and rejection.
    eligible
        (I, J) bool.
    before
        (P, 2) a task and one that needs its result.
    data
        (P,) bytes from the node of the first to the node of the second.
    """

    names: tuple[str, ...]
    source: Ints
    arrival: Ints
    work: Ints
    input: Ints
    output: Ints
    cores: Ints
    memory: Ints
    deadline: Ints
    hard: Bools
    weight: Ints
    eligible: Bools
    before: Ints
    data: Ints

    @classmethod
    def of(
        cls,
        work: Any,
        nodes: int,
        *,
        names: Sequence[str] | None = None,
        source: Any = 0,
        arrival: Any = 0,
        input: Any = 0,
        output: Any = 0,
        cores: Any = 1,
        memory: Any = 0,
        deadline: Any = NONE,
        hard: Any = False,
        weight: Any = 1,
        eligible: Any = True,
        before: Any = (),
        data: Any = 0,
    ) -> Tasks:
        """Tasks with defaults filled in, for so many nodes."""
        count = len(work)
        given = {
            "source": source, "arrival": arrival, "work": work, "input": input, "output": output,
            "cores": cores, "memory": memory, "deadline": deadline, "weight": weight,
        }  # fmt: skip
        table = {name: ints(value, (count,), f"tasks.{name}") for name, value in given.items()}
        pairs = np.asarray(before, dtype=np.int64).reshape(-1, 2)
        sent = ints(data, (len(pairs),), "tasks.data")
        by_second = np.lexsort((sent, pairs[:, 0], pairs[:, 1]))  # one order for equal problems
        made = cls(
            names=unique_names(names, count, "task"),
            hard=bools(hard, (count,), "tasks.hard"),
            eligible=bools(eligible, (count, nodes), "tasks.eligible"),
            before=ints(pairs[by_second], pairs.shape, "tasks.before"),
            data=ints(sent[by_second], (len(pairs),), "tasks.data"),
            **table,
        )
        for name in ("arrival", "work", "input", "output", "memory"):
            refuse(table[name] < 0, made.names, f"its {name} is negative")
        for name in ("cores", "weight"):
            refuse(table[name] <= 0, made.names, f"its {name} is not above 0")
        early = (made.deadline != NONE) & (made.deadline < made.arrival)
        refuse(early, made.names, "its deadline is before its arrival")
        refuse(made.hard & (made.deadline == NONE), made.names, "it is hard without a deadline")
        made._check_order()
        return made

    def __len__(self) -> int:
        return len(self.names)

    def _check_order(self) -> None:
        """Refuse precedences that name nobody or go round in circles."""
        if ((self.before < 0) | (self.before >= len(self))).any():
            raise ProblemError("tasks.before names a task that does not exist")
        if (self.data < 0).any():
            raise ProblemError("tasks.data: a number of bytes is negative")
        after: list[list[int]] = [[] for _ in self.names]
        waits = np.zeros(len(self), np.int64)
        for first, second in self.before.tolist():
            after[first].append(second)
            waits[second] += 1
        ready = np.flatnonzero(waits == 0).tolist()
        for task in ready:  # grows while it is read
            for other in after[task]:
                waits[other] -= 1
                if not waits[other]:
                    ready.append(other)
        refuse(waits > 0, self.names, "it waits for itself: its predecessors form a circle")


@dataclass(frozen=True)
class Taken:
    """What nodes are busy with besides the tasks of the problem: runs that nobody may move.

    Attributes
    ----------
    node
        (B,) where.
    held, begin, end
        (B,) milliseconds: memory is taken from `held` to `end`, cores from `begin` on.
    cores, memory
        (B,) how many, and MiB.
    """

    node: Ints
    held: Ints
    begin: Ints
    end: Ints
    cores: Ints
    memory: Ints

    @classmethod
    def of(cls, rows: Any = ()) -> Taken:
        """From rows (node, held, begin, end, cores, memory)."""
        table = np.asarray(rows, dtype=np.int64).reshape(-1, 6)
        names = ("node", "held", "begin", "end", "cores", "memory")
        made = cls(*(ints(table[:, k], (len(table),), f"taken.{n}") for k, n in enumerate(names)))
        labels = [f"what takes node {j}" for j in made.node.tolist()]
        refuse(made.end < np.maximum(made.begin, made.held), labels, "it ends before it begins")
        refuse((made.cores < 0) | (made.memory < 0), labels, "it takes less than nothing")
        return made

    def __len__(self) -> int:
        return len(self.node)


@dataclass(frozen=True)
class Underway:
    """What shared links carry besides the inputs of the problem: turns that nobody may move.

    Attributes
    ----------
    lane
        (B,) twice the link, and 1 more against the order of its ends, as in `TaskProblem.route`.
    begin, end
        (B,) milliseconds.
    """

    lane: Ints
    begin: Ints
    end: Ints

    @classmethod
    def of(cls, rows: Any = ()) -> Underway:
        """From rows (lane, begin, end)."""
        table = np.asarray(rows, dtype=np.int64).reshape(-1, 3)
        names = ("lane", "begin", "end")
        made = cls(
            *(ints(table[:, k], (len(table),), f"underway.{n}") for k, n in enumerate(names))
        )
        labels = [f"what is under way on link {lane // 2}" for lane in made.lane.tolist()]
        refuse(made.end < made.begin, labels, "it ends before it begins")
        order = np.lexsort((made.end, made.begin, made.lane))
        lane, begin, end = (column[order] for column in (made.lane, made.begin, made.end))
        crowded = np.zeros(len(table), bool)
        crowded[order[1:]] = (lane[1:] == lane[:-1]) & (begin[1:] < end[:-1])
        refuse(crowded, labels, "it begins before another that is there has passed")
        return made

    def __len__(self) -> int:
        return len(self.lane)


class Goal(StrEnum):
    """What can be asked of a schedule; all are minimised."""

    SLA = "sla"  # weights of tasks that are late, rejected or unfinished
    RESPONSE = "response"  # milliseconds from arrival to answer, of all tasks
    ENERGY = "energy"  # millijoules over the horizon
    LATENESS = "lateness"  # weighted milliseconds after the deadline


@dataclass(frozen=True)
class Mix:
    """A weighted sum of goals as one level: (goal, weight) with whole weights of at least 0."""

    terms: tuple[tuple[Goal, int], ...]

    def __post_init__(self) -> None:
        goals = [goal for goal, _ in self.terms]
        if not goals or len({*goals}) != len(goals):
            raise ProblemError("a weighted objective names each goal once, and at least one")
        for goal, weight in self.terms:
            if weight < 0:
                raise ProblemError(f"the weight {weight} of {goal.value} is negative")

    @property
    def value(self) -> str:
        """For people: "3*response + energy"."""
        return " + ".join(f"{w}*{goal.value}" if w != 1 else goal.value for goal, w in self.terms)


@dataclass(frozen=True)
class Objective:
    """Levels, each a goal or a weighted sum; all before it are worth infinitely more."""

    levels: tuple[Goal | Mix, ...] = (Goal.SLA, Goal.RESPONSE, Goal.ENERGY)

    def __post_init__(self) -> None:
        if not self.levels or len(set(self.levels)) != len(self.levels):
            raise ProblemError("an objective names each goal once, and at least one")

    def weights(self, level: int) -> dict[Goal, int]:
        """The weight of every goal in one level."""
        one = self.levels[level]
        return dict(one.terms) if isinstance(one, Mix) else {one: 1}

    def read(self, values: dict[Goal, int]) -> tuple[int, ...]:
        """The levels, from the value of every goal."""
        return tuple(
            sum(weight * values[goal] for goal, weight in self.weights(k).items())
            for k in range(len(self.levels))
        )

    @property
    def text(self) -> str:
        """As `parse` reads it."""
        return ",".join(
            "+".join(f"{goal.value}:{weight}" for goal, weight in one.terms)
            if isinstance(one, Mix)
            else one.value
            for one in self.levels
        )

    @classmethod
    def parse(cls, text: str) -> Objective:
        """From "sla,response,energy" (lexicographic) or "response:3+energy,sla" (weighted sums).

        Raises
        ------
        ProblemError
            There is no such goal, a weight is no whole number from 0 on, or all of a sum are 0.
        """
        return cls(tuple(_level(part.strip()) for part in text.split(",")))


def _level(text: str) -> Goal | Mix:
    terms = []
    for part in text.split("+"):
        name, _, weight = part.strip().partition(":")
        if name not in {*Goal}:
            raise ProblemError(f"there is no goal {name[:40]!r} (there are: {', '.join(Goal)})")
        if weight and not weight.isdecimal():
            raise ProblemError(f"the weight {weight[:40]!r} of {name} is no whole number from 0 on")
        terms.append((Goal(name), int(weight) if weight else 1))
    if not any(weight for _, weight in terms):
        raise ProblemError(f"the sum {text[:80]!r} weighs nothing; give a weight above 0")
    return terms[0][0] if len(terms) == 1 and not weight else Mix(tuple(terms))
