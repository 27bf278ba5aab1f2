"""An answer as rows."""

from __future__ import annotations

from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import Cells, Evict, Hosts, Items, PlacementProblem
from optsched.report.summary import (
    TierRow,
    alike,
    level_rows,
    level_words,
    needs,
    summarize,
    verdict,
)
from optsched.result import LevelValue, Result


def test_counts(small_cluster: PlacementProblem, answer: Result) -> None:
    """What was pending, placed, moved and left is counted, in all and by tier."""
    told = summarize(small_cluster, answer.plan)
    assert (told.pending_before, told.placed, told.moved, told.evicted) == (2, 1, 1, 0)
    assert told.tiers == (
        TierRow("gold", items=3, pending=1, placed=1, left=0, moved=0, evicted=0),
        TierRow("silver", items=3, pending=1, placed=0, left=1, moved=1, evicted=0),
    )


def test_moves(small_cluster: PlacementProblem, answer: Result) -> None:
    """Moves are named, in the order of the waves."""
    rows = summarize(small_cluster, answer.plan).moves
    assert [(row.wave, row.kind, row.item, row.source, row.target) for row in rows] == [
        (1, "move", "shop/cart-1", "node-1", "node-2"),
        (2, "place", "shop/wide", "", "node-1"),
    ]
    assert rows[0].owner == "shop/back"


def test_pending(small_cluster: PlacementProblem, answer: Result) -> None:
    """What stays without a host says what it needs and what is in the way."""
    (row,) = summarize(small_cluster, answer.plan).pending
    assert row.item == "shop/huge"
    assert row.needs == "9 cpu, 1 GiB memory"
    assert row.why == ("of 3 hosts 3 lack cpu (needs 9, at most 0 free); 1 is ruled out by taints")


def test_pending_items_that_are_alike() -> None:
    """Items that differ in name alone share a row of the text."""
    items = Items.of([[5], [6], [5]], names=["a", "b", "c"])
    problem = PlacementProblem.of(Hosts.of([[1]]), items)
    told = summarize(problem, Plan(problem.digest()))
    assert [row.item for row in alike(told.pending)] == ["a and 1 alike", "b"]


def test_evictions_and_cells() -> None:
    """An eviction and a change of cells are told from a move."""
    cells = Cells.of([0, 0], [[10], [10]], resources=["gpu_milli"])
    items = Items.of(
        [[0], [0]],
        host0=[0, 0],
        cells_needed=[1, 1],
        cell_demand=[[4], [5]],
        cells0=[[0], [1]],
    )
    problem = PlacementProblem.of(Hosts.of([[1]]), items, cells=cells, evict=Evict.ANY)
    moves = (Move(0, 0, 0, (1,)), Move(1, 0, -1))
    told = summarize(problem, Plan(problem.digest(), Order.WAVES, (Wave(moves),)))
    assert [row.kind for row in told.moves] == ["cells", "evict"]
    assert (told.moved, told.evicted) == (1, 1)
    assert needs(problem, 0) == "1 cell of 0.004 gpu"


def test_levels(small_cluster: PlacementProblem, answer: Result) -> None:
    """Levels at which nothing is, was or could be are left out, tiers are named."""
    assert [row[:6] for row in level_rows(small_cluster, answer.levels)] == [
        ("unplaced, gold", "0", "0", "1", "0 %", "proven"),
        ("unplaced, silver", "1", "1", "1", "0 %", "proven"),
        ("moved, silver", "1", "0", "0", "-", "open"),
    ]
    assert level_words(small_cluster, "host_cost") == "cost of hosts in use"
    assert level_words(small_cluster, "unplaced[7]") == "unplaced[7]"


def test_gap_is_shown(small_cluster: PlacementProblem) -> None:
    """A level with something attainable left shows the share."""
    (row,) = level_rows(small_cluster, [LevelValue("unplaced[0]", 3, 2, 6)])
    assert row[4:6] == ("25 %", "open")


def test_verdict(small_cluster: PlacementProblem, answer: Result) -> None:
    """The sentence says what happens and how sure it is."""
    told = summarize(small_cluster, answer.plan)
    assert verdict(told, answer) == (
        "1 of 2 pending items get a host, 1 moved; the best plan found, not proven optimal."
    )
