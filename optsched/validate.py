"""Cross-table checks of a `PlacementProblem`: every index points somewhere, every shape agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .arrays import check_names, refuse
from .errors import ProblemError
from .levels import TermKind

if TYPE_CHECKING:
    from .arrays import Bools, Ints
    from .problem import PlacementProblem

# Sums over all items must stay far from the int64 edge, or capacity checks would wrap around.
LARGEST = 1 << 53


def validate(problem: PlacementProblem) -> None:
    """Raise ProblemError, naming the object, if the tables contradict each other."""
    _check_shapes(problem)
    _check_names(problem)
    _check_sizes(problem)
    _check_items(problem)
    _check_where(problem)
    _check_limits(problem)
    _check_rest(problem)


def _in_range(values: Ints, low: int, high: int, what: str, names: tuple[str, ...] = ()) -> None:
    bad: Bools = (values < low) | (values >= high)
    if bad.any():
        at = int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))
        subject = f"{names[at][:80]!r}: " if names else f"row {at}: "
        raise ProblemError(f"{subject}{what} is outside {low}..{high - 1}")


def _check_shapes(p: PlacementProblem) -> None:
    count = len(p.resources)
    for have, what in (
        (p.hosts.capacity.shape[1], "hosts.capacity"),
        (p.items.demand.shape[1], "items.demand"),
        (len(p.when), "when"),
    ):
        if have != count:
            raise ProblemError(f"{what} has {have} columns for {count} resources")
    if p.items.cell_demand.shape[1] != p.cells.capacity.shape[1]:
        raise ProblemError("items.cell_demand and cells.capacity have different cell resources")
    if len(p.where.item_eligible) != len(p.items) or p.where.excluded.shape[1] != len(p.hosts):
        raise ProblemError("the tables in `where` are for other hosts or items")
    _in_range(p.cells.host, 0, len(p.hosts), "the host of a cell")


def _check_names(p: PlacementProblem) -> None:
    for names, what in (
        (p.resources, "resource"),
        (p.cells.resources, "cell resource"),
        (p.cells.kinds, "cell kind"),
        (p.pin_reasons, "pin reason"),
        (p.where.rule_names, "eligibility rule"),
        (p.where.keys, "topology key"),
    ):
        check_names(names, what)
    for key, names in zip(p.where.keys, p.where.domain_names, strict=True):
        check_names(names, f"domain of {key!r}")


def _check_sizes(p: PlacementProblem) -> None:
    on_cell = tuple(p.hosts.names[h] for h in p.cells.host)
    for table, names, what in (
        (p.hosts.capacity, p.hosts.names, "capacity"),
        (p.hosts.fixed_use, p.hosts.names, "fixed use"),
        (p.hosts.cost, p.hosts.names, "cost"),
        (p.cells.capacity, on_cell, "cell capacity"),
        (p.cells.fixed_use, on_cell, "fixed use of a cell"),
        (p.items.demand, p.items.names, "demand"),
        (p.items.cell_demand, p.items.names, "cell demand"),
        (p.items.weight, p.items.names, "weight"),
        (p.limits.bound, p.limits.names, "bound"),
        (p.limits.min_domains, p.limits.names, "number of domains"),
        (p.budgets.allowed, p.budgets.names, "budget"),
    ):
        if table.size and int(table.max()) > LARGEST:
            at = int(np.argmax(table.reshape(len(table), -1).max(axis=1)))
            raise ProblemError(
                f"{names[at][:80]!r}: a {what} above 2**53 is absurd; check its unit"
            )
    if (
        len(p.items)
        and float(p.items.demand.astype(np.float64).sum(axis=0).max(initial=0)) > 2.0**62
    ):
        raise ProblemError("the items' demands add up to more than 2**62; use a coarser unit")


def _check_items(p: PlacementProblem) -> None:
    items, names = p.items, p.items.names
    _in_range(items.host0, -1, len(p.hosts), "host0", names)
    _in_range(items.tier, 0, max(len(p.tiers), 1), "the tier", names)
    _in_range(items.owner, -1, len(p.owners), "the owner", names)
    _in_range(items.gang, -1, len(p.gangs), "the gang", names)
    _in_range(items.pinned_by, -1, len(p.pin_reasons), "the pin reason", names)
    _in_range(items.cell_kind, -1, len(p.cells.kinds), "the cell kind", names)
    if not items.cells_needed.any():
        return
    _in_range(items.cells0, -1, len(p.cells), "a current cell", names)
    cells, have = items.cells0, items.cells0 >= 0
    want = np.where(items.host0 >= 0, items.cells_needed, 0)
    ordered = np.sort(np.where(have, cells, -1 - np.arange(cells.shape[1])), axis=1)
    wrong: Bools = (have.sum(axis=1) != want) | (np.diff(ordered, axis=1) == 0).any(axis=1)
    refuse(wrong, names, "runs on a host but names too few or too many distinct cells")
    refuse(have[:, 1:] & ~have[:, :-1], names, "its cells come after a gap")
    row, column = np.nonzero(have)
    elsewhere = np.zeros(have.shape, np.bool_)
    elsewhere[row, column] = p.cells.host[cells[row, column]] != items.host0[row]
    refuse(elsewhere, names, "sits on a cell of another host")


def _check_where(p: PlacementProblem) -> None:
    where = p.where
    _in_range(where.item_eligible, 0, len(where.excluded), "the eligibility row", p.items.names)
    if len(where.rule_names) > 32:
        raise ProblemError("at most 32 eligibility rules can be told apart")
    if where.excluded.size and int(where.excluded.max()) >> len(where.rule_names):
        raise ProblemError("where.excluded uses a bit without a rule name")
    if where.domain.shape != (len(where.keys), len(p.hosts)):
        raise ProblemError("where.domain needs a row per key and a column per host")
    for key, row, names in zip(where.keys, where.domain, where.domain_names, strict=True):
        if row.size and (row.min() < -1 or row.max() >= len(names)):
            raise ProblemError(f"key {key!r}: a domain number has no name")
    for group, name in zip(range(len(where.groups)), where.group_names, strict=True):
        members = where.groups[group]
        if members.size and (members.min() < 0 or members.max() >= len(p.items)):
            raise ProblemError(f"group {name!r}: lists an item that does not exist")
        if len(np.unique(members)) != len(members):
            raise ProblemError(f"group {name!r}: lists an item twice")


def _check_limits(p: PlacementProblem) -> None:
    limits, groups = p.limits, len(p.where.groups)
    _in_range(limits.kind, 0, 4, "the limit kind", limits.names)
    _in_range(limits.key, -1, len(p.where.keys), "the topology key", limits.names)
    _in_range(limits.subject, 0, groups, "the subject group", limits.names)
    _in_range(limits.counted, 0, groups, "the counted group", limits.names)
    _in_range(limits.host_set, -1, len(p.where.host_sets), "the host set", limits.names)
    for row in np.flatnonzero((limits.key < 0) & (limits.kind != 0)):
        raise ProblemError(f"limit {limits.names[row]!r}: only MAX may span the whole cluster")
    for row in np.flatnonzero((limits.kind == 1) & (limits.bound < 1)):
        raise ProblemError(f"limit {limits.names[row]!r}: a skew bound must be at least 1")
    for row in np.flatnonzero((limits.bound < 0) | (limits.min_domains < 0)):
        raise ProblemError(f"limit {limits.names[row]!r}: the bound or min_domains is negative")


def _check_rest(p: PlacementProblem) -> None:
    _in_range(p.hosts.moves_in, -1, LARGEST, "the limit of moves in", p.hosts.names)
    _in_range(p.hosts.moves_out, -1, LARGEST, "the limit of moves out", p.hosts.names)
    for value, what in ((p.max_moves, "max_moves"), (p.owner_at_once, "owner_at_once")):
        if not -1 <= value <= LARGEST:
            raise ProblemError(f"{what} is {value}; give 0 or more, or -1 for no limit")
    for budget, name in enumerate(p.budgets.names):
        members = p.budgets.groups[budget]
        if members.size and (members.min() < 0 or members.max() >= len(p.items)):
            raise ProblemError(f"budget {name!r}: lists an item that does not exist")
        if len(np.unique(members)) != len(members):
            raise ProblemError(f"budget {name!r}: lists an item twice")
    _in_range(p.inflight.item, 0, len(p.items), "the item of a move in flight")
    _in_range(p.inflight.source, 0, len(p.hosts), "the source of a move in flight")
    for i, source in zip(p.inflight.item, p.inflight.source, strict=True):
        name = p.items.names[i][:80]
        if p.items.movable[i] or p.items.host0[i] < 0:
            raise ProblemError(f"{name!r}: a move in flight must be pinned to its target")
        if source == p.items.host0[i]:
            raise ProblemError(f"{name!r}: a move in flight comes from its own target")
    if len(np.unique(p.inflight.item)) != len(p.inflight):
        raise ProblemError("an item is in flight twice")
    _check_objective(p)


def _check_objective(p: PlacementProblem) -> None:
    for level in p.objective:
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
            if not -1 <= term.tier < max(len(p.tiers), 1):
                raise ProblemError(
                    f"objective level {level.name!r}: tier {term.tier} does not exist"
                )
            if term.kind is TermKind.FRAGMENTS and not (
                term.size > 0 and term.cells > 0 and 0 <= term.resource < len(p.cells.resources)
            ):
                raise ProblemError(
                    f"objective level {level.name!r}: no such cell resource, size or cells"
                )
