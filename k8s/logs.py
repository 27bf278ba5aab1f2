"""Log lines on standard error, as text or JSON. Nothing that tenants control is logged."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from typing import Any

from optsched.k8s.settings import Logging


class _Frames(logging.Formatter):
    """Says where an exception came from and its kind; its text may quote what a tenant wrote."""

    def formatException(self, ei: Any) -> str:
        """The frames, and the kind."""
        kind, _, trace = ei
        return "".join(traceback.format_tb(trace)) + (kind.__name__ if kind else "")


class JsonLines(_Frames):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "ts": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextLines(_Frames):
    """Time, level, logger, message."""

    converter = time.gmtime  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")


def set_up(settings: Logging) -> None:
    """Send the lines of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.format == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("optsched").setLevel(settings.level.upper())
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it quotes requests
