"""One wave in the making: which moves may still join it so that any order of them is safe.

The room of a wave holds what is there at its start, leavers included, plus all that arrives; what
is sure to remain is what is there less the leavers. `rules` reads both.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from .arrays import Ints
from .plan import Move, Wave
from .problem import LimitKind, PlacementProblem, Scope
from .rules import cell_fits, may_enter
from .state import State


class _Changed:
    """The flat counts of a state, which it leaves alone, with what a wave adds to a few of them.

    There may be a hundred million bytes of them: a copy would take longer than the wave.
    """

    def __init__(self, base: Ints, offset: Ints) -> None:
        self._base, self._offset = base, offset  # as in `Counters`
        self._added: dict[int, dict[int, int]] = {}  # per counter, by index

    def add(self, at: Ints, number: int) -> None:
        """Add to the counts with these indices (n,), each once."""
        for index, counter in zip(at.tolist(), self._counter(at).tolist(), strict=True):
            added = self._added.setdefault(counter, {})
            added[index] = added.get(index, 0) + number

    def _counter(self, at: Ints) -> Ints:
        """Which counter each index belongs to."""
        return np.searchsorted(self._offset, at, side="right") - 1

    def forget(self) -> None:
        """Take back all that was added."""
        self._added.clear()

    def __getitem__(self, index: Any) -> Any:
        """A copy of one count, of a slice or of many."""
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self._base)))
        at = np.asarray(index)
        found = np.array(self._base[at])
        first, last = self._counter(np.array([at.min(), at.max()])) if at.size else (0, -1)
        for counter in self._added.keys() & range(first, last + 1):
            for changed, number in self._added[counter].items():
                found[at == changed] += number
        return found


class WaveRoom:
    """The room that a wave's moves share; a `rules.Room`."""

    def __init__(self, state: State) -> None:
        self.problem, self._state = state.problem, state
        self.counters = state.counters
        self.host, self.cells = state.host, state.cells
        offset = self.counters.offset
        self.counts, self.floor = (_Changed(state.counts, offset) for _ in range(2))
        self._begin()

    def _begin(self) -> None:
        state = self._state
        self.use, self.gone = state.use.copy(), state.gone
        self.cell_use = state.cell_use.copy()
        self.moves: list[Move] = []
        self._tally = Tally(state.problem)

    def next(self) -> None:
        """Begin the next wave, once the state has made this one's moves."""
        self.counts.forget()
        self.floor.forget()
        self._begin()

    def wave(self) -> Wave:
        """The moves that joined."""
        return Wave(tuple(self.moves))

    def join(self, item: int, target: int, cells: Ints | None = None) -> bool:
        """Let `item` go to `target` (-1: leave) in this wave, if that is safe in any order."""
        move = Move(item, int(self.host[item]), target)
        if not self._tally.allows(move):
            return False
        if target >= 0:
            if not may_enter(self, item, target):
                return False
            chosen = self._cells(item, target, cells)
            if chosen is None:
                return False
            move = Move(item, move.source, target, tuple(chosen.tolist()))
        self._apply(move, 1)
        if not all(self._still_safe(other) for other in self._touched(move)):
            self._apply(move, -1)
            return False
        self.moves.append(move)
        self._tally.count(move)
        return True

    def _cells(self, item: int, target: int, wanted: Ints | None) -> Ints | None:
        needed = int(self.problem.items.cells_needed[item])
        if not needed:
            return np.zeros(0, np.int64)
        fits = cell_fits(self, item) & (self.problem.cells.host == target)
        if wanted is not None and len(wanted) == needed:
            return wanted if fits[wanted].all() else None
        free = np.flatnonzero(fits)
        return free[:needed] if len(free) >= needed else None

    def _apply(self, move: Move, sign: int) -> None:
        items = self.problem.items
        if move.source >= 0:
            self.floor.add(self.counters.fed_by(move.item, move.source), -sign)
        if move.target < 0:
            return
        if move.target != move.source:
            self.use[move.target] += sign * items.demand[move.item]
            self.counts.add(self.counters.fed_by(move.item, move.target), sign)
        self.cell_use[list(move.cells)] += sign * items.cell_demand[move.item]

    def _touched(self, move: Move) -> list[Move]:
        """Earlier arrivals of this wave whose spread or affinity `move` may have upset."""
        limits, counters = self.problem.limits, self.counters
        rows = {
            row
            for row in counters.rows_of_item[move.item].tolist()
            if limits.kind[row] in (LimitKind.SKEW, LimitKind.REQUIRE)
            and move.item in counters.in_counted[row]
        }
        if not rows:
            return []
        return [
            other
            for other in self.moves
            if other.target >= 0 and not rows.isdisjoint(counters.rows_of_item[other.item].tolist())
        ]

    def _still_safe(self, move: Move) -> bool:
        self._apply(move, -1)
        safe = may_enter(self, move.item, move.target)
        self._apply(move, 1)
        return safe


class Tally:
    """What the budgets, owners and throttles of one wave have left."""

    def __init__(self, problem: PlacementProblem) -> None:
        self._problem = problem
        self._left: Counter[tuple[str, int]] = Counter()
        self._budgets = problem.budgets.groups.inverse(len(problem.items))
        for item, source in zip(problem.inflight.item, problem.inflight.source, strict=True):
            self.count(Move(int(item), int(source), int(problem.items.host0[item])))

    def _keys(self, move: Move) -> list[tuple[str, int, int]]:
        """(kind, index, allowed) of everything the move draws on."""
        problem = self._problem
        keys: list[tuple[str, int, int]] = []
        if move.source >= 0:
            budgets = problem.budgets
            for row in self._budgets[move.item].tolist():
                if budgets.scope[row] == Scope.WAVE:
                    keys.append(("budget", row, int(budgets.allowed[row])))
            owner = int(problem.items.owner[move.item])
            if owner >= 0 and problem.owner_at_once >= 0:
                keys.append(("owner", owner, problem.owner_at_once))
            if move.source != move.target and problem.hosts.moves_out[move.source] >= 0:
                keys.append(("out", move.source, int(problem.hosts.moves_out[move.source])))
        if move.target >= 0 and problem.hosts.moves_in[move.target] >= 0:
            keys.append(("in", move.target, int(problem.hosts.moves_in[move.target])))
        return keys

    def allows(self, move: Move) -> bool:
        """Whether nothing the move draws on is used up."""
        return all(self._left[kind, at] + allowed > 0 for kind, at, allowed in self._keys(move))

    def count(self, move: Move) -> None:
        """Draw on everything the move needs."""
        for kind, at, _ in self._keys(move):
            self._left[kind, at] -= 1
