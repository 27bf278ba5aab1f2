"""A process of the service ends with the one that started it, however that one went.

Who starts another says so in its environment (`starting`); the other asks the system to be killed
when that process is gone (`end_with_parent`). A part may be killed at any point without harm, so
nothing gentler is needed, and nothing gentler is certain: a part that hangs must go too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from optsched.errors import OptschedError

if TYPE_CHECKING:
    from optsched.k8s.configuration import Watched

VARIABLE = "OPTSCHED_STARTED_BY"
PR_SET_PDEATHSIG = 1  # prctl(2): the signal that comes when the parent has ended


def starting(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a process that is not to outlive this one.

    It must be started by a thread that lives as long as this process: to Linux, that is the parent.
    """
    return {**environ, VARIABLE: str(os.getpid())}


def end_with_parent(parent: int | None = None) -> None:
    """From now on this process ends when `parent` does, or whoever the environment names.

    Where the system has no such signal, or nobody is named, nothing happens.
    """
    told = os.environ.pop(VARIABLE, "") if parent is None else str(parent)
    if not told.isdecimal() or sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(told):  # it has gone already
        os.kill(os.getpid(), signal.SIGKILL)


def run_part(serve: Callable[[Watched], None], arguments: list[str]) -> int:
    """Serve with the configuration named, if one is; 2 if it or the installation is at fault."""
    from optsched.k8s.configuration import Watched
    from optsched.k8s.logs import set_up

    end_with_parent()
    try:
        watched = Watched(arguments[0] if arguments else None)
        set_up(watched.current.logging)
        serve(watched)
    except OptschedError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0
