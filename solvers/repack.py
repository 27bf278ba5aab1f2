"""Pack a few items onto a few hosts anew, exactly: one neighbourhood of the large search (CP-SAT).

Everything outside the neighbourhood stays. Each item chooses one of its options: to sit where it
was (which no rule binds), to enter a host of the neighbourhood, or to wait. All rules 1 to 9 are
rows over the options, and the levels of the objective are minimised one after another, as many at
once as integers can hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import NONE, Ints
from optsched.budget import Budget
from optsched.problem import Evict, Scope, When
from optsched.solvers import cpsat
from optsched.solvers.linear import Sum
from optsched.solvers.repack_fragments import add_fragments
from optsched.solvers.repack_limits import add_limits
from optsched.solvers.search import Search

WORTH_SHARING = 1500  # options from which more than one worker pays
WIDEST = 1 << 45  # largest range of a weighted sum of levels


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


@dataclass(frozen=True)
class Outcome:
    """What packing a neighbourhood anew came to.

    Attributes
    ----------
    changed
        Whether the search is in another placement now.
    closed
        Whether it is proven that the neighbourhood holds nothing better.
    """

    changed: bool
    closed: bool


class Repacking:
    """A neighbourhood: its model, its solution, and what comes of it.

    Parameters
    ----------
    search
        The placement to improve; the model is built from it as it is now.
    items
        Items that may be disturbed or are pending; those that sit somewhere sit on `hosts`. Of a
        gang, all members or none.
    hosts
        The hosts that they may enter.
    """

    def __init__(self, search: Search, items: Sequence[int], hosts: Sequence[int]) -> None:
        self.search, self.items, self.hosts = search, list(items), list(hosts)
        current = {item: int(search.state.host[item]) for item in items}
        cells = {item: search.state.cells[item].copy() for item in items}
        mark = search.mark()
        for item in items:
            search.put(item, NONE)
        self._model = RepackModel(search, items, hosts, current, cells)
        search.undo(mark)

    def solve(self, budget: Budget, *, seed: int = 0, effort: float = 1.0) -> None:
        """Let CP-SAT work, for at most `effort` deterministic seconds; needs no search."""
        self._model.solve(budget, seed, effort)

    def apply(self, *, sideways: bool = False) -> Outcome:
        """Take the search to the solution if it is better (or, `sideways`, as good) and allowed."""
        search, model = self.search, self._model
        start = search.mark()
        seats = model.seats()
        for item in self.items if seats else []:
            search.put(item, NONE)
        for item, option in seats:
            at = [cell for cell, var in option.cells.items() if model.taken(var)]
            search.put(item, option.host, at)
        fine = search.better_than(start)
        if not fine and seats and sideways:
            fine = bool((search.value == start.value).all())
        if fine and not search.state.violations():
            return Outcome(True, model.closed)
        search.undo(start)
        return Outcome(False, model.closed)


def repack(
    search: Search,
    items: Sequence[int],
    hosts: Sequence[int],
    budget: Budget,
    *,
    seed: int = 0,
    effort: float = 1.0,
    sideways: bool = False,
) -> Outcome:
    """Improve the placement of `items` on `hosts`; see `Repacking`."""
    repacking = Repacking(search, items, hosts)
    repacking.solve(budget, seed=seed, effort=effort)
    return repacking.apply(sideways=sideways)


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
        self._add_displacement()
        self._add_gangs()
        self._add_budgets()
        add_limits(self)
        self._levels = self._add_levels()

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

    # -- rules 6 to 9 ----------------------------------------------------------------------------

    def _add_displacement(self) -> None:
        problem, items = self.problem, self.problem.items
        if not problem.protect_higher and problem.evict is not Evict.LOWER:
            return
        state, inside = self.search.state, set(self.items)
        for host in self.hosts:
            natives = np.flatnonzero(items.host0 == host).tolist()
            entries = [o for o in self.on_host[host] if o.enters and items.host0[o.item] != host]
            fixed = [i for i in self.search.on[host] if i in self.fixed and items.host0[i] != host]
            for native in natives:
                for rule in self._displacements(native):
                    lost: Sum
                    if native in inside:
                        lost = 1 - (self.placed(native) if rule else self.home(native))
                    else:
                        gone = state.host[native] < 0 if rule else state.host[native] != host
                        lost = int(gone)
                    wrong = [o.var for o in entries if not self._may_displace(o.item, native, rule)]
                    if any(not self._may_displace(i, native, rule) for i in fixed):
                        self.model.add(lost <= 0)
                    elif isinstance(lost, int):
                        for var in wrong if lost else []:
                            self.model.add(var == 0)
                    elif wrong:
                        self.model.add(lost + self.any_of(wrong) <= 1)

    def _displacements(self, native: int) -> list[bool]:
        """Which rules look at who displaces `native`: True for rule 6, False for rule 7."""
        evict = self.problem.evict is Evict.LOWER and bool(self.problem.items.evictable[native])
        return [True] * evict + [False] * self.problem.protect_higher

    def _may_displace(self, item: int, native: int, evicts: bool) -> bool:
        items = self.problem.items
        if not evicts:
            return bool(items.tier[item] <= items.tier[native])
        return bool(items.tier[item] < items.tier[native] and items.may_evict_others[item])

    def _add_gangs(self) -> None:
        items, state = self.problem.items, self.search.state
        for gang in sorted({int(items.gang[i]) for i in self.items} - {NONE}):
            members = np.flatnonzero(items.gang == gang).tolist()
            inside = [i for i in members if i in self.of_item]
            outside = [i for i in members if i not in self.of_item]
            changed = [i for i in outside if state.host[i] != items.host0[i]]
            whole = len({bool(items.host0[i] >= 0) for i in members}) == 1
            placed = [self.placed(i) for i in inside]
            rows = [self.model.add(placed[0] == one) for one in placed[1:]]
            rows += [self.model.add(placed[0] == int(state.host[i] >= 0)) for i in outside]
            if whole or changed:
                continue
            # A gang that is placed in part now may be left as it is.
            touched = self.model.new_bool_var("")
            for option in (o for i in inside for o in self.of_item[i]):
                if option.enters:
                    self.model.add_implication(option.var, touched)
            for i in inside:
                if items.host0[i] >= 0:
                    stays = sum(o.var for o in self.of_item[i] if not o.enters)
                    self.model.add(stays + touched >= 1)
            for row in rows:
                row.only_enforce_if(touched)

    def _disturbed(self, items: Sequence[int]) -> Sum:
        """How many of `items` (that had a host; no groups) do not stay as they are."""
        stays = [o.var for i in items for o in self.of_item[i] if not o.enters]
        return len(items) - sum(stays)

    def _add_budgets(self) -> None:
        problem, items, inside = self.problem, self.problem.items, set(self.items)
        disturbed = self.search.disturbed - inside
        running = [i for i in self.items if items.host0[i] >= 0]
        for row in np.flatnonzero(problem.budgets.scope == Scope.PLAN).tolist():
            members = set(problem.budgets.groups[row].tolist())
            mine = [i for i in running if i in members]
            left = int(problem.budgets.allowed[row]) - len(disturbed & members)
            if mine and left < len(mine):
                self.model.add(self._disturbed(mine) <= left)
        if problem.max_moves >= 0 and running:
            moves = [o.var for i in running for o in self.of_item[i] if o.enters]
            taken = len(disturbed & self.search.entered)
            self.model.add(sum(moves) <= problem.max_moves - taken)

    # -- objective -------------------------------------------------------------------------------

    def _add_levels(self) -> list[tuple[Sum, int]]:
        """Per level that the neighbourhood can change: what it adds, and the range of that."""
        worth, elsewhere = self.search.worth, np.full_like(self.problem.items.cells0[:1], NONE)[0]
        count = len(self.problem.objective)
        terms: list[list[Sum]] = [[] for _ in range(count)]
        ranges = np.zeros(count, np.int64)
        for item in self.items:
            waits = worth.of_item(item, NONE, elsewhere)
            rows = [waits]
            for option in self.of_item[item]:
                cells = elsewhere if option.enters else self.problem.items.cells0[item]
                value = worth.of_item(item, option.host, cells)
                rows.append(value)
                for level in np.flatnonzero(value - waits).tolist():
                    terms[level].append(int(value[level] - waits[level]) * option.var)
            ranges += (np.max(rows, axis=0) - np.min(rows, axis=0)) * len(self.members[item])
        self._add_host_cost(terms, ranges)
        add_fragments(self, terms, ranges)
        return [(sum(terms[k]), int(ranges[k])) for k in range(count) if terms[k] and ranges[k]]

    def _add_host_cost(self, terms: list[list[Sum]], ranges: Ints) -> None:
        worth, items = self.search.worth, self.problem.items
        if not worth.host_cost.any():
            return
        for host in self.hosts:
            cost = int(self.problem.hosts.cost[host])
            guests = [o for o in self.on_host[host] if items.occupies[o.item]]
            if not cost or not guests or self.search.occupants[host]:
                continue
            used = self.model.new_bool_var("")
            for option in guests:
                self.link(option.var, used)
            room = self.problem.hosts.capacity[host] - self.search.state.use[host]
            for r in np.flatnonzero(room > 0).tolist():  # a closer linear relaxation
                if all(o.enters for o in guests):
                    total = sum(int(items.demand[o.item, r]) * o.var for o in guests)
                    self.model.add(total <= int(room[r]) * used)
            for level in np.flatnonzero(worth.host_cost).tolist():
                terms[level].append(int(worth.host_cost[level]) * cost * used)
                ranges[level] += worth.host_cost[level] * cost

    # -- solving ---------------------------------------------------------------------------------

    def solve(self, budget: Budget, seed: int, effort: float) -> None:
        """Minimise the levels."""
        self._hint()
        blocks = self._blocks()
        self.closed = not blocks
        for number, objective in enumerate(blocks):
            self.model.minimize(objective)
            workers = budget.workers if len(self.options) > WORTH_SHARING else 1
            solver = cpsat.prepared(budget, seed=seed, workers=workers, effort=effort)
            solver.parameters.cp_model_probing_level = 0  # costs more than it saves here
            status = cpsat.run(solver, self.model, budget)
            if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
                break
            self._solution = solver
            self.closed = status == cp_model.OPTIMAL and number == len(blocks) - 1
            if budget.over() or status != cp_model.OPTIMAL:
                break
            self.model.add(objective <= solver.value(objective))
            self.model.clear_hints()  # type: ignore[no-untyped-call]
            for option in self.options:
                self.model.add_hint(option.var, solver.value(option.var))

    def seats(self) -> list[tuple[int, Option]]:
        """Who takes which option in the best solution; of a group, as many as can keep theirs.

        Empty if there is no solution.
        """
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

    def _blocks(self) -> list[Sum]:
        """The levels as few weighted sums, to be minimised one after another."""
        blocks: list[Sum] = []
        weight = 0  # of the current block's first level; 0: no block is open
        for total, width in reversed(self._levels):
            if weight and weight * (width + 1) < WIDEST:
                blocks[-1] = blocks[-1] + weight * total
                weight *= width + 1
            else:
                blocks.append(total)
                weight = width + 1
        return blocks[::-1]

    def _hint(self) -> None:
        for option in self.options:
            members = self.members[option.item]
            here = sum(self._current[member] == option.host for member in members)
            if here and option.cells:
                own = self._current_cells[option.item]
                stays = set(own.tolist()) == set(self.problem.items.cells0[option.item].tolist())
                here = int(stays != option.enters)
            self.model.add_hint(option.var, here)
