"""The class-count model of items on cells: how many of a class leave and enter each place (CP-SAT).

A place is a cell for items that need one, and a host for those that need both of its cells (or
none). `out[k, p]` items of class k leave place p and `into[k, p]` enter it; of each class as many
enter as leave, and a change of cells on one host is a move like any other. Plans are order-safe
where what enters fits in what is free now; else in what is free once all leavers have gone.

Unlike exchanges (`fragments`) it takes fragments of several resources at once, items that take
none of a resource, cells of several kinds, and conflicts, all exactly. What it pays is the bound:
the linear relaxation of whole blocks is weak, so proofs are for small and middling problems.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import NONE
from optsched.budget import Budget
from optsched.classes import ItemClasses
from optsched.levels import Level, Term, TermKind
from optsched.objective import cell_use, fragments
from optsched.plan import Placement
from optsched.problem import PlacementProblem
from optsched.solvers.fragment_bounds import least_fragments
from optsched.solvers.fragments.decode import Places, place_items
from optsched.solvers.fragments.refusals import uncounted
from optsched.solvers.linear import Expr, total, weighted

KINDS = {
    TermKind.FRAGMENTS, TermKind.MOVED, TermKind.DRAINED, TermKind.UNPLACED, TermKind.EVICTED,
}  # fmt: skip
LARGEST = 1 << 60  # value of a level
Key = tuple[int, int]


def refusal(problem: PlacementProblem) -> str | None:
    """None, or one sentence why the model cannot express the problem."""
    terms = [term for level in problem.objective for term in level.terms]
    if not {term.kind for term in terms} <= KINDS:
        return "counts on cells knows fragments, moves and drains alone"
    if (problem.limits.subject != problem.limits.counted).any():
        return "conflicts between two groups are left to local search"
    if any(_largest(problem, level) >= LARGEST for level in problem.objective):
        return "the weights of the objective are too large to count with"
    if problem.protect_higher:
        return "protected tiers on cells are left to local search"
    return uncounted(problem, [term for term in terms if term.kind is TermKind.FRAGMENTS])


class CellCountModel:
    """Variables and rules of a problem that `refusal` accepts.

    Attributes
    ----------
    out, into
        {(k, p): variable}; a missing key means 0.
    free
        (C, S) what is free on each cell now.
    complete
        Whether there was time to build all of it.
    """

    def __init__(
        self, problem: PlacementProblem, classes: ItemClasses, *, safe: bool, budget: Budget
    ) -> None:
        self.problem, self.classes, self.safe = problem, classes, safe
        self.model = cp_model.CpModel()
        self.free = problem.cells.capacity - cell_use(problem, Placement.current(problem))
        self.demand = problem.items.cell_demand[classes.first]
        self.needed = problem.items.cells_needed[classes.first]
        self.out: dict[Key, cp_model.IntVar] = {}
        self.into: dict[Key, cp_model.IntVar] = {}
        self.first_cell = np.searchsorted(problem.cells.host, np.arange(len(problem.hosts) + 1))
        self.most = problem.max_moves if problem.max_moves >= 0 else len(problem.items)
        order = np.argsort(classes.of_item, kind="stable")
        start = np.searchsorted(classes.of_item[order], np.arange(len(classes) + 1))
        self.members = [order[start[k] : start[k + 1]] for k in range(len(classes))]
        self.gives = self.free.copy()
        # Variables that follow from those: (variable, cells, resource, size of a block or 0).
        self.derived: list[tuple[cp_model.IntVar, list[int], int, int]] = []
        self.complete = all(not budget.over() for _ in self._steps())

    def _steps(self) -> Iterator[None]:
        """Build the model bit by bit, so that the clock can be looked at."""
        for k in range(len(self.classes)):
            self._add_leavers(k)
            yield
        for k in range(len(self.classes)):
            self._add_newcomers(k)
            yield
        self._add_flow()
        self.on_cell = self._by_cell()
        for c in range(len(self.free)):
            self._add_room(c)
            if c % 100 == 0:
                yield
        for row in range(len(self.problem.limits)):
            self._add_conflict(row)
            yield

    # ---------------------------------------------------------------- variables

    def _place(self, item: int) -> int:
        """Where an item is now."""
        items = self.problem.items
        return int(items.cells0[item, 0] if items.cells_needed[item] == 1 else items.host0[item])

    def cells_of(self, k: int, place: int) -> list[int]:
        """The cells that an item of class k takes at a place."""
        needed = int(self.needed[k])
        first = place if needed == 1 else int(self.first_cell[place])
        return list(range(first, first + needed))

    def host_of(self, k: int, place: int) -> int:
        """The host that a place is on."""
        return int(self.problem.cells.host[place]) if self.needed[k] == 1 else place

    def _add_leavers(self, k: int) -> None:
        at: dict[int, int] = defaultdict(int)
        for item in self.members[k].tolist():
            at[self._place(item)] += 1
        for place, count in at.items():
            self.out[k, place] = self.model.new_int_var(0, min(count, self.most), "")
            for c in self.cells_of(k, place):
                self.gives[c] += count * self.demand[k]

    def _add_newcomers(self, k: int) -> None:
        """At most as many as ever fit, wherever the class may go."""
        problem, needed, demand = self.problem, int(self.needed[k]), self.demand[k]
        item = int(self.classes.first[k])
        room = self.free if self.safe else self.gives
        fit = np.full(len(room), len(self.members[k]))
        asked = demand > 0
        if asked.any():
            fit = np.minimum(fit, (np.maximum(room[:, asked], 0) // demand[asked]).min(axis=1))
        if problem.items.cell_kind[item] >= 0:
            fit[problem.cells.kind != problem.items.cell_kind[item]] = 0
        barred = problem.where.excluded[problem.where.item_eligible[item]] != 0
        open_to = ~barred & ~problem.hosts.drain
        if needed == 1:
            places = np.where(open_to[problem.cells.host], fit, 0)
        else:
            number = np.diff(self.first_cell)
            places = np.where(open_to & (number >= needed), len(self.members[k]), 0)
            for side in range(needed):
                some = np.flatnonzero(places)
                places[some] = np.minimum(places[some], fit[self.first_cell[some] + side])
        for place in np.flatnonzero(places).tolist():
            top = min(int(places[place]), self.most)
            if top:
                self.into[k, place] = self.model.new_int_var(0, top, "")

    # -------------------------------------------------------------------- rules

    def _add_flow(self) -> None:
        """Of each class as many enter as leave, and no more than may move."""
        net: list[list[Expr]] = [[] for _ in range(len(self.classes))]
        for sign, table in ((1, self.out), (-1, self.into)):
            for (k, _), one in table.items():
                net[k].append(sign * one)
        for parts in net:
            if parts:
                self.model.add(total(parts) == 0)
        if self.most < len(self.problem.items):
            self.model.add(total(self.into.values()) <= self.most)

    def _by_cell(self) -> list[list[tuple[int, int, cp_model.IntVar]]]:
        """For each cell, what leaves (1) and enters (-1) it: sign, class and variable."""
        found: list[list[tuple[int, int, cp_model.IntVar]]] = [[] for _ in range(len(self.free))]
        for sign, table in ((1, self.out), (-1, self.into)):
            for (k, place), one in table.items():
                for c in self.cells_of(k, place):
                    found[c].append((sign, k, one))
        return found

    def _add_room(self, c: int) -> None:
        """What enters a cell fits in what is free now, or once others have gone."""
        for r in range(self.free.shape[1]):
            asked = [(sign, k, one) for sign, k, one in self.on_cell[c] if self.demand[k, r]]
            come = [one for sign, _, one in asked if sign < 0]
            if not come:
                continue
            if self.safe:
                asked = [part for part in asked if part[0] < 0]
            unit = int(np.gcd.reduce([self.demand[k, r] for _, k, _ in asked]))
            room = int(self.free[c, r]) // unit
            load = weighted(
                [one for _, _, one in asked],
                [-sign * int(self.demand[k, r]) // unit for sign, k, _ in asked],
            )
            if room >= 0:
                self.model.add(load <= room)
                continue
            # Overfull already: that may stay as long as nothing that asks for it enters.
            entered = self.model.new_bool_var("")
            self.model.add(load <= room).only_enforce_if(entered)
            for one in come:
                self.model.add(one == 0).only_enforce_if(entered.negated())

    def _add_conflict(self, row: int) -> None:
        """Nothing enters a host with another of its group; order-safe, leavers are still there."""
        group = self.problem.where.groups[int(self.problem.limits.subject[row])]
        inside = {int(k) for k in np.unique(self.classes.of_item[group]) if k >= 0}
        now = np.bincount(self.problem.items.host0[group], minlength=len(self.problem.hosts))
        gone: dict[int, list[Key]] = defaultdict(list)
        come: dict[int, list[Key]] = defaultdict(list)
        for table, by_host in ((self.out, gone), (self.into, come)):
            for k, place in table:
                if k in inside:
                    by_host[self.host_of(k, place)].append((k, place))
        for h, keys in come.items():
            arrivals = total(self.into[key] for key in keys)
            leavers = total(self.out[key] for key in gone[h])
            there = int(now[h])
            if not self.safe and there > 1:
                entered = self.model.new_bool_var("")
                self.model.add(there + arrivals - leavers <= 1).only_enforce_if(entered)
                self.model.add(arrivals == 0).only_enforce_if(entered.negated())
            elif not self.safe:
                self.model.add(there + arrivals - leavers <= 1)
            elif there == 0:
                self.model.add(arrivals <= 1)
            else:
                # One that is alone there may change its cells; a class that nobody leaves from
                # has nobody there.
                for k in {k for k, _ in keys}:
                    own = [self.into[key] for key in keys if key[0] == k]
                    left = [self.out[key] for key in gone[h] if key[0] == k]
                    self.model.add(total(own) <= (total(left) if there == 1 else 0))

    # ---------------------------------------------------------------- objective

    def level(self, level: Level) -> Expr:
        """The value of a level."""
        value = total([term.weight * self._term(term) for term in level.terms])
        bound = least_fragments(self.problem, level)
        if level.goal:
            above = self.model.new_int_var(0, _largest(self.problem, level), "")
            self.model.add(above >= value - level.goal)
            value = above
        if bound is not None:
            self.model.add(value >= bound.value)
        return value

    def _term(self, term: Term) -> Expr:
        items = self.problem.items
        counted = np.full(len(items), True) if term.tier < 0 else items.tier == term.tier
        mine = counted[self.classes.first]
        if term.kind is TermKind.MOVED:
            return total(one for (k, _), one in self.into.items() if mine[k])
        if term.kind is TermKind.DRAINED:
            drain, occupies = self.problem.hosts.drain, items.occupies
            there = int((counted & occupies & drain[items.host0]).sum())
            mine = mine & occupies[self.classes.first]
            left = [
                one for (k, p), one in self.out.items() if mine[k] and drain[self.host_of(k, p)]
            ]
            return there - total(left)
        if term.kind is TermKind.FRAGMENTS:
            return self._fragments(term)
        return total([])  # nothing waits, and nothing is evicted

    def _fragments(self, term: Term) -> Expr:
        """Free units less those in blocks; hosts on which nothing can change are a number."""
        parts: list[Expr] = []
        fixed = 0
        r = term.resource
        for h in range(len(self.problem.hosts)):
            cells = range(int(self.first_cell[h]), int(self.first_cell[h + 1]))
            if not any(self.demand[k, r] for c in cells for _, k, _ in self.on_cell[c]):
                fixed += self._now(cells, term)
                continue
            above = [self._above(c, r) for c in cells]
            parts += above
            alike = [[n] for n in range(len(cells))] if term.cells == 1 else [[*range(len(cells))]]
            for some in alike if len(cells) >= term.cells else ():
                whole = self._whole([above[n] for n in some], [cells[n] for n in some], term)
                parts.append(-term.size * term.cells * whole)
        return total(parts) + fixed

    def _now(self, cells: range, term: Term) -> int:
        own = np.array([*cells], dtype=np.int64)
        host = self.problem.cells.host[own]
        return int(fragments(self.free[own, term.resource], host, term.size, term.cells))

    def _above(self, c: int, r: int) -> Expr:
        """What is free on a cell then; nothing where it is overfull."""
        asked = [(sign, k, one) for sign, k, one in self.on_cell[c] if self.demand[k, r]]
        then = int(self.free[c, r]) + weighted(
            [one for _, _, one in asked], [sign * int(self.demand[k, r]) for sign, k, _ in asked]
        )
        if self.free[c, r] >= 0:
            return then
        above = self.model.new_int_var(0, max(int(self.gives[c, r]), 0), "")
        self.model.add_max_equality(above, [then, 0])
        self.derived.append((above, [c], r, 0))
        return above

    def _whole(self, above: list[Expr], cells: list[int], term: Term) -> Expr:
        """Blocks, as many as fit on each of the cells."""
        most = min(max(int(self.gives[c, term.resource]), 0) // term.size for c in cells)
        whole = self.model.new_int_var(0, most, "")
        for one in above:
            self.model.add(term.size * whole <= one)
        self.derived.append((whole, cells, term.resource, term.size))
        return whole

    # --------------------------------------------------------------- in and out

    def hint(self, placement: Placement) -> None:
        """Start from a placement."""
        gone, come = self._moves(placement)
        self.model.clear_hints()  # type: ignore[no-untyped-call]
        for table, counts in ((self.out, gone), (self.into, come)):
            for key, one in table.items():
                self.model.add_hint(one, counts[key])
        free = np.maximum(self.problem.cells.capacity - cell_use(self.problem, placement), 0)
        for one, cells, r, size in self.derived:
            room = int(free[cells, r].min())
            self.model.add_hint(one, room // size if size else room)

    def _moves(self, placement: Placement) -> tuple[dict[Key, int], dict[Key, int]]:
        """How many of each class leave and enter each place on the way to a placement."""
        items = self.problem.items
        gone: dict[Key, int] = defaultdict(int)
        come: dict[Key, int] = defaultdict(int)
        changed = (placement.host != items.host0) | (placement.cells != items.cells0).any(axis=1)
        for item in np.flatnonzero(changed & (self.classes.of_item != NONE)).tolist():
            k, one = int(self.classes.of_item[item]), items.cells_needed[item] == 1
            place = int(placement.cells[item, 0] if one else placement.host[item])
            if place != self._place(item):
                gone[k, self._place(item)] += 1
                come[k, place] += 1
        return gone, come

    def read(self, solver: cp_model.CpSolver) -> Placement:
        """The placement of the solution; what leaves and enters one place stays."""
        net: dict[Key, int] = defaultdict(int)
        for sign, table in ((1, self.out), (-1, self.into)):
            for key, one in table.items():
                net[key] += sign * solver.value(one)
        sources: Places = defaultdict(list)
        targets: Places = defaultdict(list)
        for (k, place), count in net.items():
            (sources if count > 0 else targets)[k] += [place] * abs(count)
        return place_items(self.problem, self.members, sources, targets)


def _largest(problem: PlacementProblem, level: Level) -> int:
    """No level of fragments is worth more."""
    room = problem.cells.capacity.sum(axis=0).tolist()
    blocks = (term for term in level.terms if term.kind is TermKind.FRAGMENTS)
    return sum(term.weight * room[term.resource] for term in blocks)
