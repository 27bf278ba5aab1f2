"""The CP-SAT model of a neighbourhood: options, capacity, and the best choice of options.

Each item chooses one of its options: to sit where it was (which no rule binds), to enter a host of
the neighbourhood, or to wait. Equal items share options and are counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.problem import Evict, Scope, When
from optsched.solvers import cpsat
from optsched.solvers.linear import Sum
from optsched.solvers.repack_levels import add_levels, blocks
from optsched.solvers.repack_limits import add_limits
from optsched.solvers.repack_rules import add_plan_rules
from optsched.solvers.search import Search

WORTH_SHARING = 1500  # options from which more than one worker pays


@dataclass(frozen=True)
class Option:
    """One place that an item, or some of several like it, may take.

    Attributes
    ----------
    item, host
        Who (the first of the group), and where.
    enters
        Whether it was not there before, so that rules bind it.
    var, most
        How many of the group take it, and the number of the group.
    cells
        {cell: variable} for an item that enters cells; {cell: `var`} for one that stays on its own.
    """

    item: int
    host: int
    enters: bool
    var: cp_model.IntVar
    most: int
    cells: dict[int, cp_model.IntVar]


class RepackModel:
    """The model of a neighbourhood. When it is built, its items must have been taken off.

    Attributes
    ----------
    options
        All options; `of_item` and `on_host` index them.
    items, members
        The first item of each group of interchangeable ones, and all of the group.
    fixed
        Items outside the neighbourhood that entered the host they sit on.
    closed
        Whether the solution is proven to be the best.
    """

    def __init__(
        self,
        search: Search,
        items: Sequence[int],
        hosts: Sequence[int],
        current: dict[int, int],
        cells: dict[int, Ints],
    ) -> None:
        self.search, self.problem = search, search.problem
        self.members = self._groups(items)
        self.items, self.hosts = list(self.members), list(hosts)
        self.closed = False
        self.model = cp_model.CpModel()
        self.options: list[Option] = []
        self.of_item: dict[int, list[Option]] = defaultdict(list)
        self.on_host: dict[int, list[Option]] = defaultdict(list)
        self.fixed = search.entered - set(items)
        self._solution: cp_model.CpSolver | None = None
        self._current, self._current_cells = current, cells
        self._add_options()
        self._add_capacity()
        self._add_cell_capacity()
        add_plan_rules(self)
        add_limits(self)
        self._levels = add_levels(self)

    def _groups(self, free: Sequence[int]) -> dict[int, list[int]]:
        """Interchangeable items by the first of them; one by one where rules tell them apart."""
        problem, items = self.problem, self.problem.items
        counters = self.search.state.counters
        alone = problem.protect_higher or problem.evict is Evict.LOWER
        alone |= bool((problem.budgets.scope == Scope.PLAN).any())
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for item in free:
            own = alone or items.cells_needed[item] or items.gang[item] >= 0
            own = own or counters.rows_of_item[item].size
            key = (item,) if own else (-1, *self._likeness(item))
            groups[key].append(item)
        return {members[0]: members for members in groups.values()}

    def _likeness(self, item: int) -> tuple[int, ...]:
        """Equal for items that only their names tell apart, present hosts forgotten."""
        items = self.problem.items
        columns = (items.host0, items.tier, items.weight, items.evictable, items.lets_go_first)
        row = self.problem.where.item_eligible[item]
        rest = (int(column[item]) for column in (*columns, items.occupies))
        return (int(row), *items.demand[item].tolist(), *rest)

    # -- variables -------------------------------------------------------------------------------

    def _add_options(self) -> None:
        search, items, state = self.search, self.problem.items, self.search.state
        at = np.array(self.hosts, dtype=np.int64)
        room = self.problem.hosts.capacity[at] - state.use[at] - state.gone[at]
        for item in self.items:
            home = int(items.host0[item])
            row = self.problem.where.item_eligible[item]
            asked = items.demand[item] > 0
            open_to = (self.problem.where.excluded[row, at] == 0) & ~search.closed[at]
            open_to &= (room[:, asked] >= items.demand[item][asked]).all(axis=1)
            if home in self.hosts:
                self._add_stay(item, home)
            for host in at[open_to].tolist():
                if host != home or items.cells_needed[item]:
                    self._add_entry(item, host)
            self._add_choice(item, home)

    def _add_stay(self, item: int, home: int) -> None:
        var, most = self._count_of(item)
        own = self.problem.items.cells0[item]
        cells = dict.fromkeys(own[own >= 0].tolist(), var)
        self._keep(Option(item, home, False, var, most, cells))

    def _count_of(self, item: int) -> tuple[cp_model.IntVar, int]:
        """A new variable for how many of the item's group, and the number of the group."""
        most = len(self.members[item])
        if most == 1:
            return self.model.new_bool_var(""), 1
        return self.model.new_int_var(0, most, ""), most

    def _add_entry(self, item: int, host: int) -> None:
        needed = int(self.problem.items.cells_needed[item])
        if not needed:
            self._keep(Option(item, host, True, *self._count_of(item), {}))
            return
        fits = self._cells_for(item, host)
        if len(fits) < needed:
            return
        var = self.model.new_bool_var("")
        cells = {cell: self.model.new_bool_var("") for cell in fits}
        self.model.add(sum(cells.values()) == needed * var)
        self._keep(Option(item, host, True, var, 1, cells))

    def _cells_for(self, item: int, host: int) -> list[int]:
        cells, items = self.problem.cells, self.problem.items
        asked = items.cell_demand[item] > 0
        free = cells.capacity - self.search.state.cell_use
        fits = (free[:, asked] >= items.cell_demand[item][asked]).all(axis=1)
        fits &= cells.host == host
        if items.cell_kind[item] >= 0:
            fits &= cells.kind == items.cell_kind[item]
        return [int(cell) for cell in np.flatnonzero(fits)]

    def _keep(self, option: Option) -> None:
        self.options.append(option)
        self.of_item[option.item].append(option)
        self.on_host[option.host].append(option)

    def _add_choice(self, item: int, home: int) -> None:
        may_lose = home < 0 or (
            self.problem.evict is not Evict.NEVER and bool(self.problem.items.evictable[item])
        )
        most, places = len(self.members[item]), [option.var for option in self.of_item[item]]
        if most == 1:
            (self.model.add_at_most_one if may_lose else self.model.add_exactly_one)(places)
        else:
            self.model.add_linear_constraint(sum(places), 0 if may_lose else most, most)

    def placed(self, item: int) -> Sum:
        """1 if `item` has a host."""
        return sum(option.var for option in self.of_item[item])

    def home(self, item: int) -> Sum:
        """1 if `item` stays on its host, on the same cells or others."""
        home = self.problem.items.host0[item]
        return sum(option.var for option in self.of_item[item] if option.host == home)

    def any_of(self, literals: Sequence[cp_model.IntVar]) -> cp_model.IntVar:
        """A variable that is 1 if one of `literals` is at least 1."""
        if len(literals) == 1 and literals[0].is_boolean:
            return literals[0]
        either = self.model.new_bool_var("")
        for literal in literals:
            self.link(literal, either)
        return either

    def link(self, number: cp_model.IntVar, used: cp_model.IntVar) -> None:
        """`used` is 1 if `number` is at least 1."""
        if number.is_boolean:
            self.model.add_implication(number, used)
        else:
            self.model.add(number == 0).only_enforce_if(~used)

    def at_most(self, total: Sum, bound: int, literals: Sequence[cp_model.IntVar] | None) -> None:
        """`total` <= `bound`, if one of `literals` is 1 (None: in any case)."""
        row = self.model.add(total <= bound)
        if literals is not None:
            row.only_enforce_if(self.any_of(literals))

    # -- capacity --------------------------------------------------------------------------------

    def _add_capacity(self) -> None:
        problem, state = self.problem, self.search.state
        demand, held = problem.items.demand, ~problem.items.lets_go_first
        for host in self.hosts:
            fixed = [i for i in self.search.on[host] if i in self.fixed]
            for r in range(demand.shape[1]):
                room = int(
                    problem.hosts.capacity[host, r] - state.use[host, r] - state.gone[host, r]
                )
                asking = [o for o in self.on_host[host] if demand[o.item, r] > 0]
                # On DURING rows, what stays and what has left count alike, as gone.
                during = problem.when[r] == When.DURING
                using = [o for o in asking if not (during and not o.enters and held[o.item])]
                entering = [o.var for o in asking if o.enters]
                stays = sum(int(demand[o.item, r]) * o.most for o in using if not o.enters)
                always = stays <= room or any(demand[i, r] > 0 for i in fixed)
                if (entering or always) and using:
                    total = sum(int(demand[o.item, r]) * o.var for o in using)
                    self.at_most(total, room, None if always else entering)

    def _add_cell_capacity(self) -> None:
        problem, state = self.problem, self.search.state
        demand = problem.items.cell_demand
        on_cell: dict[int, list[tuple[Option, cp_model.IntVar]]] = defaultdict(list)
        for option in self.options:
            for cell, var in option.cells.items():
                on_cell[cell].append((option, var))
        bound_cells = {int(c) for i in self.fixed for c in state.cells[i] if c >= 0}
        for cell, users in on_cell.items():
            for s in range(demand.shape[1]):
                room = int(problem.cells.capacity[cell, s] - state.cell_use[cell, s])
                asking = [(o, var) for o, var in users if demand[o.item, s] > 0]
                entering = [var for o, var in asking if o.enters]
                stays = sum(int(demand[o.item, s]) for o, _ in asking if not o.enters)
                always = stays <= room or cell in bound_cells
                if asking and (entering or always):
                    total = sum(int(demand[o.item, s]) * var for o, var in asking)
                    self.at_most(total, room, None if always else entering)

    # -- solving ---------------------------------------------------------------------------------

    def solve(self, budget: Budget, seed: int, effort: float) -> None:
        """Minimise the levels."""
        self._hint()
        objectives = blocks(self._levels)
        self.closed = not objectives
        for number, objective in enumerate(objectives):
            self.model.minimize(objective)
            workers = budget.workers if len(self.options) > WORTH_SHARING else 1
            solver = cpsat.prepared(budget, seed=seed, workers=workers, effort=effort)
            solver.parameters.cp_model_probing_level = 0  # costs more than it saves here
            status = cpsat.run(solver, self.model, budget)
            if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
                break
            self._solution = solver
            self.closed = status == cp_model.OPTIMAL and number == len(objectives) - 1
            if budget.over() or status != cp_model.OPTIMAL:
                break
            self.model.add(objective <= solver.value(objective))
            self.model.clear_hints()  # type: ignore[no-untyped-call]
            for option in self.options:
                self.model.add_hint(option.var, solver.value(option.var))

    def seats(self) -> list[tuple[int, Option]] | None:
        """Who takes which option in the best solution; of a group, as many as can keep theirs.

        None if there is no solution.
        """
        if self._solution is None:
            return None
        found: list[tuple[int, Option]] = []
        for item, members in self.members.items():
            left = {id(option): self._number(option) for option in self.of_item[item]}
            waiting = []
            for member in members:
                here = [o for o in self.of_item[item] if o.host == self._current[member]]
                kept = next((o for o in here if left[id(o)]), None)
                if kept is None:
                    waiting.append(member)
                    continue
                left[id(kept)] -= 1
                found.append((member, kept))
            open_places = [o for o in self.of_item[item] for _ in range(left[id(o)])]
            found += zip(waiting, open_places, strict=False)
        return found

    def _number(self, option: Option) -> int:
        return self._solution.value(option.var) if self._solution is not None else 0

    def taken(self, var: cp_model.IntVar) -> bool:
        """Whether `var` is 1 in the best solution found."""
        return self._solution is not None and bool(self._solution.value(var))

    def _hint(self) -> None:
        for option in self.options:
            members = self.members[option.item]
            here = sum(self._current[member] == option.host for member in members)
            if here and option.cells:
                own = self._current_cells[option.item]
                stays = set(own.tolist()) == set(self.problem.items.cells0[option.item].tolist())
                here = int(stays != option.enters)
            self.model.add_hint(option.var, here)
