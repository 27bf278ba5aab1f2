"""Which counts the limits need, and which items and hosts feed them: a static index.

A *counter* counts the items of one group per domain of one key, over some of the hosts. Limits that
look at the same counts share a counter. `state` keeps the counts, `rules` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import NONE, Bools, Ints, Ragged
from .problem import LimitKind, PlacementProblem


@dataclass(frozen=True)
class Counters:
    """The index.

    Attributes
    ----------
    offset
        (N + 1,) where the counts of each counter begin in one flat array; each counter has one
        slot per domain and a last one that takes what is not counted.
    view
        (N,) row of `domain` that the counter reads.
    domain
        (V, H) domain of a host as the counter sees it; -1: the host does not count.
    slot
        (V, H) the same, with the number of domains in place of -1.
    of_item
        Per item, the counters it feeds.
    rows_of_item
        Per item, the limits it is the subject of or is counted by.
    main, subject, anywhere
        (L,) counters of a limit: of its counted group per domain, of its subject group
        (CONFLICT), and of its counted group on all hosts that have a key of its bundle (REQUIRE).
    allowed
        (L, H) bool rows only for REQUIRE and SKEW (else empty): hosts that have the keys.
    domains
        Per limit (SKEW): the domains over which the smallest count is taken.
    in_subject, in_counted
        Per limit, a set of items.
    """

    offset: Ints
    view: Ints
    domain: Ints
    slot: Ints
    of_item: Ragged
    rows_of_item: Ragged
    main: Ints
    subject: Ints
    anywhere: Ints
    allowed: dict[int, Bools]
    domains: dict[int, Ints]
    in_subject: tuple[frozenset[int], ...]
    in_counted: tuple[frozenset[int], ...]

    def fed(self, items: Ints, hosts: Ints) -> Ints:
        """(n,) flat index of every count that each of `items` feeds from its host."""
        start = self.of_item.start
        number = start[items + 1] - start[items]
        first = np.repeat(start[items] - np.cumsum(number) + number, number)
        fed = self.of_item.values[first + np.arange(len(first))]
        return np.asarray(self.offset[fed] + self.slot[self.view[fed], np.repeat(hosts, number)])

    @classmethod
    def of(cls, problem: PlacementProblem) -> Counters:
        """Build the index of a problem."""
        return _Builder(problem).build()

    def slots(self, counter: int) -> Ints:
        """(H,) flat index of the slot that an item on each host feeds."""
        return self.offset[counter] + self.slot[self.view[counter]]

    def feed(self, counts: Ints, item: int, host: int, step: int) -> None:
        """Add `step` to every count that `item` feeds from `host`."""
        counts[self.fed_by(item, host)] += step

    def fed_by(self, item: int, host: int) -> Ints:
        """(n,) flat index of every count that `item` feeds from `host`."""
        fed = self.of_item[item]
        return np.asarray(self.offset[fed] + self.slot[self.view[fed], host])


class _Builder:
    def __init__(self, problem: PlacementProblem) -> None:
        self.problem = problem
        self.views: dict[tuple[bytes, int], int] = {}
        self.rows: list[Ints] = []
        self.counters: dict[tuple[int, int], int] = {}
        self.view_size: list[int] = []
        # What rows of limits derive from their keys and host sets alone; many rows share it.
        self._plain: dict[int, int] = {}
        self._skew: dict[tuple[int, ...], tuple[int, Bools, Ints]] = {}
        self._require: dict[tuple[int, ...], tuple[int, Bools]] = {}

    def _view(self, row: Ints, size: int) -> int:
        key = (row.tobytes(), size)
        if key not in self.views:
            self.views[key] = len(self.rows)
            self.rows.append(row)
            self.view_size.append(size)
        return self.views[key]

    def _counter(self, group: int, view: int) -> int:
        return self.counters.setdefault((group, view), len(self.counters))

    def build(self) -> Counters:
        limits = self.problem.limits
        count = len(limits)
        main, subject, anywhere = (np.full(count, NONE, np.int64) for _ in range(3))
        allowed: dict[int, Bools] = {}
        domains: dict[int, Ints] = {}
        bundle_keys: dict[int, list[int]] = {}
        for row in range(count):
            if limits.bundle[row] >= 0 and limits.key[row] >= 0:
                bundle_keys.setdefault(int(limits.bundle[row]), []).append(int(limits.key[row]))
        for row in range(count):
            kind, key = LimitKind(limits.kind[row]), int(limits.key[row])
            group = int(limits.counted[row])
            keys = bundle_keys.get(int(limits.bundle[row]), [key])
            if kind is LimitKind.SKEW:
                view, allowed[row], domains[row] = self._of_skew(
                    key, int(limits.host_set[row]), keys
                )
                main[row] = self._counter(group, view)
                continue
            main[row] = self._counter(group, self._of_key(key))
            if kind is LimitKind.CONFLICT:
                subject[row] = self._counter(int(limits.subject[row]), self._of_key(key))
            elif kind is LimitKind.REQUIRE:
                view, allowed[row] = self._of_require(key, keys)
                anywhere[row] = self._counter(group, view)
        return self._finish(main, subject, anywhere, allowed, domains)

    def _domain(self, key: int) -> tuple[Ints, int]:
        if key < 0:
            return np.zeros(len(self.problem.hosts), np.int64), 1
        return self.problem.where.domain[key], len(self.problem.where.domain_names[key])

    def _of_key(self, key: int) -> int:
        """The view of the domains of a key."""
        if key not in self._plain:
            self._plain[key] = self._view(*self._domain(key))
        return self._plain[key]

    def _of_skew(self, key: int, host_set: int, keys: list[int]) -> tuple[int, Bools, Ints]:
        """The view, the hosts that have all keys, and the domains of a SKEW row."""
        what = (key, host_set, *keys)
        if what not in self._skew:
            where = self.problem.where
            plain, size = self._domain(key)
            has_all: Bools = np.all(where.domain[keys] >= 0, axis=0)
            in_set = has_all & where.host_sets[host_set] if host_set >= 0 else has_all
            view = self._view(np.where(in_set, plain, NONE), size)
            self._skew[what] = view, has_all, np.unique(plain[in_set])
        return self._skew[what]

    def _of_require(self, key: int, keys: list[int]) -> tuple[int, Bools]:
        """The view of all hosts with any of the keys, and those that have the row's own."""
        what = (key, *keys)
        if what not in self._require:
            has_any = (self.problem.where.domain[keys] >= 0).any(axis=0)
            view = self._view(np.where(has_any, 0, NONE), 1)
            self._require[what] = view, self._domain(key)[0] >= 0
        return self._require[what]

    def _finish(
        self,
        main: Ints,
        subject: Ints,
        anywhere: Ints,
        allowed: dict[int, Bools],
        domains: dict[int, Ints],
    ) -> Counters:
        problem, limits = self.problem, self.problem.limits
        pairs = list(self.counters)
        sizes = [self.view_size[view] + 1 for _, view in pairs]
        groups, rows = problem.where.groups, np.arange(len(limits))
        members = {
            g: frozenset(groups[g].tolist())
            for g in {*limits.subject.tolist(), *limits.counted.tolist()}
        }
        fed = np.array([group for group, _ in pairs], dtype=np.int64)
        bound = np.concatenate([limits.subject, limits.counted])
        shape = (len(self.rows), len(problem.hosts))  # -1 cannot be inferred without hosts
        domain = np.array(self.rows, dtype=np.int64).reshape(shape)
        last = np.array(self.view_size, dtype=np.int64).reshape(-1, 1)
        return Counters(
            offset=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)]),
            view=np.array([view for _, view in pairs], dtype=np.int64),
            domain=domain,
            slot=np.where(domain < 0, last, domain),
            of_item=_by_item(problem, fed, np.arange(len(pairs))),
            rows_of_item=_by_item(problem, bound, np.concatenate([rows, rows])),
            main=main,
            subject=subject,
            anywhere=anywhere,
            allowed=allowed,
            domains=domains,
            in_subject=tuple(members[int(g)] for g in limits.subject),
            in_counted=tuple(members[int(g)] for g in limits.counted),
        )


def _by_item(problem: PlacementProblem, group: Ints, value: Ints) -> Ragged:
    """Per item the `value` (n,) of each `group` (n,) that it is in, ascending and once each."""
    groups = problem.where.groups
    size = (groups.start[1:] - groups.start[:-1])[group]
    first = np.repeat(groups.start[group] - np.cumsum(size) + size, size)
    item = groups.values[first + np.arange(len(first))]
    width = int(value.max(initial=0)) + 1
    pair = np.unique(item * width + np.repeat(value, size))
    start = np.searchsorted(pair, np.arange(len(problem.items) + 1) * width)
    return Ragged(start.astype(np.int64), pair % width)
