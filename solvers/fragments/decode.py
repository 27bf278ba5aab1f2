"""From exchanges of types to a placement of items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.plan import Placement
from optsched.problem import PlacementProblem
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
    return place_items(model.problem, model.shapes.members, sources, targets)


def place_items(
    problem: PlacementProblem, members: Sequence[Ints], sources: Places, targets: Places
) -> Placement:
    """The current placement, with an item of each class from each source on each target.

    `members` are the items of each class. Those that limits bind stay on their host where they can,
    as then they meet nobody new; others leave it, as a move to the next cell is one more all the
    same.
    """
    items, cell_host = problem.items, problem.cells.host
    host, cells = items.host0.copy(), items.cells0.copy()
    bound = _bound(problem)
    for k, places in sources.items():
        needed = int(items.cells_needed[members[k][0]])
        leaving = _take(problem, members[k], needed == 1, places)
        hosts = [cell_host[some].tolist() if needed == 1 else some for some in (places, targets[k])]
        order = (_together if bound[members[k][0]] else _apart)(*hosts)
        for item, at in zip(leaving, order, strict=True):
            place = targets[k][at]
            host[item] = hosts[1][at]
            first = place if needed == 1 else int(np.searchsorted(cell_host, place))
            cells[item] = NONE
            cells[item, :needed] = np.arange(first, first + needed)
    return Placement.of(problem, host, cells)


def _bound(problem: PlacementProblem) -> Bools:
    """(I,) which items a limit speaks of."""
    found = np.zeros(len(problem.items), bool)
    for group in {*problem.limits.subject.tolist(), *problem.limits.counted.tolist()}:
        found[problem.where.groups[group]] = True
    return found


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


def _take(problem: PlacementProblem, members: Ints, narrow: bool, places: list[int]) -> list[int]:
    """As many different items of a class at each place as it is listed."""
    at = problem.items.cells0[members, 0] if narrow else problem.items.host0[members]
    order = np.argsort(at, kind="stable")
    first = np.searchsorted(at[order], np.array(places))
    seen: dict[int, int] = defaultdict(int)
    found = []
    for place, start in zip(places, first.tolist(), strict=True):
        found.append(int(members[order[start + seen[place]]]))
        seen[place] += 1
    return found


def _apart(home: list[int], goal: list[int]) -> list[int]:
    """Numbers of goals in an order in which, if it can be helped, nothing stays on its host."""
    order = list(range(len(goal)))
    for i, h in enumerate(home):
        if goal[order[i]] != h:
            continue
        for j in range(len(order)):
            if goal[order[j]] != h and home[j] != goal[order[i]]:
                order[i], order[j] = order[j], order[i]
                break
    return order


def _together(home: list[int], goal: list[int]) -> list[int]:
    """Numbers of goals in an order in which as much as can be stays on its host."""
    at: dict[int, list[int]] = defaultdict(list)
    for number, h in enumerate(goal):
        at[h].append(number)
    order = [at[h].pop() if at[h] else NONE for h in home]
    rest = iter(sorted(number for numbers in at.values() for number in numbers))
    return [next(rest) if number == NONE else number for number in order]
