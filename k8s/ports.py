"""Ports of the service's processes: opened at the start, before anything else begins."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from optsched.errors import InputError
from optsched.k8s.settings import Listen


class Server(uvicorn.Server):
    """A server that leaves the signals to its process, which may hold several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield


def opened(listen: Listen, backlog: int | None = None) -> socket.socket:
    """A bound socket; with a backlog it listens already, and who comes before the loop runs waits.

    Raises
    ------
    InputError
        The port is taken, or not for this process to open.
    """
    found = socket.socket(socket.AF_INET6 if ":" in listen.address else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((listen.address, listen.port))
        if backlog is not None:
            found.listen(backlog)
    except OSError as error:
        found.close()
        raise InputError(
            f"port {listen.port} of {listen.address} cannot be opened: {error.strerror}"
        ) from error
    return found
