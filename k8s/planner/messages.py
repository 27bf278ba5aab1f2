"""What the brain and the solver's process say to each other, each message after its length.

Requests are pickles. Answers are typed msgpack, because the brain has rights in the cluster and
must not have to trust a process that reads what tenants wrote.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from optsched.problem import PlacementProblem
from optsched.result import Result

HEAD = struct.Struct(">Q")


@dataclass(frozen=True)
class Request:
    """One solve.

    Attributes
    ----------
    later
        The cluster when terminating pods have gone; None if there are none.
    seconds
        For everything.
    """

    problem: PlacementProblem
    later: PlacementProblem | None
    seconds: float
    workers: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """What came of it.

    Attributes
    ----------
    result
        None where there was an error.
    later
        How many pending pods will fit without a move when terminating ones have gone.
    nodes
        How many nodes, of the kinds there are, would have to be added for all to fit without a
        move; -1: not known.
    error
        What went wrong, without anything that tenants control; "" if nothing did.
    """

    result: Result | None = None
    later: int = 0
    nodes: int = -1
    error: str = ""
    seconds: float = 0.0


_ANSWER = msgspec.msgpack.Decoder(Answer)


def decode_answer(data: bytes) -> Answer:
    """An answer; msgspec.MsgspecError if it is none."""
    return _ANSWER.decode(data)


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be sent")


def send(file: BinaryIO, answer: Answer) -> None:
    """Write one answer."""
    data = msgspec.msgpack.encode(answer, enc_hook=_plain)
    file.write(HEAD.pack(len(data)) + data)
    file.flush()


def receive(file: BinaryIO) -> Request:
    """Read one request; EOFError at the end."""
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        raise EOFError
    request: Request = pickle.loads(file.read(HEAD.unpack(head)[0]))
    return request
