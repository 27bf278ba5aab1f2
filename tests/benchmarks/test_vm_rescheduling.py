"""The VM benchmark's other methods answer the question that ours answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.vm_rescheduling import tables
from benchmarks.vm_rescheduling.arms import FIRST, run
from benchmarks.vm_rescheduling.run import Part, _rows
from optsched.check import check
from optsched.generate.vm import snapshot
from optsched.plan import Order


@pytest.mark.parametrize("arm", ["HA", "random", "greedy", "per-VM"])
def test_plans_of_other_methods_hold(arm: str) -> None:
    """Every method keeps the rules and the limit of moves; none is better than the proven best."""
    problem = replace(snapshot(1, pms=12), max_moves=4)
    best = run("fragments", problem, Order.WAVES, 20.0, 2, 0)
    answer = run(arm, problem, Order.SAFE, 20.0, 2, 0)
    report = check(problem, answer.plan)
    assert not report.violations
    assert len(answer.plan.moves()) <= 4
    assert best.bound <= report.levels[0]


def test_both_exact_methods_agree() -> None:
    """A Boolean per VM and exchanges of classes prove the same number of fragments."""
    problem = replace(snapshot(2, pms=10), max_moves=3)
    ours = run("fragments", problem, Order.SAFE, 20.0, 2, 0)
    theirs = run("per-VM", problem, Order.SAFE, 30.0, 2, 0)
    assert theirs.status == "OPTIMAL"
    values = [check(problem, one.plan).levels[0] for one in (ours, theirs)]
    assert values == [ours.bound, theirs.bound]
    assert ours.bound == theirs.bound


def test_rows_become_a_table() -> None:
    """A part gives a row per snapshot, limit and method; all plans are replayed."""
    part = Part("medium-mixed", 1, (2,), arms=("fragments", "HA"), seconds=5.0)
    rows = list(_rows(part, 1))
    assert [row["arm"] for row in rows] == ["fragments", "HA"]
    assert all(row["replayed"] for row in rows)
    text = tables.page(rows, "header")
    assert "| medium-mixed | 1 | 279 |" in text


def test_first_plans_stand_beside_what_greedy_gains() -> None:
    """A call stopped at its first placement gives that placement's plan; the table shows both."""
    ordinary = Part("medium", 1, (20,), arms=("ours", "greedy", FIRST))
    rows = [*_rows(ordinary, 1), *_rows(replace(ordinary, arms=("ours",), seconds=0.3), 1)]
    ours, greedy, first, _ = rows
    told = [value for _, value in ours["incumbents"]]
    assert told == sorted(told, reverse=True)
    assert told[-1] == ours["after"] <= first["after"] < first["before"]
    assert first["after"] == first["incumbents"][0][1]
    assert greedy["before"] - first["after"] >= 0.8 * (greedy["before"] - greedy["after"])
    table = tables.page(rows, "header").partition("## First plans")[2]
    assert "| medium | 279 | 20 | safe | 1 |" in table
