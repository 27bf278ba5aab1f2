"""Durations of the configuration: written like 90s, 5m or 1h30m, counted in milliseconds."""

from __future__ import annotations

import re
from typing import Any

from msgspec import field

_PARTS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.A)
# Without a look-ahead, which Go's patterns do not have: Helm checks values by the same schema.
DURATION_PATTERN = r"^(\d+h(\d+m)?(\d+s)?(\d+ms)?|\d+m(\d+s)?(\d+ms)?|\d+s(\d+ms)?|\d+ms)$"


class Duration(int):
    """Milliseconds, written like 90s, 5m, 200ms or 1h30m."""

    @classmethod
    def parse(cls, text: object) -> Duration:
        """The duration that `text` says; ValueError if it says none."""
        match = _PARTS.fullmatch(text) if isinstance(text, str) and text else None
        if match is None:
            raise ValueError(f"{str(text)[:40]!r} is no duration such as 200ms, 30s or 5m")
        hours, minutes, seconds, milliseconds = (int(part or 0) for part in match.groups())
        return cls(((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds)

    def __str__(self) -> str:
        rest, milliseconds = divmod(int(self), 1000)
        minutes, seconds = divmod(rest, 60)
        hours, minutes = divmod(minutes, 60)
        parts = ((hours, "h"), (minutes, "m"), (seconds, "s"), (milliseconds, "ms"))
        return "".join(f"{value}{unit}" for value, unit in parts if value) or "0s"

    __repr__ = __str__

    @property
    def seconds(self) -> float:
        """For everything in Python that waits."""
        return int(self) / 1000


def lasts(text: str) -> Any:
    """A field whose default is a duration."""
    return field(default_factory=lambda: Duration.parse(text))


def at_least(least: str, **given: Duration) -> None:
    """Refuse durations with which nothing would ever be done, or done without a pause.

    Raises
    ------
    ValueError
        One is shorter; named as in the file.
    """
    for name, value in given.items():
        if value < Duration.parse(least):
            raise ValueError(f"{name} {value} is too short; give {least} or more")
