"""Random small VM problems with everything that they can have, and all their plans, one by one.

The rules are read here a third time, from the tables alone: neither `rules`, `objective` nor
`check` is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from optsched.levels import Level, Term, TermKind
from optsched.problem import Cells, Hosts, Items, Limit, LimitKind, PlacementProblem, Where

Values = tuple[int, ...]
CORES, MEMORY = 0, 1
FEW = 4  # VMs that all of them may move

Blocks = tuple[tuple[int, int, int, int], ...]  # (resource, size, cells, weight) of each
OBJECTIVES: tuple[Blocks, ...] = (
    ((CORES, 4, 1, 1),),
    ((CORES, 3, 1, 1),),
    ((CORES, 4, 2, 1),),
    ((CORES, 3, 1, 2), (CORES, 4, 2, 1)),
    ((MEMORY, 4, 1, 1),),
    ((CORES, 4, 1, 2), (MEMORY, 8, 1, 1)),
    ((CORES, 3, 1, 1), (MEMORY, 3, 2, 3)),
)


def draw(seed: int, **fixed: Any) -> PlacementProblem:
    """A problem of up to four hosts and seven VMs; the same seed gives the same.

    Some VMs take no cores, no memory, neither, or no cell at all; some may not move, may not share
    a host, or must leave theirs. `fixed` overrides what is drawn: `terms`, `conflicts`, `drain`,
    `moves`, `ratio` (memory per core; 0: drawn from VM to VM), `zeros` (share of VMs without).
    """
    rng = np.random.default_rng([seed, 77])
    hosts = int(rng.integers(2, 5))
    number = np.where(rng.random(hosts) < 0.1, 1, 2)
    cells = np.repeat(np.arange(hosts), number)
    ratio = int(fixed.get("ratio", rng.choice([0, 0, 1, 2])))
    size = int(rng.integers(5, 10))
    memory = int(rng.choice([size * max(ratio, 1), size + 4, 1000]))
    capacity = np.tile([[size, memory]], (len(cells), 1))
    vms = _Vms(rng, cells, capacity, ratio, float(fixed.get("zeros", rng.choice([0, 0.3]))))
    for _ in range(int(rng.integers(3, 8))):
        vms.add()
    used = np.zeros_like(capacity)
    if rng.random() < 0.1:  # overfull, by what is no VM
        used[rng.integers(len(cells))] = size, int(rng.integers(memory))
    moves = int(fixed.get("moves", rng.choice([-1, 0, 1, 2, 3, 3])))
    if moves < 0 and len(vms.home) > FEW:
        moves = 3
    return _problem(rng, fixed, hosts, vms, used, moves)


class _Vms:
    """VMs that fit where they are put."""

    def __init__(
        self, rng: np.random.Generator, cells: np.ndarray, capacity: np.ndarray, ratio: int,
        zeros: float,
    ) -> None:  # fmt: skip
        self.rng, self.cells, self.capacity = rng, cells, capacity
        self.free, self.ratio, self.zeros = capacity.copy(), ratio, zeros
        self.demand: list[tuple[int, int]] = []
        self.home: list[tuple[int, tuple[int, ...]]] = []

    def add(self) -> None:
        """One more, if it fits where it is drawn."""
        rng = self.rng
        units = int(rng.choice([1, 2, 3, 4, 5]))
        memory = units * (self.ratio or int(rng.choice([1, 2, 4])))
        if rng.random() < self.zeros:
            units, memory = ((0, memory), (units, 0), (0, 0))[int(rng.choice(3, p=[0.5, 0.4, 0.1]))]
        host = int(rng.integers(int(self.cells[-1]) + 1))
        own = np.flatnonzero(self.cells == host)
        kind = rng.random()
        count = 0 if kind < 0.3 * self.zeros else 2 if kind > 0.7 and len(own) == 2 else 1
        if not count:
            units = memory = 0
        places = tuple(sorted(rng.permutation(own)[:count].tolist()))
        if all((self.free[c] >= (units, memory)).all() for c in places):
            for c in places:
                self.free[c] -= (units, memory)
            self.demand.append((units, memory))
            self.home.append((host, places))


def _problem(
    rng: np.random.Generator, fixed: dict[str, Any], hosts: int, vms: _Vms, used: np.ndarray,
    moves: int,
) -> PlacementProblem:  # fmt: skip
    count = len(vms.home)
    wide = max((len(places) for _, places in vms.home), default=0)
    items = Items.of(
        np.zeros((count, 0), int),
        cells_needed=[len(places) for _, places in vms.home],
        cell_demand=np.reshape(vms.demand, (count, 2)),
        host0=[host for host, _ in vms.home],
        cells0=np.reshape([[*p, -1, -1][:wide] for _, p in vms.home], (count, wide)).astype(int),
        lets_go_first=False,
        movable=rng.random(count) > rng.choice([0, 0.2]),
    )
    drained = np.zeros(hosts, bool)
    if fixed.get("drain", rng.random() < 0.3):
        drained[rng.permutation(hosts)[: int(rng.integers(1, max(hosts - 1, 2)))]] = True
    table = Hosts.of(np.zeros((hosts, 0), int), drain=drained)
    groups = [
        sorted(rng.permutation(count)[: int(rng.integers(2, 4))].tolist())
        for _ in range(int(fixed.get("conflicts", rng.choice([0, 0, 1, 2]))))
    ]
    excluded = (rng.random((2, hosts)) < rng.choice([0, 0.3])).astype(np.uint32)
    excluded[0] = 0
    where = Where.of(
        table,
        items,
        groups=groups,
        excluded=excluded,
        item_eligible=rng.integers(0, 2, count),
    )
    return PlacementProblem.of(
        table,
        items,
        name="drawn",
        cells=Cells.of(vms.cells, vms.capacity, fixed_use=used, resources=("cpu", "mem")),
        where=where,
        limits=[
            Limit(LimitKind.CONFLICT, 0, g, g, name=f"apart {g}") for g, _ in enumerate(groups)
        ],
        objective=_levels(rng, fixed, bool(drained.any())),
        max_moves=moves,
    )


def _levels(rng: np.random.Generator, fixed: dict[str, Any], drain: bool) -> tuple[Level, ...]:
    chosen = fixed.get("terms", OBJECTIVES[int(rng.integers(len(OBJECTIVES)))])
    blocks = tuple(
        Term(TermKind.FRAGMENTS, resource=r, size=s, cells=n, weight=w) for r, s, n, w in chosen
    )
    goal = int(rng.integers(1, 12)) if rng.random() < 0.2 else 0
    levels = [Level("drained", (Term(TermKind.DRAINED),))] if drain else []
    levels.append(Level("fragments", blocks, goal=goal))
    if goal or rng.random() < 0.5:
        levels.append(Level("moved", (Term(TermKind.MOVED),)))
    return tuple(levels)


@dataclass(frozen=True)
class Truth:
    """Every allowed way to move VMs, whatever the order (`safe`: all at once, in any order)."""

    problem: PlacementProblem
    safe: bool

    @cached_property
    def values(self) -> list[Values]:
        """The distinct values of the objective that can be reached, best first."""
        return sorted(set(self._all()))

    def least(self, level: int, given: Values) -> int:
        """The least value of a level where all earlier ones are as given."""
        return min(one[level] for one in self.values if one[:level] == given[:level])

    def _all(self) -> Iterator[Values]:
        problem = self.problem
        ways = [self._ways(i) for i in range(len(problem.items))]
        able = [i for i, own in enumerate(ways) if own]
        most = len(able) if problem.max_moves < 0 else min(problem.max_moves, len(able))
        now = problem.cells.capacity - problem.cells.fixed_use
        for own, demand in zip(problem.items.cells0, problem.items.cell_demand, strict=True):
            now[own[own >= 0]] -= demand
        for number in range(most + 1):
            for movers in combinations(able, number):
                yield from self._choose(movers, ways, now.tolist(), {})

    def _ways(self, item: int) -> list[tuple[int, tuple[int, ...]]]:
        """Hosts and cells that an item may be put on, other than where it is."""
        items, problem = self.problem.items, self.problem
        if not items.movable[item]:
            return []
        home = int(items.host0[item]), tuple(c for c in items.cells0[item].tolist() if c >= 0)
        found = []
        for h in range(len(problem.hosts)):
            barred = problem.where.excluded[problem.where.item_eligible[item], h]
            if barred or problem.hosts.drain[h]:
                continue
            own = np.flatnonzero(problem.cells.host == h).tolist()
            found += [(h, cells) for cells in combinations(own, int(items.cells_needed[item]))]
        return [way for way in found if way != home]

    def _choose(
        self, movers: Sequence[int], ways: Any, free: list[list[int]], target: dict[int, int]
    ) -> Iterator[Values]:
        """All ways of these items; `free` is that of cells at the end, leavers and all."""
        items = self.problem.items
        start = [row[:] for row in free]  # what is there less arrivals: of use where all is at once
        end = [row[:] for row in free]
        for item in movers:
            for c in items.cells0[item].tolist():
                if c >= 0:
                    for r, d in enumerate(items.cell_demand[item].tolist()):
                        end[c][r] += d

        def go(at: int, chosen: list[tuple[int, tuple[int, ...]]]) -> Iterator[Values]:
            if at == len(movers):
                if self._fits(movers, chosen, start if self.safe else end) and self._apart(
                    movers, chosen
                ):
                    yield self._value(movers, chosen, end)
                return
            demand = items.cell_demand[movers[at]].tolist()
            for way in ways[movers[at]]:
                for c in way[1]:
                    for r, d in enumerate(demand):
                        start[c][r] -= d
                        end[c][r] -= d
                yield from go(at + 1, [*chosen, way])
                for c in way[1]:
                    for r, d in enumerate(demand):
                        start[c][r] += d
                        end[c][r] += d

        yield from go(0, [])

    def _fits(self, movers: Sequence[int], chosen: Any, free: list[list[int]]) -> bool:
        """Whether no cell that something enters is over its capacity in what that asks for."""
        demand = self.problem.items.cell_demand
        return all(
            free[c][r] >= 0
            for item, (_, cells) in zip(movers, chosen, strict=True)
            for c in cells
            for r in (CORES, MEMORY)
            if demand[item, r]
        )

    def _apart(self, movers: Sequence[int], chosen: Any) -> bool:
        """Whether nothing enters a host with another of its group; at once, leavers are there."""
        limits, home = self.problem.limits, self.problem.items.host0.tolist()
        after = dict(zip(movers, (host for host, _ in chosen), strict=True))
        for row in range(len(limits)):
            group = set(self.problem.where.groups[int(limits.subject[row])].tolist())
            for item in group & set(movers):
                for other in group - {item}:
                    there = {after.get(other, home[other])} | (
                        {home[other]} if self.safe else set()
                    )
                    if after[item] in there:
                        return False
        return True

    def _value(self, movers: Sequence[int], chosen: Any, free: list[list[int]]) -> Values:
        problem = self.problem
        return tuple(
            max(
                sum(t.weight * self._term(t, movers, chosen, free) for t in level.terms), level.goal
            )
            - level.goal
            for level in problem.objective
        )

    def _term(self, term: Term, movers: Sequence[int], chosen: Any, free: list[list[int]]) -> int:
        problem = self.problem
        if term.kind is TermKind.MOVED:
            return len(movers)
        if term.kind is TermKind.DRAINED:
            after = problem.items.host0.tolist()
            for item, (host, _) in zip(movers, chosen, strict=True):
                after[item] = host
            return sum(
                bool(problem.hosts.drain[h]) and bool(problem.items.occupies[i])
                for i, h in enumerate(after)
            )
        total = 0
        above = [max(row[term.resource], 0) for row in free]
        for h in range(len(problem.hosts)):
            own = [above[c] for c in range(len(free)) if problem.cells.host[c] == h]
            if term.cells == 1:
                total += sum(one % term.size for one in own)
            else:
                blocks = min(one // term.size for one in own) if len(own) == 2 else 0
                total += sum(own) - 2 * term.size * blocks
        return total
