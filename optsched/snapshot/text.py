"""JSON in and out for all our formats: checked heads, clear errors, one record per line."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec

from optsched.errors import FormatError

T = TypeVar("T")


class Head(msgspec.Struct):
    """What every file of ours begins with."""

    format: str | None = None
    version: int | None = None
    kind: str | None = None


def read_head(data: bytes, path: str) -> Head:
    """The format, version and kind that the file claims.

    Raises
    ------
    FormatError
        It is not JSON, or not an object.
    """
    return decode(data, Head, path)


def check_head(head: Head, path: str, formats: tuple[str, ...], versions: tuple[int, ...]) -> None:
    """Refuse what is not one of our `formats` in one of the `versions`.

    Raises
    ------
    FormatError
        It is another format, or a version that this release does not understand.
    """
    if head.format not in formats:
        said = "has no `format`" if head.format is None else f"is of format {head.format[:80]!r}"
        raise FormatError(f"{path}: the file {said}; {' or '.join(formats)} is expected")
    if head.version not in versions:
        known = ", ".join(map(str, versions))
        said = "has no `version`" if head.version is None else f"has version {head.version}"
        raise FormatError(
            f"{path}: the {head.format} file {said}; this release of optsched understands "
            f"version {known}: convert the file, or install a release that knows its version"
        )


def decode(data: bytes, record: type[T], path: str) -> T:
    """The file as a record.

    Raises
    ------
    FormatError
        It is not JSON, or a field is unknown, missing or of the wrong kind; the message names it.
    """
    try:
        return msgspec.json.decode(data, type=record)
    except msgspec.ValidationError as error:
        raise FormatError(f"{path}: {_explained(str(error), data)}") from error
    except msgspec.DecodeError as error:
        if not data.strip():
            raise FormatError(f"{path}: the file is empty") from error
        if "truncated" in str(error):
            raise FormatError(f"{path}: the JSON ends too early, in byte {len(data)}") from error
        raise FormatError(f"{path}: {_not_finite(data) or error}") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: the text is not UTF-8: {error.reason}") from error
    except RecursionError as error:
        raise FormatError(f"{path}: the JSON is nested too deeply") from error


def _explained(message: str, data: bytes) -> str:
    """`message` with the name of the record that its path points to."""
    found = re.search(r"`\$\.(\w+)\[(\d+)\]", message)
    if found is None:
        return message
    try:
        name = _named(msgspec.json.decode(data)[found[1]][int(found[2])])
    except (msgspec.DecodeError, KeyError, TypeError, IndexError, RecursionError):
        return message
    return f"{message} ({name})"


def _named(record: Any) -> str:
    """What a record calls itself; of links, which have no name, the two ends."""
    if not isinstance(record, dict):
        raise TypeError("not a record")
    if "name" not in record and isinstance(record.get("ends"), list):
        return "link " + "-".join(str(end)[:80] for end in record["ends"])
    return repr(str(record["name"])[:80])


class _NotFiniteError(Exception):
    """NaN or an infinity, which Python's `json` writes and JSON does not know."""


def _not_finite(data: bytes) -> str | None:
    """Which field of which record is NaN or infinite; None: something else is wrong."""

    def seen(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        for key, value in pairs:
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, _Constant):
                    known = "name" in record or isinstance(record.get("ends"), list)
                    whose = f" of {_named(record)}" if known else ""
                    raise _NotFiniteError(f"{key[:80]!r}{whose} is {one.text}; give a number")
        return record

    try:
        json.loads(data, parse_constant=_Constant, object_pairs_hook=seen)
    except _NotFiniteError as error:
        return str(error)
    except (ValueError, RecursionError):
        return None
    return None


class _Constant:
    """A constant that is not JSON."""

    def __init__(self, text: str) -> None:
        self.text = text


def encode(record: msgspec.Struct) -> bytes:
    """The record as JSON, every field on its own line, and every record of a list."""
    fields = msgspec.json.decode(_encoder.encode(record), type=dict[str, msgspec.Raw])
    lines = [_encoder.encode(name) + b": " + _spread(bytes(raw)) for name, raw in fields.items()]
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def _spread(value: bytes) -> bytes:
    if value[:2] not in (b"[{", b"[["):
        return value
    rows = msgspec.json.decode(value, type=list[msgspec.Raw])
    return b"[\n" + b",\n".join(map(bytes, rows)) + b"\n]"


def _plain(value: Any) -> Any:
    """Numbers that a solver left as numpy scalars."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
