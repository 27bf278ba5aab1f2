"""The problem's tables: defaults, digests, and refusals that name the object at fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from optsched.errors import ProblemError
from optsched.levels import Level, Term, TermKind
from optsched.problem import (
    Budgets,
    Cells,
    Hosts,
    Inflight,
    Items,
    Limit,
    LimitKind,
    PlacementProblem,
    Ragged,
    Where,
)


def two_hosts(items: Items | None = None, **options: Any) -> PlacementProblem:
    """Two hosts, one with a cell, and an item on each."""
    hosts = Hosts.of([[4], [4]], names=["n1", "n2"])
    items = items if items is not None else Items.of([[1], [1]], names=["web", "db"], host0=[0, 1])
    return PlacementProblem.of(hosts, items, **options)


def where(**options: Any) -> Where:
    """The tables of `two_hosts`, with a group of both items."""
    hosts, items = Hosts.of([[4], [4]]), Items.of([[1], [1]])
    return Where.of(hosts, items, **{"groups": [[0, 1]], "group_names": ["all"], **options})


def limited(**options: Any) -> PlacementProblem:
    """`two_hosts` with one limit, called "one each"."""
    row = {"kind": LimitKind.MAX, "key": 0, "subject": 0, "counted": 0, **options}
    return two_hosts(where=where(), limits=[Limit(**row, name="one each")])


def leveled(*terms: Term) -> PlacementProblem:
    """`two_hosts` with one level, called "goal"."""
    return two_hosts(objective=(Level("goal", terms),))


def celled(**options: Any) -> PlacementProblem:
    """Two hosts with two cells each; "vm" sits on cells of the first."""
    vm = {"names": ["vm"], "cells_needed": [2], "cell_demand": [[1]], "host0": [0], **options}
    hosts = Hosts.of([[4], [4]])
    cells = Cells.of([0, 0, 1, 1], [[2]] * 4)
    return PlacementProblem.of(hosts, Items.of([[1]], **vm), cells=cells)


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "negative capacity": (lambda: Hosts.of([[1], [-1]], names=["a", "b"]), "'b': a capacity is"),
    "negative fixed use": (lambda: Hosts.of([[1]], fixed_use=[[-1]]), "'host0': a fixed use is"),
    "negative cost": (lambda: Hosts.of([[1]], cost=[-1]), "'host0': the host cost is negative"),
    "two hosts of a name": (lambda: Hosts.of([[1], [1]], names=["a", "a"]), "'a': the name is use"),
    "too few names": (lambda: Hosts.of([[1], [1]], names=["a"]), "2 hosts need 2 names, not 1"),
    "long name": (lambda: Hosts.of([[1]], names=["x" * 70_000]), "70,000 characters"),
    "fractions": (lambda: Hosts.of([[1.5]]), "capacity: integers are needed"),
    "ragged rows": (lambda: Hosts.of([1, 2]), "capacity: needs one row for each of 2"),
    "negative demand": (lambda: Items.of([[-1]], names=["web"]), "'web': a demand is negative"),
    "no weight": (lambda: Items.of([[1]], weight=0), "'item0': the weight must be at least 1"),
    "cells out of order": (lambda: Cells.of([1, 0], [[1], [1]]), "host by host"),
    "unknown kind of cell": (lambda: Cells.of([0], [[1]], kind=[1]), "unknown kind"),
    "negative cell": (lambda: Cells.of([0], [[-1]]), "a cell has a negative capacity"),
    "negative budget": (lambda: Budgets.of([[0]], [-1], names=["pdb"]), "'pdb': a budget cannot"),
    "unknown host": (
        lambda: two_hosts(Items.of([[1]], names=["web"], host0=[2])),
        "'web': host0 is outside -1..1",
    ),
    "unknown tier": (
        lambda: two_hosts(Items.of([[1]], names=["web"], tier=[1]), tiers=("only",)),
        "'web': the tier is outside 0..0",
    ),
    "unknown gang": (lambda: two_hosts(Items.of([[1]], gang=0), gangs=()), "the gang is outside"),
    "unknown owner": (
        lambda: two_hosts(Items.of([[1]], owner=0), owners=()),
        "the owner is outside",
    ),
    "unknown reason": (lambda: two_hosts(Items.of([[1]], pinned_by=0)), "the pin reason is"),
    "other resources": (lambda: two_hosts(Items.of([[1, 1]])), "demand has 2 columns for 1"),
    "absurd size": (
        lambda: two_hosts(Items.of([[1 << 54]], names=["web"])),
        "'web': a demand above 2**53 is absurd",
    ),
    "absurd sum": (
        lambda: two_hosts(Items.of([[1 << 53]] * 600)),
        "add up to more than 2**62",
    ),
    "absurd room": (
        lambda: PlacementProblem.of(Hosts.of([[1 << 53]] * 600), Items.of([[1]])),
        "the hosts' capacities add up to more than 2**62",
    ),
    "absurd weights": (
        lambda: two_hosts(Items.of([[1]] * 200, weight=1 << 53)),
        "objective level 'unplaced[0]': it may add up to more than 2**60",
    ),
    "absurd weight of a term": (
        lambda: two_hosts(
            Items.of([[1]] * 2, host0=0, weight=1 << 40),
            objective=(Level("all", (Term(TermKind.UNPLACED, 1 << 20),)),),
        ),
        "objective level 'all': it may add up to more than 2**60",
    ),
    "tables for others": (
        lambda: two_hosts(Items.of([[1]]), where=where()),
        "for other hosts or items",
    ),
    "excluded without a name": (
        lambda: two_hosts(where=where(excluded=[[0, 2]])),
        "a bit without a rule name",
    ),
    "domain without a name": (
        lambda: two_hosts(where=where(keys=["zone"], domain=[[0, 1]], domain_names=[["a"]])),
        "key 'zone': a domain number has no name",
    ),
    "key twice": (
        lambda: two_hosts(where=where(keys=["host"], domain=[[0, 1]])),
        "topology key 'host': the name is used twice",
    ),
    "group of strangers": (
        lambda: two_hosts(where=where(groups=[[2]])),
        "'all': lists an item that does not exist",
    ),
    "group lists twice": (
        lambda: two_hosts(where=where(groups=[[1, 1]])),
        "'all': lists an item twice",
    ),
    "limit on no key": (lambda: limited(key=3), "'one each': the topology key is outside -1..0"),
    "limit on no group": (lambda: limited(counted=1), "'one each': the counted group is outside"),
    "limit on no set": (lambda: limited(host_set=0), "'one each': the host set is outside"),
    "skew over all": (
        lambda: limited(kind=LimitKind.SKEW, key=-1, bound=1),
        "'one each': only MAX may span",
    ),
    "skew of nothing": (lambda: limited(kind=LimitKind.SKEW), "'one each': a skew bound must be"),
    "negative bound": (lambda: limited(bound=-1), "'one each': the bound or min_domains is neg"),
    "budget of strangers": (
        lambda: two_hosts(budgets=Budgets.of([[7]], [1], names=["pdb"])),
        "'pdb': lists an item that does not exist",
    ),
    "budget lists twice": (
        lambda: two_hosts(budgets=Budgets.of([[0, 0]], [1], names=["pdb"])),
        "'pdb': lists an item twice",
    ),
    "flight of a movable": (
        lambda: two_hosts(inflight=Inflight.of([0], [1])),
        "'web': a move in flight must be pinned",
    ),
    "flight from its target": (
        lambda: two_hosts(
            Items.of([[1]], names=["web"], host0=[0], movable=False), inflight=Inflight.of([0], [0])
        ),
        "'web': a move in flight comes from its own target",
    ),
    "flight twice": (
        lambda: two_hosts(
            Items.of([[1]], host0=[0], movable=False), inflight=Inflight.of([0, 0], [1, 1])
        ),
        "in flight twice",
    ),
    "max_moves": (lambda: two_hosts(max_moves=-2), "max_moves is -2; give 0 or more"),
    "level without terms": (lambda: leveled(), "'goal': it has no terms"),
    "level without weight": (lambda: leveled(Term(TermKind.MOVED, weight=0)), "'goal': a weight"),
    "level of no tier": (lambda: leveled(Term(TermKind.MOVED, tier=1)), "'goal': tier 1 does not"),
    "level of half a block": (
        lambda: leveled(Term(TermKind.FRAGMENTS, cells=0)),
        "'goal': no such cell resource, size or cells",
    ),
    "goal of moves": (
        lambda: two_hosts(objective=(Level("calm", (Term(TermKind.MOVED),), 3),)),
        "'calm': a goal must be",
    ),
    "goal below 0": (
        lambda: two_hosts(objective=(Level("calm", (Term(TermKind.MOVED),), -1),)),
        "'calm': a goal must be",
    ),
    "level of no cells": (lambda: leveled(Term(TermKind.FRAGMENTS)), "'goal': no such cell"),
    "too few cells": (lambda: celled(cells0=[[0, -1]]), "'vm': runs on a host but names too few"),
    "one cell twice": (lambda: celled(cells0=[[1, 1]]), "'vm': runs on a host but names too few"),
    "another host's cell": (lambda: celled(cells0=[[0, 2]]), "'vm': sits on a cell of another"),
    "unknown cell": (lambda: celled(cells0=[[0, 4]]), "'vm': a current cell is outside -1..3"),
    "cells while pending": (
        lambda: celled(host0=[-1], cells0=[[0, 1]]),
        "'vm': runs on a host but",
    ),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_tables_are_refused(case: str) -> None:
    """The error says which object is wrong, and how."""
    build, words = BAD[case]
    with pytest.raises(ProblemError) as refused:
        build()
    assert words in str(refused.value)


def test_defaults_are_filled_in() -> None:
    """Names, tiers, key 0 and the usual objective come by themselves."""
    items = Items.of([[1], [1]], tier=[0, 1], owner=[-1, 0], gang=[0, -1])
    problem = two_hosts(items)
    assert problem.where.keys == ("host",)
    assert problem.where.domain.tolist() == [[0, 1]]
    assert problem.tiers == ("tier 0", "tier 1")
    assert len(problem.owners) == len(problem.gangs) == 1
    assert [level.name for level in problem.objective][:3] == [
        "unplaced[0]",
        "evicted[0]",
        "moved[0]",
    ]


@pytest.mark.parametrize("hosts", [0, 1])
@pytest.mark.parametrize("items", [0, 1])
def test_nothing_is_a_problem_too(hosts: int, items: int) -> None:
    """No hosts, no items or neither make a valid problem."""
    problem = PlacementProblem.of(
        Hosts.of(np.ones((hosts, 1), int)), Items.of(np.ones((items, 1), int))
    )
    assert (len(problem.hosts), len(problem.items)) == (hosts, items)


def test_tables_cannot_be_changed() -> None:
    """Arrays are read-only and fields frozen."""
    problem = two_hosts()
    with pytest.raises(ValueError, match="read-only"):
        problem.items.demand[0, 0] = 9
    with pytest.raises(FrozenInstanceError):
        problem.max_moves = 1  # type: ignore[misc]


def test_tables_are_copies() -> None:
    """Changing the array that a table was made from does not change the table."""
    demand = np.ones((2, 1), np.int64)
    items = Items.of(demand)
    demand[0] = 9
    assert items.demand.tolist() == [[1], [1]]


def test_the_digest_tells_problems_apart() -> None:
    """Equal problems have equal digests; any other table, and not a warning, changes it."""
    problem = two_hosts()
    assert problem.digest() == two_hosts().digest()
    assert problem.digest() == problem.replace(warnings=("odd",)).digest()
    others = [
        problem.replace(max_moves=1),
        problem.replace(name="other"),
        two_hosts(Items.of([[1], [2]], names=["web", "db"], host0=[0, 1])),
        two_hosts(Items.of([[1], [1]], names=["web", "dc"], host0=[0, 1])),
        two_hosts(budgets=Budgets.of([[0]], [1])),
    ]
    assert len({one.digest() for one in [problem, *others]}) == 6


def test_ragged_lists_keep_their_lengths() -> None:
    """Lists stored end to end come back as they were, empty ones too."""
    lists = Ragged.of([[3, 1], [], [2]])
    assert [lists[k].tolist() for k in range(len(lists))] == [[3, 1], [], [2]]
    with pytest.raises(IndexError):
        _ = lists[3]
