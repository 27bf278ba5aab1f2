"""The published JSON schemas, generated from the records: `python -m optsched.snapshot.schema`."""

from __future__ import annotations

from importlib.resources import files
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from .plans import PlanRecord, ResultRecord
from .records import Snapshot
from .task_files import ScheduleFile, TaskFile

RECORDS = {
    "snapshot": Snapshot,
    "plan": PlanRecord,
    "result": ResultRecord,
    "tasks": TaskFile,
    "schedule": ScheduleFile,
}


def schema(name: str) -> bytes:
    """The JSON schema of a snapshot, plan or result, ready to be published."""
    made: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"optsched/{name} version 1",
        **_tidy(msgspec.json.schema(RECORDS[name])),
    }
    return msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n"


def _tidy(value: Any) -> Any:
    """Docstrings without the indentation they have in the code."""
    if isinstance(value, dict):
        return {key: _tidy(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_tidy(one) for one in value]
    return cleandoc(value) if isinstance(value, str) else value


def published(name: str) -> bytes:
    """The schema that ships with this release."""
    return files("optsched").joinpath("schema", f"{name}.json").read_bytes()


if __name__ == "__main__":
    folder = Path(__file__).resolve().parent.parent / "schema"
    for each in RECORDS:
        (folder / f"{each}.json").write_bytes(schema(each))
