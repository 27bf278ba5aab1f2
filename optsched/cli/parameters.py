"""Kinds of options: help in sections, durations, and the wishes all commands share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from optsched.problem import PlacementProblem
    from optsched.tasks import TaskProblem

F = TypeVar("F", bound=Callable[..., Any])

SEQUENCES = ("order-safe", "waves", "park")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """Seconds, as in 10, 10s, 500ms or 2m."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds as a number."""
        if isinstance(value, (int, float)):
            return float(value)
        match = _DURATION.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a duration; write 10, 10s, 500ms or 2m", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]


class Instant(click.ParamType[str]):
    """A point in time, as in 2026-11-23T08:00:00Z."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as given, if it is a time with a zone."""
        text = str(value).strip()
        try:
            zone = datetime.fromisoformat(text).tzinfo
        except ValueError:
            self.fail(f"{value!r} is no time; write 2026-11-23T08:00:00Z", param, ctx)
        if zone is None:
            self.fail(f"{value!r} has no zone; write {text}Z for UTC", param, ctx)
        return text


class Option(click.Option):
    """An option that stands in a named section of the help."""

    def __init__(self, *args: Any, section: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class Command(click.Command):
    """A command whose help lists its options by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sections in the order in which the options appear; --help comes last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "section", "Options"), []).append(record)
        for title in sorted(sections, key=lambda one: one == "Options"):
            with formatter.section(title):
                formatter.write_dl(sections[title])


def options(section: str, *given: tuple[tuple[str, ...], dict[str, Any]]) -> Callable[[F], F]:
    """A decorator that adds several options of one section."""

    def decorate(function: F) -> F:
        for names, settings in reversed(given):
            function = click.option(*names, cls=Option, section=section, **settings)(function)
        return function

    return decorate


def option(*names: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """One option for `options`."""
    return names, settings


def split_names(value: tuple[str, ...]) -> tuple[str, ...]:
    """Names given as repeated options, as a comma-separated list, or both.

    Raises
    ------
    click.UsageError
        An option is given without a name, as an empty variable of a shell leaves it.
    """
    names = tuple(name.strip() for one in value for name in one.split(",") if name.strip())
    if value and not names:
        raise click.UsageError("a list of names is empty; leave the option out, or name something")
    return names


def first_given(ctx: click.Context, names: Sequence[str]) -> str | None:
    """The first of these parameters that a person gave, as it is spelled; None: none of them."""
    usual = (click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP, None)
    said = [one for one in names if ctx.get_parameter_source(one) not in usual]
    return said[0].replace("_", "-").replace("settings", "set") if said else None


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
            if one.name not in means_something and getattr(self, one.name) not in (None, False, ()):
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
    return _reading(_changing(_counting(_packed(function, Wishes, "wishes"))))


def _packed(function: F, kind: type, name: str) -> F:
    """The function with the fields of a dataclass as parameters, which it gets as one argument."""

    @wraps(function)
    def packing(*args: Any, **kwargs: Any) -> Any:
        given = kind(**{one.name: kwargs.pop(one.name) for one in fields(kind)})
        return function(*args, **{name: given}, **kwargs)

    return packing  # type: ignore[return-value]


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
        "For tasks: goals, one after another, of sla, response, energy and lateness, or a weighted "
        "sum as in response:3+energy:1. "
        "[default: as the file says]",
    ),
    option(
        "--goal-fr",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        help="A rate of at most this is good enough; then move the least.",
    ),
)

output = options(
    "Output",
    option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Text for people or JSON for programs, on standard output.",
    ),
    option(
        "--max-rows",
        type=click.IntRange(1),
        default=50,
        show_default=True,
        metavar="N",
        help="Longest table in text output.",
    ),
)


@dataclass(frozen=True)
class Search:
    """How long, with what and in which order is searched; `time_limit` in seconds."""

    time_limit: float
    workers: int | None
    seed: int
    sequence: str | None
    quiet: bool


def search(function: F) -> F:
    """Add the options of `Search`; the command gets them as one argument `search`."""
    return _searching(_packed(function, Search, "search"))


_searching = options(
    "The search",
    option(
        "--time-limit",
        type=Duration(),
        default="10s",
        show_default=True,
        help="As in 10, 10s, 500ms or 2m.",
    ),
    option(
        "--workers",
        type=click.IntRange(1, 1024),
        metavar="N",
        help="Threads. [default: one for every core]",
    ),
    option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the search."),
    option(
        "--sequence",
        type=click.Choice(SEQUENCES),
        help="Freedom of the plan's order: one wave in any order; waves, each safe on the state "
        "before it; or waves in which an item may wait without a host. "
        "[default: order-safe for VM snapshots, else waves]",
    ),
    option("--quiet", "-q", is_flag=True, help="No progress on the terminal."),
)
