"""From a placement to waves of moves that are safe at every step.

Each wave takes every move that may join it. Where nothing moves any more, a cycle is broken by a
hop over a third host (WAVES) or by letting an item wait without a host (PARK). What still cannot
be sequenced is not moved; the bound of the solver stays what it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import NONE
from .counters import Counters
from .objective import cell_use, evaluate
from .plan import Move, Order, Placement, Plan, Wave
from .problem import PlacementProblem
from .rules import candidates, may_enter
from .state import State
from .waves import WaveRoom


@dataclass(frozen=True)
class Sequenced:
    """A plan, and the items whose move it had to leave out."""

    plan: Plan
    dropped: tuple[int, ...]


def sequence(
    problem: PlacementProblem, placement: Placement, order: Order = Order.WAVES
) -> Sequenced:
    """Waves that lead from the current placement to `placement`, or as near as is safe.

    Parameters
    ----------
    problem, placement
        `placement` must be allowed (`rules.violations`).
    order
        What the plan may do to break cycles.

    Returns
    -------
    Sequenced
        The plan, and the items that were meant to change and do not.
    """
    digest = problem.digest()
    wave = _at_once(problem, placement)
    if wave is not None:
        return Sequenced(Plan(digest, order, (wave,) if wave.moves else ()), ())
    counters = Counters.of(problem)
    goal = placement
    for _ in range(8):
        run = _Run(problem, goal, order, counters)
        waves = run.waves()
        if not run.left and not (bad := run.state.violations()):
            meant = _changed(problem, placement)
            kept = _changed(problem, run.state.placement())
            return Sequenced(Plan(digest, order, waves), tuple(sorted(meant - kept)))
        goal = _retreat(problem, run, counters, {v.item for v in bad} if not run.left else set())
    return Sequenced(Plan(digest, order), tuple(sorted(_changed(problem, placement))))


def _at_once(problem: PlacementProblem, placement: Placement) -> Wave | None:
    """One wave of all moves, where only room binds and what enters fits in what is free now.

    None where that is not so, or not as plain to see: a wave is then made move by move.
    """
    items, hosts = problem.items, problem.hosts
    changed = np.array(sorted(_changed(problem, placement)), dtype=np.int64)
    source, target = items.host0[changed], placement.host[changed]
    throttled = (hosts.moves_in[target] >= 0) | (hosts.moves_out[source] >= 0)
    if (
        len(problem.limits)
        or len(problem.budgets)
        or len(problem.inflight)
        or problem.owner_at_once >= 0
        or problem.protect_higher
        or 0 <= problem.max_moves < len(changed)
        or (target < 0).any()
        or (source < 0).any()
        or (items.gang[changed] >= 0).any()
        or not items.movable[changed].all()
        or throttled.any()
        or problem.where.excluded[problem.where.item_eligible[changed], target].any()
        or hosts.drain[target].any()
    ):
        return None
    away = source != target
    now = hosts.fixed_use.copy()
    there = items.host0 >= 0
    np.add.at(now, items.host0[there], items.demand[there])
    np.add.at(now, target[away], items.demand[changed[away]])
    cells = placement.cells[changed]
    use = cell_use(problem, Placement.current(problem))
    who, column = np.nonzero(cells >= 0)
    np.add.at(use, cells[who, column], items.cell_demand[changed[who]])
    host_full = (now[target] > hosts.capacity[target]) & (items.demand[changed] > 0)
    room = problem.cells.capacity[cells[who, column]]
    cell_full = (use[cells[who, column]] > room) & (items.cell_demand[changed[who]] > 0)
    if host_full.any() or cell_full.any():
        return None
    if ((cells >= 0).sum(axis=1) != items.cells_needed[changed]).any():
        return None
    return Wave(
        tuple(
            Move(item, old, new, tuple(c for c in row if c >= 0))
            for item, old, new, row in zip(
                changed.tolist(), source.tolist(), target.tolist(), cells.tolist(), strict=True
            )
        )
    )


def _changed(problem: PlacementProblem, placement: Placement) -> set[int]:
    items = problem.items
    changed = placement.host != items.host0
    flipped = (np.sort(placement.cells, axis=1) != np.sort(items.cells0, axis=1)).any(axis=1)
    return set(np.flatnonzero(changed | flipped).tolist())


def _retreat(problem: PlacementProblem, run: _Run, counters: Counters, bad: set[int]) -> Placement:
    """What was reached, less the moves that have become pointless or break a rule."""
    items = problem.items
    host, cells = run.state.host.copy(), run.state.cells.copy()
    failed = np.array(sorted((bad | set(run.left)) - {NONE}), dtype=np.int64)
    gangs = np.unique(items.gang[failed])
    failed = np.union1d(failed, np.flatnonzero(np.isin(items.gang, gangs[gangs >= 0])))
    host[failed], cells[failed] = items.host0[failed], items.cells0[failed]
    state = State(problem, Placement.of(problem, host, cells), counters)
    value = evaluate(problem, state.placement())
    for item in sorted(_changed(problem, state.placement()), key=lambda i: -int(items.tier[i])):
        home = int(items.host0[item])
        if home < 0 or not may_enter(state, item, home):
            continue
        mark = state.mark()
        state.place(item, home, items.cells0[item])
        if (without := evaluate(problem, state.placement())) <= value:
            value = without
        else:
            state.undo(mark)
    return state.placement()


class _Run:
    """One attempt to reach a goal."""

    def __init__(
        self, problem: PlacementProblem, goal: Placement, order: Order, counters: Counters
    ) -> None:
        self.problem, self.goal, self.order = problem, goal, order
        self.state = State(problem, None, counters)
        self._largest = np.maximum(problem.hosts.capacity.max(axis=0, initial=1), 1)
        # Leaving and large items first: they make room, or need the most of it.
        self.left = sorted(_changed(problem, goal), key=self._urgency)
        self.hopped: set[int] = set()
        runs = problem.items.host0[self.left] >= 0
        moves = int((runs & (goal.host[self.left] >= 0)).sum())
        self._hops = problem.max_moves - moves if problem.max_moves >= 0 else len(self.left)

    def _urgency(self, item: int) -> tuple[bool, int, float]:
        size = float((self.problem.items.demand[item] / self._largest).sum())
        return bool(self.goal.host[item] >= 0), int(self.problem.items.tier[item]), -size

    def waves(self) -> tuple[Wave, ...]:
        """Run until nothing is left to move, or nothing can be."""
        waves: list[Wave] = []
        room = WaveRoom(self.state)
        while self.left:
            self._direct(room)
            if not room.moves and not self._detour(room):
                break
            for move in room.moves:
                self.state.place(move.item, move.target, move.cells)
            self.left = [i for i in self.left if not self._arrived(i)]
            waves.append(room.wave())
            room.next()
            if self.order is Order.SAFE:
                break
        return tuple(waves)

    def _arrived(self, item: int) -> bool:
        return self.state.host[item] == self.goal.host[item] and bool(
            (np.sort(self.state.cells[item]) == np.sort(self.goal.cells[item])).all()
        )

    def _direct(self, room: WaveRoom) -> None:
        """Let everything join a wave that can go straight to its goal."""
        for item in self.left:
            cells = self.goal.cells[item]
            room.join(item, int(self.goal.host[item]), cells[cells >= 0])

    def _detour(self, room: WaveRoom) -> bool:
        """Take one item out of the way so that another can reach its goal; whether that worked."""
        items = self.problem.items
        if self.order is Order.SAFE:
            return False
        stuck = [i for i in self.left if self.state.host[i] >= 0]
        parks = self.order is Order.PARK
        for needs_gain in (True, False) if parks else (True,):
            for item in stuck:
                waits = parks and bool(items.lets_go_first[item])
                if not waits and (item in self.hopped or len(self.hopped) >= self._hops):
                    continue
                if needs_gain and not self._helps(item):
                    continue
                ways = [NONE] if waits else self._hosts_to_hop(item)
                if any(room.join(item, way) for way in ways):
                    if ways != [NONE]:
                        self.hopped.add(item)
                    return True
        return False

    def _hosts_to_hop(self, item: int) -> list[int]:
        wanted = set(self.goal.host[self.left].tolist())
        free = np.flatnonzero(candidates(self.state, item)).tolist()
        return sorted((h for h in free if h != self.state.host[item]), key=lambda h: h in wanted)

    def _helps(self, item: int) -> bool:
        """Whether some other item could reach its goal if `item` were out of the way."""
        home = int(self.state.host[item])
        mark = self.state.mark()
        self.state.place(item, NONE)
        gains = any(
            self.goal.host[other] == home and may_enter(self.state, other, home)
            for other in self.left
            if other != item
        )
        self.state.undo(mark)
        return gains
