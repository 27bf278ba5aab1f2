"""The methods side by side: ours, and four others, written anew from their descriptions."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.vm_rescheduling.per_vm import per_vm
from optsched.budget import Budget, Progress
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import PlacementProblem
from optsched.registry import solver

SIZE = 16  # cores of a block


@dataclass(frozen=True)
class Answer:
    """A plan, the fragments that no plan can get below (0: not known), and words on the end.

    `incumbents` are the fragments of the placements found on the way, each with its second.
    """

    plan: Plan
    bound: int
    status: str
    seconds: float
    incumbents: list[tuple[float, int]] = field(default_factory=list)


class Simple:
    """Free cores and memory of cells, changed move by move; for the simple methods."""

    def __init__(self, problem: PlacementProblem) -> None:
        items, cells = problem.items, problem.cells
        self.problem = problem
        self.free = cells.capacity - cells.fixed_use
        self.cells = items.cells0.copy()
        rows, columns = np.nonzero(self.cells >= 0)
        np.subtract.at(self.free, self.cells[rows, columns], items.cell_demand[rows])
        hosts = len(problem.hosts)
        self.pairs = np.full((hosts, 2), -1)
        first = np.searchsorted(cells.host, np.arange(hosts))
        self.pairs[:, 0] = first
        self.pairs[:, 1] = np.where(np.bincount(cells.host, minlength=hosts) > 1, first + 1, first)
        self.moves: list[Move] = []

    def places(self, item: int) -> np.ndarray:
        """(N, cells needed) where an item fits, its present place left out."""
        items = self.problem.items
        room = (self.free >= items.cell_demand[item]).all(axis=1)
        if items.cells_needed[item] == 1:
            room[self.cells[item, 0]] = False
            return np.flatnonzero(room)[:, None]
        both = room[self.pairs].all(axis=1) & (self.pairs[:, 0] != self.pairs[:, 1])
        both[items.host0[item]] = False
        return self.pairs[both]

    def move(self, item: int, target: np.ndarray) -> None:
        """Carry a move out."""
        demand, needed = self.problem.items.cell_demand[item], len(target)
        source = self.cells[item, :needed].copy()
        self.free[source] += demand
        self.free[target] -= demand
        self.cells[item, :needed] = target
        host = self.problem.cells.host
        cells = tuple(int(cell) for cell in target)
        self.moves.append(Move(item, int(host[source[0]]), int(host[target[0]]), cells))

    def plan(self) -> Plan:
        """One move a wave, in the order in which they were made."""
        waves = tuple(Wave((move,)) for move in self.moves)
        return Plan(self.problem.digest(), Order.WAVES, waves)


def heuristic(problem: PlacementProblem, moves: int, seed: int) -> Plan:
    """The peers' greedy heuristic (HA): the VM that hurts most, then its best destination.

    Filter: VMs of at most 16 cores in all. Score of leaving, then of entering: fall of the
    fragments of the cells concerned. It ends with the first pair that does not improve.
    """
    del seed
    state, items = Simple(problem), problem.items
    cores = items.cell_demand[:, 0]
    small = np.flatnonzero(items.movable & (cores * items.cells_needed <= SIZE))
    for _ in range(moves):
        own = state.cells[small]
        there = own >= 0
        free = state.free[own, 0]
        after = free + cores[small][:, None]
        leaving = ((free % SIZE - after % SIZE) * there).sum(axis=1)
        best = int(leaving.argmax())
        item = int(small[best])
        places = state.places(item)
        if not len(places):
            break
        room = state.free[places, 0]
        entering = (room % SIZE - (room - cores[item]) % SIZE).sum(axis=1)
        target = places[int(entering.argmax())]
        if leaving[best] + entering.max() <= 0:
            break
        state.move(item, target)
    return state.plan()


def anything(problem: PlacementProblem, moves: int, seed: int) -> Plan:
    """Random legal moves, as an untrained policy makes them."""
    state, rng = Simple(problem), np.random.default_rng(seed)
    movable = np.flatnonzero(problem.items.movable)
    while len(state.moves) < moves:
        item = int(rng.choice(movable))
        places = state.places(item)
        if len(places):
            state.move(item, places[int(rng.integers(len(places)))])
    return state.plan()


SIMPLE: dict[str, Callable[[PlacementProblem, int, int], Plan]] = {
    "HA": heuristic,
    "random": anything,
}
FIRST = "first plan"  # ours, stopped as soon as it tells of a placement
ARMS = ("ours", "greedy", FIRST, *SIMPLE, "per-VM")
SOLVERS = {"ours": "portfolio", FIRST: "portfolio", "greedy": "fragments-greedy"}


def run(
    arm: str, problem: PlacementProblem, order: Order, seconds: float, workers: int, seed: int
) -> Answer:
    """Solve from the problem to a checked plan; `problem.max_moves` holds the MNL."""
    gc.collect()  # what earlier calls left is not charged to this one
    begun = time.monotonic()
    if arm in SIMPLE:
        plan = SIMPLE[arm](problem, problem.max_moves, seed)
        return Answer(plan, 0, "", time.monotonic() - begun)
    if arm == "per-VM":
        plan, bound, status = per_vm(problem, seconds, workers)
        return Answer(plan, bound, status, time.monotonic() - begun)
    incumbents: list[tuple[float, int]] = []

    def note(progress: Progress) -> None:
        if progress.value is not None:
            incumbents.append((time.monotonic() - begun, progress.value))

    budget = Budget.of(
        seconds, workers=workers, stop=lambda: arm == FIRST and bool(incumbents), on_progress=note
    )
    result = solver(SOLVERS.get(arm, arm)).solve(problem, budget, order=order)
    spent = time.monotonic() - begun
    return Answer(result.plan, result.levels[0].bound, result.status.value, spent, incumbents)
