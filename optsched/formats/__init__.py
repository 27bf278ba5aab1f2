"""File formats: one module per foreign format, and the way in for all of them, `read`."""

from __future__ import annotations

from .base import Format
from .detect import detect, formats, read

__all__ = ["Format", "detect", "formats", "read"]
