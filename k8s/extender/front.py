"""What answers are made from: the newest table, what was answered before, and a steady clock."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any

import msgspec

from optsched.errors import FormatError
from optsched.k8s.guard import Decision, Rules, View, decide, veto
from optsched.k8s.memory import Memory
from optsched.k8s.table import EMPTY, NS, Ack, Board, now_ms
from optsched.k8s.wire import Candidates, Nodes

log = logging.getLogger(__name__)

REPORTED = 1000  # nodes and pods named in an acknowledgement at most


class Clock:
    """Milliseconds since 1970 that never run backwards or jump.

    The wall clock is looked at when a table is read; from there on the time is counted. A table
    that seems to come from the future (the wall clock was set back in between) moves the clock to
    when it was written, so that it holds no longer than its writer meant.
    """

    def __init__(self) -> None:
        self._base = 0
        self.set(0)

    def set(self, written: int) -> None:
        """Take the wall clock's time, or that of a table's writer if it is later."""
        self._base = max(now_ms(), written) - time.monotonic_ns() // NS

    def now(self) -> int:
        """The time."""
        return self._base + time.monotonic_ns() // NS


class Front:
    """Reads tables from a board and answers by the newest.

    Attributes
    ----------
    rules
        Of the guard; may be replaced while running.
    enforcing
        Whether tables count; see `enforce`.
    error
        Why the newest table is not the one in force; "" if it is.
    failures
        Requests that were let pass because answering failed.
    """

    def __init__(self, board: Board, rules: Rules, clock: Clock | None = None) -> None:
        self.board = board
        self.rules = rules
        self.clock = clock or Clock()
        self.memory = Memory()
        self.enforcing = True
        self.error = ""
        self.failures = 0
        self._table = EMPTY
        self._stamp = -1
        self.view = View(EMPTY, self.clock.now())
        self.look()

    def look(self) -> None:
        """Take over what was published since the last look, and what has ended."""
        stamp = self.board.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            self._load()
        now = self.clock.now()
        if now >= self.view.until:
            self.view = View(self._table, now)

    def enforce(self, on: bool) -> None:
        """Let tables count, or none: the switch works without the brain, and whatever it wrote."""
        if on is not self.enforcing:
            self.enforcing, self._stamp = on, -1
            self.look()

    def filter(self, asked: Nodes) -> Decision | None:
        """Which nodes the pod may see; None if that cannot be said, and all are right."""
        return self._answer(
            lambda now: decide(self.view, self.memory, asked.pod, asked.names, now, self.rules),
            asked.pod,
        )

    def preempt(self, asked: Candidates) -> Decision | None:
        """Which candidates may stay; None if that cannot be said, and all are right."""
        return self._answer(
            lambda now: veto(self.view, self.memory, asked.pod, asked.victims, now, self.rules),
            asked.pod,
        )

    def acknowledge(self) -> None:
        """Tell the brain what is in force, and that we are alive."""
        table, memory = self._table, self.memory
        ack = Ack(
            table.generation,
            table.plan,
            now_ms(),
            os.getpid(),
            tuple(sorted(memory.at_risk)[:REPORTED]),
            tuple(sorted(memory.released)[:REPORTED]),
        )
        try:
            self.board.acknowledge(ack)
        except OSError as error:
            log.error("the acknowledgement cannot be written: %s", error.strerror)

    def _answer(self, ask: Callable[[int], Decision], pod: Any) -> Decision | None:
        try:
            self.look()
            if not self.view.table.plan:
                return Decision()
            now = self.clock.now()
            decision = ask(now)
            self.memory.note(pod, decision, now)
        except FormatError:
            self.failures += 1
            return None
        except Exception as error:  # whatever it is: the scheduler goes on as if we were not there
            self.failures += 1
            log.error("a request was let pass: %s", type(error).__name__, exc_info=True)
            return None
        return decision

    def _load(self) -> None:
        try:
            table = self.board.read() if self.enforcing else EMPTY
        except FormatError as error:
            self.error = str(error)
            log.error("%s; the last one stays in force until it ends", error)
            return
        self.error = ""
        self.clock.set(table.written)
        latest = self.clock.now() + self.rules.max_life
        if table.expires > latest:
            table = msgspec.structs.replace(table, expires=latest)
        if table.plan != self._table.plan:
            self.memory.begin()
        self.memory.settle(table.settled)
        self._table = table
        self.view = View(table, self.clock.now())
        self.acknowledge()
