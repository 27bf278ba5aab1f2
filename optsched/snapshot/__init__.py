"""The project's own file formats: problems, plans and results as versioned JSON.

A snapshot holds a whole problem, by names and with sparse defaults, so that a person can write one
and a diff of two says something. Reading one back gives an equal problem, to the last bit of its
digest. Plans and results refer to items and hosts by name and carry the digest of their problem.
JSON schemas are published in `optsched/schema`; the fields are explained in `records`. A small one:

    {
      "format": "optsched/snapshot", "version": 1, "kind": "placement",
      "tiers": ["high", "low"],
      "hosts": [
        {"name": "n1", "capacity": {"cpu": 4000, "memory": 8192}, "domains": {"zone": "a"}},
        {"name": "n2", "capacity": {"cpu": 4000, "memory": 8192}, "domains": {"zone": "b"}}
      ],
      "classes": [{"name": "web", "demand": {"cpu": 2500}, "tier": "low", "owner": "web"}],
      "items": [
        {"name": "web-1", "class": "web", "host": "n1"},
        {"name": "web-2", "class": "web"},
        {"name": "db", "demand": {"cpu": 1000, "memory": 4096}, "tier": "high", "where": "b"}
      ],
      "eligibility": [{"name": "b", "rules": [{"name": "affinity", "only": ["n2"]}]}],
      "groups": [{"name": "web", "items": ["web-1", "web-2"]}],
      "limits": [{"kind": "conflict", "key": "zone", "subject": "web", "name": "one per zone"}]
    }
"""

from __future__ import annotations

from typing import Any

from optsched.errors import FormatError, InputError
from optsched.problem import PlacementProblem

from . import records, text
from .crowded import crowded
from .decode import problem_of
from .encode import records_of
from .files import read_bytes, require_writable, write_atomically
from .plans import decode_plan, decode_result, encode_plan, encode_result

__all__ = [
    "SnapshotFormat",
    "decode_plan",
    "decode_result",
    "decode_snapshot",
    "encode_plan",
    "encode_result",
    "encode_snapshot",
    "read_bytes",
    "require_writable",
    "write_atomically",
]


ANSWERS = ("optsched/plan", "optsched/result", "optsched/schedule", "optsched/outcome")


def decode_snapshot(data: bytes, path: str = "snapshot") -> PlacementProblem:
    """The problem in a snapshot file; `path` is for messages.

    Raises
    ------
    InputError
        The file is not a snapshot that this release understands, or contradicts itself.
    """
    head = text.read_head(data, path)
    text.check_head(head, path, (records.FORMAT,), records.VERSIONS)
    if head.kind not in records.KINDS:
        said = "has no `kind`" if head.kind is None else f"is of kind {head.kind[:80]!r}"
        raise FormatError(
            f"{path}: the snapshot {said}; this release understands {', '.join(records.KINDS)}"
        )
    file = text.decode(data, records.Snapshot, path)
    try:
        return problem_of(file)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def encode_snapshot(problem: PlacementProblem) -> bytes:
    """The problem as a snapshot file, the same bytes for equal problems."""
    return text.encode(records_of(problem))


class SnapshotFormat:
    """Reads and writes snapshots; see `optsched.formats.base.Format`."""

    name = "snapshot"
    describes = "optsched's own snapshots, JSON"
    takes: tuple[str, ...] = ()

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether the file says that it is a snapshot."""
        return b'"optsched/' in head

    def read(self, data: bytes, path: str, **options: Any) -> PlacementProblem:
        """The problem in the file."""
        said = text.read_head(data, path).format
        if said in ANSWERS:
            raise FormatError(
                f"{path}: the file is of format {said!r}, an answer; give the problem that it "
                "answers first"
            )
        problem = decode_snapshot(data, path)
        new = [text for text in crowded(problem) if text not in problem.warnings]
        return problem.replace(warnings=(*problem.warnings, *new)) if new else problem

    def write(self, problem: PlacementProblem) -> bytes:
        """The problem as a file."""
        if not isinstance(problem, PlacementProblem):
            raise InputError("the format 'snapshot' holds placement problems alone; write 'tasks'")
        return encode_snapshot(problem)
