"""JSON documents of commands whose answers have no file format of their own.

Each says what it is in `format` and is of one `version`; every field is always written, null where
there is nothing to say. JSON schemas are published in `optsched/schema`, made from the records here
by `python -m optsched.cli.documents.schema`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A part of a document."""


class Document(Part, tag_field="format"):
    """A document; its tag is its format."""

    version: Literal[1]


class LevelWorth(Part):
    """A level of the objective, minimised."""

    name: str
    value: int


def encode(document: Document) -> bytes:
    """The document as JSON for programs and people; integers may be numpy's."""
    made = msgspec.json.encode(document, enc_hook=_plain)
    return msgspec.json.format(made, indent=1) + b"\n"


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
