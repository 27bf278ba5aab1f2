"""A problem's tables as plain lists, and the divisions of hosts into domains that they name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from optsched.arrays import NONE, Ints, Ragged
from optsched.problem import PlacementProblem

Row = TypeVar("Row")


@dataclass(frozen=True, eq=False)
class Zone:
    """A division of the hosts into domains; compared by identity.

    Attributes
    ----------
    of_host
        Domain of each host; -1: the host belongs to none.
    """

    of_host: list[int]

    @cached_property
    def domains(self) -> set[int]:
        """Domains that have a host."""
        return set(self.of_host) - {NONE}


class Rows(Generic[Row]):
    """Rows of a table, each read when it is first asked for: a plan touches few of them."""

    def __init__(self, table: Ints, read: Callable[[list[int]], Row]) -> None:
        self._table, self._read = table, read
        self._rows: dict[int, Row] = {}

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> Row:
        row = self._rows.get(index)
        if row is None:
            row = self._rows[index] = self._read(self._table[index].tolist())
        return row

    def __iter__(self) -> Iterator[Row]:
        return (self[index] for index in range(len(self._table)))

    def column(self, number: int) -> list[int]:
        """One column, as it stands in the table."""
        found: list[int] = self._table[:, number].tolist()
        return found

    def columns(self) -> list[list[int]]:
        """All columns, as they stand in the table."""
        return [self.column(number) for number in range(self._table.shape[1])]


class Reading:
    """The tables of one problem, read once per check.

    Attributes are named after the tables. `held_at` lists, per host, the items whose move away from
    it still runs; `rows_of` lists the limits that name a group.
    """

    def __init__(self, problem: PlacementProblem) -> None:
        items, hosts, cells = problem.items, problem.hosts, problem.cells
        self.problem = problem
        self.host0: list[int] = items.host0.tolist()
        self.cells0 = Rows(items.cells0, lambda row: tuple(cell for cell in row if cell >= 0))
        self.demand = Rows(items.demand, tuple)
        self.cell_demand = Rows(items.cell_demand, tuple)
        self.tier: list[int] = items.tier.tolist()
        self.owner: list[int] = items.owner.tolist()
        self.movable: list[bool] = items.movable.tolist()
        self.lets_go_first: list[bool] = items.lets_go_first.tolist()
        self.occupies: list[bool] = items.occupies.tolist()
        self.capacity = Rows(hosts.capacity, tuple)
        self.fixed_use = Rows(hosts.fixed_use, tuple)
        self.drain: list[bool] = hosts.drain.tolist()
        self.cell_host: list[int] = cells.host.tolist()
        self.cell_capacity = Rows(cells.capacity, tuple)
        self.cell_fixed = Rows(cells.fixed_use, tuple)
        self.cell_kind: list[int] = cells.kind.tolist()
        self.domain: list[list[int]] = problem.where.domain.tolist()
        self._read_limits()
        self._read_inflight()
        self._zones: dict[tuple[int, frozenset[int], int], Zone] = {}

    def _read_limits(self) -> None:
        limits = self.problem.limits
        self.limit_kind: list[int] = limits.kind.tolist()
        self.limit_key: list[int] = limits.key.tolist()
        self.subject: list[int] = limits.subject.tolist()
        self.counted: list[int] = limits.counted.tolist()
        self.bound: list[int] = limits.bound.tolist()
        self.min_domains: list[int] = limits.min_domains.tolist()
        self.host_set: list[int] = limits.host_set.tolist()
        self.bundle: list[int] = limits.bundle.tolist()
        self.self_counts: list[bool] = limits.self_counts.tolist()
        self.rows_of: dict[int, set[int]] = defaultdict(set)
        bundles: dict[int, set[int]] = defaultdict(set)
        for row, key in enumerate(self.limit_key):
            self.rows_of[self.subject[row]].add(row)
            self.rows_of[self.counted[row]].add(row)
            if self.bundle[row] != NONE and key != NONE:
                bundles[self.bundle[row]].add(key)
        self._bundle_keys = {number: frozenset(keys) for number, keys in bundles.items()}

    def _read_inflight(self) -> None:
        problem = self.problem
        self.inflight: list[int] = problem.inflight.item.tolist()
        sources: list[int] = problem.inflight.source.tolist()
        self.held_at: dict[int, set[int]] = defaultdict(set)
        for item, source in zip(self.inflight, sources, strict=True):
            self.held_at[source].add(item)
        self.inflight_in = Counter(self.host0[item] for item in self.inflight)
        self.inflight_out = Counter(sources)
        self.inflight_owner = Counter(self.owner[item] for item in self.inflight)
        running = lists_of(problem.budgets.groups, self.inflight)
        self.inflight_budget = Counter(b for item in self.inflight for b in running[item])

    def bundle_keys(self, row: int) -> frozenset[int]:
        """Topology keys of all limits in the bundle of `row`, its own among them."""
        if self.bundle[row] == NONE:
            return frozenset((self.limit_key[row],))
        return self._bundle_keys[self.bundle[row]]

    def key_zone(self, key: int) -> Zone:
        """Domains of a topology key; key -1: one domain of all hosts."""
        return self._zone(key, frozenset(), NONE)

    def spread_zone(self, row: int) -> Zone:
        """Domains of a SKEW row: only hosts in its set that have every key of its bundle."""
        return self._zone(self.limit_key[row], self.bundle_keys(row), self.host_set[row])

    def any_zone(self, keys: frozenset[int]) -> Zone:
        """One domain (0) of all hosts that have any of the keys."""
        name = (NONE, keys, NONE)
        if name not in self._zones:
            rows = [self.domain[key] for key in keys]
            columns = zip(*rows, strict=True)
            self._zones[name] = Zone([0 if max(one) >= 0 else NONE for one in columns])
        return self._zones[name]

    def _zone(self, key: int, needed: frozenset[int], host_set: int) -> Zone:
        name = (key, needed, host_set)
        if name not in self._zones:
            hosts = range(len(self.capacity))
            of_host = [0 for _ in hosts] if key == NONE else list(self.domain[key])
            allowed: list[bool] = (
                [True for _ in hosts]
                if host_set == NONE
                else self.problem.where.host_sets[host_set].tolist()
            )
            for host in hosts:
                if not allowed[host] or any(self.domain[k][host] < 0 for k in needed):
                    of_host[host] = NONE
            self._zones[name] = Zone(of_host)
        return self._zones[name]


def read_cells(table: Ints) -> list[tuple[int, ...]]:
    """The cells of each item, without padding."""
    if table.shape[1] == 0:
        return [() for _ in range(len(table))]
    return [tuple(cell for cell in row if cell >= 0) for row in table.tolist()]


def lists_of(lists: Ragged, members: Collection[int]) -> dict[int, list[int]]:
    """For each of `members`, the numbers of the lists that name it."""
    wanted = set(members)
    found: dict[int, list[int]] = {member: [] for member in wanted}
    values, start = lists.values.tolist(), lists.start.tolist()
    for number in range(len(lists)):
        for member in wanted.intersection(values[start[number] : start[number + 1]]):
            found[member].append(number)
    return found
