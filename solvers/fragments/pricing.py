"""What the best exchanges are worth at given prices, and the bound that follows.

An item of class k costs `price[k] + toll` where it leaves and earns `price[k]` where it enters. In
a plan as many enter as leave, and at most `Model.moves` do, so for any prices and any toll >= 0 no
plan gains more than `toll * moves` plus what the best exchanges are worth (Lagrangian relaxation).
Prices are whole multiples of 1 / SCALE: sums of them are exact in floating point, hence the bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import Ints
from optsched.kernels import fragments as kernels
from optsched.solvers.fragments.model import Floats, Model

SCALE = 1 << 24


@dataclass(frozen=True)
class Prices:
    """`price` (K,) of each class and `toll` per move, both rounded to 1 / SCALE."""

    price: Floats
    toll: float

    @classmethod
    def of(cls, price: Floats, toll: float) -> Prices:
        """Rounded; the toll is at least 0."""
        return cls(np.round(price * SCALE) / SCALE, max(0.0, round(toll * SCALE) / SCALE))

    def towards(self, other: Prices, share: float) -> Prices:
        """Prices that are `share` of the way to others."""
        price = (1 - share) * self.price + share * other.price
        return Prices.of(price, (1 - share) * self.toll + share * other.toll)


@dataclass(frozen=True)
class Column:
    """An exchange on a type of cell, or on a type of host.

    Attributes
    ----------
    cell, host
        The type; -1 for the one that it is not.
    out, into
        (2, K) what leaves and enters each cell (of a cell type: the first row). Wide items stand
        in the first row.
    gain
        In steps.
    """

    cell: int
    host: int
    out: Ints
    into: Ints
    gain: float

    @property
    def moves(self) -> int:
        """Items that leave."""
        return int(self.out.sum())

    def key(self) -> bytes:
        """Equal for equal columns."""
        return b"%d %d " % (self.cell, self.host) + self.out.tobytes() + self.into.tobytes()


class Offer:
    """The best exchanges at some prices.

    Attributes
    ----------
    cells
        (T,) worth of the best exchange of each type of cell.
    hosts
        (P,) worth of the best joint exchange of each type of host.
    worth
        Of the best exchanges of all cells and hosts.
    """

    def __init__(self, model: Model, prices: Prices) -> None:
        self.model, self.prices = model, prices
        shapes, cells, hosts = model.shapes, model.cells, model.hosts
        narrow = shapes.narrow
        self._cost = prices.price + prices.toll
        size = (len(model.allowed), model.rows, model.low + 1)
        self._into = np.empty(size)
        self._choice = np.empty(size, np.int64)
        kernels.earn(
            prices.price[:narrow], shapes.units[:narrow], shapes.memory[:narrow],
            model.allowed_narrow, False, self._into, self._choice,
        )  # fmt: skip
        self._out = np.empty((len(cells.count), model.high + 1))
        kernels.release(cells.residents, shapes.units[:narrow], self._cost[:narrow], self._out)
        self.cells = np.empty(len(cells.count))
        self._cell_how = np.zeros((len(cells.count), 2), np.int64)
        kernels.exchange_cells(
            cells.room, cells.row, cells.group, model.low, model.safe, self._out, self._into,
            cells.gain, self.cells, self._cell_how,
        )  # fmt: skip
        self.hosts = np.empty(len(hosts.count))
        self._host_how = np.zeros((len(hosts.count), 7), np.int64)
        if len(hosts.count):
            self._price_hosts()
        self.worth = self._worth()

    def _price_hosts(self) -> None:
        model, prices = self.model, self.prices
        shapes, cells, hosts = model.shapes, model.cells, model.hosts
        narrow = shapes.narrow
        wide_into = np.empty(self._into.shape)
        self._wide_choice = np.empty(self._choice.shape, np.int64)
        kernels.earn(
            prices.price[narrow:], shapes.units[narrow:], shapes.memory[narrow:],
            model.allowed_wide, True, wide_into, self._wide_choice,
        )  # fmt: skip
        wide_out = np.empty((len(hosts.count), model.high + 1))
        kernels.release(hosts.residents, shapes.units[narrow:], self._cost[narrow:], wide_out)
        kernels.exchange_hosts(
            hosts.cells, hosts.group, cells.room, cells.row, cells.group, model.low, model.safe,
            self._out, self._into, wide_out, wide_into, cells.gain, model.weight, cells.parts,
            self.hosts, self._host_how,
        )  # fmt: skip

    def _worth(self) -> float:
        model = self.model
        cells, hosts = model.cells, model.hosts
        if not model.apart:
            return float(hosts.count @ np.maximum(self.hosts, 0.0))
        both = self.cells[hosts.cells].sum(axis=1)
        joint = float(hosts.count @ np.maximum(self.hosts - both, 0.0))
        return float(cells.count @ self.cells) + joint

    def columns(self, cell_price: Floats, host_price: Floats) -> list[Column]:
        """The best exchanges that are worth more than their cells (T,) and hosts (P,) cost."""
        model = self.model
        hosts = model.hosts
        found = []
        asked = host_price
        if model.apart:
            found = [self._cell(t) for t in np.flatnonzero(self.cells > cell_price + 1e-9).tolist()]
            asked = host_price + cell_price[hosts.cells].sum(axis=1)
        return found + [self._host(p) for p in np.flatnonzero(self.hosts > asked + 1e-9).tolist()]

    def _cell(self, t: int) -> Column:
        cells = self.model.cells
        a, b = self._cell_how[t].tolist()
        out, into = self._counts()
        self._trace(t, a, int(cells.row[t]), b, out[0], into[0])
        return Column(t, -1, out, into, float(cells.gain[t, self.model.low + a - b]))

    def _host(self, p: int) -> Column:
        model, hosts, shapes = self.model, self.model.hosts, self.model.shapes
        narrow, low, last = shapes.narrow, model.low, model.rows - 1
        wide_a, wide_b, memory, *sides = self._host_how[p].tolist()
        out, into = self._counts()
        kernels.leavers(
            hosts.residents[p], shapes.units[narrow:], self._cost[narrow:], wide_a, out[0, narrow:]
        )
        kernels.newcomers(
            self._wide_choice[hosts.group[p]], shapes.units[narrow:], shapes.memory[narrow:],
            memory, wide_b, into[0, narrow:],
        )  # fmt: skip
        changes, gain = [], 0.0
        for side in (0, 1):
            t = int(hosts.cells[p, side])
            a, b = sides[2 * side : 2 * side + 2]
            row = int(model.cells.row[t])
            if row != last and memory != last:
                row -= memory
            self._trace(t, a, row, b, out[side], into[side])
            changes.append(low + wide_a - wide_b + a - b)
            gain += float(model.cells.gain[t, changes[-1]])
        (one, two), (x, y) = hosts.cells[p].tolist(), changes
        gain += kernels.whole_parts(one, two, x, y, model.weight, model.cells.parts, low)
        return Column(-1, p, out, into, gain)

    def _counts(self) -> tuple[Ints, Ints]:
        shape = (2, len(self.model.shapes))
        return np.zeros(shape, np.int64), np.zeros(shape, np.int64)

    def _trace(self, t: int, a: int, row: int, b: int, out: Ints, into: Ints) -> None:
        """Who leaves and enters a cell of type t, giving up and taking these units."""
        cells, shapes = self.model.cells, self.model.shapes
        narrow = shapes.narrow
        kernels.leavers(
            cells.residents[t], shapes.units[:narrow], self._cost[:narrow], a, out[:narrow]
        )
        kernels.newcomers(
            self._choice[cells.group[t]], shapes.units[:narrow], shapes.memory[:narrow], row, b,
            into[:narrow],
        )  # fmt: skip
