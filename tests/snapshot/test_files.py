"""Bytes of files: gzip and encodings are found by content, and a file is replaced as a whole."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from optsched.errors import FormatError, InputError
from optsched.snapshot import (
    decode_snapshot,
    read_bytes,
    write_atomically,
)

from .conftest import document


def test_gzip_and_other_encodings(tmp_path: Path) -> None:
    """Gzip is found by content; a byte order mark or UTF-16 text does no harm."""
    text = json.dumps(document())
    for name, data in {
        "plain.json": text.encode(),
        "packed": gzip.compress(text.encode()),
        "bom.json": b"\xef\xbb\xbf" + text.encode(),
        "powershell.json": text.encode("utf-16"),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert decode_snapshot(read_bytes(tmp_path / name)).items.names[0] == "web-1"


def test_a_broken_gzip_is_named(tmp_path: Path) -> None:
    """A cut or damaged gzip stream is an error with the file's name."""
    packed = gzip.compress(json.dumps(document()).encode())
    for name, data in {
        "cut.gz": packed[:-20],
        "bad.gz": packed[:40] + b"\x00" * 20 + packed[60:],
        "head.gz": packed[:4],
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FormatError, match=name):
            read_bytes(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """No file, or a folder in its place, is bad input, not a traceback."""
    with pytest.raises(InputError, match="nowhere"):
        read_bytes(tmp_path / "nowhere")
    with pytest.raises(InputError, match="cannot be read"):
        read_bytes(tmp_path)


def test_writing_replaces_or_leaves_alone(tmp_path: Path) -> None:
    """A file is replaced as a whole, keeps its permissions, and leaves nothing beside it."""
    target = tmp_path / "out.json"
    write_atomically(target, b"one")
    target.chmod(0o640)
    write_atomically(target, b"two")
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["out.json"]
    with pytest.raises(InputError, match="cannot be written"):
        write_atomically(tmp_path / "missing" / "out.json", b"three")


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the rename fails, the old content stays and no temporary file does."""
    target = tmp_path / "out.json"
    write_atomically(target, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="disk full"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Writing to a link changes the file that it leads to."""
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_gzip_by_name_is_reproducible(tmp_path: Path) -> None:
    """The name decides about gzip, and the same data give the same bytes."""
    for name in ("a.json.gz", "b.json.gz"):
        write_atomically(tmp_path / name, b"data")
    first, second = ((tmp_path / name).read_bytes() for name in ("a.json.gz", "b.json.gz"))
    assert first == second
    assert gzip.decompress(first) == b"data"
