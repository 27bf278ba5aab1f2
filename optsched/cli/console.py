"""Tables and paragraphs on standard output, for a terminal of any width and for pipes."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

PIPE_WIDTH = 160  # columns where there is no terminal to ask
ROW_WIDTH = 10_000  # of tables there: one row a line, so that names can be searched and copied


class Paper:
    """Where the text of an answer goes; nothing in it is read as markup."""

    def __init__(self, max_rows: int = 50) -> None:
        from rich.console import Console

        self.max_rows = max_rows
        plain: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False}
        asks = sys.stdout.isatty()
        text: Any = Console(**plain, width=None if asks else PIPE_WIDTH)
        tables: Any = text if asks else Console(**plain, width=ROW_WIDTH)
        text.on_broken_pipe = tables.on_broken_pipe = _closed  # rich would exit with 1: a fault
        self._console, self._tables = text, tables

    def say(self, text: str = "", style: str | None = None) -> None:
        """A paragraph, wrapped between words."""
        self._console.print(_clean(text), style=style)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table; columns whose title begins with # hold numbers. Long ones are cut."""
        from rich import box
        from rich.table import Table

        every = list(rows)
        table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for column in columns:
            number = column.startswith("#")
            table.add_column(
                column.removeprefix("#"),
                justify="right" if number else "left",
                overflow="fold",
                no_wrap=number,
            )
        for row in every[: self.max_rows]:
            table.add_row(*(_clean(str(cell)) for cell in row))
        self._tables.print(table)
        if len(every) > self.max_rows:
            left = len(every) - self.max_rows
            shows = "row; --max-rows shows it" if left == 1 else "rows; --max-rows shows them"
            self.say(f"  ... {left} more {shows}")


def _closed() -> NoReturn:
    raise BrokenPipeError(errno.EPIPE, "the reader of the output has gone")


def _clean(text: str) -> str:
    """Without characters that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
