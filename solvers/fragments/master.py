"""Column generation over exchanges: the LP of the master, and a bound that no plan can pass.

Rows, signs as of a maximisation of the gain: each type of cell (or host) takes part at most as
often as there are such cells (hosts); of each class as many items leave as enter; at most `moves`
leave; of those on hosts to be emptied `must` leave, or a prize is missed for each that does not.
The duals of the last three kinds are prices, see `pricing`. Both numbers may be changed at any
time: every price that was tried bounds the gain for all of them.
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
# Columns before those of exchanges: moves made, prizes missed, and those that must leave.
MOVES, MISSING, MUST, GIVEN = range(4)


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
    must
        How many must leave hosts that are to be emptied, to be set by `require`.
    tried
        Prices so far, with what all exchanges are worth at them, the toll not counted.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.columns = Columns.of([], len(model.shapes))
        self.moves, self.must = model.moves, 0
        self._proved: list[tuple[int, int, int]] = []  # (moves, must, most gain) by search
        self.tried: list[tuple[float, Prices]] = []
        self.relaxed: Relaxed | None = None
        self.rounds = 0
        self._seen: set[bytes] = set()
        cells = model.cells.count if model.apart else np.zeros(0, np.int64)
        self._first_host = len(cells)
        self._first_class = len(cells) + len(model.hosts.count)
        classes = len(model.shapes)
        self._moves_row = self._first_class + classes
        high = np.concatenate([cells, model.hosts.count, np.zeros(classes), [0.0, np.inf]])
        low = np.full(len(high), -np.inf)
        low[self._first_class : self._moves_row] = 0.0
        low[-1] = 0.0
        self._low, self._high = low, high
        self._lp = self._program()

    def _program(self) -> LinearProgram:
        """The LP without exchanges; its columns are those before `GIVEN`."""
        program = LinearProgram(self._low, self._high)
        moves, leave = np.array([self._moves_row]), np.array([self._moves_row + 1])
        program.add(0.0, moves, np.array([-1]), self.moves)
        program.add(self.model.prize, leave, np.array([1]), self.must)
        program.add(0.0, leave, np.array([-1]), self.must)
        program.change("lower", MUST, self.must)
        return program

    def allow(self, moves: int) -> None:
        """Set the most moves."""
        self.moves = moves
        self._lp.change("upper", MOVES, moves)

    def require(self, must: int) -> None:
        """Set how many must leave."""
        self.must = must
        for what, column in (("upper", MISSING), ("upper", MUST), ("lower", MUST)):
            self._lp.change(what, column, must)

    def bound_at(self, moves: int, must: int) -> float:
        """No plan of that many moves gains more, less the prizes that it misses."""
        priced = min((p.bound(worth, moves, must) for worth, p in self.tried), default=np.inf)
        searched = (gain for most, least, gain in self._proved if moves <= most and must >= least)
        return min([priced, *searched])

    def prove(self, gain: int) -> None:
        """Note that no plan gains more, with what is allowed and required now."""
        if gain < self.bound:
            self._proved.append((self.moves, self.must, gain))

    @property
    def bound(self) -> float:
        """No plan gains more, with what is allowed and required now."""
        return self.bound_at(self.moves, self.must)

    @property
    def priced_bound(self) -> float:
        """The least bound by prices alone: that of `prices`."""
        return min(p.bound(worth, self.moves, self.must) for worth, p in self.tried)

    @property
    def prices(self) -> Prices:
        """Those that the bound comes from."""
        return self._best_tried()[0]

    def _best_tried(self) -> list[Prices]:
        """All prices so far, those of the least bound first."""
        order = sorted(self.tried, key=lambda one: one[1].bound(one[0], self.moves, self.must))
        return [prices for _, prices in order]

    def fewest_moves(self, gain: int) -> int:
        """No plan of fewer moves gains as much; `Model.moves + 1`: no plan does."""
        low, high = self.must, self.model.moves + 1
        while low < high:
            middle = (low + high) // 2
            if np.floor(self.bound_at(middle, self.must)) >= gain:
                high = middle
            else:
                low = middle + 1
        return low

    def start(self, budget: Budget) -> None:
        """Columns at plausible prices: units are worth what they are worth in whole blocks.

        Where items are worth nothing and a move costs what it can gain at most, all that is left is
        the toll: a bound that holds up where time is short.
        """
        worth, most = unit_worth(self.model), self.model.prize if self.must else 0.0
        prices = [Prices.of(worth, toll, most) for toll in START]
        for toll in (self.model.block_worth, 2 * self.model.block_worth):
            prices.append(Prices.of(0 * worth, toll, min(toll, most)))
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
        for prices in other._best_tried()[:FOLLOWED]:
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
        """The LP with only the columns of the pool, from number `GIVEN` on."""
        program = self._program()
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
        worth += prices.prize * columns.leavers(self.model.shapes.drained)
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
        leaves = columns.leavers(self.model.shapes.drained)
        leaver = np.flatnonzero(leaves)
        rows = [
            columns.cell[on_cell],
            self._first_host + columns.host[on_host],
            self._first_class + k,
            np.full(len(mover), self._moves_row),
            np.full(len(leaver), self._moves_row + 1),
        ]
        numbers = [on_cell, on_host, who, mover, leaver]
        values = [np.ones(len(on_cell) + len(on_host)), columns.balance[who, k],
                  columns.moves[mover], leaves[leaver]]  # fmt: skip
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
        classes = slice(self._first_class, self._moves_row)
        host_price = np.maximum(-found.dual[self._first_host : self._first_class], 0.0)
        cell_price = np.maximum(-found.dual[: self._first_host], 0.0)
        if not self.model.apart:
            cell_price = np.zeros(len(self.model.cells.count))
        toll, prize = -found.dual[self._moves_row], found.dual[self._moves_row + 1]
        prices = Prices.of(-found.dual[classes], toll, min(prize, self.model.prize))
        self.relaxed = Relaxed(-found.value, found.x[GIVEN:], prices, cell_price, host_price)
        return self.relaxed

    def generate(self, budget: Budget, enough: float = 0.0) -> None:
        """Rounds of LP and pricing until the bound is that of the LP, or less than `enough + 1`.

        All but for less than a grain.
        """
        grain = self.model.grain
        if not self.tried:
            self.start(budget)
        while not budget.over() and self.bound >= enough + grain:
            relaxed = self.solve(budget)
            if relaxed is None:
                return
            self.rounds += 1
            if self.bound // grain <= (relaxed.value + ROUNDING) // grain:
                return
            added = self.price(self.prices.towards(relaxed.prices, SMOOTH))
            if not added and not self.price(relaxed.prices):
                return


def unit_worth(model: Model) -> Floats:
    """(K,) what the units of an item are worth in whole blocks, in steps."""
    cells = np.where(np.arange(len(model.shapes)) < model.shapes.narrow, 1, 2)
    return np.asarray(model.unit_worth * model.shapes.units * cells, dtype=np.float64)
