"""A placement in the making that knows its worth, and which changes to it the rules allow.

`State` puts items down and takes them off; `rules.may_enter` looks at one arrival. What binds whole
plans (eviction, protection, gangs, budgets, and the spread and affinity of items that arrived
earlier) is kept here as counts, so that a change can be judged without reading the whole placement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.counters import Counters
from optsched.objective import evaluate
from optsched.plan import Placement, Plan
from optsched.problem import Evict, LimitKind, PlacementProblem, Scope
from optsched.rules import limit_blocks, may_enter
from optsched.solvers.plan_rules import PlanRules
from optsched.solvers.worth import Worth
from optsched.state import State, placement_violations

MONOTONE = (LimitKind.MAX, LimitKind.CONFLICT)  # an arrival can break them, a departure cannot


def starting(problem: PlacementProblem, start: Plan | None) -> Placement:
    """Where a search begins: where `start` leads if that is allowed and no worse, else now."""
    now = Placement.current(problem)
    if start is None:
        return now
    placement = start.placement(problem)
    worse = evaluate(problem, placement) > evaluate(problem, now)
    return now if worse or placement_violations(problem, placement) else placement


@dataclass(frozen=True)
class Mark:
    """A point to which `Search.undo` can return."""

    trail: int
    log: int
    total: Ints
    value: Ints


class Search:
    """A state, its value, and incremental checks.

    Attributes
    ----------
    state, worth
        The placement and the objective's parts.
    total
        (L,) the weighted sum of every level; `value` is what it exceeds its goal by.
    on
        Per host, the items on it.
    occupants
        (H,) how many occupying items it holds.
    entered
        Items that entered the host (or cells) they sit on.
    disturbed
        Items that had a host and left it (or cells of it).
    stamp, clock
        (H,) when a host last changed, and the number of changes so far.
    loose
        (I,) items that have a host and may be disturbed at all.
    closed
        (H,) hosts that nothing may enter.
    """

    def __init__(
        self,
        problem: PlacementProblem,
        placement: Placement | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.problem = problem
        self.state = State(problem, placement, counters)
        self.worth = Worth(problem)
        self.loose = loose_items(problem)
        self.closed = closed_hosts(problem)
        items, state = problem.items, self.state
        self.on: list[set[int]] = [set() for _ in range(len(problem.hosts))]
        placed = np.flatnonzero(state.host >= 0)
        for item, host in zip(placed.tolist(), state.host[placed].tolist(), strict=True):
            self.on[host].add(item)
        occupying = items.occupies & (state.host >= 0)
        self.occupants = np.bincount(state.host[occupying], minlength=len(problem.hosts))
        self.stamp = np.zeros(len(problem.hosts), np.int64)
        self.clock = 0
        self._log: list[tuple[int, int]] = []
        self._plan = PlanRules(problem, self.state)
        self.entered, self.disturbed = self._plan.entered, self._plan.disturbed
        self.total = self._whole_value()

    @property
    def value(self) -> Ints:
        """(L,) the value of every level; compare as tuples."""
        return np.maximum(self.total - self.worth.goal, 0)

    def _whole_value(self) -> Ints:
        items, state, worth = self.problem.items, self.state, self.worth
        value = np.zeros(len(self.problem.objective), np.int64)
        away = np.flatnonzero((state.host < 0) | (state.host != items.host0))
        special = (items.cells_needed > 0) & (items.host0 >= 0)
        special |= (items.host0 >= 0) & self.problem.hosts.drain[items.host0]
        for item in np.union1d(away, np.flatnonzero(special)).tolist():
            value += worth.of_item(item, int(state.host[item]), state.cells[item])
        value += worth.host_cost * int(self.problem.hosts.cost[self.occupants > 0].sum())
        return value + worth.of_cells(np.arange(len(self.problem.cells)), state.cell_use)

    # -- changes ---------------------------------------------------------------------------------

    def put(self, item: int, host: int, cells: Sequence[int] | Ints | None = None) -> None:
        """Put `item` on `host` (-1: on none); no rule is looked at (see `State.place`)."""
        state = self.state
        old = int(state.host[item])
        before = self._local(item)
        left = state.cells[item].copy()
        state.place(item, host, cells)
        self._log.append((item, old))
        self.total = self.total + self._local(item) - before + self._shift(item, old, host)
        if self.worth.fragments:
            self._refresh_fragments(item, left)

    def _local(self, item: int) -> Ints:
        state = self.state
        return self.worth.of_item(item, int(state.host[item]), state.cells[item])

    def _refresh_fragments(self, item: int, left: Ints) -> None:
        own = self.state.cells[item]
        touched = np.union1d(left[left >= 0], own[own >= 0])
        after = self.state.cell_use
        before = after.copy()
        demand = self.problem.items.cell_demand[item]
        before[left[left >= 0]] += demand
        before[own[own >= 0]] -= demand
        self.total += self.worth.of_cells(touched, after) - self.worth.of_cells(touched, before)

    def _shift(self, item: int, old: int, new: int) -> Ints:
        """Book-keeping of a change of host; the difference in host cost, (L,)."""
        items, cost = self.problem.items, 0
        for host, step in ((old, -1), (new, 1)):
            if host < 0:
                continue
            (self.on[host].add if step > 0 else self.on[host].discard)(item)
            self.clock += 1
            self.stamp[host] = self.clock
            if items.occupies[item]:
                was = self.occupants[host]
                self.occupants[host] += step
                cost += int(self.problem.hosts.cost[host]) * (
                    int(self.occupants[host] > 0) - int(was > 0)
                )
        self._plan.refresh(item)
        return self.worth.host_cost * cost

    def mark(self) -> Mark:
        """A point to which `undo` can return."""
        return Mark(self.state.mark(), len(self._log), self.total, self.value)

    def undo(self, mark: Mark) -> None:
        """Return to the placement at `mark`."""
        now = {item: int(self.state.host[item]) for item, _ in self._log[mark.log :]}
        self.state.undo(mark.trail)
        while len(self._log) > mark.log:
            item, old = self._log.pop()
            self._shift(item, now[item], old)
            now[item] = old
        self.total = mark.total

    def adopt(self, placement: Placement) -> None:
        """Go to a whole placement; no rule is looked at."""
        state = self.state
        differs = state.host != placement.host
        differs |= (np.sort(state.cells, axis=1) != np.sort(placement.cells, axis=1)).any(axis=1)
        changed = np.flatnonzero(differs).tolist()
        for item in changed:
            self.put(item, -1)
        for item in changed:
            cells = placement.cells[item]
            self.put(item, int(placement.host[item]), cells[cells >= 0])

    def touched(self, mark: Mark) -> list[int]:
        """Items that were put somewhere since `mark`."""
        return sorted({item for item, _ in self._log[mark.log :]})

    # -- rules -----------------------------------------------------------------------------------

    def free(self) -> Ints:
        """(H, R) room left; negative where a host is overcommitted."""
        return np.asarray(
            self.problem.hosts.capacity - self.state.use - self.state.gone, dtype=np.int64
        )

    def may_enter(self, item: int, host: int) -> bool:
        """Whether `item` may enter `host` now (rules 1 to 5)."""
        return not self.closed[host] and may_enter(self.state, item, host)

    def enter(self, item: int, host: int) -> bool:
        """Put `item` on `host` if it may enter; whether it did."""
        if not self.may_enter(item, host):
            return False
        self.put(item, host)
        return True

    def better_than(self, mark: Mark) -> bool:
        """Whether the value has improved since `mark`."""
        return tuple(self.value.tolist()) < tuple(mark.value.tolist())

    def holds(self, mark: Mark, *, gangs: bool = True) -> bool:
        """Whether what was put since `mark`, arrivals having been checked, leaves a valid whole.

        Without `gangs`, a gang may be placed in part.
        """
        changed = self.touched(mark)
        return (
            self._plan.holds(self, changed)
            and (not gangs or self._plan.gangs_whole(changed))
            and self._limits_hold(changed)
        )

    def _limits_hold(self, items: list[int]) -> bool:
        """Whether SKEW and REQUIRE still hold for all that entered, counts having changed."""
        problem, counters = self.problem, self.state.counters
        rows = {
            row
            for item in items
            for row in counters.rows_of_item[item].tolist()
            if problem.limits.kind[row] not in MONOTONE and item in counters.in_counted[row]
        }
        for row in sorted(rows):
            subject = counters.in_subject[row]
            for item in self.entered & subject:
                blocked = limit_blocks(self.state, item, row)
                if blocked is not None and blocked[self.state.host[item]]:
                    return False
        return True

    def go_home(self, item: int) -> bool:
        """Return `item` to where it was if everything still holds; whether it did.

        What stays is bound by no rule, so the way home is open even onto a cordoned host; what
        entered meanwhile must keep its room.
        """
        home = int(self.problem.items.host0[item])
        mark = self.mark()
        try:
            self.put(item, home, self.problem.items.cells0[item])
        except ValueError:
            self.undo(mark)
            return False
        if self._arrivals_hold(item, home) and self.holds(mark):
            return True
        self.undo(mark)
        return False

    def _arrivals_hold(self, item: int, home: int) -> bool:
        """Whether all that entered still has room and peace after `item` came home."""
        items, state = self.problem.items, self.state
        rows = set(state.counters.rows_of_item[item].tolist())
        over = state.use[home] + state.gone[home] > self.problem.hosts.capacity[home]
        for other in self.entered:
            if state.host[other] == home:
                if (over & (items.demand[other] > 0)).any():
                    return False
                own = state.cells[other][state.cells[other] >= 0]
                asked = items.cell_demand[other] > 0
                if (state.cell_use[own] > self.problem.cells.capacity[own])[:, asked].any():
                    return False
            for row in rows.intersection(state.counters.rows_of_item[other].tolist()):
                blocked = limit_blocks(state, other, row)
                if blocked is not None and blocked[state.host[other]]:
                    return False
        return True


def loose_items(problem: PlacementProblem) -> Bools:
    """(I,) bool: has a host, and nothing forbids outright that it be disturbed."""
    items, budgets, inflight = problem.items, problem.budgets, problem.inflight
    loose = items.movable & (items.host0 >= 0)
    if problem.max_moves == 0 and problem.evict is Evict.NEVER:
        return np.zeros_like(loose)
    running = np.zeros(len(items), bool)
    running[inflight.item] = True
    loose &= ~running
    groups = budgets.groups
    row = np.repeat(np.arange(len(budgets)), groups.start[1:] - groups.start[:-1])
    taken = np.bincount(row[running[groups.values]], minlength=len(budgets))
    taken[budgets.scope != Scope.WAVE] = 0
    loose[groups.values[(budgets.allowed <= taken)[row]]] = False
    if problem.owner_at_once >= 0:
        owned = items.owner >= 0
        busy = np.bincount(items.owner[running & owned], minlength=len(problem.owners) + 1)
        loose &= ~owned | (busy[items.owner] < problem.owner_at_once)
    outs = np.bincount(inflight.source, minlength=len(problem.hosts))
    shut = (problem.hosts.moves_out >= 0) & (problem.hosts.moves_out <= outs)
    shut = np.append(shut, False)[items.host0]  # -1 is nowhere
    return np.asarray(loose & ~(shut & (items.cells_needed == 0)))  # others may change cells


def closed_hosts(problem: PlacementProblem) -> Bools:
    """(H,) bool: nothing may enter the host in any wave, being drained or throttled to nothing."""
    hosts, inflight = problem.hosts, problem.inflight
    ins = np.bincount(problem.items.host0[inflight.item], minlength=len(hosts))
    return np.asarray(hosts.drain | ((hosts.moves_in >= 0) & (hosts.moves_in <= ins)))
