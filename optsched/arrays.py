"""Read-only integer arrays and ragged lists: what every problem table is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ProblemError

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Masks = npt.NDArray[np.uint32]

NONE = -1
LONGEST_NAME = 65_536


def ints(values: Any, shape: tuple[int, ...], what: str) -> Ints:
    """`values` as a read-only int64 array of `shape` (a scalar is spread), or ProblemError."""
    try:
        raw = np.asarray(values)
        if raw.dtype.kind not in "iub" and raw.size:
            raise ProblemError(f"{what}: integers are needed, not {raw.dtype}")
        array = np.array(np.broadcast_to(raw.astype(np.int64), shape))
    except (ValueError, TypeError, OverflowError) as error:
        if isinstance(error, ProblemError):
            raise
        raise ProblemError(f"{what}: cannot be read as integers of shape {shape}") from error
    array.setflags(write=False)
    return array


def bools(values: Any, shape: tuple[int, ...], what: str) -> Bools:
    """`values` as a read-only bool array of `shape` (a scalar is spread), or ProblemError."""
    try:
        array = np.array(np.broadcast_to(np.asarray(values, dtype=np.bool_), shape))
    except ValueError as error:
        raise ProblemError(f"{what}: cannot be read as booleans of shape {shape}") from error
    array.setflags(write=False)
    return array


def matrix(values: Any, rows: int, what: str) -> Ints:
    """`values` as a read-only int64 matrix with `rows` rows, or ProblemError."""
    raw = np.asarray(values)
    if raw.size == 0 and (raw.ndim != 2 or raw.shape[0] != rows):
        raw = np.zeros((rows, 0), np.int64)
    if raw.ndim != 2 or raw.shape[0] != rows:
        raise ProblemError(f"{what}: needs one row for each of {rows}, has shape {raw.shape}")
    return ints(raw, raw.shape, what)


def unique_names(names: Sequence[str] | None, count: int, prefix: str) -> tuple[str, ...]:
    """`count` distinct names, made up from `prefix` where none are given, or ProblemError."""
    out = tuple(names) if names is not None else tuple(f"{prefix}{i}" for i in range(count))
    if len(out) != count:
        raise ProblemError(f"{count} {prefix}s need {count} names, not {len(out)}")
    check_names(out, prefix.strip())
    return out


def check_names(names: Sequence[str], what: str) -> None:
    """Raise ProblemError if two of `names` are equal or one is absurdly long."""
    if len(set(names)) != len(names):
        seen: set[str] = set()
        twice = next(n for n in names if n in seen or seen.add(n))  # type: ignore[func-returns-value]
        raise ProblemError(f"{what} {twice[:80]!r}: the name is used twice; names must be unique")
    if names and max(map(len, names)) > LONGEST_NAME:
        long = max(names, key=len)
        raise ProblemError(
            f"{what} {long[:40]!r}...: the name has {len(long):,} characters; "
            f"at most {LONGEST_NAME:,} are allowed"
        )


def refuse(bad: Bools, names: Sequence[str], what: str) -> None:
    """Raise ProblemError that names the first row with a True in `bad`."""
    rows = bad.reshape(len(bad), -1).any(axis=1) if bad.size else np.zeros(0, bool)
    if rows.any():
        raise ProblemError(f"{names[int(np.argmax(rows))][:80]!r}: {what}")


def row_numbers(table: Ints) -> Ints:
    """(n,) equal numbers for equal rows of `table` (n, k), counted from 0."""
    if not table.size:
        return np.zeros(len(table), np.int64)
    telling = table[:, table.min(axis=0) != table.max(axis=0)]
    if not telling.shape[1]:
        return np.zeros(len(table), np.int64)
    order = np.lexsort(telling.T)
    rows = telling[order]
    new = np.concatenate([[False], (rows[1:] != rows[:-1]).any(axis=1)])
    number = np.empty(len(table), np.int64)
    number[order] = np.cumsum(new)
    return number


@dataclass(frozen=True)
class Ragged:
    """Lists of indices of unequal length, stored end to end.

    Attributes
    ----------
    start
        (N + 1,) int64, where each list begins in `values`.
    values
        (n,) int64.
    """

    start: Ints
    values: Ints

    @classmethod
    def of(cls, lists: Sequence[Sequence[int] | Ints] = ()) -> Ragged:
        """The lists end to end."""
        lengths = np.array([len(one) for one in lists], dtype=np.int64)
        start = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        flat = [np.asarray(one, dtype=np.int64) for one in lists if len(one)]
        values = np.concatenate(flat) if flat else np.zeros(0, np.int64)
        return cls(ints(start, start.shape, "list starts"), ints(values, values.shape, "lists"))

    def inverse(self, count: int) -> Ragged:
        """For each index below `count`, the lists that hold it, ascending."""
        row = np.repeat(np.arange(len(self)), np.diff(self.start))
        order = np.argsort(self.values, kind="stable")
        start = np.searchsorted(self.values[order], np.arange(count + 1))
        return Ragged(start.astype(np.int64), row[order])

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, index: int) -> Ints:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.values[self.start[index] : self.start[index + 1]]
