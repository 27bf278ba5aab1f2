"""Column generation over exchanges: the LP of the master, and a bound that no plan can pass.

Rows, signs as of a maximisation of the gain: each type of cell (or host) takes part at most as
often as there are such cells (hosts); of each class as many items leave as enter; at most `moves`
leave. The duals of the last two kinds are prices, see `pricing`. The number of moves may be changed
at any time: every price that was tried bounds the gain for every number of moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.solvers.fragments.columns import Columns
from optsched.solvers.fragments.model import Floats, Model
from optsched.solvers.fragments.pricing import Offer, Prices
from optsched.solvers.programs import LinearProgram

FOLLOWED = 2  # prices of another master that are tried first
SMOOTH = 0.5  # of the way from the best prices to those of the LP
START = (0.3, 0.5, 0.7)  # tolls to start with
ROUNDING = 1e-6  # by which a sum of a basic LP solution may be off


@dataclass(frozen=True)
class Relaxed:
    """An LP solution: value, share of each column, and the duals."""

    value: float
    shares: Floats
    prices: Prices
    cell_price: Floats
    host_price: Floats


class Master:
    """Columns, the LP over them, and the best bound so far.

    Attributes
    ----------
    columns
        All so far.
    moves
        The most moves, to be set by `allow`.
    tried
        Prices so far, with what all exchanges are worth at them, the toll not counted.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.columns = Columns.of([], len(model.shapes))
        self.moves = model.moves
        self._proved: list[tuple[int, int]] = []  # (most moves, most gain) by search
        self.tried: list[tuple[float, Prices]] = []
        self.relaxed: Relaxed | None = None
        self.rounds = 0
        self._seen: set[bytes] = set()
        cells = model.cells.count if model.apart else np.zeros(0, np.int64)
        self._first_host = len(cells)
        self._first_class = len(cells) + len(model.hosts.count)
        classes = len(model.shapes)
        high = np.concatenate([cells, model.hosts.count, np.zeros(classes), [0.0]])
        low = np.full(len(high), -np.inf)
        low[self._first_class : self._first_class + classes] = 0.0
        self._low, self._high = low, high
        self._lp = LinearProgram(low, high)
        self._last_row = np.array([len(high) - 1])
        self._lp.add(0.0, self._last_row, np.array([-1]), self.moves)

    def allow(self, moves: int) -> None:
        """Set the most moves."""
        self.moves = moves
        self._lp.change("upper", 0, moves)

    def bound_at(self, moves: int) -> float:
        """No plan of that many moves gains more."""
        priced = min((worth + p.toll * moves for worth, p in self.tried), default=np.inf)
        return min([priced, *(gain for most, gain in self._proved if moves <= most)])

    def prove(self, gain: int) -> None:
        """Note that no plan gains more, with the moves that are allowed now."""
        if gain < self.bound:
            self._proved.append((self.moves, gain))

    @property
    def bound(self) -> float:
        """No plan gains more, with the moves that are allowed now."""
        return self.bound_at(self.moves)

    @property
    def priced_bound(self) -> float:
        """The least bound by prices alone: that of `prices`."""
        return min(worth + p.toll * self.moves for worth, p in self.tried)

    @property
    def prices(self) -> Prices:
        """Those that the bound comes from."""
        return min(self.tried, key=lambda one: one[0] + one[1].toll * self.moves)[1]

    def fewest_moves(self, gain: int) -> int:
        """No plan of fewer moves gains as much; `Model.moves + 1`: no plan does."""
        low, high = 0, self.model.moves + 1
        while low < high:
            middle = (low + high) // 2
            if np.floor(self.bound_at(middle)) >= gain:
                high = middle
            else:
                low = middle + 1
        return low

    def start(self, budget: Budget) -> None:
        """Columns at plausible prices: units are worth what they are worth in whole blocks.

        Where items are worth nothing and a move costs what it can gain at most, all that is left is
        the toll: a bound that holds up where time is short.
        """
        worth = unit_worth(self.model)
        prices = [Prices.of(worth, toll) for toll in START]
        prices += [Prices.of(0 * worth, share * self.model.block_worth) for share in (1, 2)]
        for one in prices:
            if budget.over():
                return
            self.price(one)

    def follow(self, other: Master) -> None:
        """Take over the columns of another master, if types are the same, and try its prices."""
        mine, others = self.model, other.model
        same = np.array_equal(mine.cells.of_cell, others.cells.of_cell)
        if same and np.array_equal(mine.hosts.of_host, others.hosts.of_host):
            self.add(other.columns)
        best = sorted(other.tried, key=lambda one: one[0] + one[1].toll * other.moves)
        for _, prices in best[:FOLLOWED]:
            self.take(prices)

    def price(self, prices: Prices) -> int:
        """Price exchanges, take those in that can improve the LP, and keep the bound; how many."""
        relaxed = self.relaxed
        if relaxed is None:
            return self.take(prices)
        offer = Offer(self.model, prices)
        self.tried.append((offer.worth, prices))
        if prices is relaxed.prices:
            return self.add(offer.columns(relaxed.cell_price, relaxed.host_price))
        # What an exchange is worth at other prices says little about the LP's.
        found = offer.columns()
        return self.add(found[self.reduced(found) > ROUNDING])

    def take(self, prices: Prices) -> int:
        """Take in all exchanges that are best at some prices; how many are new."""
        offer = Offer(self.model, prices)
        self.tried.append((offer.worth, prices))
        return self.add(offer.columns())

    def add(self, columns: Columns) -> int:
        """Take columns in, those that are not there already; how many."""
        new = []
        for i, key in enumerate(columns.keys()):
            if key not in self._seen:
                self._seen.add(key)
                new.append(i)
        if new:
            fresh = columns[np.array(new)]
            self.columns += fresh
            self._fill(self._lp, fresh, np.full(len(fresh), np.inf))
        return len(new)

    def program(self, pool: Ints) -> LinearProgram:
        """The LP with only the columns of the pool, after the one that counts the moves."""
        program = LinearProgram(self._low, self._high)
        program.add(0.0, self._last_row, np.array([-1]), self.moves)
        columns = self.columns[pool]
        on_cell = columns.cell >= 0
        most = np.empty(len(columns))
        most[on_cell] = self.model.cells.count[columns.cell[on_cell]]
        most[~on_cell] = self.model.hosts.count[columns.host[~on_cell]]
        self._fill(program, columns, most)
        return program

    def reduced(self, columns: Columns) -> Floats:
        """(N,) what columns are worth at the LP's prices, less what their cells and hosts cost."""
        assert self.relaxed is not None
        prices, cell_price = self.relaxed.prices, self.relaxed.cell_price
        worth = columns.gain - columns.balance @ prices.price - prices.toll * columns.moves
        on_cell = columns.cell >= 0
        worth[on_cell] -= cell_price[columns.cell[on_cell]]
        hosts = columns.host[~on_cell]
        worth[~on_cell] -= self.relaxed.host_price[hosts]
        if self.model.apart:
            worth[~on_cell] -= cell_price[self.model.hosts.cells[hosts]].sum(axis=1)
        return np.asarray(worth)

    def _fill(self, program: LinearProgram, columns: Columns, most: Floats) -> None:
        """Add columns to a program, each at most `most` (N,) times."""
        on_cell = np.flatnonzero(columns.cell >= 0)
        on_host = np.flatnonzero(columns.host >= 0)
        who, k = np.nonzero(columns.balance)
        mover = np.flatnonzero(columns.moves)
        rows = [
            columns.cell[on_cell],
            self._first_host + columns.host[on_host],
            self._first_class + k,
            np.full(len(mover), self._last_row[0]),
        ]
        numbers = [on_cell, on_host, who, mover]
        values = [np.ones(len(on_cell) + len(on_host)), columns.balance[who, k],
                  columns.moves[mover]]  # fmt: skip
        if self.model.apart:
            pair = self.model.hosts.cells[columns.host[on_host]]
            same = pair[:, 0] == pair[:, 1]
            rows += [pair[:, 0], pair[~same, 1]]
            numbers += [on_host, on_host[~same]]
            values += [np.where(same, 2.0, 1.0), np.ones(int((~same).sum()))]
        program.fill(
            -columns.gain,
            most,
            np.concatenate(rows),
            np.concatenate(numbers),
            np.concatenate(values).astype(np.float64),
        )

    def solve(self, budget: Budget) -> Relaxed | None:
        """The LP over the columns so far; None if time is up."""
        found = self._lp.solve(budget.remaining())
        if found is None:
            return None
        classes = slice(self._first_class, len(found.dual) - 1)
        host_price = np.maximum(-found.dual[self._first_host : self._first_class], 0.0)
        cell_price = np.maximum(-found.dual[: self._first_host], 0.0)
        if not self.model.apart:
            cell_price = np.zeros(len(self.model.cells.count))
        prices = Prices.of(-found.dual[classes], -found.dual[-1])
        self.relaxed = Relaxed(-found.value, found.x[1:], prices, cell_price, host_price)
        return self.relaxed

    def generate(self, budget: Budget, enough: float = 0.0) -> None:
        """Rounds of LP and pricing until the bound is that of the LP, or less than `enough + 1`."""
        if not self.tried:
            self.start(budget)
        while not budget.over() and self.bound >= enough + 1:
            relaxed = self.solve(budget)
            if relaxed is None:
                return
            self.rounds += 1
            if np.floor(self.bound) <= np.floor(relaxed.value + ROUNDING):
                return
            added = self.price(self.prices.towards(relaxed.prices, SMOOTH))
            if not added and not self.price(relaxed.prices):
                return


def unit_worth(model: Model) -> Floats:
    """(K,) what the units of an item are worth in whole blocks, in steps."""
    cells = np.where(np.arange(len(model.shapes)) < model.shapes.narrow, 1, 2)
    return np.asarray(model.unit_worth * model.shapes.units * cells, dtype=np.float64)
