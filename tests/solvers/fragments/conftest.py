"""Makers of small VM problems, and their optima by trying everything."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optsched.levels import Level, Term, TermKind
from optsched.objective import evaluate
from optsched.plan import Placement
from optsched.problem import Cells, Evict, Hosts, Items, Limit, LimitKind, PlacementProblem, Where

sys.path.append(str(Path(__file__).resolve().parent))  # vm_worlds

# (host, cells on it, units of cpu, units of memory on each cell)
Vm = tuple[int, tuple[int, ...], int, int]


def vm_problem(
    vms: Sequence[Vm],
    hosts: int,
    *,
    size: int = 8,
    memory: int = 1000,
    moves: int = 3,
    terms: Sequence[tuple[int, int, int]] = ((4, 1, 1),),
    goal: int = 0,
    moved: bool = False,
    drain: Sequence[int] = (),
    pinned: Sequence[int] = (),
    conflict: Sequence[int] = (),
    excluded: Any = None,
    fixed: dict[int, int] | None = None,
    evict: Evict = Evict.NEVER,
) -> PlacementProblem:
    """A problem of `hosts` hosts with two cells.

    `terms` are (size, cells, weight) of blocks, `fixed` the units of cpu that are used on cells by
    what is no item.
    """
    used = np.zeros((2 * hosts, 2), np.int64)
    for cell, units in (fixed or {}).items():
        used[cell, 0] = units
    widest = max((len(places) for _, places, _, _ in vms), default=0)
    cells0 = np.full((len(vms), widest), -1)
    for i, (host, places, _, _) in enumerate(vms):
        cells0[i, : len(places)] = [2 * host + place for place in places]
    movable = np.ones(len(vms), bool)
    movable[list(pinned)] = False
    items = Items.of(
        np.zeros((len(vms), 0), int),
        cells_needed=[len(vm[1]) for vm in vms],
        cell_demand=[vm[2:] for vm in vms],
        host0=[vm[0] for vm in vms],
        cells0=cells0,
        lets_go_first=False,
        movable=movable,
    )
    drained = np.zeros(hosts, bool)
    drained[list(drain)] = True
    table = Hosts.of(np.zeros((hosts, 0), int), drain=drained)
    blocks = tuple(Term(TermKind.FRAGMENTS, size=s, cells=n, weight=w) for s, n, w in terms)
    levels = [Level("drained", (Term(TermKind.DRAINED),))] if drain else []
    levels.append(Level("fragments", blocks, goal=goal))
    levels += [Level("moved", (Term(TermKind.MOVED),))] if moved else []
    return PlacementProblem.of(
        table,
        items,
        cells=Cells.of(
            np.repeat(np.arange(hosts), 2),
            [(size, memory)] * (2 * hosts),
            fixed_use=used,
            resources=("cpu", "mem"),
        ),
        where=Where.of(
            table, items, groups=[list(conflict)] if conflict else [], excluded=excluded
        ),
        limits=[Limit(LimitKind.CONFLICT, 0, 0, 0, name="apart")] if conflict else (),
        objective=tuple(levels),
        max_moves=moves,
        evict=evict,
    )


def random_problem(seed: int, **options: Any) -> PlacementProblem:
    """Three hosts, half full, with VMs of all shapes."""
    rng = np.random.default_rng(seed)
    hosts, size = int(options.pop("hosts", 3)), int(options.pop("size", 8))
    memory = int(options.pop("memory", 1000))
    ratios = options.pop("ratios", (1,))
    free = np.full((hosts, 2, 2), (size, memory))
    vms: list[Vm] = []
    for _ in range(options.pop("vms", 7)):
        units = int(rng.choice([1, 2, 3, 4, 5]))
        need = np.array([units, units * int(rng.choice(ratios))])
        host = int(rng.integers(hosts))
        places: tuple[int, ...] = (0, 1) if rng.random() < 0.3 else (int(rng.integers(2)),)
        if all((free[host, place] >= need).all() for place in places):
            for place in places:
                free[host, place] -= need
            vms.append((host, places, int(need[0]), int(need[1])))
    conflict = options.pop("conflict", 0)
    if conflict:
        apart: list[int] = []
        for i in rng.permutation(len(vms)).tolist():
            if len(apart) < conflict and all(vms[i][0] != vms[j][0] for j in apart):
                apart.append(i)
        options["conflict"] = apart
    return vm_problem(vms, hosts, size=size, memory=memory, **options)


def outcomes(problem: PlacementProblem, *, safe: bool) -> Iterator[Placement]:
    """Every allowed placement: what enters fits now (`safe`), or just then."""
    items, cells, hosts = problem.items, problem.cells, len(problem.hosts)
    ways: list[list[tuple[int, ...]]] = []
    for i in range(len(items)):
        needed = int(items.cells_needed[i])
        home = tuple(c for c in items.cells0[i].tolist() if c >= 0)
        others = [(2 * h, 2 * h + 1) if needed == 2 else (2 * h + s,)
                  for h in range(hosts) for s in range(3 - needed)]  # fmt: skip
        mask = problem.where.excluded[problem.where.item_eligible[i]]
        allowed = [w for w in others if not mask[w[0] // 2] and not problem.hosts.drain[w[0] // 2]]
        ways.append([home, *(w for w in allowed if w != home)] if items.movable[i] else [home])
    free = cells.capacity - cells.fixed_use
    for i in range(len(items)):
        free[list(ways[i][0])] -= items.cell_demand[i]
    most = problem.max_moves
    for number in range(most + 1):
        for movers in combinations([i for i in range(len(items)) if len(ways[i]) > 1], number):
            for chosen in product(*(ways[i][1:] for i in movers)):
                left = free.copy()
                for i, target in zip(movers, chosen, strict=True):
                    left[list(target)] -= items.cell_demand[i]
                    if not safe:
                        left[list(ways[i][0])] += items.cell_demand[i]
                entered = [c for target in chosen for c in target]
                if (left[entered] < 0).any() or not _apart(problem, movers, chosen, safe):
                    continue
                host, table = items.host0.copy(), items.cells0.copy()
                for i, target in zip(movers, chosen, strict=True):
                    host[i], table[i, : len(target)] = target[0] // 2, target
                yield Placement.of(problem, host, table)


def _apart(
    problem: PlacementProblem, movers: Sequence[int], chosen: Sequence[Any], safe: bool
) -> bool:
    """Whether nobody of the conflict group enters a host with another of it."""
    if not len(problem.limits):
        return True
    group = set(problem.where.groups[0].tolist())
    target = {i: way[0] // 2 for i, way in zip(movers, chosen, strict=True)}
    for i in group & set(movers):
        for j in group - {i}:
            there = {target.get(j, int(problem.items.host0[j]))}
            if safe:
                there.add(int(problem.items.host0[j]))
            if target[i] in there:
                return False
    return True


def optimum(problem: PlacementProblem, *, safe: bool = True) -> tuple[int, ...]:
    """The best values of the objective."""
    return min(evaluate(problem, placement) for placement in outcomes(problem, safe=safe))


@pytest.fixture
def make() -> Callable[..., PlacementProblem]:
    """`vm_problem`."""
    return vm_problem


@pytest.fixture
def draw() -> Callable[..., PlacementProblem]:
    """`random_problem`."""
    return random_problem


@pytest.fixture
def best() -> Callable[..., tuple[int, ...]]:
    """`optimum`."""
    return optimum
