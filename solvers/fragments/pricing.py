"""What the best exchanges are worth at given prices, and the bound that follows.

An item of class k costs `price[k] + toll` where it leaves and earns `price[k]` where it enters. In
a plan as many enter as leave, and at most `Model.moves` do, so for any prices and any toll >= 0 no
plan gains more than `toll * moves` plus what the best exchanges are worth (Lagrangian relaxation).
One that leaves a host that is to be emptied earns a prize >= 0; of a plan in which `must` of them
leave, `prize * must` is known to be earned that is no gain.
Prices are whole multiples of 1 / SCALE: sums of them are exact in floating point, hence the bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.kernels import fragment_traces as traces
from optsched.kernels import fragments as kernels
from optsched.solvers.fragments.columns import Columns
from optsched.solvers.fragments.model import Floats, Model, Shapes

SCALE = 1 << 24
# Sums below are exact; above, of less than 8,000 terms, they are wrong by no larger a share.
EXACT, ERROR = 1 << 28, 2.0**-40
LEAST = 1e-9  # what an exchange must be worth


@dataclass(frozen=True)
class Prices:
    """`price` (K,) of each class, `toll` per move and `prize`, all rounded to 1 / SCALE."""

    price: Floats
    toll: float
    prize: float

    @classmethod
    def of(cls, price: Floats, toll: float, prize: float = 0.0) -> Prices:
        """Rounded; toll and prize are at least 0."""
        return cls(np.round(price * SCALE) / SCALE, _rounded(toll), _rounded(prize))

    def towards(self, other: Prices, share: float) -> Prices:
        """Prices that are `share` of the way to others."""
        price = (1 - share) * self.price + share * other.price
        toll = (1 - share) * self.toll + share * other.toll
        return Prices.of(price, toll, (1 - share) * self.prize + share * other.prize)

    def cost(self, shapes: Shapes) -> Floats:
        """(K,) what it costs that an item leaves."""
        return self.price + self.toll - self.prize * shapes.drained

    def bound(self, worth: float, moves: int, must: int) -> float:
        """No plan gains more in which `must` leave; `worth` is that of the best exchanges."""
        most = worth + self.toll * moves - self.prize * must
        size = abs(worth) + self.toll * moves + self.prize * must
        return most if size < EXACT else most + size * ERROR


def _rounded(price: float) -> float:
    return max(0.0, round(price * SCALE) / SCALE)


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
        self._cost = prices.cost(shapes)
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
        self._host_how = np.zeros((len(hosts.count), 8), np.int64)
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
            self._out, self._into, wide_out, wide_into, hosts.frees, model.takes, cells.gain,
            model.weight, cells.parts, self.hosts, self._host_how,
        )  # fmt: skip

    def _worth(self) -> float:
        model = self.model
        cells, hosts = model.cells, model.hosts
        if not model.apart:
            return float(hosts.count @ np.maximum(self.hosts, 0.0))
        both = self.cells[hosts.cells].sum(axis=1)
        joint = float(hosts.count @ np.maximum(self.hosts - both, 0.0))
        return float(cells.count @ self.cells) + joint

    def columns(
        self, cell_price: Floats | None = None, host_price: Floats | None = None
    ) -> Columns:
        """The best exchanges that are worth more than their cells (T,) and hosts (P,) cost.

        Without prices, all that are worth anything.
        """
        model = self.model
        hosts = model.hosts
        cell_price = np.zeros(len(self.cells)) if cell_price is None else cell_price
        asked = np.zeros(len(self.hosts)) if host_price is None else host_price
        which_cells = np.zeros(0, np.int64)
        if model.apart:
            which_cells = np.flatnonzero(self.cells > cell_price + LEAST)
            asked = asked + cell_price[hosts.cells].sum(axis=1)
        which_hosts = np.flatnonzero(self.hosts > asked + LEAST)
        one, two = len(which_cells), len(which_hosts)
        shape = (one + two, 2, len(model.shapes))
        out, into = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        gain = np.zeros(one + two)
        self._trace_cells(which_cells, out[:one], into[:one], gain[:one])
        if two:
            self._trace_hosts(which_hosts, out[one:], into[one:], gain[one:])
        return Columns(
            np.concatenate([which_cells, np.full(two, NONE)]),
            np.concatenate([np.full(one, NONE), which_hosts]),
            out,
            into,
            gain,
        )

    def _trace_cells(self, which: Ints, out: Ints, into: Ints, gain: Floats) -> None:
        model, shapes, cells = self.model, self.model.shapes, self.model.cells
        narrow = shapes.narrow
        traces.trace_cells(
            which, self._cell_how, cells.row, cells.group, cells.residents, shapes.units[:narrow],
            shapes.memory[:narrow], self._cost[:narrow], self._choice, cells.gain, model.low, out,
            into, gain,
        )  # fmt: skip

    def _trace_hosts(self, which: Ints, out: Ints, into: Ints, gain: Floats) -> None:
        model, shapes = self.model, self.model.shapes
        cells, hosts = model.cells, model.hosts
        traces.trace_hosts(
            which, self._host_how, hosts.cells, hosts.group, cells.row, cells.group, shapes.narrow,
            cells.residents, hosts.residents, shapes.units, shapes.memory, self._cost,
            self._choice, self._wide_choice, cells.gain, model.weight, cells.parts, model.low, out,
            into, gain,
        )  # fmt: skip
