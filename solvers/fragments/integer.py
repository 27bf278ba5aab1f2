"""From shares of columns to whole exchanges: HiGHS on the columns that can matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.budget import Budget
from optsched.solvers.fragments.columns import Columns
from optsched.solvers.fragments.enumeration import exchanges
from optsched.solvers.fragments.master import GIVEN, MISSING, ROUNDING, Master
from optsched.solvers.fragments.model import Model
from optsched.solvers.fragments.pricing import Prices

PATIENCE = 0.5  # share of the time that is left for one search
GAP = 0.99  # of whole steps: the bound itself is rounded down
FIRST_TRIES, MORE_TRIES = 4, 6  # with more columns each, before and after all are listed
NEAR = (0.02, 0.05, 0.1, 0.2)  # how far prices are shaken, as shares of what a unit is worth


@dataclass(frozen=True)
class Chosen:
    """Exchanges with how often each is made; together they balance.

    `gain` is in steps, less prizes that are missed.
    """

    columns: Columns
    counts: Ints
    gain: int


def choose(
    master: Master, budget: Budget, target: int, seed: int = 0, *, lower: bool = True
) -> Chosen:
    """The best whole exchanges found, until they gain `target` or nothing gains more.

    First among the columns of the LP, and those that are best at prices near its own. Then among
    all exchanges that can be part of anything better, which proves what it does not find; where
    these are too many, among more and more columns. If nothing gains `target`, the next lower one
    is tried, and so on, unless `lower` is false.
    """
    best, rng = nothing(master), np.random.default_rng(seed)
    for attempt in range(1 + FIRST_TRIES):
        if master.relaxed is None or best.gain >= target or budget.over():
            return best
        if attempt:
            _shake(master, rng, budget)
        pool = _within(master, master.relaxed.value - target)
        best = _better(best, _whole(master, pool, budget)[0])
    while best.gain < target and not budget.over():
        found, impossible = _among_all(master, target, budget)
        best = _better(best, found)
        if not impossible:
            break
        master.prove(target - 1)
        target -= master.model.grain
        if not lower:
            return best
    for _ in range(MORE_TRIES):
        if best.gain >= target or budget.over():
            break
        _shake(master, rng, budget)
        best = _better(best, _whole(master, np.arange(len(master.columns)), budget)[0])
    return best


def nothing(master: Master) -> Chosen:
    """No exchange."""
    none = np.zeros(0, np.int64)
    return Chosen(master.columns[none], none, -master.model.prize * master.must)


def _better(one: Chosen, other: Chosen | None) -> Chosen:
    return one if other is None or other.gain <= one.gain else other


def _among_all(master: Master, target: int, budget: Budget) -> tuple[Chosen | None, bool]:
    """The best of all exchanges that a gain of `target` can contain; whether none gains that.

    Nothing where they are too many to list.
    """
    columns = exchanges(master.model, master.prices, master.priced_bound - target, budget)
    if columns is None:
        return None, False
    master.add(columns)
    found, most = _whole(master, np.arange(len(master.columns)), budget)
    return found, most < target


def _within(master: Master, slack: float) -> Ints:
    """Columns that a choice worth the LP's value less `slack` can contain."""
    return np.flatnonzero(master.reduced(master.columns) >= -max(slack, 0.0) - ROUNDING)


def _whole(master: Master, pool: Ints, budget: Budget) -> tuple[Chosen | None, int]:
    """The best whole combination of the columns in the pool, and the most that one can gain."""
    pool = pool[possible(master.model, master.columns[pool])]
    program = master.program(pool)
    whole, grain = np.ones(len(program), bool), master.model.grain
    x, low = program.solve_whole_bound(whole, PATIENCE * budget.remaining(), GAP * grain)
    if x is None:
        return None, 1 << 60
    counts = np.round(x[GIVEN:]).astype(np.int64)
    used = np.flatnonzero(counts)
    columns = master.columns[pool[used]]
    gain = float(columns.gain @ counts[used]) - master.model.prize * round(float(x[MISSING]))
    chosen = Chosen(columns, counts[used], round(gain))
    # Where gains are in the millions, what HiGHS takes for 0 may be many steps.
    loose = ROUNDING if grain == 1 else grain / 2
    return chosen, int(np.floor(-low + loose)) if np.isfinite(low) else 1 << 60


def possible(model: Model, columns: Columns) -> Bools:
    """(N,) whether what enters has the memory that is free and that is freed.

    Prices count what is freed too high where newcomers may use it (`CellTypes.row`).
    """
    if model.safe:
        return np.ones(len(columns), bool)
    net = (columns.into - columns.out) * model.shapes.memory  # (N, 2, K)
    wide = net[:, :1, model.shapes.narrow :].sum(axis=2)  # stands in the first row, for both
    more = net[:, :, : model.shapes.narrow].sum(axis=2) + wide
    types = np.repeat(columns.cell[:, None], 2, axis=1)
    on_host = columns.host >= 0
    types[on_host] = model.hosts.cells[columns.host[on_host]]
    free = model.cells.row[types, 0]
    fits = (more <= free) | (free == model.rows - 1)
    comes = columns.into.any(axis=(1, 2))
    return np.asarray((fits[:, 0] & (fits[:, 1] | ~on_host)) | ~comes)


def _shake(master: Master, rng: np.random.Generator, budget: Budget) -> None:
    """Take in columns that are best at prices near those of the LP."""
    assert master.relaxed is not None
    center = master.relaxed.prices
    scale = np.abs(center.price).max(initial=0.0) + center.toll
    for size in NEAR:
        if budget.over():
            return
        price = center.price + size * scale * rng.uniform(-1, 1, len(center.price))
        toll = center.toll * (1 + size * rng.uniform(-1, 1))
        master.take(Prices.of(price, toll, center.prize))
