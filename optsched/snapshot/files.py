"""Bytes in and out: plain or gzipped, "-" for standard streams, never a file half written."""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
import zlib
from pathlib import Path

from optsched.errors import FormatError, InputError

GZIP = b"\x1f\x8b"
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # what PowerShell's ">" writes
BOM = b"\xef\xbb\xbf"


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file, unpacked where it is gzipped, as UTF-8; "-" is standard input.

    Raises
    ------
    FormatError
        The gzip stream is broken or ends too early.
    InputError
        The file cannot be read.
    """
    name = os.fspath(path)
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from error
    return plain(data, name)


def plain(data: bytes, path: str) -> bytes:
    """`data` unpacked where it is gzipped, as UTF-8 without a byte order mark.

    Raises
    ------
    FormatError
        The gzip stream is broken or ends too early.
    """
    if data[:2] == GZIP:
        try:
            data = gzip.decompress(data)
        except EOFError as error:
            raise FormatError(f"{path}: the gzip stream ends too early; copy it again") from error
        except (OSError, zlib.error) as error:
            raise FormatError(f"{path}: the gzip stream is broken: {error}") from error
    if data[:2] in UTF16:
        try:
            data = data.decode("utf-16").encode()
        except UnicodeError as error:
            raise FormatError(f"{path}: the UTF-16 text is broken: {error}") from error
    return data.removeprefix(BOM)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write all of `data`, or nothing: to a temporary name in the same folder, then renamed.

    Gzipped if the name ends in ".gz", the same bytes for the same data. "-" is standard output;
    what is not a regular file (a pipe, a device) is written directly.

    Raises
    ------
    InputError
        The file cannot be written.
    OSError
        Standard output takes no more, be it that its reader has gone.
    """
    name = os.fspath(path)
    if name == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    if name.endswith(".gz"):
        data = gzip.compress(data, compresslevel=6, mtime=0)
    try:
        target = Path(name).resolve()  # a link stays a link
        if target.exists() and not target.is_file():
            target.write_bytes(data)
        else:
            _replace(target, data)
    except OSError as error:
        raise InputError(f"{name}: cannot be written: {error.strerror or error}") from error


def require_writable(path: str | os.PathLike[str]) -> None:
    """Find out before the work, not after it, that its result could not be written.

    Raises
    ------
    InputError
        The folder does not exist or takes no files, or the file must not be changed.
    """
    name = os.fspath(path)
    if name == "-":
        return
    target = Path(name).resolve()
    if not target.parent.is_dir():
        raise InputError(f"{name}: cannot be written: there is no folder {str(target.parent)!r}")
    if target.is_dir():
        raise InputError(f"{name}: cannot be written: it is a folder")
    place = target if target.exists() and not target.is_file() else target.parent
    if not os.access(place, os.W_OK):
        raise InputError(f"{name}: cannot be written: permission denied")


def _replace(target: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:64]}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _mode(target: Path) -> int:
    """The permissions the file has, or would get if it were simply created."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
