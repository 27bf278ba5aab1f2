"""CSV files as rows, with errors that name the file and the line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from optsched.errors import FormatError, InputError
from optsched.snapshot import read_bytes

Rows = Sequence[dict[str, str]]


def table(path: str, columns: Sequence[str], maybe: Sequence[str] = ()) -> Rows:
    """The rows of a CSV file with at least these columns; those in `maybe` may be missing as such.

    Raises
    ------
    InputError
        The file cannot be read, a column is missing, or a row ends too early.
    """
    try:
        reader = csv.DictReader(io.StringIO(read_bytes(path).decode(), newline=""))
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise FormatError(f"{path}: the table has no column {', '.join(missing)}")
        rows = list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: this is no CSV text: {error}") from error
    needed = [*columns, *(one for one in maybe if one in (reader.fieldnames or ()))]
    for at, row in enumerate(rows):
        if any(row[column] is None for column in needed):
            raise FormatError(f"{path}: line {at + 2} ends too early")
    return rows


def titles(path: str | Path) -> tuple[str, ...]:
    """The columns of a CSV file; none where it cannot be read as one."""
    if not Path(path).is_file():
        return ()
    try:
        first = read_bytes(path).decode().partition("\n")[0]
    except (InputError, UnicodeDecodeError):
        return ()
    return tuple(next(csv.reader([first.strip()]), []))


def number(row: dict[str, str], title: str, by: str, least: float = 0.0) -> float:
    """One cell as a finite number of at least `least`.

    Raises
    ------
    FormatError
        It is none; the message names the row by `by`.
    """
    try:
        value = float(row[title])
    except ValueError:
        value = math.nan
    if not (least <= value < 1e15):
        raise FormatError(
            f"{by[:80]}: {title} is {row[title][:40]!r}; a number of at least {least:g} is needed"
        )
    return value
