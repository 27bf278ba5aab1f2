"""Limits (affinity, spread, ports, quotas) over class counts.

Limits bind what enters a domain, so each domain gets a Boolean "something entered"; where nothing
did, whatever is there may stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import Ints
from optsched.counters import Counters
from optsched.problem import LimitKind
from optsched.solvers.linear import Expr, total

if TYPE_CHECKING:
    from optsched.solvers.count_model import CountModel


def add_limits(model: CountModel) -> None:
    """Add every limit of the problem that binds a class in play."""
    if len(model.problem.limits):
        _Limits(model).add()


class _Limits:
    def __init__(self, model: CountModel) -> None:
        self.cm, self.model = model, model.model
        self.problem, self.classes = model.problem, model.classes
        self.counters = Counters.of(self.problem)
        host = self.problem.items.host0
        self.pinned = np.flatnonzero((self.classes.of_item < 0) & (host >= 0))

    def add(self) -> None:
        limits = self.problem.limits
        for row in range(len(limits)):
            self.cm.look()
            kind = LimitKind(limits.kind[row])
            subject = self._classes(int(limits.subject[row]))
            counted = self._classes(int(limits.counted[row]))
            if kind is LimitKind.MAX and counted:
                self._max(row, counted)
            elif kind is LimitKind.CONFLICT and (subject or counted):
                self._conflict(row, subject, counted)
            elif kind is LimitKind.SKEW and subject:
                self._skew(row, subject, counted)
            elif kind is LimitKind.REQUIRE and subject:
                self._require(row, subject, counted)

    # ---------------------------------------------------------------- pieces

    def _classes(self, group: int) -> list[int]:
        """The classes in play that are in a group."""
        members = set(self.classes.of_item[self.problem.where.groups[group]].tolist()) - {-1}
        return sorted(k for k in members if self.cm.play[k])

    def _fixed(self, group: int, row_domain: Ints, size: int) -> Ints:
        """(D,) pinned items of a group per domain; hosts without a domain do not count."""
        members = np.intersect1d(self.problem.where.groups[group], self.pinned)
        domains = row_domain[self.problem.items.host0[members]]
        return np.bincount(domains[domains >= 0], minlength=size)

    def _domain(self, row: int) -> tuple[Ints, int]:
        key = int(self.problem.limits.key[row])
        if key < 0:
            return np.zeros(len(self.problem.hosts), np.int64), 1
        return self.problem.where.domain[key], len(self.problem.where.domain_names[key])

    def _on(self, classes: list[int], hosts: list[int]) -> Expr:
        return total([self.cm.y[k, h] for k in classes for h in hosts if (k, h) in self.cm.y])

    def _entered(self, classes: list[int], hosts: list[int]) -> cp_model.IntVar | None:
        """A Boolean that is true if an item of `classes` enters one of `hosts`."""
        ways = [
            (k, h)
            for k in classes
            for h in hosts
            if (k, h) in self.cm.y and self.cm.may_enter[k, h]
        ]
        if not ways:
            return None
        entered = self.model.new_bool_var("")
        for k, h in ways:
            self.model.add(self.cm.enters(k, h) <= int(self.classes.size[k]) * entered)
        return entered

    def _bar(self, classes: list[int], hosts: list[int]) -> None:
        """No item of `classes` enters `hosts`."""
        for k in classes:
            for h in hosts:
                if (k, h) in self.cm.y and self.cm.may_enter[k, h]:
                    self.model.add(self.cm.enters(k, h) <= 0)

    def _many(self, classes: list[int]) -> int:
        return int(self.classes.size[classes].sum()) if classes else 0

    # ----------------------------------------------------------------- kinds

    def _max(self, row: int, counted: list[int]) -> None:
        domain, size = self._domain(row)
        group = int(self.problem.limits.counted[row])
        fixed, bound = self._fixed(group, domain, size), int(self.problem.limits.bound[row])
        for d in range(size):
            hosts = np.flatnonzero(domain == d).tolist()
            now = int(self.cm.now[np.ix_(counted, hosts)].sum()) + int(fixed[d])
            there = self._on(counted, hosts) + int(fixed[d])
            if now <= bound:
                self.model.add(there <= bound)
            elif (entered := self._entered(counted, hosts)) is not None:
                self.model.add(there <= bound).only_enforce_if(entered)

    def _conflict(self, row: int, subject: list[int], counted: list[int]) -> None:
        limits = self.problem.limits
        domain, size = self._domain(row)
        fixed_s = self._fixed(int(limits.subject[row]), domain, size)
        fixed_c = self._fixed(int(limits.counted[row]), domain, size)
        same = limits.subject[row] == limits.counted[row]
        for d in range(size):
            hosts = np.flatnonzero(domain == d).tolist()
            if same:
                self._alone(subject, hosts, int(fixed_s[d]))
            else:
                self._apart(subject, counted, hosts, int(fixed_s[d]), int(fixed_c[d]))

    def _alone(self, group: list[int], hosts: list[int], fixed: int) -> None:
        """At most one item of the group in the domain, unless none enters."""
        now = int(self.cm.now[np.ix_(group, hosts)].sum()) + fixed
        if now <= 1:
            self.model.add(self._on(group, hosts) + fixed <= 1)
        elif (entered := self._entered(group, hosts)) is not None:
            self.model.add(self._on(group, hosts) + fixed <= 1).only_enforce_if(entered)

    def _apart(
        self, subject: list[int], counted: list[int], hosts: list[int], fixed_s: int, fixed_c: int
    ) -> None:
        """Where a subject enters no other counted item is, and the other way round."""
        both = sorted(set(subject) & set(counted))
        for group, others, fixed in ((subject, counted, fixed_c), (counted, subject, fixed_s)):
            entered = self._entered(group, hosts)
            if entered is None:
                continue
            # An entering item in both groups is itself one of the others.
            only = [k for k in group if k not in both]
            entered_only = self._entered(only, hosts) if both else entered
            there = self._on(others, hosts) + fixed
            if entered_only is not None:
                self.model.add(there == 0).only_enforce_if(entered_only)
            if both:
                entered_both = self._entered(both, hosts)
                if entered_both is not None:
                    self.model.add(there <= 1).only_enforce_if(entered_both)

    def _skew(self, row: int, subject: list[int], counted: list[int]) -> None:
        limits, counters = self.problem.limits, self.counters
        barred = np.flatnonzero(~counters.allowed[row]).tolist()
        self._bar(subject, barred)
        domains = counters.domains[row]
        if not len(domains):
            return
        view, (plain, size) = counters.domain[counters.view[counters.main[row]]], self._domain(row)
        fixed = self._fixed(int(limits.counted[row]), view, size)
        most = int(fixed.sum()) + self._many(counted)
        smallest = self.model.new_int_var(0, most, "")
        counts = {}
        for d in range(size):
            hosts = np.flatnonzero(view == d).tolist()
            counts[d] = self._on(counted, hosts) + int(fixed[d])
        if len(domains) < limits.min_domains[row]:
            self.model.add(smallest == 0)
        else:
            for d in domains.tolist():
                self.model.add(smallest <= counts[d])
        bound = int(limits.bound[row])
        for d in range(size):
            hosts = np.flatnonzero((plain == d) & counters.allowed[row]).tolist()
            for group, extra in self._self_count(row, subject, counted, hosts, view):
                entered = self._entered(group[0], group[1])
                if entered is not None:
                    within = counts[d] + extra <= smallest + bound
                    self.model.add(within).only_enforce_if(entered)

    def _self_count(
        self, row: int, subject: list[int], counted: list[int], hosts: list[int], view: Ints
    ) -> list[tuple[tuple[list[int], list[int]], int]]:
        """How much `counts` misses of (or adds to) what the rule counts for an entering item."""
        itself = int(self.problem.limits.self_counts[row])
        seen = [h for h in hosts if view[h] >= 0]
        unseen = [h for h in hosts if view[h] < 0]
        inside = [k for k in subject if k in counted]
        outside = [k for k in subject if k not in counted]
        return [
            ((inside, seen), itself - 1),
            ((inside, unseen), itself),
            ((outside, hosts), itself),
        ]

    def _require(self, row: int, subject: list[int], counted: list[int]) -> None:
        limits, counters = self.problem.limits, self.counters
        self._bar(subject, np.flatnonzero(~counters.allowed[row]).tolist())
        domain, size = self._domain(row)
        fixed = self._fixed(int(limits.counted[row]), domain, size)
        inside = [k for k in subject if k in counted]
        outside = [k for k in subject if k not in counted]
        first = self._first(row, counted) if limits.self_counts[row] else None
        for d in range(size):
            hosts = np.flatnonzero(domain == d).tolist()
            there = self._on(counted, hosts) + int(fixed[d])
            for group, itself in ((inside, 1), (outside, 0)):
                entered = self._entered(group, hosts)
                if entered is None:
                    continue
                alone = first[itself] if first is not None else None
                when = [entered] if alone is None else [entered, alone.negated()]
                self.model.add(there >= 1 + itself).only_enforce_if(when)

    def _first(self, row: int, counted: list[int]) -> tuple[cp_model.IntVar, cp_model.IntVar]:
        """Booleans: no counted item (none but one) sits on any host with a key of the bundle."""
        counters = self.counters
        view = counters.domain[counters.view[counters.anywhere[row]]]
        hosts = np.flatnonzero(view >= 0).tolist()
        fixed = int(self._fixed(int(self.problem.limits.counted[row]), view, 1)[0])
        everywhere = self._on(counted, hosts) + fixed
        none, one = self.model.new_bool_var(""), self.model.new_bool_var("")
        self.model.add(everywhere <= 0).only_enforce_if(none)
        self.model.add(everywhere <= 1).only_enforce_if(one)
        return none, one
