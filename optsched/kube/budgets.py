"""PodDisruptionBudgets: whom they cover, and how many evictions they allow now."""

from __future__ import annotations

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.errors import FormatError
from optsched.problem import Budgets, Scope

from .cluster import Cluster, pod_name
from .topology import Selection


class DisruptionBudgets:
    """The budgets of a cluster over its items."""

    def __init__(self, cluster: Cluster, items: int, selection: Selection) -> None:
        self._names: list[str] = []
        self._members: list[Ints] = []
        self._allowed: list[int] = []
        self._first = np.full(items, -1, np.int64)
        self._covering = np.zeros(items, np.int64)
        seen: set[str] = set()
        for budget in cluster.budgets:
            name = pod_name(budget.metadata)
            if name in seen:
                raise FormatError(f"PodDisruptionBudget {name[:80]!r} is listed twice")
            seen.add(name)
            members = selection.items(budget.spec.selector, frozenset((budget.metadata.namespace,)))
            # A controller that lags behind makes the eviction API refuse, whatever the count says.
            lagging = budget.status.observed_generation < budget.metadata.generation
            self._first[members] = len(self._names)
            self._covering[members] += 1
            self._names.append(name)
            self._members.append(members)
            self._allowed.append(0 if lagging else budget.status.disruptions_allowed)

    def reason(self, item: int) -> str:
        """Why the item may not be evicted now, or ""."""
        if self._covering[item] > 1:
            return "more than one disruption budget covers it, so that evictions fail"
        budget = int(self._first[item])
        if budget >= 0 and self._allowed[budget] == 0:
            return f"disruption budget {self._names[budget]} allows no disruption"
        return ""

    def table(self, movable: Bools) -> Budgets:
        """The budgets that can bind a plan, per wave: they recover when pods are ready again."""
        rows = [
            (name, members[movable[members]], allowed)
            for name, members, allowed in zip(
                self._names, self._members, self._allowed, strict=True
            )
        ]
        rows = [row for row in rows if len(row[1])]
        return Budgets.of(
            [members for _, members, _ in rows],
            np.array([allowed for _, _, allowed in rows], dtype=np.int64),
            scope=int(Scope.WAVE),
            names=[name for name, _, _ in rows],
        )
