"""Names to numbers while a file is read, with errors that say who named what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from optsched.arrays import NONE, Ints, check_names
from optsched.errors import FormatError


class Names:
    """A table of names.

    Parameters
    ----------
    what
        What is named, in words ("owner").
    names
        In the order of the table.
    """

    def __init__(self, what: str, names: Sequence[str]) -> None:
        check_names(names, what)
        self.what = what
        self.table = tuple(names)
        self.number = {name: at for at, name in enumerate(names)}

    def __len__(self) -> int:
        return len(self.table)

    def find(self, name: str, by: str) -> int:
        """The number of `name`, which the object `by` mentions.

        Raises
        ------
        FormatError
            There is no such name.
        """
        number = self.number.get(name, NONE)
        if number < 0:
            raise FormatError(
                f"{by} names the {self.what} {name[:80]!r}, which the file does not have"
            )
        return number

    def find_all(self, names: Sequence[str], by: str) -> list[int]:
        """The numbers of `names`, all mentioned by `by`."""
        try:
            return [self.number[name] for name in names]
        except KeyError:
            return [self.find(name, by) for name in names]

    def column(self, mentioned: Iterable[str | None], by: Sequence[str], kind: str) -> Ints:
        """One number per object, -1 where it mentions None; `by` are its names, `kind` what it is.

        Raises
        ------
        FormatError
            There is no such name.
        """
        names = [*mentioned]
        try:
            found = [NONE if name is None else self.number[name] for name in names]
        except KeyError:
            found = [
                NONE if name is None else self.find(name, f"{kind} {one[:80]!r}")
                for name, one in zip(names, by, strict=True)
            ]
        return np.array(found, dtype=np.int64).reshape(len(by))


def appearing(names: Iterable[str | None]) -> list[str]:
    """The distinct names, in order of appearance."""
    return [name for name in dict.fromkeys(names) if name is not None]
