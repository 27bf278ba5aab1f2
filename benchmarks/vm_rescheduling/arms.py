"""The methods side by side: ours, and four others, written anew from their descriptions."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.vm_rescheduling.per_vm import per_vm
from optsched.budget import Budget, Progress
from optsched.levels import Level, Term, TermKind
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import PlacementProblem
from optsched.rates import LEVEL
from optsched.registry import solver

SIZE = 16  # cores of a block
FR16 = (Level(LEVEL, (Term(TermKind.FRAGMENTS, size=SIZE),)),)


@dataclass(frozen=True)
class Answer:
    """A plan, what its method says of it, and words on the end.

    Attributes
    ----------
    value
        Of the first level, as the method itself counts.
    bound
        No plan of the order asked for gets below it; None: the method proves nothing.
    incumbents
        Values of the placements found on the way, each with its second.
    """

    plan: Plan
    value: int
    bound: int | None
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

    def fragments(self) -> int:
        """Free cores that no block can use."""
        return int((np.maximum(self.free[:, 0], 0) % SIZE).sum())


def heuristic(problem: PlacementProblem, moves: int, seed: int) -> Simple:
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
    return state


def anything(problem: PlacementProblem, moves: int, seed: int) -> Simple:
    """Random legal moves, as an untrained policy makes them."""
    state, rng = Simple(problem), np.random.default_rng(seed)
    movable = np.flatnonzero(problem.items.movable)
    while len(state.moves) < moves:
        item = int(rng.choice(movable))
        places = state.places(item)
        if len(places):
            state.move(item, places[int(rng.integers(len(places)))])
    return state


SIMPLE: dict[str, Callable[[PlacementProblem, int, int], Simple]] = {
    "HA": heuristic,
    "random": anything,
}
FIRST = "first plan"  # ours, stopped as soon as it tells of a placement
PER_VM = "per-VM"
ARMS = ("ours", "greedy", FIRST, *SIMPLE, PER_VM)
SOLVERS = {"ours": "portfolio", FIRST: "portfolio", "greedy": "fragments-greedy"}
UNPROVEN = ("greedy", FIRST, *SIMPLE)  # arms that look for no bound
OWN_ORDER = {**dict.fromkeys(SIMPLE, Order.WAVES), PER_VM: Order.SAFE}  # whatever is asked for


def run(
    arm: str, problem: PlacementProblem, order: Order, seconds: float, workers: int, seed: int
) -> Answer:
    """Solve from the problem to a checked plan; `problem.max_moves` holds the MNL.

    Raises
    ------
    SystemExit
        The method does not know a limit or an objective of the problem.
    """
    if arm in OWN_ORDER and (len(problem.limits) or problem.objective != FR16):
        raise SystemExit(f"{arm} knows FR16 alone, no other objective and no anti-affinity")
    gc.collect()  # what earlier calls left is not charged to this one
    begun = time.monotonic()
    if arm in SIMPLE:
        state = SIMPLE[arm](problem, problem.max_moves, seed)
        return Answer(state.plan(), state.fragments(), None, "", time.monotonic() - begun)
    if arm == PER_VM:
        plan, value, bound, status = per_vm(problem, seconds, workers)
        return Answer(plan, value, bound, status, time.monotonic() - begun)
    incumbents: list[tuple[float, int]] = []

    def note(progress: Progress) -> None:
        if progress.value is not None:
            incumbents.append((time.monotonic() - begun, progress.value))

    budget = Budget.of(
        seconds, workers=workers, stop=lambda: arm == FIRST and bool(incumbents), on_progress=note
    )
    result = solver(SOLVERS.get(arm, arm)).solve(problem, budget, order=order)
    spent = time.monotonic() - begun
    first = result.levels[0]
    bound = None if arm in UNPROVEN else first.bound
    return Answer(result.plan, first.value, bound, result.status.value, spent, incumbents)
