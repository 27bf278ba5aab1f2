"""Cross-table checks of a `PlacementProblem`: every index points somewhere, every shape agrees.

All raise ProblemError, naming the object, where tables contradict each other. The first two are
what the others stand on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .arrays import Bools, Ints, check_names, refuse
from .errors import ProblemError
from .levels import Level, TermKind
from .limits import Budgets, Inflight, Limits, Where
from .tables import Cells, Hosts, Items

# Sums over all items must stay far from the int64 edge, or capacity checks would wrap around.
LARGEST = 1 << 53
LARGEST_VALUE = 1 << 60  # of a level; solvers add some up, and CP-SAT counts in 64 bits


def _in_range(values: Ints, low: int, high: int, what: str, names: tuple[str, ...] = ()) -> None:
    bad: Bools = (values < low) | (values >= high)
    if bad.any():
        at = int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))
        subject = f"{names[at][:80]!r}: " if names else f"row {at}: "
        raise ProblemError(f"{subject}{what} is outside {low}..{high - 1}")


def check_shapes(
    resources: Sequence[str], when: Ints, hosts: Hosts, cells: Cells, items: Items, where: Where
) -> None:
    """A column for every resource, a row for every host and item."""
    count = len(resources)
    for have, what in (
        (hosts.capacity.shape[1], "hosts.capacity"),
        (items.demand.shape[1], "items.demand"),
        (len(when), "when"),
    ):
        if have != count:
            raise ProblemError(f"{what} has {have} columns for {count} resources")
    if items.cell_demand.shape[1] != cells.capacity.shape[1]:
        raise ProblemError("items.cell_demand and cells.capacity have different cell resources")
    if len(where.item_eligible) != len(items) or where.excluded.shape[1] != len(hosts):
        raise ProblemError("the tables in `where` are for other hosts or items")
    _in_range(cells.host, 0, len(hosts), "the host of a cell")


def check_name_tables(
    resources: tuple[str, ...], pin_reasons: tuple[str, ...], cells: Cells, where: Where
) -> None:
    """No name is empty or there twice."""
    for names, what in (
        (resources, "resource"),
        (cells.resources, "cell resource"),
        (cells.kinds, "cell kind"),
        (pin_reasons, "pin reason"),
        (where.rule_names, "eligibility rule"),
        (where.keys, "topology key"),
    ):
        check_names(names, what)
    for key, names in zip(where.keys, where.domain_names, strict=True):
        check_names(names, f"domain of {key!r}")


def check_sizes(hosts: Hosts, cells: Cells, items: Items, limits: Limits, budgets: Budgets) -> None:
    """Amounts whose sums stay within 64 bits."""
    on_cell = tuple(hosts.names[h] for h in cells.host)
    for table, names, what in (
        (hosts.capacity, hosts.names, "capacity"),
        (hosts.fixed_use, hosts.names, "fixed use"),
        (hosts.cost, hosts.names, "cost"),
        (cells.capacity, on_cell, "cell capacity"),
        (cells.fixed_use, on_cell, "fixed use of a cell"),
        (items.demand, items.names, "demand"),
        (items.cell_demand, items.names, "cell demand"),
        (items.weight, items.names, "weight"),
        (limits.bound, limits.names, "bound"),
        (limits.min_domains, limits.names, "number of domains"),
        (budgets.allowed, budgets.names, "budget"),
    ):
        if table.size and int(table.max()) > LARGEST:
            at = int(np.argmax(table.reshape(len(table), -1).max(axis=1)))
            raise ProblemError(
                f"{names[at][:80]!r}: a {what} above 2**53 is absurd; check its unit"
            )
    for table, what in (
        (items.demand, "the items' demands add"),
        (items.cell_demand, "the items' demands of cells add"),
        (hosts.capacity, "the hosts' capacities add"),
        (cells.capacity, "the cells' capacities add"),
    ):
        if float(table.astype(np.float64).sum(axis=0).max(initial=0)) > 2.0**62:
            raise ProblemError(f"{what} up to more than 2**62; use a coarser unit")


def check_items(items: Items, hosts: Hosts, cells: Cells, tables: Mapping[str, int]) -> None:
    """Items point into the tables beside them, and sit on as many cells as they need.

    `tables` has the lengths of the name tables: tier, owner, gang, pin reason.
    """
    names = items.names
    _in_range(items.host0, -1, len(hosts), "host0", names)
    _in_range(items.tier, 0, max(tables["tier"], 1), "the tier", names)
    _in_range(items.owner, -1, tables["owner"], "the owner", names)
    _in_range(items.gang, -1, tables["gang"], "the gang", names)
    _in_range(items.pinned_by, -1, tables["pin reason"], "the pin reason", names)
    _in_range(items.cell_kind, -1, len(cells.kinds), "the cell kind", names)
    if not items.cells_needed.any():
        return
    _in_range(items.cells0, -1, len(cells), "a current cell", names)
    own, have = items.cells0, items.cells0 >= 0
    want = np.where(items.host0 >= 0, items.cells_needed, 0)
    ordered = np.sort(np.where(have, own, -1 - np.arange(own.shape[1])), axis=1)
    wrong: Bools = (have.sum(axis=1) != want) | (np.diff(ordered, axis=1) == 0).any(axis=1)
    refuse(wrong, names, "runs on a host but names too few or too many distinct cells")
    refuse(have[:, 1:] & ~have[:, :-1], names, "its cells come after a gap")
    row, column = np.nonzero(have)
    elsewhere = np.zeros(have.shape, np.bool_)
    elsewhere[row, column] = cells.host[own[row, column]] != items.host0[row]
    refuse(elsewhere, names, "sits on a cell of another host")


def check_where(where: Where, hosts: Hosts, items: Items) -> None:
    """Rows of eligibility, domains and groups speak of what there is."""
    _in_range(where.item_eligible, 0, len(where.excluded), "the eligibility row", items.names)
    if len(where.rule_names) > 32:
        raise ProblemError("at most 32 eligibility rules can be told apart")
    if where.excluded.size and int(where.excluded.max()) >> len(where.rule_names):
        raise ProblemError("where.excluded uses a bit without a rule name")
    if where.domain.shape != (len(where.keys), len(hosts)):
        raise ProblemError("where.domain needs a row per key and a column per host")
    for key, row, names in zip(where.keys, where.domain, where.domain_names, strict=True):
        if row.size and (row.min() < -1 or row.max() >= len(names)):
            raise ProblemError(f"key {key!r}: a domain number has no name")
    for group, name in zip(range(len(where.groups)), where.group_names, strict=True):
        members = where.groups[group]
        if members.size and (members.min() < 0 or members.max() >= len(items)):
            raise ProblemError(f"group {name!r}: lists an item that does not exist")
        if len(np.unique(members)) != len(members):
            raise ProblemError(f"group {name!r}: lists an item twice")


def check_limits(limits: Limits, where: Where) -> None:
    """Kinds, keys, groups and bounds that exist."""
    groups = len(where.groups)
    _in_range(limits.kind, 0, 4, "the limit kind", limits.names)
    _in_range(limits.key, -1, len(where.keys), "the topology key", limits.names)
    _in_range(limits.subject, 0, groups, "the subject group", limits.names)
    _in_range(limits.counted, 0, groups, "the counted group", limits.names)
    _in_range(limits.host_set, -1, len(where.host_sets), "the host set", limits.names)
    for row in np.flatnonzero((limits.key < 0) & (limits.kind != 0)):
        raise ProblemError(f"limit {limits.names[row]!r}: only MAX may span the whole cluster")
    for row in np.flatnonzero((limits.kind == 1) & (limits.bound < 1)):
        raise ProblemError(f"limit {limits.names[row]!r}: a skew bound must be at least 1")
    for row in np.flatnonzero((limits.bound < 0) | (limits.min_domains < 0)):
        raise ProblemError(f"limit {limits.names[row]!r}: the bound or min_domains is negative")


def check_disturbance(
    hosts: Hosts, items: Items, budgets: Budgets, inflight: Inflight, most: Mapping[str, int]
) -> None:
    """Throttles, budgets, moves in flight, and whole numbers in `most` that bound moves."""
    _in_range(hosts.moves_in, -1, LARGEST, "the limit of moves in", hosts.names)
    _in_range(hosts.moves_out, -1, LARGEST, "the limit of moves out", hosts.names)
    for what, value in most.items():
        if not -1 <= value <= LARGEST:
            raise ProblemError(f"{what} is {value}; give 0 or more, or -1 for no limit")
    for budget, name in enumerate(budgets.names):
        members = budgets.groups[budget]
        if members.size and (members.min() < 0 or members.max() >= len(items)):
            raise ProblemError(f"budget {name!r}: lists an item that does not exist")
        if len(np.unique(members)) != len(members):
            raise ProblemError(f"budget {name!r}: lists an item twice")
    _in_range(inflight.item, 0, len(items), "the item of a move in flight")
    _in_range(inflight.source, 0, len(hosts), "the source of a move in flight")
    for i, source in zip(inflight.item, inflight.source, strict=True):
        name = items.names[i][:80]
        if items.movable[i] or items.host0[i] < 0:
            raise ProblemError(f"{name!r}: a move in flight must be pinned to its target")
        if source == items.host0[i]:
            raise ProblemError(f"{name!r}: a move in flight comes from its own target")
    if len(np.unique(inflight.item)) != len(inflight):
        raise ProblemError("an item is in flight twice")


def check_objective(objective: Sequence[Level], tiers: int, cells: Cells) -> None:
    """Every level has terms, of tiers and resources that exist."""
    for level in objective:
        if not level.terms:
            raise ProblemError(f"objective level {level.name!r}: it has no terms")
        others = any(term.kind is not TermKind.FRAGMENTS for term in level.terms)
        if level.goal < 0 or (level.goal and others):
            raise ProblemError(
                f"objective level {level.name!r}: a goal must be 0 or more, and above 0 only where "
                "all terms count fragments"
            )
        for term in level.terms:
            if term.weight < 1:
                raise ProblemError(f"objective level {level.name!r}: a weight must be positive")
            if not -1 <= term.tier < max(tiers, 1):
                raise ProblemError(
                    f"objective level {level.name!r}: tier {term.tier} does not exist"
                )
            if term.kind is TermKind.FRAGMENTS and not (
                term.size > 0 and term.cells > 0 and 0 <= term.resource < len(cells.resources)
            ):
                raise ProblemError(
                    f"objective level {level.name!r}: no such cell resource, size or cells"
                )


def check_values(objective: Sequence[Level], hosts: Hosts, cells: Cells, items: Items) -> None:
    """Levels whose values stay within 64 bits, with room to add some up."""
    most = {
        TermKind.UNPLACED: sum(items.weight.tolist()),
        TermKind.HOST_COST: sum(hosts.cost.tolist()),
    }
    for level in objective:
        total = 0
        for term in level.terms:
            if term.kind is TermKind.FRAGMENTS:
                free = int(cells.capacity[:, term.resource].sum())
                worth = min(free, len(cells) * (term.size - 1)) if term.cells == 1 else free
            else:
                worth = most.get(term.kind, len(items))
            total += term.weight * worth
        if total > LARGEST_VALUE:
            raise ProblemError(
                f"objective level {level.name!r}: it may add up to more than 2**60; smaller "
                "weights of its terms and of items, and smaller costs of hosts, say the same"
            )
