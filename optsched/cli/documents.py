"""JSON documents of commands that have no file format of their own."""

from __future__ import annotations

from typing import Any

import msgspec

VERSION = 1


def encode(format: str, **fields: Any) -> bytes:
    """A document that says what it is; integers may be numpy's."""
    document = {"format": format, "version": VERSION, **fields}
    return msgspec.json.format(msgspec.json.encode(document, enc_hook=_plain), indent=1) + b"\n"


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
