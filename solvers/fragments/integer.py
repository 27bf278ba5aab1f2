"""From shares of columns to whole exchanges: HiGHS on the columns that can matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.solvers.fragments.master import ROUNDING, Master
from optsched.solvers.fragments.pricing import Column, Prices

GAP = 0.99  # of whole steps: the bound itself is rounded down
TRIES = 6  # with more columns each
NEAR = (0.02, 0.05, 0.1, 0.2)  # how far prices are shaken, as shares of what a unit is worth


@dataclass(frozen=True)
class Chosen:
    """Exchanges with how often each is made; together they balance."""

    columns: tuple[Column, ...]
    counts: tuple[int, ...]

    @property
    def gain(self) -> int:
        """In steps."""
        pairs = zip(self.columns, self.counts, strict=True)
        return round(sum(column.gain * count for column, count in pairs))

    @property
    def moves(self) -> int:
        """Items that change their place."""
        pairs = zip(self.columns, self.counts, strict=True)
        return sum(column.moves * count for column, count in pairs)


NOTHING = Chosen((), ())


def choose(master: Master, budget: Budget, target: int, seed: int = 0) -> Chosen:
    """The best whole exchanges found among the columns; with more columns until `target` is met."""
    best = NOTHING
    rng = np.random.default_rng(seed)
    for attempt in range(TRIES):
        if budget.over() or master.relaxed is None:
            break
        pool = _within(master, master.relaxed.value - target if attempt < TRIES - 1 else np.inf)
        found = _whole(master, pool, budget)
        if found is not None and found.gain > best.gain:
            best = found
        if best.gain >= target:
            break
        _shake(master, rng, budget)
    return best


def _within(master: Master, slack: float) -> Ints:
    """Columns that a choice worth the LP's value less `slack` can contain."""
    reduced = np.array([master.reduced(column) for column in master.columns])
    return np.flatnonzero(reduced >= -max(slack, 0.0) - ROUNDING)


def _whole(master: Master, pool: Ints, budget: Budget) -> Chosen | None:
    """The best whole combination of the columns in the pool."""
    program = master.program(pool)
    x = program.solve_whole(np.ones(len(program), bool), budget.remaining(), GAP)
    if x is None:
        return None
    counts = np.round(x[1:]).astype(np.int64)
    used = np.flatnonzero(counts)
    return Chosen(
        tuple(master.columns[pool[i]] for i in used.tolist()), tuple(counts[used].tolist())
    )


def _shake(master: Master, rng: np.random.Generator, budget: Budget) -> None:
    """Take in columns that are best at prices near those of the LP."""
    assert master.relaxed is not None
    center = master.relaxed.prices
    scale = np.abs(center.price).max(initial=0.0) + center.toll
    for size in NEAR:
        if budget.over():
            return
        price = center.price + size * scale * rng.uniform(-1, 1, len(center.price))
        master.take(Prices.of(price, center.toll * (1 + size * rng.uniform(-1, 1))))
