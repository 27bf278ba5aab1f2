"""The few HTML helpers the report needs; everything that comes from a file is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

VOID = ("input",)  # elements that have no end


class Column(NamedTuple):
    """A column of a table: `number` aligns and sorts as numbers, `wide` may wrap."""

    title: str
    number: bool = False
    wide: bool = False


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def esc(value: object) -> Html:
    """`value` as HTML text."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def tag(name: str, *content: object, **attributes: object) -> Html:
    """An element; a trailing underscore of an attribute is dropped, others become hyphens."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{shown}>")
    return Html(f"<{name}{shown}>{''.join(map(esc, content))}</{name}>")


def join(parts: Iterable[object]) -> Html:
    """The parts one after another."""
    return Html("".join(map(esc, parts)))


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[object]], **attributes: object
) -> Html:
    """A table that scrolls sideways in its own box on a narrow screen."""
    kind = [("n" if c.number else "w" if c.wide else None) for c in columns]
    head = join(
        tag("th", c.title, class_=k, scope="col") for c, k in zip(columns, kind, strict=True)
    )
    body = join(
        tag("tr", *(tag("td", cell, class_=k) for cell, k in zip(row, kind, strict=True)))
        for row in rows
    )
    return tag(
        "div",
        tag("table", tag("thead", tag("tr", head)), tag("tbody", body), **attributes),
        class_="scroll",
    )


def section(title: str, *content: object, id_: str) -> Html:
    """A titled part of the page."""
    return tag("section", tag("h2", title), *content, id_=id_)
