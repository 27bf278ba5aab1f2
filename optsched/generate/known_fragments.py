"""VM snapshots whose best FR16 is known for every number of moves, with the proof.

On each of `gains` pairs of NUMA nodes (a, b) of different PMs both have whole blocks of 16 cores
free in the goal. A VM of fewer than 16 cores is then taken from b to a. So b has some cores more
than whole blocks, and a lost a block. All other nodes have whole blocks free, and all split VMs
take 16 or 32 cores of each node.

- m moves gain m blocks, for every m up to `gains`: put m of the VMs back. Each fits into the room
  that b has from the start, so the moves are order-safe.
- m moves gain no more. A VM on one node that leaves with c cores gives its node at most
  ceil(c / 16) blocks and takes at least floor(c / 16) from the other, so one block is the most; a
  multiple of 16 cores gains nothing, which holds for each half of a split VM.
- No number of moves gains more than `gains`: then all that is free is blocks.

With `each` moves for a gain, the sum of what single moves can gain proves nothing any more. All
small VMs have 4 cores then; b has lent `each` of them to as many nodes a, so it lacks 4 * each
cores of a block, and each a lacks 12. A node from which l more such VMs leave than enter gains at
most 1 + (l - each) / 4 blocks, rounded down, which is no more than l / each: so m moves gain no
more than m / each, rounded down. VMs of 16 or 32 cores on a node shift whole blocks alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.errors import ProblemError
from optsched.levels import Level, Term, TermKind
from optsched.problem import Cells, Hosts, Items, PlacementProblem
from optsched.rates import LEVEL

from .vm import BLOCK, CORES, MIB

GIB_PER_CORE = 2
PIECES = np.array([2, 4, 4, 8])  # cores of small VMs
ONE = 4  # of all of them where a gain takes several moves
FREE = np.array([0, 0, 16, 16, 32])  # whole blocks on a node of the goal


@dataclass(frozen=True)
class KnownFragments:
    """A snapshot with its optimum.

    Attributes
    ----------
    problem
        FR16 alone, with a limit of moves.
    value
        The fewest fragments with that limit, for plans of any order.
    goal
        (I, W) the cells of every VM once all gains are made.
    """

    problem: PlacementProblem
    value: int
    goal: Ints


def known_fragments(
    seed: int, *, pms: int = 20, gains: int = 12, moves: int = 8, each: int = 1
) -> KnownFragments:
    """Draw a snapshot in which `gains` blocks can be gained, `each` moves (1 to 3) for one.

    Raises
    ------
    ProblemError
        A number is out of range, or there are fewer than two PMs, or than moves for all gains.
    """
    if not 1 <= each <= 3:
        raise ProblemError(f"{each} moves for a gain are out of range; give 1 to 3")
    needed = max(2, each * gains)
    if gains < 0 or moves < 0 or pms < needed:
        raise ProblemError(f"{gains} gains by {moves} moves need {needed} PMs or more, not {pms}")
    draw = _Draw(np.random.default_rng(seed), pms, each)
    taken = draw.pairs(gains)
    draw.fill()
    goal = draw.cells()
    start = goal.copy()
    start[: len(taken), 0] = taken
    problem = _problem(f"known-fragments-{seed}", pms, draw, start, moves)
    return KnownFragments(problem, BLOCK * (gains - min(moves // each, gains)), goal)


class _Draw:
    """The goal while it is drawn.

    Attributes
    ----------
    room
        (2 P,) cores that VMs take on each node.
    vms
        (nodes, cores of each) of every VM.
    """

    def __init__(self, rng: np.random.Generator, pms: int, each: int) -> None:
        self.rng, self.pms, self.each = rng, pms, each
        self.pieces = PIECES if each == 1 else PIECES[PIECES == ONE]
        self.room = CORES - rng.choice(FREE, 2 * pms)
        self.vms: list[tuple[tuple[int, ...], int]] = []

    def pairs(self, count: int) -> list[int]:
        """Put `each` VMs on nodes for each of `count` gains; the node that each is taken to."""
        order, each = self.rng.permutation(self.pms), self.each
        first = order[: each * count] * 2 + self.rng.integers(0, 2, each * count)
        # The next PM in a circle lends its other node if it is in a pair itself.
        other = (np.roll(first, -each) ^ 1)[::each]
        if len(first) == 1:
            other = order[-1:] * 2
        self.room[other] = CORES - self.rng.choice(FREE[FREE > 0], count)
        for node in first.tolist():
            self._add((node,), int(self.rng.choice(self.pieces)))
        return np.repeat(other, each).tolist()

    def fill(self) -> None:
        """Split VMs first, then small ones up to the last core."""
        for pm in range(self.pms):
            own = self.room[2 * pm : 2 * pm + 2]
            for half in (32, 16):
                if own.min() >= half and self.rng.random() < 0.5:
                    self._add((2 * pm, 2 * pm + 1), half)
        for node in range(2 * self.pms):
            while self.room[node]:
                fits = self.pieces[self.room[node] >= self.pieces]
                self._add((node,), int(self.rng.choice(fits)))

    def _add(self, nodes: tuple[int, ...], cores: int) -> None:
        self.vms.append((nodes, cores))
        self.room[list(nodes)] -= cores

    def cells(self) -> Ints:
        """(I, W) the cells of every VM."""
        wide = max(len(nodes) for nodes, _ in self.vms)
        return np.array([(*nodes, NONE)[:wide] for nodes, _ in self.vms], dtype=np.int64)


def _problem(name: str, pms: int, draw: _Draw, cells0: Ints, moves: int) -> PlacementProblem:
    cores = np.array([cores for _, cores in draw.vms], dtype=np.int64)
    return PlacementProblem.of(
        Hosts.of(np.zeros((pms, 0), np.int64), names=[f"pm-{at}" for at in range(pms)]),
        Items.of(
            np.zeros((len(cores), 0), np.int64),
            names=[f"vm-{at}" for at in range(len(cores))],
            cells_needed=(cells0 >= 0).sum(axis=1),
            cell_demand=np.column_stack([cores, cores * GIB_PER_CORE << 10]),
            host0=cells0[:, 0] // 2,
            cells0=cells0,
            evictable=False,
            may_evict_others=False,
            lets_go_first=False,
        ),
        name=name,
        resources=(),
        cells=Cells.of(
            np.repeat(np.arange(pms), 2),
            np.tile([[CORES, MIB]], (2 * pms, 1)),
            resources=("cores", "memory_mib"),
            kinds=("NUMA node",),
        ),
        tiers=("VM",),
        objective=(Level(LEVEL, (Term(TermKind.FRAGMENTS, size=BLOCK),)),),
        order="fr16",
        max_moves=moves,
    )
