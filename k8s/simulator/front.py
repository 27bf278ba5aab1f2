"""The guard behind a board, as the extender's process has it, asked without HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from optsched.k8s import guard, wire
from optsched.k8s.clock import Clock
from optsched.k8s.memory import Memory
from optsched.k8s.table import Ack, Board

Tree = dict[str, Any]


class FrontEnd:
    """What the scheduler asks."""

    def __init__(self, folder: Path, clock: Clock, rules: guard.Rules | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.board = Board(folder)
        self.memory = Memory()
        self.clock = clock
        self.alive = True
        self.rules = rules or guard.Rules()

    def look(self) -> None:
        """Acknowledge the current table."""
        if self.alive:
            table = self.board.read()
            self.memory.settle(table.settled)
            self.board.acknowledge(Ack(table.generation, table.plan, self.clock.now(), 1))

    def filter(self, pod: Tree, names: list[str]) -> list[str]:
        """The nodes that are left; all if the front end is dead."""
        if not self.alive:
            return names
        view = guard.View(self.board.read(), self.clock.now())
        asked = msgspec.json.decode(json.dumps(pod), type=wire.Pod)
        answer = guard.decide(view, self.memory, asked, names, self.clock.now(), self.rules)
        self.memory.note(asked, answer, self.clock.now())
        return names if answer.kept is None else answer.kept
