"""The paper's instances, the emulated scheduler and the scores, against published figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pod_packing import arms, tables
from benchmarks.pod_packing.default_scheduler import DETERMINISTIC, place
from benchmarks.pod_packing.instances import Cell, generated, shipped
from optsched.generate.paper import instance, problem
from optsched.levels import tier_order

CELLS = [Cell(8, 4, 4, 95), Cell(8, 8, 4, 95), Cell(16, 8, 4, 95), Cell(32, 4, 4, 95)]


@pytest.mark.parametrize("cell", [*CELLS, Cell(32, 8, 4, 95)], ids=str)
def test_generator_draws_the_shipped_instances(
    cell: Cell, data_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a shipped file checks every pod; node sizes are equal, and the placement is valid."""
    import json

    monkeypatch.setenv("OPTSCHED_DATA", str(data_path("")))
    name = f"n{cell.nodes}_ppn{cell.ppn}_prio{cell.priorities}_util{cell.usage:03d}.json"
    entries = json.loads(data_path(f"priority-matters/placements/{name}").read_text())
    starts = list(shipped(cell, "5"))
    assert len(starts) == 5
    for start, entry in zip(starts, entries, strict=True):
        drawn = start.drawn
        assert (drawn.node_cpu, drawn.node_memory) == (entry["node_cpu_m"], entry["node_mem_b"])
        assert _overloaded(start.drawn.demand(), start.host, drawn.node_cpu, drawn.node_memory) == 0


@pytest.mark.parametrize(
    ("seed", "cell", "left"),
    [
        (484806185843093489, Cell(8, 4, 1, 100), {"rs-08-p1": 3, "rs-10-p1": 2}),
        (4219457405427907235, Cell(8, 4, 1, 100), {"rs-11-p1": 2, "rs-12-p1": 1, "rs-13-p1": 1}),
        (484806185843093489, Cell(8, 4, 4, 95), {"rs-06-p2": 1, "rs-09-p2": 1}),
        (4219457405427907235, Cell(8, 4, 4, 95), {"rs-08-p1": 1, "rs-11-p1": 2}),
    ],
)
@pytest.mark.parametrize("ties", range(3))
def test_emulated_scheduler_leaves_the_published_pods_pending(
    seed: int, cell: Cell, left: dict[str, int], ties: int
) -> None:
    """The paper's default runs, with and without preemption, whatever the ties."""
    drawn = instance(seed, cell.nodes, cell.ppn, cell.priorities, cell.usage)
    host = place(drawn, seed=ties)
    names = [drawn.replica_sets[owner].name for owner in drawn.owner()[host < 0]]
    assert Counter(names) == left


@pytest.mark.parametrize("seed", range(5))
def test_emulated_scheduler_respects_room_and_priorities(seed: int) -> None:
    """No node is overloaded, and no pod pends for which a lower one could go."""
    drawn = instance(seed, 4, 4, 4, 105)
    host = place(drawn, seed=seed)
    assert _overloaded(drawn.demand(), host, drawn.node_cpu, drawn.node_memory) == 0
    capacity = np.array([drawn.node_cpu, drawn.node_memory])
    demand, priority = drawn.demand(), drawn.priority()
    for pod in np.flatnonzero(host < 0):
        for node in range(drawn.nodes):
            stay = (host == node) & (priority >= priority[pod])
            assert (demand[stay].sum(axis=0) + demand[pod] > capacity).any()


def test_selected_seeds_leave_a_pod_pending_without_preemption() -> None:
    """At 90 % only seeds are kept for which the deterministic run fails."""
    starts = list(generated(Cell(4, 4, 2, 90), "3"))
    assert len(starts) == 3
    assert all((place(start.drawn, DETERMINISTIC) < 0).any() for start in starts)


@pytest.mark.parametrize(
    ("status", "placed", "pending", "expected"),
    [
        ("OPTIMAL", (3, 2), 0, "No Calls"),
        ("OPTIMAL", (3, 2), 1, "KWOK Optimal"),
        ("OPTIMAL", (4, 0), 1, "Better&Optimal"),
        ("OPTIMAL", (3, 1), 1, "Failure"),
        ("FEASIBLE", (3, 3), 1, "Better"),
        ("FEASIBLE", (3, 2), 1, "Failure"),
        ("UNKNOWN", (3, 3), 1, "Failure"),
    ],
)
def test_categories_are_the_papers(
    status: str, placed: tuple[int, ...], pending: int, expected: str
) -> None:
    """Running pods are compared by priority, highest first."""
    assert arms.category(status, placed, (3, 2), pending) == expected


def test_objective_with_the_papers_cost_weighs_moves_double() -> None:
    """Each tier has one disturbance level after its placement level."""
    names = [level.name for level in arms.objective("tier", "paper", 2)]
    assert names == ["unplaced[0]", "disturbed[0]", "unplaced[1]", "disturbed[1]"]
    assert arms.objective("tier", "own", 2) == tier_order(2)


def test_an_arm_that_fails_is_an_outcome() -> None:
    """An unknown solver does not end a run."""
    asked = problem(instance(1, 2, 2, 1, 100))
    outcome = arms.run("no such solver", asked, 1.0, 1)
    assert outcome.status == "ERROR"
    assert "no such solver" in str(outcome.detail["error"])


def test_page_reports_where_ours_is_worse() -> None:
    """A row that places less than the paper's model is named."""
    common = {
        "instance": "n4",
        "window": 1.0,
        "nodes": 4,
        "ppn": 4,
        "priorities": 1,
        "usage": 100,
        "status": "FEASIBLE",
        "category": "Better",
        "seconds": 0.5,
        "load": 0.5,
        "pods": 4,
        "default": [2],
        "evicted": [0],
        "moved": [1],
    }
    rows = [
        {**common, "arm": "paper", "placed": [4], "values": [0, 1]},
        {**common, "arm": "counts", "placed": [3], "values": [1, 0]},
        {**common, "arm": "greedy", "placed": [4], "values": [0, 0]},
    ]
    page = tables.page(rows, {})
    assert "- WORSE in all levels: n4" in page
    assert "| ours (counts) | 1 | placed per tier | 1 | 0 | 0 | 1 |" in page
    assert "| ours (greedy) | 1 | placed per tier | 1 | 0 | 1 | 0 |" in page
    assert "| ours (greedy) | 1 | all levels | 1 | 1 | 0 | 0 |" in page


def _overloaded(demand: np.ndarray, host: np.ndarray, cpu: int, memory: int) -> int:
    use = np.zeros((int(host.max()) + 1, 2), np.int64)
    np.add.at(use, host[host >= 0], demand[host >= 0])
    return int((use > [cpu, memory]).any(axis=1).sum())
