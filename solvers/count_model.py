"""The class-count model: how many items of each class sit on each host (CP-SAT).

`y[k, h]` items of class k are on host h after the plan, `s[k, h]` of them were there before. Which
item is which does not matter; see `optsched.classes`. Notation and measurements: DESIGN.md idea 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import Bools, Ints
from optsched.classes import ItemClasses, count, eligible, pinned_use
from optsched.levels import Level, Term, TermKind
from optsched.objective import level_value, term_value
from optsched.plan import Placement
from optsched.problem import Evict, PlacementProblem, Scope, When
from optsched.solvers.count_limits import add_limits
from optsched.solvers.linear import Expr, total, weighted

LOOK = 256  # variables between two looks at the clock


class OutOfTime(Exception):
    """Time was up before the model was complete; what there is of it says nothing."""


class CountModel:
    """Variables and rules of a problem, or of its upper tiers, as counts.

    Parameters
    ----------
    problem, classes, play
        Classes out of `play` (K,) are left out.
    over
        Asked on the way whether to stop.

    Attributes
    ----------
    y, s
        {(k, h): variable}; a missing key means 0. `s` exists only where class k sits on h now.
    ev
        {k: variable} items of class k that are left without a host they had.
    lost
        {(k, h): variable} those of them that had host h, where that matters.
    now
        (K, H) counts of the current placement.
    play
        (K,) bool, the classes that are part of the model.

    Raises
    ------
    OutOfTime
        From here or `level`, once `over` says so.
    """

    def __init__(
        self,
        problem: PlacementProblem,
        classes: ItemClasses,
        play: Bools,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        self.problem, self.classes, self.play, self._over = problem, classes, play, over
        self.model = cp_model.CpModel()
        self.now = count(problem, classes, Placement.current(problem))
        self.pinned = pinned_use(problem, classes)
        self.may_enter = eligible(problem, classes)
        self.demand = problem.items.demand[classes.first]
        self.tier = problem.items.tier[classes.first]
        self.y: dict[tuple[int, int], cp_model.IntVar] = {}
        self.s: dict[tuple[int, int], cp_model.IntVar] = {}
        self.ev: dict[int, Expr | int] = {}
        self.lost: dict[tuple[int, int], cp_model.IntVar] = {}
        self.hosts_of: list[list[int]] = [[] for _ in range(len(classes))]
        self.classes_on: list[list[int]] = [[] for _ in range(len(problem.hosts))]
        self._add_counts()
        self._add_capacity()
        self._add_evictions()
        self._add_displacement()
        self._add_gangs()
        self._add_budgets()
        add_limits(self)

    def look(self) -> None:
        """Look at the clock."""
        if self._over():
            raise OutOfTime

    # ------------------------------------------------------------------ variables

    def _add_counts(self) -> None:
        room = np.maximum(self.problem.hosts.capacity - self.pinned, 0)
        for k in np.flatnonzero(self.play).tolist():
            wants = self.demand[k] > 0
            fit = np.full(len(room), self.classes.size[k])
            if wants.any():
                fit = np.minimum(fit, (room[:, wants] // self.demand[k][wants]).min(axis=1))
            top = np.maximum(np.where(self.may_enter[k], fit, 0), self.now[k])
            for h in np.flatnonzero(top).tolist():
                self._add_count(k, h, int(top[h]))
            self.model.add(self.total(k) <= int(self.classes.size[k]))

    def _add_count(self, k: int, h: int, top: int) -> None:
        if len(self.y) % LOOK == 0:
            self.look()
        present = int(self.now[k, h])
        y = self.model.new_int_var(0, top, "")
        self.y[k, h] = y
        if present:
            if top == present and not self.may_enter[k, h]:
                self.s[k, h] = y
            else:
                self.s[k, h] = self.model.new_int_var(0, present, "")
                self.model.add(self.s[k, h] <= y)
        self.hosts_of[k].append(h)
        self.classes_on[h].append(k)

    def enters(self, k: int, h: int) -> Expr:
        """How many of class k enter h."""
        return self.y[k, h] - self.s[k, h] if (k, h) in self.s else self.y[k, h]

    def total(self, k: int, hosts: Iterable[int] | None = None) -> Expr:
        """How many of class k are placed, on `hosts` or anywhere."""
        where = self.hosts_of[k] if hosts is None else hosts
        return total([self.y[k, h] for h in where if (k, h) in self.y])

    def stays(self, k: int) -> Expr:
        """How many of class k keep their host."""
        here = np.flatnonzero(self.now[k]).tolist()
        return total([self.s[k, h] for h in here])

    # ---------------------------------------------------------------------- rules

    def _add_capacity(self) -> None:
        capacity = self.problem.hosts.capacity
        use0 = self.pinned + self.now[self.play].T @ self.demand[self.play]
        for h, classes in enumerate(self.classes_on):
            self.look()
            for r in np.flatnonzero((self.demand[classes] > 0).any(axis=0)).tolist():
                asked = [k for k in classes if self.demand[k, r] > 0]
                load = weighted(
                    [self._using(k, h, r) for k in asked], [int(self.demand[k, r]) for k in asked]
                )
                room, over = (
                    int(capacity[h, r] - self.pinned[h, r]),
                    int(use0[h, r] - capacity[h, r]),
                )
                if over <= 0:
                    self.model.add(load <= room)
                    continue
                # Overcommitted already: that may stay as long as nothing that wants r enters.
                entered = self.model.new_bool_var("")
                self.model.add(load <= room + over * (1 - entered))
                for k in asked:
                    self._implies_entry(k, h, entered)

    def _using(self, k: int, h: int, r: int) -> Expr:
        """How many of class k use resource r of h, with those that left and still hold it."""
        holds = not self.problem.items.lets_go_first[self.classes.first[k]]
        if holds and self.problem.when[r] == When.DURING:
            return self.enters(k, h) + int(self.now[k, h])
        return self.y[k, h]

    def _implies_entry(self, k: int, h: int, entered: cp_model.IntVar) -> None:
        if self.may_enter[k, h]:
            self.model.add(self.enters(k, h) <= int(self.classes.size[k]) * entered)

    def _add_evictions(self) -> None:
        evictable = self.problem.items.evictable[self.classes.first]
        for k in np.flatnonzero(self.play & (self.classes.running > 0)).tolist():
            running = int(self.classes.running[k])
            if self.problem.evict is Evict.NEVER or not evictable[k]:
                self.model.add(self.total(k) >= running)
                self.ev[k] = 0
            else:
                ev = self.ev[k] = self.model.new_int_var(0, running, "")
                self.model.add(ev >= running - self.total(k))
                # It may pay to evict one and place a pending one like it instead of moving one.
                self.model.add(ev <= int(self.classes.size[k]) - self.total(k))
                self.model.add(ev <= running - self.stays(k))

    def _add_displacement(self) -> None:
        """Rules 6 and 7 of the problem: who may make whom leave a host."""
        problem = self.problem
        lower = problem.evict is Evict.LOWER
        if not (lower or problem.protect_higher):
            return
        polite = ~problem.items.may_evict_others[self.classes.first]
        for h, classes in enumerate(self.classes_on):
            self.look()
            here = [k for k in classes if (k, h) in self.s]
            for k in here:
                present = int(self.now[k, h])
                if lower and not isinstance(self.ev[k], int):
                    gone = self.lost[k, h] = self.model.new_int_var(0, present, "")
                    self.model.add(gone <= present - self.s[k, h])
                    self._bar(
                        h,
                        k,
                        gone,
                        present,
                        lambda j, k=k: self.tier[j] >= self.tier[k] or polite[j],
                    )
                if problem.protect_higher:
                    left = present - self.s[k, h]
                    self._bar(h, k, left, present, lambda j, k=k: self.tier[j] > self.tier[k])
        for k in sorted({k for k, _ in self.lost}):
            parts = [gone for (j, _), gone in self.lost.items() if j == k]
            self.model.add(total(parts) == self.ev[k])

    def _bar(self, h: int, k: int, count: Expr, most: int, barred: object) -> None:
        """If `count` is positive, no class that is `barred` enters h."""
        who = [j for j in self.classes_on[h] if self.may_enter[j, h] and barred(j)]  # type: ignore[operator]
        if not who:
            return
        some = self.model.new_bool_var("")
        self.model.add(count <= most * some)
        for j in who:
            self.model.add(self.enters(j, h) <= int(self.classes.size[j]) * (1 - some))

    def _add_gangs(self) -> None:
        gang = self.problem.items.gang[self.classes.first]
        for g in np.unique(gang[self.play & (gang >= 0)]).tolist():
            members = np.flatnonzero(gang == g).tolist()
            size = int((self.problem.items.gang == g).sum())
            pinned = size - sum(int(self.classes.size[k]) for k in members)
            complete = self.model.new_bool_var("")
            placed = total([self.total(k) for k in members]) + pinned
            before = pinned + sum(int(self.classes.running[k]) for k in members)
            if 0 < before < size:  # placed in part already: that may stay as it is
                same, none = self.model.new_bool_var(""), self.model.new_bool_var("")
                self.model.add_exactly_one(complete, same, none)
                self.model.add(placed == 0).only_enforce_if(none)
                for k in members:
                    stays = self.stays(k)
                    self.model.add(self.total(k) == stays).only_enforce_if(same)
                    self.model.add(stays == int(self.classes.running[k])).only_enforce_if(same)
                self.model.add(placed == size).only_enforce_if(complete)
            else:
                self.model.add(placed == size * complete)

    def _add_budgets(self) -> None:
        problem = self.problem
        running = np.flatnonzero(self.play & (self.classes.running > 0)).tolist()
        for row in np.flatnonzero(problem.budgets.scope == Scope.PLAN).tolist():
            inside = set(self.classes.of_item[problem.budgets.groups[row]].tolist())
            parts = [int(self.classes.running[k]) - self.stays(k) for k in running if k in inside]
            self.model.add(total(parts) <= int(problem.budgets.allowed[row]))
        if problem.max_moves >= 0:
            parts = [self.moved(k) for k in running]
            self.model.add(total(parts) <= problem.max_moves)

    # ------------------------------------------------------------------ objective

    def moved(self, k: int) -> Expr:
        """How many of class k change their host."""
        return int(self.classes.running[k]) - self.ev[k] - self.stays(k)

    def level(self, level: Level) -> Expr:
        """The value of a level, as far as items in play and pinned ones make it."""
        self.look()
        if level.goal:  # of fragments alone
            return total([level_value(self.problem, Placement.current(self.problem), level)])
        return total([t.weight * self._term(t) for t in level.terms])

    def _term(self, term: Term) -> Expr:
        counted = self.play & ((self.tier == term.tier) | (term.tier < 0))
        classes = np.flatnonzero(counted).tolist()
        running = [k for k in classes if self.classes.running[k]]
        if term.kind is TermKind.UNPLACED:
            weight = self.problem.items.weight[self.classes.first]
            size = self.classes.size
            return total([int(weight[k]) * (int(size[k]) - self.total(k)) for k in classes])
        if term.kind is TermKind.EVICTED:
            return total([self.ev[k] for k in running])
        if term.kind is TermKind.MOVED:
            return total([self.moved(k) for k in running])
        occupies = self.problem.items.occupies[self.classes.first]
        if term.kind is TermKind.DRAINED:
            drained = np.flatnonzero(self.problem.hosts.drain).tolist()
            busy = [k for k in classes if occupies[k]]
            return total([self.total(k, drained) for k in busy]) + self._pinned(drained, term.tier)
        if term.kind is TermKind.HOST_COST:
            return self._host_cost(occupies)
        # FRAGMENTS: no item in play sits on cells.
        return total([term_value(self.problem, Placement.current(self.problem), term)])

    def _pinned(self, hosts: list[int], tier: int) -> int:
        """Pinned items of a tier (-1: of all) that occupy `hosts`."""
        items = self.problem.items
        pinned = (self.classes.of_item < 0) & items.occupies & (items.host0 >= 0)
        pinned &= (items.tier == tier) | (tier < 0)
        return int(np.isin(items.host0[pinned], hosts).sum())

    def _host_cost(self, occupies: Bools) -> Expr:
        problem, items = self.problem, self.problem.items
        held = np.zeros(len(problem.hosts), bool)
        pinned = (self.classes.of_item < 0) & items.occupies & (items.host0 >= 0)
        held[items.host0[pinned]] = True
        held_cost = int(problem.hosts.cost[held].sum())
        parts: list[Expr] = []
        for h in np.flatnonzero(~held & (problem.hosts.cost > 0)).tolist():
            used = self.model.new_bool_var("")
            for k in self.classes_on[h]:
                if occupies[k]:
                    self.model.add(self.y[k, h] <= int(self.classes.size[k]) * used)
            parts.append(int(problem.hosts.cost[h]) * used)
        return total(parts) + held_cost

    # ------------------------------------------------------------- in and out

    def hint(self, counts: Ints) -> None:
        """Start from a complete placement, as counts (K, H)."""
        self.model.clear_hints()  # type: ignore[no-untyped-call]
        for (k, h), y in self.y.items():
            value = int(counts[k, h])
            self.model.add_hint(y, value)
            if (k, h) in self.s and self.s[k, h] is not y:
                self.model.add_hint(self.s[k, h], min(value, int(self.now[k, h])))
        for k, ev in self.ev.items():
            if isinstance(ev, cp_model.IntVar):
                placed = int(counts[k].sum())
                self.model.add_hint(ev, max(0, int(self.classes.running[k]) - placed))

    def read(self, solver: cp_model.CpSolver, rest: Ints) -> tuple[Ints, Ints]:
        """(K, H) counts of the solution, and which of those that leave a host lose it for good.

        Classes out of play are as in `rest`.
        """
        counts = rest.copy()
        counts[self.play] = 0
        for (k, h), y in self.y.items():
            counts[k, h] = solver.value(y)
        lost = np.zeros_like(counts)
        for (k, h), gone in self.lost.items():
            lost[k, h] = solver.value(gone)
        for k, ev in self.ev.items():
            left = 0 if isinstance(ev, int) else int(solver.value(ev)) - int(lost[k].sum())
            for h in np.flatnonzero(self.now[k]).tolist() if left else ():
                lost[k, h] = min(left, max(0, int(self.now[k, h] - counts[k, h])))
                left -= int(lost[k, h])
        return counts, lost
