"""Interchangeable items and hosts: count them instead of enumerating them.

Two items are of one class if no rule and no level of the objective can tell them apart once their
current hosts are forgotten; `count` says how many of a class sit on each host. Which items
stay, move or wait is decided by counts alone: of those of a class that run, as many as possible are
placed before pending ones, and on each host as many as possible stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import NONE, Bools, Ints, row_numbers
from .plan import Placement
from .problem import PlacementProblem, Scope


@dataclass(frozen=True)
class ItemClasses:
    """Classes of the items that a plan may place or move.

    Attributes
    ----------
    of_item
        (I,) class of each item; -1: the item is pinned to its host.
    first
        (K,) one item of each class.
    size, running
        (K,) items in the class, and how many of them have a host.
    """

    of_item: Ints
    first: Ints
    size: Ints
    running: Ints

    def __len__(self) -> int:
        return len(self.first)


def item_classes(problem: PlacementProblem) -> ItemClasses:
    """Group the movable and pending items of `problem`."""
    items = problem.items
    free = np.flatnonzero(items.movable | (items.host0 < 0))
    key = np.column_stack(
        [
            items.demand,
            items.cell_demand,
            items.cells_needed,
            items.cell_kind,
            items.tier,
            items.weight,
            items.gang,
            items.evictable,
            items.may_evict_others,
            items.lets_go_first,
            items.occupies,
            problem.where.item_eligible,
            _memberships(problem),
        ]
    )[free]
    of_free = row_numbers(key.astype(np.int64))
    first = np.zeros(int(of_free.max(initial=-1)) + 1, np.int64)
    first[of_free[::-1]] = np.arange(len(free))[::-1]
    # Number classes by their first item, so that the numbering follows the file.
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    of_item = np.full(len(items), NONE, np.int64)
    of_item[free] = rank[of_free]
    count = len(first)
    runs = free[items.host0[free] >= 0]
    return ItemClasses(
        of_item,
        free[np.sort(first)],
        np.bincount(of_item[free], minlength=count),
        np.bincount(of_item[runs], minlength=count),
    )


def _memberships(problem: PlacementProblem) -> Ints:
    """(I, 2) signatures of the groups an item is in, as far as limits and plan budgets use them."""
    limits, budgets = problem.limits, problem.budgets
    used = {*limits.subject.tolist(), *limits.counted.tolist()}
    lists = [problem.where.groups[g] for g in sorted(used)]
    lists += [budgets.groups[b] for b in np.flatnonzero(budgets.scope == Scope.PLAN).tolist()]
    # Sums of random 62-bit numbers: equal sets give equal sums, others collide with odds of 2^-120.
    marks = np.random.default_rng(0).integers(1 << 62, size=(len(lists), 2))
    signature = np.zeros((len(problem.items), 2), np.int64)
    for members, mark in zip(lists, marks, strict=True):
        signature[members] += mark
    return signature


def pinned_use(problem: PlacementProblem, classes: ItemClasses) -> Ints:
    """(H, R) what is used by anything but the items in classes."""
    items = problem.items
    use = problem.hosts.fixed_use.copy()
    pinned = np.flatnonzero((classes.of_item < 0) & (items.host0 >= 0))
    np.add.at(use, items.host0[pinned], items.demand[pinned])
    np.add.at(use, problem.inflight.source, items.demand[problem.inflight.item])
    return use


def eligible(problem: PlacementProblem, classes: ItemClasses) -> Bools:
    """(K, H) the hosts that a class may enter, as far as requirements and drains go."""
    rows = problem.where.item_eligible[classes.first]
    return np.asarray((problem.where.excluded[rows] == 0) & ~problem.hosts.drain)


def deal(
    problem: PlacementProblem, classes: ItemClasses, counts: Ints, lost: Ints | None = None
) -> Placement:
    """A placement with `counts` (K, H) items of each class on each host.

    `lost` (K, H) of those that leave a host are left without one (default: none if it can be
    helped). Of the others as many as possible stay; of the rest, those that run are placed before
    pending ones. Cells are not dealt.

    Raises
    ------
    ValueError
        A class would have more items placed than it has.
    """
    items = problem.items
    host = np.where(classes.of_item < 0, items.host0, NONE)
    members = np.argsort(classes.of_item, kind="stable")
    start = np.searchsorted(classes.of_item[members], np.arange(len(classes) + 1))
    for k in range(len(classes)):
        mine = members[start[k] : start[k + 1]]
        homes = items.host0[mine]
        now = np.bincount(homes[homes >= 0], minlength=len(problem.hosts))
        gone = np.zeros_like(now) if lost is None else np.minimum(lost[k], now)
        stay = np.minimum(counts[k], now - gone)
        room = counts[k] - stay
        waiting: list[int] = []
        for item, home in zip(mine.tolist(), homes.tolist(), strict=True):
            if home >= 0 and stay[home] > 0:
                stay[home] -= 1
                host[item] = home
            elif home >= 0 and gone[home] > 0:
                gone[home] -= 1
            elif home >= 0:
                waiting.append(item)
        waiting += mine[homes < 0].tolist()
        targets = np.repeat(np.arange(len(room)), room)
        if len(targets) > len(waiting):
            raise ValueError(f"class {k}: {counts[k].sum()} placed of {len(mine)}")
        host[waiting[: len(targets)]] = targets
    return Placement.of(problem, host)


def count(problem: PlacementProblem, classes: ItemClasses, placement: Placement) -> Ints:
    """(K, H) how many items of each class sit on each host in `placement`."""
    counts = np.zeros((len(classes), len(problem.hosts)), np.int64)
    placed = np.flatnonzero((classes.of_item >= 0) & (placement.host >= 0))
    np.add.at(counts, (classes.of_item[placed], placement.host[placed]), 1)
    return counts
