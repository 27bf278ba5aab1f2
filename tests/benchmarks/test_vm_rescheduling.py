"""The VM benchmark's other methods answer the question that ours answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.vm_rescheduling import tables
from benchmarks.vm_rescheduling.arms import run
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
