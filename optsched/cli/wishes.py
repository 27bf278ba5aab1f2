"""What a person wants of a problem: how its file is read, and what is changed in it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from .parameters import SEQUENCES, F, Instant, option, options, packed, split_names

if TYPE_CHECKING:
    from optsched.problem import PlacementProblem
    from optsched.tasks import TaskProblem


@dataclass(frozen=True)
class Wishes:
    """What a person wants of a problem: how to read it, and what to change in it."""

    format: str | None
    now: str | None
    settings: tuple[str, ...]
    evict: str | None
    order: str | None
    protect_higher: bool
    max_moves: int | None
    owner_at_once: int | None
    drain: tuple[str, ...]
    consolidate: bool
    add_hosts: bool
    add_host_like: tuple[str, ...]
    pin: tuple[str, ...]
    objective: str | None
    goal_fr: float | None

    def sequence(self, given: str | None) -> str | None:
        """Freedom of the plan's order, from --sequence or --order; None: the problem says."""
        if self.order not in SEQUENCES:
            return given
        if given not in (None, self.order):
            raise click.UsageError(f"--order {self.order} and --sequence {given} differ")
        return self.order

    def load(self, path: str) -> PlacementProblem:
        """Read the file and apply the wishes."""
        return self.apply(self.read(path))

    def read(self, path: str) -> PlacementProblem:
        """The placement problem as the file has it."""
        return _placement(self.read_any(path), path)

    def load_any(self, path: str) -> PlacementProblem | TaskProblem:
        """As `load`, of tasks too."""
        from optsched.tasks import TaskProblem

        problem = self.read_any(path)
        return self.of_tasks(problem) if isinstance(problem, TaskProblem) else self.apply(problem)

    def read_any(self, path: str, *, quiet: bool = False) -> PlacementProblem | TaskProblem:
        """The problem as the file has it, of whatever kind."""
        from optsched.api import read

        from .watching import watching

        given: dict[str, Any] = dict(map(setting, self.settings))
        if self.now is not None:
            given["now"] = self.now
        with watching(f"reading {path}", quiet=quiet):
            return read(path, format=self.format, **given)

    def of_tasks(self, problem: TaskProblem) -> TaskProblem:
        """The problem of tasks with the wishes in it.

        Raises
        ------
        click.UsageError
            An option is given that changes placements.
        """
        from optsched.tasks import Objective

        means_something = ("format", "objective", "settings", "now")
        for one in fields(self):
            given = getattr(self, one.name)
            absent = given is None or given is False or given == ()  # 0 is something
            if one.name not in means_something and not absent:
                option = one.name.replace("_", "-")
                raise click.UsageError(f"--{option} is for placements; the file holds tasks")
        if self.objective is None:
            return problem
        return problem.replace(objective=Objective.parse(self.objective))

    def apply(self, problem: PlacementProblem) -> PlacementProblem:
        """The problem with the wishes in its tables."""
        from optsched import growth, rates
        from optsched import options as wish
        from optsched.problem import Evict

        if self.order is not None and self.order not in SEQUENCES:
            problem = wish.with_order(problem, self.order)
        if self.objective is not None:
            problem = rates.with_objective(problem, self.objective)
        if self.goal_fr is not None:
            problem = rates.with_goal(problem, self.goal_fr)
        if self.evict is not None:
            problem = wish.with_evict(problem, Evict[self.evict.upper()])
        if self.max_moves is not None:
            problem = wish.with_max_moves(problem, self.max_moves)
        if self.owner_at_once is not None:
            problem = problem.replace(owner_at_once=self.owner_at_once)
        if self.protect_higher:
            problem = problem.replace(protect_higher=True)
        if pins := split_names(self.pin):
            problem = wish.with_pins(problem, pins)
        if hosts := split_names(self.drain):
            problem = wish.with_drain(problem, hosts)
        if self.consolidate:
            problem = wish.consolidate(problem)
        if self.add_hosts or self.add_host_like:
            candidates = tuple(map(_candidate, split_names(self.add_host_like)))
            problem = growth.with_candidate_hosts(problem, candidates)
        return problem


