"""From a problem's tables to the model of exchanges."""

from __future__ import annotations

from math import gcd

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.levels import Level
from optsched.objective import cell_use, term_value
from optsched.plan import Placement
from optsched.problem import PlacementProblem
from optsched.solvers.fragments.model import CellTypes, Floats, HostTypes, Model, Shapes
from optsched.solvers.fragments.refusals import refusal

MOST_UNITS = 512  # of the resource that counts, on a cell
MOST_MEMORY = 4096  # units of the resource that binds besides
MOST_CLASSES = 400
GRAINS = 16  # parts of a block that are told apart where several resources count


def distinct(rows: Ints) -> tuple[Ints, Ints, Ints]:
    """First index, inverse and count of the distinct rows of an (N, M) table."""
    table = np.ascontiguousarray(rows, dtype=np.int64)
    if not table.shape[1]:
        table = np.zeros((len(table), 1), np.int64)
    keys = table.view(np.dtype((np.void, 8 * table.shape[1]))).ravel()
    _, first, inverse, count = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    return first, inverse, count


def most_memory(residents: Ints, units: Ints, memory: Ints, high: int) -> Ints:
    """(N, high + 1) the most memory of residents (N, K) that take so many units, at most.

    Where no set takes exactly so many, it is that of fewer.
    """
    table = np.zeros((len(residents), high + 1), np.int64)
    for k in range(len(units)):
        for copies in range(int(residents[:, k].max(initial=0))):
            some = residents[:, k] > copies
            with_it = table[some, : high + 1 - units[k]] + memory[k]
            table[some, units[k] :] = np.maximum(table[some, units[k] :], with_it)
    return table


def _least_memory(units: Ints, memory: Ints, most: int) -> Ints:
    """(most + 1,) the least memory of items that take exactly so many units; else 0."""
    never = np.iinfo(np.int64).max // 2
    table = np.full(most + 1, never)
    table[0] = 0
    for taken in range(1, most + 1):
        fits = np.flatnonzero(units <= taken)
        table[taken] = min(never, (table[taken - units[fits]] + memory[fits]).min(initial=never))
    return np.where(table < never, table, 0)


def build(problem: PlacementProblem, level: Level, *, safe: bool) -> Model | str:
    """The model, or one sentence why there is none."""
    refused = refusal(problem, level)
    if refused is not None:
        return refused
    resource = level.terms[0].resource
    ignored = _ignored(problem, resource, safe)
    if ignored is not None:
        return ignored
    keys, shapes_of = _classes(problem, resource)
    if isinstance(keys, str):
        return keys
    return _Builder(problem, level, resource, keys, shapes_of, safe).model()


def _ignored(problem: PlacementProblem, resource: int, safe: bool) -> str | None:
    """Why items without any of the resource matter, which exchanges hold in place; None: not.

    Bounds would take them to stay on hosts that are to be emptied, and in the way of newcomers.
    """
    items = problem.items
    idle = items.movable & ((items.cells_needed == 0) | (items.cell_demand[:, resource] == 0))
    if (idle & items.occupies & problem.hosts.drain[items.host0]).any():
        return "items to be drained that take none of the resource are left to local search"
    makes_room = (items.cells_needed > 0) & items.cell_demand.any(axis=1)
    if not safe and (idle & makes_room).any():
        return "items that take none of the resource make room that exchanges do not know of"
    return None


def _classes(problem: PlacementProblem, resource: int) -> tuple[Ints | str, Ints]:
    """(N,) the items that take part and (N,) their class, narrow ones first."""
    items = problem.items
    part = np.flatnonzero(items.movable & (items.cell_demand[:, resource] > 0))
    part = part[items.cells_needed[part] > 0]
    table = np.column_stack(
        [
            items.cells_needed[part],
            items.cell_demand[part],
            problem.where.item_eligible[part],
            _drained(problem, part),
            *_conflict_groups(problem, part),
        ]
    )
    first, of_part, _ = distinct(table)
    if len(first) > MOST_CLASSES:
        return f"{len(first)} classes of items are too many to price; use local", part
    order = np.lexsort((part[first], items.cells_needed[part[first]]))
    rank = np.empty(len(first), np.int64)
    rank[order] = np.arange(len(first))
    return part, rank[of_part]


