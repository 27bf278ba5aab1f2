"""The published JSON schemas, generated from the records: `python -m optsched.snapshot.schema`.

Those of documents that only commands print are made by `optsched.cli.documents.schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from .plans import PlanRecord, ResultRecord
from .records import Snapshot
from .task_files import ScheduleFile, TaskFile

RECORDS: dict[str, type[msgspec.Struct]] = {
    "snapshot": Snapshot,
    "plan": PlanRecord,
    "result": ResultRecord,
    "tasks": TaskFile,
    "schedule": ScheduleFile,
}


def schema(name: str, record: type[msgspec.Struct] | None = None) -> bytes:
    """The JSON schema of a snapshot, plan, result or another `record`, ready to be published."""
    made: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"optsched/{name} version 1",
        **_tidy(msgspec.json.schema(RECORDS[name] if record is None else record)),
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


def publish(records: Mapping[str, type[msgspec.Struct]]) -> None:
    """Write the schemas of these records where they are shipped from."""
    folder = Path(__file__).resolve().parent.parent / "schema"
    for name, record in records.items():
        (folder / f"{name}.json").write_bytes(schema(name, record))


if __name__ == "__main__":
    publish(RECORDS)
