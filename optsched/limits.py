"""Where items may sit, and the limits and budgets over groups of them, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from .arrays import NONE, Bools, Ints, Masks, Ragged, bools, ints, refuse, unique_names
from .errors import ProblemError
from .tables import Hosts, Items


class LimitKind(IntEnum):
    """Rules over the items in one domain of a topology key (key -1: the whole cluster).

    MAX       after an item of `counted` enters a domain, it holds at most `bound` of them.
    SKEW      an item of `subject` enters a domain only if the count of other `counted` items in
              it, plus 1 if `self_counts` (even if the item is not in `counted`), is at most
              `bound` above the smallest such count of any domain. Only
              hosts in `host_set` that have every key of the row's bundle make domains and are
              counted; with fewer such domains than `min_domains` the smallest count is 0. With no
              such domain nothing is bound. A host without the key, or without a key of another
              row of the bundle, may not be entered. The entered host itself need not be in
              `host_set`; its domain's count is then that of the hosts in the set (0 if none).
    CONFLICT  a `subject` item and another item of `counted` may not share a domain if either of
              them enters it. Hosts without the key are free.
    REQUIRE   an item of `subject` enters a host only if it has the key and another item of
              `counted` sits in the same domain; or, if `self_counts`, if no other item of
              `counted` sits on any host that has a key of the row's bundle.
    """

    MAX = 0
    SKEW = 1
    CONFLICT = 2
    REQUIRE = 3


class Scope(IntEnum):
    """Whether a budget counts per wave or over the whole plan."""

    WAVE = 0
    PLAN = 1


@dataclass(frozen=True)
class Where:
    """Where items may sit, and the domains and groups that limits speak of.

    Attributes
    ----------
    excluded
        (E, H) uint32 bit masks: bit b says that the rule `rule_names[b]` excludes the host;
        0: eligible. A row serves every item with the same requirements.
    item_eligible
        (I,) int64, the row of each item.
    rule_names
        At most 32 names of requirements ("node affinity", "taints").
    keys
        Topology keys (K). Key 0 is the host itself.
    domain
        (K, H) int64, domain of each host per key, numbered from 0; -1: the host lacks the key.
    domain_names
        Per key, the names of its domains.
    groups
        Lists of items (G); `group_names` says how each was selected.
    host_sets
        (N, H) bool, sets of hosts that SKEW limits refer to.
    """

    excluded: Masks
    item_eligible: Ints
    rule_names: tuple[str, ...]
    keys: tuple[str, ...]
    domain: Ints
    domain_names: tuple[tuple[str, ...], ...]
    groups: Ragged
    group_names: tuple[str, ...]
    host_sets: Bools

    @classmethod
    def of(
        cls,
        hosts: Hosts,
        items: Items,
        *,
        excluded: Any = None,
        item_eligible: Any = 0,
        rule_names: Sequence[str] = ("not eligible",),
        keys: Sequence[str] = (),
        domain: Any = None,
        domain_names: Sequence[Sequence[str]] | None = None,
        groups: Sequence[Sequence[int] | Ints] | Ragged = (),
        group_names: Sequence[str] | None = None,
        host_sets: Any = None,
    ) -> Where:
        """Tables with defaults; key 0 is added here, `keys` and `domain` are those after it."""
        mask = np.zeros((1, len(hosts)), np.uint32) if excluded is None else np.asarray(excluded)
        if mask.dtype == np.bool_:
            mask = mask.astype(np.uint32)
        if mask.ndim != 2 or mask.shape[1] != len(hosts):
            raise ProblemError(f"where.excluded: needs one column for each of {len(hosts)} hosts")
        mask = np.array(mask if len(mask) else np.zeros((1, len(hosts))), dtype=np.uint32)
        mask.setflags(write=False)
        extra = np.zeros((0, len(hosts)), np.int64) if domain is None else np.asarray(domain)
        all_domains = np.vstack(
            [np.arange(len(hosts))[None, :], extra.reshape(len(keys), len(hosts))]
        )
        named = (
            [tuple(one) for one in domain_names]
            if domain_names is not None
            else [
                tuple(str(d) for d in range(int(row.max(initial=-1)) + 1))
                for row in all_domains[1:]
            ]
        )
        lists = groups if isinstance(groups, Ragged) else Ragged.of(groups)
        sets = np.zeros((0, len(hosts)), bool) if host_sets is None else np.asarray(host_sets)
        return cls(
            mask,
            ints(item_eligible, (len(items),), "where.item_eligible"),
            tuple(rule_names),
            ("host", *keys),
            ints(all_domains, (1 + len(keys), len(hosts)), "where.domain"),
            (hosts.names, *named),
            lists,
            unique_names(group_names, len(lists), "group"),
            bools(sets, (len(sets), len(hosts)), "where.host_sets"),
        )


@dataclass(frozen=True)
class Limits:
    """Rows over (key, subject group, counted group); see `LimitKind`.

    Attributes
    ----------
    kind, key, subject, counted, bound, min_domains, host_set, bundle
        (L,) int64 each. `key` -1: the whole cluster (MAX only). `host_set` -1: all hosts.
        `bundle` joins the rows of one template; -1: on its own.
    self_counts
        (L,) bool.
    names
        (L,) what the row stands for, in words.
    """

    kind: Ints
    key: Ints
    subject: Ints
    counted: Ints
    bound: Ints
    min_domains: Ints
    host_set: Ints
    bundle: Ints
    self_counts: Bools
    names: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[Limit] = ()) -> Limits:
        """The rows as columns."""
        n = (len(rows),)
        column = {
            name: ints([int(getattr(row, name)) for row in rows], n, f"limits.{name}")
            for name in (
                "kind",
                "key",
                "subject",
                "counted",
                "bound",
                "min_domains",
                "host_set",
                "bundle",
            )
        }
        return cls(
            **column,
            self_counts=bools([row.self_counts for row in rows], n, "limits.self_counts"),
            names=tuple(row.name for row in rows),
        )

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Limit:
    """One row of `Limits`."""

    kind: LimitKind
    key: int
    subject: int
    counted: int
    bound: int = 0
    min_domains: int = 0
    host_set: int = NONE
    bundle: int = NONE
    self_counts: bool = False
    name: str = ""


@dataclass(frozen=True)
class Budgets:
    """How many items of a group may be disturbed (moved or evicted), per wave or in all.

    Attributes
    ----------
    groups
        B lists of items.
    allowed
        (B,) int64.
    scope
        (B,) int64, a `Scope`.
    names
        (B,) for example the PodDisruptionBudget.
    """

    groups: Ragged
    allowed: Ints
    scope: Ints
    names: tuple[str, ...]

    @classmethod
    def of(
        cls,
        groups: Sequence[Sequence[int] | Ints] = (),
        allowed: Any = (),
        *,
        scope: Any = int(Scope.WAVE),
        names: Sequence[str] | None = None,
    ) -> Budgets:
        """Budgets with defaults filled in."""
        n = len(groups)
        budgets = cls(
            Ragged.of(groups),
            ints(allowed, (n,), "budgets.allowed"),
            ints(scope, (n,), "budgets.scope"),
            unique_names(names, n, "budget"),
        )
        refuse(budgets.allowed < 0, budgets.names, "a budget cannot be negative; use 0")
        return budgets

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Inflight:
    """Moves that already run: `host0` of the item is their target.

    The item still holds its room on `source` for the whole plan, is not movable, and counts in the
    budgets, throttles and owner limits of every wave.
    """

    item: Ints
    source: Ints

    @classmethod
    def of(cls, item: Any = (), source: Any = ()) -> Inflight:
        """Rows of (item, source host)."""
        return cls(
            ints(item, (len(item),), "inflight.item"), ints(source, (len(item),), "inflight.source")
        )

    def __len__(self) -> int:
        return len(self.item)
