"""The VM benchmark's other methods answer the question that ours answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from benchmarks.vm_rescheduling import dynamic, tables
from benchmarks.vm_rescheduling.arms import FIRST, run
from benchmarks.vm_rescheduling.run import SUITE, Part, _asked, _rows, _value
from optsched.check import check
from optsched.generate.vm import snapshot
from optsched.plan import Order, Plan


@pytest.mark.parametrize("arm", ["HA", "random", "greedy", "per-VM"])
def test_plans_of_other_methods_hold(arm: str) -> None:
    """Every method keeps the rules and the limit of moves; none is better than the proven best."""
    problem = replace(snapshot(1, pms=12), max_moves=4)
    best = run("fragments", problem, Order.WAVES, 20.0, 2, 0)
    answer = run(arm, problem, Order.SAFE, 20.0, 2, 0)
    report = check(problem, answer.plan)
    assert not report.violations
    assert len(answer.plan.moves()) <= 4
    assert best.bound is not None
    assert best.bound <= report.levels[0] == answer.value


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
    assert [row["order"] for row in rows] == ["safe", "waves"]
    assert all(row["replayed"] for row in rows)
    text = tables.page(rows, "header")
    assert "| medium-mixed | fr16 | 1 | 279 |" in text


def test_replays_hold_a_method_to_what_it_says() -> None:
    """A value that is not that of the plan is seen, for other rates too."""
    part = Part("medium", 1, (3,), ("safe", "waves"), ("ours",), 0.5, "fr16,mem64")
    safe, waves = _rows(part, 1)
    assert safe["replayed"]
    assert waves["replayed"]
    assert safe["objective"] == "fr16,mem64"
    problem = replace(snapshot(1, pms=12), max_moves=3)
    answer = run("ours", problem, Order.SAFE, 5.0, 1, 0)
    assert _value(problem, answer)["replayed"]
    assert not _value(problem, replace(answer, value=answer.value - 16))["replayed"]


def test_the_suite_asks_nothing_twice() -> None:
    """Every question of it is one snapshot of one row of the page."""
    asked = [
        (part.kind, seed, moves, part.objective, part.seconds, *pair)
        for part in SUITE
        for seed, moves, pair in product(range(part.seeds), part.moves, _asked(part))
    ]
    assert len(asked) == len(set(asked))


def row(**changes: Any) -> dict[str, Any]:
    """A row of the benchmark that is half way to a bound of nothing."""
    usual: dict[str, Any] = {
        "kind": "medium", "objective": "fr16", "seed": 0, "pms": 1, "vms": 2, "mnl": 5,
        "order": "safe", "arm": "ours", "limit": 1.0, "seconds": 0.1, "incumbents": [],
        "status": "feasible", "load": 0.5, "free": 100, "before": 40, "after": 20, "bound": 0,
        "moves": 1, "violations": 0, "replayed": True,
    }  # fmt: skip
    return usual | changes


def cells(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The lines of the first table, by the names of its columns."""
    head, _, *body = tables.lines(rows).strip().splitlines()
    names = [one.strip() for one in head.strip("|").split("|")]
    return [
        dict(zip(names, (one.strip() for one in line.strip("|").split("|")), strict=True))
        for line in body
    ]


def test_a_snapshot_counts_once() -> None:
    """What two parts of a run both solve is one of the n, and the first one's."""
    (line,) = cells([row(), row(seed=1), row(after=40), row(seed=1, after=40)])
    assert (line["n"], line["gap"]) == ("2", "0.500")


def test_mean_gaps_count_every_row() -> None:
    """Bounds of nothing are bounds; where nothing is attainable the gap is 0."""
    rows = [row(), row(seed=1, before=20, bound=20), row(seed=2, after=0)]
    (line,) = cells(rows)
    assert line["gap"] == f"{0.5 / 3:.3f}"
    assert line["proven"] == "2 of 3"
    assert line["FR bound"] == f"{0.2 / 3:.4f}"


def test_a_method_without_bounds_is_measured_by_the_best_one() -> None:
    """Of the same snapshot, limit and order; without any there is no gap to tell."""
    rows = [row(bound=10), row(arm="HA", order="waves", bound=None), row(arm="greedy", bound=None)]
    rows.append(row(limit=0.05, bound=4))
    lines = {(line["method"], line["limit s"]): line for line in cells(rows)}
    assert lines["greedy", "1"]["gap"] == f"{1 / 3:.3f}"
    assert lines["greedy", "1"]["FR bound"] == lines["greedy", "1"]["proven"] == ""
    assert lines["HA", "1"]["gap"] == ""
    assert lines["ours", "0.05"]["gap"] == f"{16 / 36:.3f}"


def test_a_late_plan_is_worth_what_is_left_of_it() -> None:
    """Nothing happens at once; later all methods see the same cluster, and moves are skipped."""
    problem = replace(snapshot(0, pms=30), max_moves=10)
    answer = run("ours", problem, Order.SAFE, 5.0, 1, 0)
    stay, churn = Plan(problem.digest(), Order.SAFE), dynamic.Churn.of(problem, 0.1, 0.1)
    now, soon, later = dynamic.later(problem, (0.0, 60.0, 600.0), churn, 3)
    free = sum(max(cell[0], 0) for cell in now.free.tolist())
    assert dynamic.applied(now, answer.plan) == pytest.approx(answer.value / free)
    assert dynamic.rate(now) == dynamic.applied(now, stay)
    (again,) = dynamic.later(problem, (600.0,), churn, 3)
    assert (again.free == later.free).all()
    gains = [dynamic.rate(one) - dynamic.applied(one, answer.plan) for one in (now, soon, later)]
    assert gains[0] > gains[1] > gains[2]
    gone = {at for at, own in enumerate(later.cells[: len(problem.items)]) if not own}
    assert {move.item for move in answer.plan.moves()} & gone
    assert len(later.shapes) > len(soon.shapes) > len(problem.items)


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
