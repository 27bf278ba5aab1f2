"""VM snapshots: reproducible, valid, with the rates that the recipes are known for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from optsched.check import check_placement
from optsched.errors import ProblemError
from optsched.formats import read
from optsched.generate.known_fragments import known_fragments
from optsched.generate.vm import snapshot
from optsched.limits import LimitKind
from optsched.objective import cell_use, evaluate
from optsched.plan import Placement
from optsched.problem import Hosts, Items, PlacementProblem
from optsched.rates import Rate, rates


def rate(problem: PlacementProblem) -> Rate:
    """FR16 as it is now."""
    return rates(problem, Placement.current(problem))[0]


def room(problem: PlacementProblem) -> np.ndarray:
    """(C, 2) free cores and MiB."""
    return problem.cells.capacity - cell_use(problem, Placement.current(problem))


def test_a_seed_gives_one_snapshot() -> None:
    """Twice the same, another for another seed."""
    first = snapshot(3, pms=20)
    assert first.digest() == snapshot(3, pms=20).digest()
    assert first.digest() != snapshot(4, pms=20).digest()


@pytest.mark.parametrize(("load", "usage"), [("low", 0.70), ("middle", 0.80), ("high", 0.907)])
def test_loads_are_met(load: str, usage: float) -> None:
    """Insertion stops at the first VM that brings the cores in use to the load."""
    problem = snapshot(1, pms=60, load=load)
    assert (room(problem) >= 0).all()
    used = 1 - rate(problem).free / (60 * 88)
    assert usage - 1 / (60 * 88) <= used <= usage + 1 / 60


def test_the_drawn_medium_is_like_the_published_one() -> None:
    """279 PMs, about 2,000 VMs, an initial FR16 of about .55."""
    drawn = [snapshot(seed) for seed in range(8)]
    assert all(1900 <= len(one.items) <= 2200 for one in drawn)
    assert 0.45 <= np.mean([rate(one).share for one in drawn]) <= 0.65


def test_recipes_reproduce_the_published_rates(data_path: Callable[[str], Path]) -> None:
    """From the real base: calibrated at 25.5 %, and by deletion of 10 and 30 %."""
    base = read(data_path("vmr/reset_vm_pm_id_clear2.json"))
    usage = 1 - 2290 / (279 * 88)

    def mean(drop: float, refill: bool) -> float:
        draws = [
            snapshot(seed, base=base, drop=drop, usage=usage, refill=refill) for seed in range(8)
        ]
        return float(np.mean([rate(one).share for one in draws]))

    assert mean(0.255, True) == pytest.approx(0.5485, abs=0.06)
    assert mean(0.10, False) == pytest.approx(0.56, abs=0.04)
    assert mean(0.30, False) == pytest.approx(0.38, abs=0.03)


def test_deletion_only_deletes() -> None:
    """Shapes come from the base, and a base without deletion stays as it is."""
    base = snapshot(0, pms=30)
    again = snapshot(5, base=base, drop=0.0, refill=False)
    assert (again.items.cells0 == base.items.cells0).all()
    assert (again.items.cell_demand == base.items.cell_demand).all()
    assert len(snapshot(5, base=base, drop=1.0, refill=False).items) == 0


def test_mixed_memory_binds() -> None:
    """Some node has cores for a VM and no memory for it; none is overfull."""
    free = room(snapshot(2, pms=60, memory="mixed"))
    assert (free >= 0).all()
    assert ((free[:, 0] >= 4) & (free[:, 1] < 4 * 2048)).any()


def test_anti_affinity_groups_hold_from_the_start() -> None:
    """Members sit on different PMs."""
    problem = snapshot(2, pms=30, apart=5)
    assert problem.limits.kind.tolist() == [LimitKind.CONFLICT] * 5
    for group in range(5):
        hosts = problem.items.host0[problem.where.groups[group]]
        assert 2 <= len(set(hosts.tolist())) == len(hosts) <= 4


def test_what_is_out_of_range_is_refused() -> None:
    """With what may be given."""
    plain = PlacementProblem.of(Hosts.of([[4]]), Items.of([[1]], host0=[0]))
    bare = snapshot(0, pms=2, drop=1.0, refill=False)
    for options, words in (
        ({"load": "huge"}, "load is one of low, middle, high"),
        ({"usage": 1.2}, "usage of 1.2"),
        ({"drop": -0.5}, "-0.5 VMs cannot leave"),
        ({"free": 90_000}, "90000 cores cannot be free; give 0 to 24552"),
        ({"free": 10, "usage": 0.7}, "in place of a usage"),
        ({"pms": 0}, "0 PMs"),
        ({"base": plain}, "is no VM snapshot"),
        ({"base": bare}, "has no VMs to draw from"),
    ):
        with pytest.raises(ProblemError, match=words):
            snapshot(0, **options)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("each", [1, 2, 3])
@pytest.mark.parametrize(("pms", "gains", "moves"), [(36, 12, 8), (6, 2, 1), (18, 6, 9), (3, 0, 2)])
def test_known_optima_are_reached(seed: int, each: int, pms: int, gains: int, moves: int) -> None:
    """The goal has no fragments and breaks no rule; so many VMs put back gain one block."""
    known = known_fragments(seed, pms=pms, gains=gains, moves=moves, each=each)
    problem = known.problem.replace(max_moves=gains * each)
    stay = evaluate(problem, Placement.current(problem))
    goal = Placement.of(problem, known.goal[:, 0] // 2, known.goal)
    assert stay == (16 * gains,)
    assert evaluate(problem, goal) == (0,)
    assert not check_placement(problem, goal)
    assert known.value == 16 * (gains - min(moves // each, gains))
    some = problem.items.cells0.copy()
    some[: min(moves, gains * each)] = known.goal[: min(moves, gains * each)]
    assert evaluate(problem, Placement.of(problem, some[:, 0] // 2, some)) == (known.value,)


def test_known_optima_need_a_pm_per_gain() -> None:
    """Each move takes a NUMA node of a PM of its own."""
    with pytest.raises(ProblemError, match="5 gains by 1 moves need 5 PMs"):
        known_fragments(0, pms=4, gains=5, moves=1)
    with pytest.raises(ProblemError, match="0 moves for a gain"):
        known_fragments(0, each=0)


@pytest.mark.parametrize("free", [300, 700])
def test_so_many_cores_stay_free(free: int) -> None:
    """Insertion stops at the first VM that brings the free cores down to the number."""
    problem = snapshot(1, pms=60, free=free)
    assert free - 88 < rate(problem).free <= free
    assert not problem.warnings


def test_a_snapshot_that_falls_short_says_so() -> None:
    """Where VMs find no room, or too few have left, the warning names both numbers."""
    tight = snapshot(1, pms=12, memory="mixed", free=0)
    assert rate(tight).free > 0
    full = snapshot(1, pms=12, usage=0.5, drop=0.0)
    for problem, asked in ((tight, 0), (full, 528)):
        (warning,) = problem.warnings
        assert f"{rate(problem).free} cores are free, not {asked}" in warning


def test_groups_that_cannot_be_drawn_are_refused() -> None:
    """On one PM nothing can be apart; on two, groups are of two; with 32 VMs some can be."""
    with pytest.raises(ProblemError, match=r"3 anti-affinity groups .* made 0"):
        snapshot(0, pms=1, apart=3)
    groups = snapshot(0, pms=2, apart=1).where.groups
    assert [len(groups[g]) for g in range(len(groups))] == [2]
    assert len(snapshot(0, pms=4, apart=8).limits) == 8