def _drained(problem: PlacementProblem, part: Ints) -> Bools:
    """Which of the items are to leave their hosts."""
    items = problem.items
    return np.asarray(problem.hosts.drain[items.host0[part]] & items.occupies[part])


def _conflict_groups(problem: PlacementProblem, part: Ints) -> list[Ints]:
    """Membership of the items in each group that a conflict names."""
    limits = problem.limits
    columns = []
    for group in sorted({*limits.subject.tolist(), *limits.counted.tolist()}):
        inside = np.zeros(len(problem.items), np.int64)
        inside[problem.where.groups[group]] = 1
        columns.append(inside[part])
    return columns


class _Builder:
    """The steps from tables to a model; each needs what the ones before made."""

    def __init__(
        self,
        problem: PlacementProblem,
        level: Level,
        resource: int,
        part: Ints,
        of_part: Ints,
        safe: bool,
    ) -> None:
        self.problem, self.level, self.resource, self.safe = problem, level, resource, safe
        self.part, self.of_part = part, of_part
        items = problem.items
        count = int(of_part.max(initial=-1)) + 1
        order = np.argsort(of_part, kind="stable")
        starts = np.searchsorted(of_part[order], np.arange(count + 1))
        self.members = tuple(part[order[starts[k] : starts[k + 1]]] for k in range(count))
        self.first = np.array([one[0] for one in self.members], np.int64)
        self.narrow = int((items.cells_needed[self.first] == 1).sum())
        demand = items.cell_demand[self.first]
        self.unit = int(np.gcd.reduce(demand[:, resource])) if count else 1
        self.units = demand[:, resource] // self.unit
        self.demand = demand
        # Of each resource that counts, what a unit stands for: all take them in one ratio.
        counted = sorted({term.resource for term in level.terms})
        self.per_unit = {r: int(demand[0, r] // self.units[0]) if count else 1 for r in counted}
        placement = Placement.current(problem)
        self.free = problem.cells.capacity - cell_use(problem, placement)

    def model(self) -> Model | str:
        """Put everything together."""
        problem, count = self.problem, len(self.members)
        self.room = self.free[:, self.resource] // self.unit
        self._residents()
        gives = self.narrow_at @ self.units[: self.narrow]
        wide = (self.wide_at @ self.units[self.narrow :])[problem.cells.host]
        self.high = int((gives + wide).max(initial=0))
        ever = self.room if self.safe else self.room + gives + wide
        self.low = int(np.maximum(ever, 0).max(initial=0))
        if max(self.low, self.high) > MOST_UNITS:
            return "the units of the resource are too fine to price; use local"
        allowed, group = self._groups()
        found = self._memory(gives + wide)
        if isinstance(found, str):
            return found
        memory, row, rows = found
        free = self.free[:, [*self.per_unit]]
        table = np.column_stack([free, row, group[problem.cells.host], self.narrow_at])
        first, of_cell, number = distinct(table)
        gain, parts, weight, step = self._worth(self.free[first])
        of_item = np.full(len(problem.items), NONE, np.int64)
        of_item[self.part] = self.of_part
        drained = _drained(problem, self.first).astype(np.float64)
        by_units = self._rows(memory, row[first], first, rows)
        cells = CellTypes(
            of_cell, number, self.room[first], by_units, group[problem.cells.host][first],
            self.narrow_at[first], gain, parts,
        )  # fmt: skip
        moves = problem.max_moves if problem.max_moves >= 0 else len(self.part)
        blocks = [term.weight * term.size * term.cells for term in self.level.terms]
        return Model(
            problem,
            self.level.terms,
            self.free,
            Shapes(self.members, of_item, self.units, memory, self.narrow, drained),
            cells,
            self._hosts(of_cell, group, bool(len(weight)) or self.narrow < count, memory),
            allowed,
            rows,
            _least_memory(self.units[self.narrow :], memory[self.narrow :], self.low),
            self.low,
            self.high,
            weight,
            step,
            self._value(),
            self._prize(step),
            sum(term.weight * self.per_unit[term.resource] for term in self.level.terms) / step,
            sum(blocks) / step,
            max(1, min(blocks) // (GRAINS * step)) if len(self.per_unit) > 1 else 1,
            self.safe,
            min(moves, len(self.part)),
        )

    def _residents(self) -> None:
        """(C, N) narrow and (H, W) wide movable items by place."""
        items, cells = self.problem.items, self.problem.cells
        wide_classes = len(self.members) - self.narrow
        self.narrow_at = np.zeros((len(cells), self.narrow), np.int64)
        self.wide_at = np.zeros((len(self.problem.hosts), wide_classes), np.int64)
        if not len(self.part):
            return
        one = self.of_part < self.narrow
        np.add.at(self.narrow_at, (items.cells0[self.part[one], 0], self.of_part[one]), 1)
        wide = self.part[~one]
        np.add.at(self.wide_at, (items.host0[wide], self.of_part[~one] - self.narrow), 1)

    def _groups(self) -> tuple[Bools, Ints]:
        """(G, K) what may enter, and (H,) the group of each host."""
        problem, where = self.problem, self.problem.where
        rows = where.item_eligible[self.first]
        open_to = (where.excluded[rows] == 0) & ~problem.hosts.drain  # (K, H)
        for row in range(len(problem.limits)):
            pair = int(problem.limits.subject[row]), int(problem.limits.counted[row])
            for mine, theirs in (pair, pair[::-1]):
                self._keep_apart(open_to, where.groups[mine], where.groups[theirs])
        first, of_host, _ = distinct(open_to.T.astype(np.int64))
        return np.ascontiguousarray(open_to.T[first]), of_host

    def _keep_apart(self, open_to: Bools, mine: Ints, theirs: Ints) -> None:
        """Close hosts with one of `theirs` to the classes of `mine`.

        Who is there now is in the way until the plan is done; if plans may have several waves, only
        who cannot leave is. One that is alone there is not in its own way.
        """
        items = self.problem.items
        bound = np.isin(self.first, mine)
        stays = theirs if self.safe else theirs[~items.movable[theirs]]
        count = np.bincount(items.host0[stays], minlength=len(self.problem.hosts))
        open_to[np.ix_(bound, count > 0)] = False
        class_of = np.full(len(items), NONE, np.int64)
        class_of[self.part] = self.of_part
        for item in stays[(count[items.host0[stays]] == 1) & (class_of[stays] >= 0)].tolist():
            k, h = int(class_of[item]), int(items.host0[item])
            row = self.problem.where.item_eligible[item]
            if bound[k] and not self.problem.where.excluded[row, h]:
                open_to[k, h] = not self.problem.hosts.drain[h]

    def _memory(self, gives: Ints) -> tuple[Ints, Ints, int] | str:
        """Units of memory by class, those free now on each cell, and the number of rows.

        Memory cannot bind on a cell where even newcomers with the most of it per unit fit: there
        the last row stands for what is free.
        """
        binding = []
        for r in range(self.free.shape[1]):
            if r == self.resource or not len(self.members) or not self.demand[:, r].any():
                continue
            most, least = self._ratios(r)
            # most * units <= free, in whole numbers; then also with all that may be given up.
            slack = most[0] * np.maximum(self.room, 0) <= self.free[:, r] * most[1]
            if not self.safe:
                ever = np.maximum(self.room + gives, 0)
                slack &= (
                    most[0] * ever * least[1]
                    <= (self.free[:, r] * least[1] + least[0] * gives) * most[1]
                )
            if not slack.all():
                binding.append((r, slack, most))
        if not binding:
            zero = np.zeros(len(self.members), np.int64)
            return zero, np.ones(len(self.free), np.int64), 2
        if len(binding) > 1:
            return "several other resources bind on cells; use local"
        r, slack, most = binding[0]
        unit = int(np.gcd.reduce(self.demand[:, r]))
        memory = self.demand[:, r] // unit
        free = np.maximum(self.free[:, r], 0) if self.safe else self.free[:, r]
        ever = np.maximum(self.room if self.safe else self.room + gives, 0)
        useful = -(-most[0] * ever // (most[1] * unit))
        row = np.minimum(free // unit, useful)
        then = row if self.safe else row + self.narrow_at @ memory[: self.narrow]
        rows = max(int(np.minimum(then, useful)[~slack].max()), 0) + 2
        if rows > MOST_MEMORY:
            return "the units of the second resource are too fine to price; use local"
        return memory, np.where(slack, rows - 1, row), rows

    def _rows(self, memory: Ints, row: Ints, first: Ints, rows: int) -> Ints:
        """(T, A + 1) rows of memory by the units that residents of types have given up.

        Where newcomers must fit in what is free now, these change nothing. Else the residents with
        the most memory are taken to have gone: more than there may be, as prices may let others go.
        """
        table = np.repeat(row[:, None], self.high + 1, axis=1)
        if not self.safe:
            most = most_memory(
                self.narrow_at[first], self.units[: self.narrow], memory[: self.narrow], self.high
            )
            table = np.where((row == rows - 1)[:, None], table, np.maximum(table + most, 0))
        return np.ascontiguousarray(np.minimum(table, rows - 1))

    def _ratios(self, r: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Most and least of resource r per unit, as fractions."""
        pairs = list(zip(self.demand[:, r].tolist(), self.units.tolist(), strict=True))
        return max(pairs, key=lambda p: p[0] / p[1]), min(pairs, key=lambda p: p[0] / p[1])

    def _worth(self, free: Ints) -> tuple[Floats, Ints, Floats, int]:
        """Gains by type and change, parts of blocks over two cells, their weights, and the step.

        What changes the free units of one cell changes those of others the other way, so they may
        be counted in or out. They are counted such that a cell gains its blocks, and a loss where
        less than nothing is free.
        """
        change = np.arange(self.low + self.high + 1) - self.low
        gain = np.zeros((len(free), len(change)), np.int64)
        possible = np.ones(gain.shape, bool)
        parts, weights = [], []
        for term in self.level.terms:
            now = free[:, term.resource, None]
            then = now + change * self.per_unit[term.resource]
            above, above_now = np.maximum(then, 0), np.maximum(now, 0)
            possible &= then >= np.minimum(now, 0)
            gain += term.weight * ((above_now - now) - (above - then))
            if term.cells == 1:
                blocks = above // term.size - above_now // term.size
                gain += term.weight * term.size * blocks
            else:
                parts.append(above // term.size)
                weights.append(term.weight * 2 * term.size)
        step = gcd(int(np.gcd.reduce(np.abs(gain[possible]), initial=0)), *weights) or 1
        stacked = np.array(parts, np.int64).reshape(len(parts), *gain.shape)
        return gain / step, stacked, np.array(weights, float) / step, step

    def _hosts(self, of_cell: Ints, group: Ints, meet: bool, memory: Ints) -> HostTypes:
        problem = self.problem
        hosts = len(problem.hosts)
        cell_host = problem.cells.host
        number = np.bincount(cell_host, minlength=hosts)
        pairs = np.flatnonzero((number == 2) & meet)
        start = np.searchsorted(cell_host, pairs)
        two = np.column_stack([of_cell[start], of_cell[start + 1]]).reshape(-1, 2)
        first = np.full(hosts, NONE, np.int64)
        first[pairs] = start + (two[:, 0] > two[:, 1])
        two.sort(axis=1)
        table = np.column_stack([two, group[pairs], self.wide_at[pairs]])
        chosen, of_pair, count = distinct(table)
        of_host = np.full(hosts, NONE, np.int64)
        of_host[pairs] = of_pair
        residents = self.wide_at[pairs][chosen]
        wide = slice(self.narrow, None)
        frees = most_memory(residents, self.units[wide], memory[wide], self.high)
        return HostTypes(of_host, count, two[chosen], first, group[pairs][chosen], residents, frees)

    def _prize(self, step: int) -> int:
        """More than twice the steps that all cells together can gain or lose."""
        most = sum(
            term.weight * int(np.abs(self.free[:, term.resource]).sum())
            for term in self.level.terms
        )
        return 2 * (most // step + 1)

    def _value(self) -> int:
        """The level's weighted sum now."""
        placement = Placement.current(self.problem)
        return sum(t.weight * term_value(self.problem, placement, t) for t in self.level.terms)
