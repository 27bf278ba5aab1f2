"""Carry a plan out move by move, in a random order within each wave.

The simulator is a third reading of a plan, beside `rules` and `check`: lists of what sits where,
and of who must be apart. A move starts where there is room for it beside everything that is there
at that moment, what moves off in the same wave included as long as it has not gone yet, and ends
before the next one starts; none of those it must not meet may be there either. Every order must
work, so a few random ones are tried. Fragments are counted from the room that is left.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from optsched.errors import PlanError
from optsched.limits import LimitKind
from optsched.plan import Move, Plan
from optsched.problem import PlacementProblem

Amounts = list[int]


@dataclass(frozen=True)
class Replay:
    """How the cluster looks when all moves are made.

    Attributes
    ----------
    moves
        Moves that were made.
    host
        Per item its host, -1: none.
    free
        Per cell, the free amount of each cell resource.
    cell_host
        Per cell, its host.
    """

    moves: int
    host: tuple[int, ...]
    free: tuple[tuple[int, ...], ...]
    cell_host: tuple[int, ...]

    def fragments(self, resource: int, size: int, cells: int = 1) -> int:
        """Free units that blocks cannot use, of `size` units on each of `cells` cells of a host."""
        on_host: dict[int, list[int]] = defaultdict(list)
        for host, cell in zip(self.cell_host, self.free, strict=True):
            on_host[host].append(max(cell[resource], 0))
        return sum(
            sum(units) - size * cells * _blocks([one // size for one in units], cells)
            for units in on_host.values()
        )


def _blocks(parts: list[int], cells: int) -> int:
    """How many blocks the parts on the cells of one host make, each of parts on different cells.

    A cell takes part in every block at most once: for any j of the largest cells, all blocks
    together need at least `cells` - j parts each from the others.
    """
    parts = sorted(parts, reverse=True)
    return min(sum(parts[j:]) // (cells - j) for j in range(cells))


class _Cluster:
    """Hosts and cells as lists of what is free, and where every item sits."""

    def __init__(self, problem: PlacementProblem) -> None:
        self.problem, items = problem, problem.items
        self.free = (problem.hosts.capacity - problem.hosts.fixed_use).tolist()
        self.cell_free = (problem.cells.capacity - problem.cells.fixed_use).tolist()
        self.demand, self.cell_demand = items.demand.tolist(), items.cell_demand.tolist()
        self.host = items.host0.tolist()
        self.cells = [[c for c in row if c >= 0] for row in items.cells0.tolist()]
        self.apart = _apart(problem)
        for item in range(len(items)):
            self._take(item, -1)

    def _take(self, item: int, sign: int) -> None:
        host = self.host[item]
        if host < 0:
            return
        _add(self.free[host], self.demand[item], sign)
        for cell in self.cells[item]:
            _add(self.cell_free[cell], self.cell_demand[item], sign)

    def move(self, move: Move) -> None:
        """Make a move, or say why there is no room for it."""
        item, name = move.item, self.problem.items.names[move.item]
        if self.host[item] != move.source:
            raise PlanError(f"{name!r} is not where its move starts")
        first = bool(self.problem.items.lets_go_first[item])
        if first:
            self._leave(item)
        wanted = [(self.cell_free[cell], self.cell_demand[item]) for cell in move.cells]
        if move.target >= 0:
            wanted.append((self.free[move.target], self.demand[item]))
        for room, need in wanted:
            if any(n > 0 and n > r for r, n in zip(room, need, strict=True)):
                target = self.problem.hosts.names[move.target]
                raise PlanError(f"{name!r} does not fit on {target!r} when its turn comes")
        if move.target >= 0:
            self._meet(move)
        if not first:
            self._leave(item)
        self.host[item], self.cells[item] = move.target, list(move.cells)
        self._take(item, -1)

    def _meet(self, move: Move) -> None:
        """Refuse a move to where somebody is whom the item must not meet."""
        for others, domain in self.apart.get(move.item, ()):
            there = domain[move.target]
            for other in others:
                host = self.host[other]
                if other != move.item and host >= 0 and there >= 0 and domain[host] == there:
                    names, target = self.problem.items.names, self.problem.hosts.names[move.target]
                    raise PlanError(
                        f"{names[move.item]!r} meets {names[other]!r} on {target!r} when its turn "
                        "comes, and the two must be apart"
                    )

    def _leave(self, item: int) -> None:
        self._take(item, 1)
        self.host[item], self.cells[item] = -1, []


def _apart(problem: PlacementProblem) -> dict[int, list[tuple[list[int], list[int]]]]:
    """Per item, lists of those it must not share a domain with, and the domain of every host."""
    limits, where = problem.limits, problem.where
    found: dict[int, list[tuple[list[int], list[int]]]] = defaultdict(list)
    for row in range(len(limits)):
        if limits.kind[row] != LimitKind.CONFLICT:
            continue
        domain = where.domain[limits.key[row]].tolist()
        mine = where.groups[int(limits.subject[row])].tolist()
        theirs = where.groups[int(limits.counted[row])].tolist()
        for item in mine:
            found[item].append((theirs, domain))
        if mine != theirs:
            for item in theirs:
                found[item].append((mine, domain))
    return found


def _add(room: Amounts, amount: Sequence[int], sign: int) -> None:
    for r, x in enumerate(amount):
        room[r] += sign * x


def replay(problem: PlacementProblem, plan: Plan, seed: int = 0) -> Replay:
    """Make all moves of a plan, each wave in an order drawn from `seed`.

    Raises
    ------
    PlanError
        A move finds no room, meets somebody it must not, or its item is not where it should be.
    """
    rng, cluster, made = random.Random(seed), _Cluster(problem), 0
    for wave in plan.waves:
        moves = list(wave.moves)
        rng.shuffle(moves)
        for move in moves:
            cluster.move(move)
            made += 1
    free = tuple(tuple(cell) for cell in cluster.cell_free)
    return Replay(made, tuple(cluster.host), free, tuple(problem.cells.host.tolist()))
