"""From exchanges of types to a placement of items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.plan import Placement
from optsched.solvers.fragments.integer import Chosen
from optsched.solvers.fragments.model import Model

# A place is a cell for narrow items and a host for wide ones.
Places = dict[int, list[int]]


def decode(model: Model, chosen: Chosen) -> Placement:
    """Deal the exchanges to cells and hosts, and match those that leave with those that enter."""
    sources: Places = defaultdict(list)
    targets: Places = defaultdict(list)
    for cells, number in _dealt(model, chosen):
        for side, cell in enumerate(cells):
            # What leaves and enters the same place stays.
            out, into = chosen.columns.out[number, side], chosen.columns.into[number, side]
            for k in np.flatnonzero(out != into).tolist():
                net = int(into[k] - out[k])
                narrow = k < model.shapes.narrow
                place = cell if narrow else int(model.problem.cells.host[cell])
                (targets if net > 0 else sources)[k] += [place] * abs(net)
    return place_items(model, sources, targets)


def place_items(model: Model, sources: Places, targets: Places) -> Placement:
    """The current placement, with an item of each class from each source on each target."""
    problem = model.problem
    host, cells = problem.items.host0.copy(), problem.items.cells0.copy()
    seats = _Seats(model)
    for k, places in sources.items():
        leaving = seats.take(k, places)
        wanted = _apart(places, targets[k], k < model.shapes.narrow, problem.cells.host)
        for item, place in zip(leaving, wanted, strict=True):
            cells[item] = NONE
            if k < model.shapes.narrow:
                host[item], cells[item, 0] = problem.cells.host[place], place
            else:
                host[item] = place
                cells[item, :2] = seats.pair(place)
    return Placement.of(problem, host, cells)


def _dealt(model: Model, chosen: Chosen) -> Iterator[tuple[tuple[int, ...], int]]:
    """Cells of some host, or one cell, and the column, for each time that an exchange is made."""
    cells, hosts, columns = model.cells, model.hosts, chosen.columns
    on_host = np.flatnonzero(columns.host >= 0).tolist()
    on_cell = np.flatnonzero(columns.cell >= 0).tolist()
    taken = np.zeros(len(cells.of_cell), bool)
    next_host = _Queue(hosts.of_host, len(hosts.count))
    for i in on_host:
        for h in next_host.take(int(columns.host[i]), int(chosen.counts[i])):
            one = int(hosts.first[h])
            start = int(np.searchsorted(model.problem.cells.host, h))
            two = start if one != start else start + 1
            taken[[one, two]] = True
            yield (one, two), i
    next_cell = _Queue(np.where(taken, NONE, cells.of_cell), len(cells.count))
    for i in on_cell:
        for cell in next_cell.take(int(columns.cell[i]), int(chosen.counts[i])):
            yield (cell,), i


class _Queue:
    """The members of each type, in order; -1 is no type."""

    def __init__(self, of_member: Ints, types: int) -> None:
        self._order = np.argsort(of_member, kind="stable")
        self._next = np.searchsorted(of_member[self._order], np.arange(types))

    def take(self, kind: int, count: int) -> list[int]:
        """The next members of a type."""
        start = int(self._next[kind])
        self._next[kind] += count
        return self._order[start : start + count].tolist()


class _Seats:
    """Which items of a class sit at a place."""

    def __init__(self, model: Model) -> None:
        self._model, self._hosts = model, model.problem.cells.host

    def take(self, k: int, places: list[int]) -> list[int]:
        """As many different items of class k at each place as it is listed."""
        items, members = self._model.problem.items, self._model.shapes.members[k]
        narrow = k < self._model.shapes.narrow
        at = items.cells0[members, 0] if narrow else items.host0[members]
        order = np.argsort(at, kind="stable")
        first = np.searchsorted(at[order], np.array(places))
        seen: dict[int, int] = defaultdict(int)
        found = []
        for place, start in zip(places, first.tolist(), strict=True):
            found.append(int(members[order[start + seen[place]]]))
            seen[place] += 1
        return found

    def pair(self, host: int) -> tuple[int, int]:
        """The two cells of a host."""
        start = int(np.searchsorted(self._hosts, host))
        return start, start + 1


def _apart(sources: list[int], targets: list[int], narrow: bool, cell_host: Ints) -> list[int]:
    """`targets` in an order in which, if it can be helped, no item stays on its host."""
    home = cell_host[sources].tolist() if narrow else sources
    goal = cell_host[targets].tolist() if narrow else targets
    order = list(range(len(targets)))
    for i, h in enumerate(home):
        if goal[order[i]] != h:
            continue
        for j in range(len(order)):
            if goal[order[j]] != h and home[j] != goal[order[i]]:
                order[i], order[j] = order[j], order[i]
                break
    return [targets[i] for i in order]
