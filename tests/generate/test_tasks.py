"""Instances of tasks are seeded, of the size and load asked for, and can be scheduled."""

from __future__ import annotations

import numpy as np
import pytest

from optsched.errors import InputError
from optsched.generate.tasks import tasks
from optsched.solvers.scheduling import RULES
from optsched.tasks import Tier, evaluate


def test_the_same_seed_gives_the_same_instance() -> None:
    """And another seed another one."""
    assert tasks(3).digest() == tasks(3).digest()
    assert len({tasks(seed).digest() for seed in range(4)} | {tasks(3, burst=True).digest()}) == 5


@pytest.mark.parametrize("nodes", [3, 8, 16, 64])
@pytest.mark.parametrize("load", [0.5, 0.8, 1.1])
def test_size_and_load(nodes: int, load: float) -> None:
    """As many nodes of every tier, tasks, and work for the time in which they arrive."""
    problem = tasks(1, nodes=nodes, load=load, count=300)
    assert len(problem.nodes) == nodes
    assert set(problem.nodes.tier.tolist()) == {*map(int, Tier)}
    offered = problem.tasks.work.sum() / (problem.nodes.speed * problem.nodes.cores).sum()
    seconds = problem.tasks.arrival.max() / 1000
    assert offered / seconds == pytest.approx(load, rel=0.02)
    assert problem.fits.any(axis=1).all()


def test_bursts_are_uneven() -> None:
    """The same load in rushes: times between arrivals vary more."""

    def spread(burst: bool) -> float:
        gaps = [np.diff(tasks(s, count=500, burst=burst).tasks.arrival) for s in range(5)]
        return float(np.mean([one.std() / one.mean() for one in gaps]))

    assert spread(True) > 1.3 * spread(False)


def test_rules_differ() -> None:
    """There is something to be gained: nearest first is worse than EFT, and EFT drops nobody."""
    problem = tasks(2, load=0.8)
    told = {name: evaluate(problem, RULES[name](problem, 0)) for name in ("eft", "nearest")}
    assert told["eft"].violations == told["nearest"].violations == ()
    assert not told["eft"].unfinished.any()
    assert told["eft"].response.sum() < told["nearest"].response.sum()


def test_impossible_sizes_are_refused() -> None:
    """In a sentence."""
    with pytest.raises(InputError, match="at least 3 nodes"):
        tasks(nodes=2)
