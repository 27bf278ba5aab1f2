"""The way in for every file: find its format and read the problem in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import msgspec

from optsched import registry
from optsched.errors import FormatError, InputError, UnsupportedError
from optsched.problem import PlacementProblem
from optsched.snapshot.files import read_bytes
from optsched.tasks import TaskProblem

from .base import Format

HEAD = 1 << 16


def formats() -> dict[str, Format]:
    """Every format by name."""
    return {name: registry.find(registry.FORMATS, name, "format")() for name in registry.FORMATS}


def read(
    path: str | os.PathLike[str], format: str | None = None, **options: Any
) -> PlacementProblem | TaskProblem:
    """The problem in a file, a folder or on standard input ("-").

    Parameters
    ----------
    path
        A file, plain or gzipped; "-"; or what the format needs: a folder, or "one,two".
    format
        A name in `registry.FORMATS`; by default the content says.
    **options
        For the format, for example `select="3"`; None counts as not given.

    Raises
    ------
    InputError
        The file cannot be read, or nothing understands it.
    UnsupportedError
        There is no such format, or it does not take an option that was given.
    """
    name = os.fspath(path)
    return understand(content(name), name, format, **options)


def content(path: str) -> bytes:
    """The unpacked bytes of a file; none where the path means a folder or several files.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    return b"" if _many(path) else read_bytes(path)


def understand(
    data: bytes, name: str, format: str | None = None, **options: Any
) -> PlacementProblem | TaskProblem:
    """The problem in the bytes of a file; parameters and errors are those of `read`."""
    chosen = detect(data[:HEAD], name) if format is None else _named(format)
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if key not in chosen.takes:
            takes = ", ".join(chosen.takes) or "none"
            raise UnsupportedError(
                f"the format {chosen.name} takes no option {key!r} (it takes: {takes})"
            )
    try:
        return chosen.read(data, name, **given)
    except InputError as error:
        if str(error).startswith(f"{name}:"):
            raise
        raise type(error)(f"{name}: {error}") from error


def detect(head: bytes, path: str) -> Format:
    """The format that a file is in, by its beginning and its name.

    Raises
    ------
    FormatError
        None fits; the message says what is understood.
    """
    known = formats()
    for one in known.values():
        if one.sniff(head, path):
            return one
    raise FormatError(
        f"{path}: {_odd(head, path)}; understood are {', '.join(known)} "
        "(`optsched convert --formats` says what they are)"
    )


def _named(name: str) -> Format:
    return cast(Format, registry.find(registry.FORMATS, name, "format")())


def _many(path: str) -> bool:
    """Whether the path means something else than one file."""
    return path != "-" and (Path(path).is_dir() or ("," in path and not Path(path).exists()))


def _odd(head: bytes, path: str) -> str:
    """What is wrong with a file that no format knows."""
    if _many(path):
        return "the files there are of no known format"
    if not head.strip():
        return "the file is empty"
    if head.lstrip()[:1] in b"{[":
        try:
            msgspec.json.decode(head, type=msgspec.Raw)
        except msgspec.DecodeError as error:
            if len(head) < HEAD:
                return f"the JSON is broken: {error}"
        except RecursionError:
            return "the JSON is nested too deeply"
        return "the JSON is of no known format"
    return "the file is of no known format"
