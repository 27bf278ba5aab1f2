"""`optsched serve`: the parts of the service, each a process, kept alive.

Parts know each other only through the folder `runtime` and the API server, so that any of them may
die, hang or be replaced while the others go on. A part is `python -m MODULE [CONFIG]`, ends with
code 2 if the configuration is at fault, stops on SIGTERM, and ends with this process (`parent`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from optsched.errors import InputError
from optsched.k8s.parent import end_with_parent, starting
from optsched.k8s.settings import Deployment, Settings
from optsched.k8s.table import Board

log = logging.getLogger(__name__)

STALE = 2.0  # seconds without a sign of life after which the front end counts as hung
LOOK = 0.1  # seconds between looks at the parts
PATIENCE = 10.0  # seconds that a part may take to end
BACKOFF = (0.2, 10.0)  # seconds before the first and before late restarts
HEALTHY = 60.0  # seconds after which the next restart is a first one again
AT_FAULT = 2  # exit code of a part whose configuration is wrong

Pulse = Callable[[Settings], object]  # something that changes as long as the part is alive


def _acknowledged(settings: Settings) -> object:
    return Board(settings.runtime).ack()


def _pulse_of_brain(settings: Settings) -> object:
    try:
        return (Path(settings.runtime) / "brain").stat().st_mtime_ns
    except OSError:
        return None


@dataclass(frozen=True)
class Part:
    """One process of the service.

    Attributes
    ----------
    pulse
        Changes at least once in `stale` seconds while the part is not stuck; None if it has none.
    deployments
        Where it is needed.
    nice
        How readily it and its children leave the processor to others. A scheduler waits for the
        front end alone, so all else does.
    """

    module: str
    pulse: Pulse | None = None
    deployments: frozenset[Deployment] = frozenset(Deployment)
    nice: int = 10
    stale: float = STALE


PARTS = {
    "extender": Part(
        "optsched.k8s.extender",
        _acknowledged,
        frozenset({Deployment.CONTROL_PLANE, Deployment.SECOND_SCHEDULER}),
        nice=0,
    ),
    "brain": Part("optsched.k8s.brain", _pulse_of_brain, stale=30.0),
    "reaper": Part("optsched.k8s.reaper", deployments=frozenset({Deployment.GATED})),
}


def choose(names: Sequence[str], settings: Settings) -> dict[str, Part]:
    """The parts of these names; without any, all that the deployment needs.

    Raises
    ------
    InputError
        There is no such part, or nothing to run.
    """
    for name in names:
        if name not in PARTS:
            raise InputError(f"there is no part {name!r}; there are {', '.join(PARTS)}")
    chosen = {name: PARTS[name] for name in names} or {
        name: part for name, part in PARTS.items() if settings.deployment in part.deployments
    }
    if not chosen:
        raise InputError(f"deployment {settings.deployment.value} needs no part of this release")
    return chosen


@dataclass
class _Running:
    """A part and how it fares."""

    name: str
    part: Part
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    seen: object = None
    seen_at: float = 0.0
    alive: bool = False
    wait: float = BACKOFF[0]
    next_start: float = 0.0
    runs: int = 0


@dataclass
class Service:
    """Starts parts and keeps them alive until it is told to end."""

    parts: dict[str, Part]
    settings: Settings
    config: str | None = None
    _end: threading.Event = field(default_factory=threading.Event)

    def run(self) -> int:
        """Serve; the exit code."""
        end_with_parent()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told)
        running = [_Running(name, part) for name, part in self.parts.items()]
        code = 0
        try:
            while not self._end.is_set() and not code:
                for one in running:
                    code = code or self._look(one)
                self._end.wait(LOOK)
        finally:
            _stop(running)
        return code

    def _told(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._end.set()

    def _look(self, one: _Running) -> int:
        """Start what does not run, end what hangs; the exit code if the configuration is wrong."""
        now = time.monotonic()
        if one.process is None:
            if now >= one.next_start:
                self._start(one, now)
            return 0
        ended = one.process.poll()
        if ended is None:
            self._feel(one, now)
            return 0
        if ended == AT_FAULT and one.runs == 1:
            return AT_FAULT
        one.wait = BACKOFF[0] if now - one.started > HEALTHY else min(2 * one.wait, BACKOFF[1])
        one.process, one.next_start = None, now + one.wait
        log.error("%s ended with code %d; started again in %.1f s", one.name, ended, one.wait)
        return 0

    def _start(self, one: _Running, now: float) -> None:
        command = [sys.executable, "-m", one.part.module]
        one.process = subprocess.Popen(
            command + ([self.config] if self.config else []), env=starting()
        )
        if one.part.nice:
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, one.process.pid, one.part.nice)
        one.started = one.seen_at = now
        one.seen = one.part.pulse(self.settings) if one.part.pulse else None
        one.alive = False
        one.runs += 1
        log.info("%s started as process %d", one.name, one.process.pid)

    def _feel(self, one: _Running, now: float) -> None:
        """Kill a part whose pulse has stopped. One that never had any is still starting."""
        if one.part.pulse is None or one.process is None:
            return
        seen = one.part.pulse(self.settings)
        if seen != one.seen:
            one.seen, one.seen_at, one.alive = seen, now, True
        elif one.alive and now - one.seen_at > one.part.stale:
            log.error("%s hangs: no sign of life for %.1f s; killed", one.name, now - one.seen_at)
            one.process.kill()
            one.process.wait()


def _stop(running: list[_Running]) -> None:
    """End all parts, by force what does not end by itself."""
    processes = [one.process for one in running if one.process is not None]
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + PATIENCE
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        if process.poll() is None:
            process.kill()
            process.wait()
