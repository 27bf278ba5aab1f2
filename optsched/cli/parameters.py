"""Options of commands: their kinds, help in sections, and those that many commands share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

import click

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
    """An option that stands in a named section of the help.

    `also` are further sections, for options that mean another thing of other problems, each with
    how the option is written there and its help.
    """

    def __init__(
        self,
        *args: Any,
        section: str = "Options",
        also: dict[str, tuple[str, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.section, self.also = section, also or {}


class Command(click.Command):
    """A command whose help lists its options by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sections in the order in which the options appear; --help comes last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "section", "Options"), []).append(record)
                for title, told in getattr(param, "also", {}).items():
                    sections.setdefault(title, []).append(told)
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


def packed(function: F, kind: type, name: str) -> F:
    """The function with the fields of a dataclass as parameters; it gets them as one argument."""

    @wraps(function)
    def packing(*args: Any, **kwargs: Any) -> Any:
        given = kind(**{one.name: kwargs.pop(one.name) for one in fields(kind)})
        return function(*args, **{name: given}, **kwargs)

    return packing  # type: ignore[return-value]


TEXT_OR_JSON = option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text for people or JSON for programs, on standard output.",
)

output = options(
    "Output",
    TEXT_OR_JSON,
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
    return _searching(packed(function, Search, "search"))


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