def read_placement(path: str) -> PlacementProblem:
    """The placement problem in a file."""
    from optsched.api import read

    return _placement(read(path), path)


def _placement(problem: PlacementProblem | TaskProblem, path: str) -> PlacementProblem:
    from optsched.errors import UnsupportedError
    from optsched.tasks import TaskProblem

    if isinstance(problem, TaskProblem):
        ways = "solve, check, compare, report, convert and simulate"
        raise UnsupportedError(f"{path} holds tasks; {ways} understand these")
    return problem


def setting(text: str) -> tuple[str, Any]:
    """Name and value of a `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--set {text!r}: write NAME=VALUE")
    return name.strip().replace("-", "_"), value


def _candidate(text: str) -> Any:
    from optsched.growth import Candidate

    name, _, count = text.rpartition(":")
    if name and count.isdecimal():
        return Candidate(name, int(count))
    return Candidate(text)


def wishes(function: F) -> F:
    """Add the options of `Wishes`; the command gets them as one argument `wishes`."""
    return _reading(_changing(_counting(packed(function, Wishes, "wishes"))))


_reading = options(
    "Reading the file",
    option("--format", metavar="NAME", help="Its format; by default the content says."),
    option(
        "--now",
        type=Instant(),
        metavar="TIME",
        help="What ages are measured against (RFC 3339). [default: the newest time in the file]",
    ),
    option(
        "--set",
        "settings",
        metavar="NAME=VALUE",
        multiple=True,
        help="A setting of the format's reader, such as min_replicas=1. Repeatable.",
    ),
)

_changing = options(
    "What is wanted",
    option(
        "--evict",
        type=click.Choice(["never", "lower", "any"]),
        metavar="[never|lower]",
        help="Whether items may lose their host for items of a higher tier. "
        "[default: as the file says; never for a cluster]",
    ),
    option(
        "--order",
        type=click.Choice(["tier", "place-first", *SEQUENCES]),
        help="Place then disturb tier by tier, or place in all tiers first. "
        "[default: as the file says; tier for a cluster] Or as --sequence.",
    ),
    option("--protect-higher", is_flag=True, help="Never move an item for one of a lower tier."),
    option(
        "--max-moves",
        "--moves",
        "max_moves",
        type=click.IntRange(0),
        metavar="N",
        help="Move at most N items.",
    ),
    option(
        "--owner-at-once",
        type=click.IntRange(1),
        metavar="N",
        help="Disturb at most N items of one owner in one wave.",
    ),
    option(
        "--pin",
        "--fix",
        "pin",
        metavar="ITEM[,..]",
        multiple=True,
        help="Keep these items in place.",
    ),
    option("--drain", metavar="HOST[,..]", multiple=True, help="Empty these hosts."),
    option("--consolidate", is_flag=True, help="Use the fewest hosts, then move the least."),
    option(
        "--add-hosts",
        is_flag=True,
        help="Say which hosts to add, of the kinds there are, so that the rest fits.",
    ),
    option(
        "--add-host-like",
        metavar="HOST[:N][,..]",
        multiple=True,
        help="As --add-hosts, with up to N copies of this host.",
    ),
)

_counting = options(
    "Virtual machines (problems that count fragments)",
    option(
        "--objective",
        metavar="RATE[:W][,..]",
        help="Minimise these fragment rates: fr16 is the share of the free cores that no 16-core "
        "VM can use, mem64 the same of memory for 64 GiB, and fr16:2,fr64 weighs one double. "
        "[default: as the file says]",
        also={
            "Tasks": (
                "--objective GOAL[,..]",
                "Minimise these goals, the most important first: sla (weights of tasks that are "
                "late, rejected or unfinished), response, energy, lateness; or a weighted sum, as "
                "in response:3+energy:1. [default: as the file says]",
            )
        },
    ),
    option(
        "--goal-fr",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        help="A rate of at most this is good enough; then move the least.",
    ),
)
