"""Every exchange that a better plan could contain, so that a search among them is complete.

At any prices a plan gains the bound less what its exchanges are worth below the best ones of their
types. So a plan that gains at least a target has no exchange that falls short by more than the
bound less the target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.kernels.fragment_traces import multisets
from optsched.solvers.fragments.columns import Columns, Exchange
from optsched.solvers.fragments.model import Floats, Model
from optsched.solvers.fragments.pricing import Offer, Prices

MOST_SETS = 20_000  # of items that leave or enter one cell
MOST_PAIRS = 2_000_000  # of them that are looked at together
MOST_COLUMNS = 30_000
CLOSE = 1e-9


class TooManyError(Exception):
    """There are more exchanges than can be listed, or in the time."""


@dataclass(frozen=True)
class _Sets:
    """Sets of items with what they use and are worth: (N, K), (N,), (N,)."""

    counts: Ints
    units: Ints
    value: Floats


@dataclass(frozen=True)
class _Swaps:
    """Pairs of sets that leave and enter a cell: numbers of both, change, and worth."""

    out: Ints
    into: Ints
    change: Ints
    value: Floats


def exchanges(model: Model, prices: Prices, slack: float, budget: Budget) -> Columns | None:
    """Every exchange at most `slack` short of the best one of its type; None: too many."""
    listing = _Listing(model, prices, slack, budget)
    found: list[Exchange] = []
    try:
        for column in listing.all():
            found.append(column)
            if len(found) > MOST_COLUMNS:
                return None
    except TooManyError:
        return None
    return Columns.of(found, len(model.shapes))


class _Listing:
    def __init__(self, model: Model, prices: Prices, slack: float, budget: Budget) -> None:
        self.budget = budget
        self.model, self.prices, self.slack = model, prices, slack + CLOSE
        self.offer = Offer(model, prices)
        self._found = np.empty((MOST_SETS, len(model.shapes)), np.int64)
        self._known: dict[tuple[int, ...], _Sets] = {}

    def all(self) -> Iterator[Exchange]:
        """Exchanges of cells, where cells can be told apart, then of hosts."""
        if self.model.apart:
            for t in range(len(self.model.cells.count)):
                yield from self._of_cell(t)
        for p in range(len(self.model.hosts.count)):
            yield from self._of_host(p)

    def _of_cell(self, t: int) -> Iterator[Exchange]:
        cells, low = self.model.cells, self.model.low
        out, into = self._leavers(t), self._newcomers(t, 0, 0)
        swaps = self._swaps(t, out, into, 0)
        value = swaps.value + cells.gain[t, low + swaps.change]
        for i in np.flatnonzero(value >= self.offer.cells[t] - self.slack).tolist():
            if out.units[swaps.out[i]] or into.units[swaps.into[i]]:
                gone, come = self._blank()
                gone[0], come[0] = out.counts[swaps.out[i]], into.counts[swaps.into[i]]
                yield t, -1, gone, come, float(cells.gain[t, low + swaps.change[i]])

    def _of_host(self, p: int) -> Iterator[Exchange]:
        model, hosts = self.model, self.model.hosts
        best = self.offer.hosts[p]
        if model.apart:
            best = max(best, float(self.offer.cells[hosts.cells[p]].sum()))
        rooms = model.cells.room[hosts.cells[p]]
        wide_out = self._wide(hosts.residents[p], model.high, 1 << 60, -1.0)
        for i in range(len(wide_out.units)):
            a = int(wide_out.units[i])
            ever = int(rooms.min()) if model.safe else int(rooms.min()) + model.high + a
            most = np.where(model.allowed[hosts.group[p], model.shapes.narrow :], 1 << 40, 0)
            wide_in = self._wide(most, max(min(ever, model.low), 0), self._memory(p), 1.0)
            for j in range(len(wide_in.units)):
                both = (wide_out.counts[i] > 0) & (wide_in.counts[j] > 0)
                nothing = a + wide_in.units[j] == 0
                if both.any() or (nothing and model.apart):
                    continue
                worth = wide_out.value[i] + wide_in.value[j]
                if self.offer.hosts[p] >= best - self.slack:
                    yield from self._joint(
                        p, wide_out.counts[i], wide_in.counts[j], worth, best - self.slack
                    )

    def _memory(self, p: int) -> int:
        """Memory that wide newcomers may take."""
        if not self.model.safe:
            return 1 << 60
        rows = self.model.cells.row[self.model.hosts.cells[p], 0]
        bound = rows[rows < self.model.rows - 1]
        return int(bound.min()) if len(bound) else 1 << 60

    def _joint(
        self, p: int, wide_out: Ints, wide_in: Ints, worth: float, least: float
    ) -> Iterator[Exchange]:
        """Exchanges of a host with given wide items."""
        model, shapes, low = self.model, self.model.shapes, self.model.low
        cells = model.hosts.cells[p].tolist()
        units = shapes.units[shapes.narrow :]
        gone, come = int(units @ wide_out), int(units @ wide_in)
        memory = int(shapes.memory[shapes.narrow :] @ wide_in)
        if not model.safe:  # what wide ones leave behind is there for all that come
            memory -= int(shapes.memory[shapes.narrow :] @ wide_out)
        sides = []
        for t in cells:
            out = self._leavers(t)
            into = self._newcomers(t, come if model.safe else come - gone, memory)
            swaps = self._swaps(t, out, into, -come if model.safe else gone - come)
            change = swaps.change + gone - come
            if not model.safe or come:
                possible = model.cells.room[t] + change >= 0
                if not model.safe and not come:
                    possible |= (into.units[swaps.into] == 0) & (gone - come >= 0)
            else:
                possible = np.ones(len(change), bool)
            keep = np.flatnonzero(possible)
            value = swaps.value[keep] + model.cells.gain[t, low + change[keep]]
            sides.append((out, into, swaps, keep, change[keep], value))
        if not all(len(side[3]) for side in sides):
            return
        if len(sides[0][3]) * len(sides[1][3]) > MOST_PAIRS:
            raise TooManyError
        total = worth + sides[0][5][:, None] + sides[1][5][None, :]
        joint_gain = np.zeros(total.shape)
        for n, weight in enumerate(model.weight.tolist()):
            parts = model.cells.parts[n]
            now = min(parts[cells[0], low], parts[cells[1], low])
            one = parts[cells[0], low + sides[0][4]]
            two = parts[cells[1], low + sides[1][4]]
            joint_gain += weight * (np.minimum(one[:, None], two[None, :]) - now)
        for x, y in zip(*np.nonzero(total + joint_gain >= least), strict=True):
            out_counts, in_counts = self._blank()
            gain = float(joint_gain[x, y])
            for side, at in ((0, x), (1, y)):
                out, into, swaps, keep, change, _ = sides[side]
                out_counts[side] = out.counts[swaps.out[keep[at]]]
                in_counts[side] = into.counts[swaps.into[keep[at]]]
                gain += float(model.cells.gain[cells[side], low + change[at]])
            out_counts[0, shapes.narrow :] = wide_out
            in_counts[0, shapes.narrow :] = wide_in
            if out_counts.any() or in_counts.any():
                yield -1, p, out_counts, in_counts, gain

    def _blank(self) -> tuple[Ints, Ints]:
        shape = (2, len(self.model.shapes))
        return np.zeros(shape, np.int64), np.zeros(shape, np.int64)

    def _leavers(self, t: int) -> _Sets:
        """What may leave a cell."""
        shapes, key = self.model.shapes, (0, t)
        if key not in self._known:
            most = np.zeros(len(shapes), np.int64)
            most[: shapes.narrow] = self.model.cells.residents[t]
            cost = self.prices.cost(shapes)
            self._known[key] = self._list(most, self.model.high, 1 << 60, -cost)
        return self._known[key]

    def _newcomers(self, t: int, taken: int, memory: int) -> _Sets:
        """What may enter a cell beside wide items that take so many units and so much memory."""
        model, cells = self.model, self.model.cells
        room = int(cells.room[t]) + (0 if model.safe else model.high) - taken
        row = int(cells.row[t].max())
        left = 1 << 60 if row == model.rows - 1 else max(row - memory, 0)
        key = (1, int(cells.group[t]), min(room, model.low), left)
        if key not in self._known:
            most = np.zeros(len(model.shapes), np.int64)
            narrow = model.shapes.narrow
            most[:narrow] = np.where(model.allowed[cells.group[t], :narrow], 1 << 40, 0)
            self._known[key] = self._list(
                most, max(min(room, model.low), 0), left, self.prices.price
            )
        return self._known[key]

    def _wide(self, most: Ints, room: int, memory: int, sign: float) -> _Sets:
        """Sets of wide items that leave (`sign` < 0) or enter a host; counts are (N, W)."""
        narrow = self.model.shapes.narrow
        every = np.concatenate([np.zeros(narrow, np.int64), most])
        value = -self.prices.cost(self.model.shapes) if sign < 0 else self.prices.price
        sets = self._list(every, room, memory, value)
        return _Sets(sets.counts[:, narrow:], sets.units, sets.value)

    def _list(self, most: Ints, room: int, memory: int, value: Floats) -> _Sets:
        if self.budget.over():
            raise TooManyError
        shapes = self.model.shapes
        number = multisets(shapes.units, shapes.memory, most, room, memory, self._found)
        if number < 0:
            raise TooManyError
        counts = self._found[:number].copy()
        return _Sets(counts, counts @ shapes.units, counts @ value)

    def _swaps(self, t: int, out: _Sets, into: _Sets, shift: int) -> _Swaps:
        """Sets that leave together with sets that fit; `shift` is further room for these."""
        if len(out.units) * len(into.units) > MOST_PAIRS or self.budget.over():
            raise TooManyError
        room = int(self.model.cells.room[t]) + shift
        fits = into.units[None, :] <= (room if self.model.safe else room + out.units[:, None])
        fits = fits | (into.units[None, :] == 0)
        fits = np.broadcast_to(fits, (len(out.units), len(into.units)))
        one, two = np.nonzero(fits)
        both = ((out.counts[one] > 0) & (into.counts[two] > 0)).any(axis=1)
        one, two = one[~both], two[~both]
        return _Swaps(one, two, out.units[one] - into.units[two], out.value[one] + into.value[two])
