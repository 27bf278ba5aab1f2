"""What a file format offers."""

from __future__ import annotations

from typing import Any, Protocol

from optsched.problem import PlacementProblem
from optsched.tasks import TaskProblem


class Format(Protocol):
    """Reads files of one kind as problems; some also write them (`write(problem) -> bytes`).

    Attributes
    ----------
    name
        As given to `--format`.
    describes
        What is understood, in a few words for people.
    takes
        Names of the options that `read` understands.
    """

    name: str
    describes: str
    takes: tuple[str, ...]

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether the file looks like this format.

        Parameters
        ----------
        head
            The beginning of the (unpacked) file; empty where `path` is not one file.
        path
            As the person gave it: a file, a folder, or "one,two".
        """
        ...

    def read(self, data: bytes, path: str, **options: Any) -> PlacementProblem | TaskProblem:
        """The problem in the file.

        Parameters
        ----------
        data
            The whole file, unpacked; empty where `path` is not one file.
        path
            For messages, and for formats of more than one file.
        **options
            Those named in `takes`.

        Raises
        ------
        InputError
            The file cannot be read as this format.
        """
        ...
