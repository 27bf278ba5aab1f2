"""A trained agent in an ONNX file, whatever it was trained for.

The file holds a network's graph and, as metadata under the key "optsched", what it is for: format,
environment, and the widths of the tables it reads; for those who train on, which weights are equal
to others and stand there once.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from optsched.errors import FormatError, MissingExtraError, UnsupportedError

KEY, FORMAT = "optsched", 1
MERGED = "merged"  # in the metadata: names of weights, and of those that they are equal to
_LARGEST = 64 << 20


def shipped(name: str) -> Path | None:
    """An agent that comes with the package; None where it does not."""
    path = resources.files("optsched.datasets") / "agents" / name
    return Path(str(path)) if path.is_file() else None


def read(path: Path | None, environment: str, tables: list[int]) -> tuple[Any, dict[str, Any]]:
    """onnxruntime's session on one thread, and what the file says of itself.

    Parameters
    ----------
    path
        The file; None: none was named, and none comes with the package.
    environment, tables
        What it has to be for, and the widths of the tables that it has to read.

    Raises
    ------
    MissingExtraError
        onnxruntime is not installed.
    UnsupportedError
        There is no file.
    FormatError
        The file is none, is for another problem or version, or is too large.
    """
    if path is None:
        raise UnsupportedError(
            "no agent comes with this package; name one: --solver policy:agent.onnx"
        )
    session, about = _open(path)
    _check(str(path)[:200], about, environment, tables)
    return session, about


def only_asked() -> Any:
    """Options of a run that computes nothing but what the outputs asked for need."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options


def answers(
    session: Any, names: list[str], inputs: dict[str, Any], options: Any = None
) -> dict[str, Any]:
    """What a network answers, by name.

    Raises
    ------
    FormatError
        It cannot read these tables, whatever the file says of itself.
    """
    try:
        return dict(zip(names, session.run(names, inputs, options), strict=True))
    except Exception as error:  # onnxruntime raises a dozen classes without a common one
        raise FormatError("the agent cannot read what it is shown") from error


def require_numbers(scores: np.ndarray) -> None:
    """Refuse answers with something that is no number.

    Raises
    ------
    FormatError
        There is such an answer.
    """
    if not np.isfinite(scores).all():
        raise FormatError("the agent answers with something that is no number")


def environment_of(path: Path) -> str:
    """What the agent in a file is for.

    Raises
    ------
    MissingExtraError
        onnxruntime is not installed.
    FormatError
        The file is no agent.
    """
    return str(about_of(path).get("environment"))


def about_of(path: Path) -> dict[str, Any]:
    """What the agent in a file says of itself.

    Raises
    ------
    MissingExtraError
        onnxruntime is not installed.
    FormatError
        The file is no agent.
    """
    about: dict[str, Any] = _open(path)[1]
    _formatted(str(path)[:200], about)
    return about


def _open(path: Path) -> tuple[Any, Any]:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "agents need the package 'onnxruntime': pip install 'optsched[serve]'"
        ) from error
    told = str(path)[:200]
    try:
        if path.stat().st_size > _LARGEST:
            raise FormatError(f"{told!r} is too large for an agent; at most 64 MiB are read")
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{told!r} cannot be read: {error.strerror or error}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # it is an error of ours to tell, not of the log
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        about = json.loads(session.get_modelmeta().custom_metadata_map.get(KEY, "null"))
    except Exception as error:  # onnxruntime raises a dozen classes without a common one
        raise FormatError(f"{told!r} is no ONNX file, or a damaged one") from error
    return session, about


def _formatted(told: str, about: Any) -> None:
    if not isinstance(about, dict) or "format" not in about:
        raise FormatError(f"{told!r} is a network, but no agent of optsched export")
    if about["format"] != FORMAT:
        raise FormatError(
            f"{told!r} has format {about['format']!r}, this version reads {FORMAT}; export it anew"
        )


def _check(told: str, about: Any, environment: str, tables: list[int]) -> None:
    """Refuse what was not exported for this program, problem and version."""
    _formatted(told, about)
    if about.get("environment") != environment:
        raise FormatError(
            f"{told!r} is an agent for {str(about.get('environment'))[:60]!r}, not for "
            f"{environment!r}"
        )
    if about.get("tables") != tables:
        raise FormatError(
            f"{told!r} reads tables of widths {about.get('tables')!r}, this version shows "
            f"{tables!r}; train or export it anew"
        )
