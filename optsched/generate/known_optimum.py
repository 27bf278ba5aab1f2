"""Instances whose optimum is known by construction: everything placed, with exactly k moves.

Every host is cut, without rest, into the demands of its items. On each of k pairs of hosts (a, b),
the first item of a, which is larger than half a host, is then taken out and left pending, and the
first item of b, which is a little smaller, is put in its place.

- All items fit: put the k back on b and place the pending ones on a.
- Fewer than k moves do not do. A pending item fits on no host as it is: hosts have no room, except
  a with the small difference and b with a hole that is smaller than any pending item. So an item
  must leave whatever host a pending item enters, and no host holds two of them.

All that sits in the k holes is of the lowest tier, so no higher tier needs a move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.errors import ProblemError
from optsched.levels import TermKind
from optsched.problem import Hosts, Items, PlacementProblem

SIZE = 10_000  # of a host, per resource


@dataclass(frozen=True)
class KnownOptimum:
    """A problem with its optimum.

    Attributes
    ----------
    problem
        Levels by tier.
    values
        The optimal value of every level.
    goal
        (I,) the host of every item in one optimal placement.
    """

    problem: PlacementProblem
    values: tuple[int, ...]
    goal: Ints


def known_optimum(
    seed: int,
    *,
    hosts: int = 8,
    items_per_host: int = 6,
    moves: int = 2,
    tiers: int = 2,
    unit: int = 250,
) -> KnownOptimum:
    """Draw an instance that needs exactly `moves` moves to place everything.

    Parameters
    ----------
    unit
        All demands are multiples of it, so a large unit gives many equal items; a host has 10,000.

    Raises
    ------
    ProblemError
        There are fewer than two hosts per move, fewer than two items per host, or more items than
        a host has units for.
    """
    if hosts < max(1, 2 * moves) or moves < 0:
        raise ProblemError(f"{moves} moves need {max(1, 2 * moves)} hosts or more, not {hosts}")
    if items_per_host < 2 or tiers < 1:
        raise ProblemError("2 items per host and 1 tier are the least")
    if unit < 1 or SIZE % unit or 3 * SIZE // 10 // unit < items_per_host:
        raise ProblemError(f"{items_per_host} items cannot be cut in units of {unit} of {SIZE}")
    rng = np.random.default_rng(seed)
    large, small = np.arange(moves), moves + np.arange(moves)
    demand = np.concatenate(
        [_cut(rng, items_per_host, _first(rng, host, moves, unit), unit) for host in range(hosts)]
    )
    goal = np.repeat(np.arange(hosts), items_per_host)
    start, tier = goal.copy(), rng.integers(0, tiers, len(goal))
    pending, displaced = large * items_per_host, small * items_per_host
    start[pending], start[displaced] = NONE, large
    tier[displaced] = tiers - 1
    problem = PlacementProblem.of(
        Hosts.of(np.full((hosts, 2), SIZE)),
        Items.of(demand, host0=start, tier=tier),
        name=f"known-optimum-{seed}",
        resources=("cpu", "memory"),
        tiers=[f"tier {t}" for t in range(tiers)],
    )
    values = tuple(
        moves if term.kind is TermKind.MOVED and term.tier == tiers - 1 else 0
        for level in problem.objective
        for term in level.terms
    )
    return KnownOptimum(problem, values, goal)


def _first(rng: np.random.Generator, host: int, moves: int, unit: int) -> tuple[int, int] | None:
    """Demand of the item that is taken out of the host, or put in its place."""
    if host >= 2 * moves:
        return None
    # Above half a host; what is put in place of another is smaller than any that is taken out.
    low, high = (13, 14) if host < moves else (11, 12)
    cpu, memory = rng.integers(-(-SIZE * low // 20 // unit), SIZE * high // 20 // unit + 1, 2)
    return int(cpu) * unit, int(memory) * unit


def _cut(rng: np.random.Generator, pieces: int, first: tuple[int, int] | None, unit: int) -> Ints:
    """(pieces, 2) demands that fill a host to the last unit, each at least one unit."""
    columns = []
    for resource in range(2):
        start = [] if first is None else [first[resource]]
        left = (SIZE - sum(start)) // unit
        cuts = np.sort(rng.choice(np.arange(1, left), pieces - len(start) - 1, replace=False))
        rest = np.diff(np.concatenate([[0], cuts, [left]])) * unit
        columns.append(np.concatenate([start, rest]))
    return np.stack(columns, axis=1).astype(np.int64)
