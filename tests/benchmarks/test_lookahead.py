"""The decider that knows the generator: its futures are of the recipe, its choices none worse."""

from __future__ import annotations

import numpy as np

from benchmarks.agents.lookahead import better, futures, looked_ahead
from benchmarks.agents.pods import ahead
from optsched.budget import Budget
from optsched.generate.arrivals import USAGES, arrivals
from optsched.generate.paper import CPU, MEMORY, REPLICAS
from optsched.solvers.pod_evaluation import Case
from optsched.solvers.policy_pods import bind, load


def test_futures_are_of_the_recipe() -> None:
    """As many pods come, in ReplicaSets of its sizes, and all ask for a share of its nodes."""
    for seed in range(4):
        problem = arrivals(seed, nodes=6, ppn=8, priorities=2)
        items, rng = problem.items, np.random.default_rng(seed)
        for at in (0, len(items) // 2, len(items) - 2):
            demand, tier = futures(problem, at, 8, rng)
            coming = len(items) - at - 1
            assert demand.shape == (8, coming, 2)
            assert tier.shape == (8, coming)
            assert set(tier.ravel().tolist()) <= {0, 1}
            for resource, (low, high) in enumerate((CPU, MEMORY)):
                assert low <= demand[..., resource].min() <= demand[..., resource].max() <= high
            past = int((items.owner[: at + 1] == items.owner[at]).sum())
            for asked, own in zip(demand, tier, strict=True):
                rows = [items.demand[at].tolist(), *asked.tolist()]
                cuts = [k for k in range(1, coming + 1) if rows[k] != rows[k - 1]]
                sizes = np.diff([0, *cuts, coming + 1])
                assert sizes[0] + past - 1 <= REPLICAS[1]
                assert sizes.max() <= REPLICAS[1]
                tiers = [int(items.tier[at]), *own.tolist()]
                assert all(tiers[k] == tiers[k - 1] for k in set(range(1, coming + 1)) - set(cuts))
    shares = demand.sum(axis=1) + items.demand[: at + 1].sum(axis=0)
    rates = shares / problem.hosts.capacity.sum(axis=0)
    away = np.abs(rates - np.array(USAGES)[:, None, None] / 100)
    assert away.max(axis=2).min(axis=0).mean() < 0.06


def test_the_only_pod_left_is_known() -> None:
    """What is known of the nodes tells much of the last pod: draws near it are kept."""
    found = []
    for seed in range(12):
        problem = arrivals(seed, nodes=4, ppn=4, priorities=1, usage=100)
        last = len(problem.items) - 1
        demand, _ = futures(problem, last - 1, 16, np.random.default_rng(seed))
        found.append(np.abs(demand[:, 0] / problem.items.demand[last] - 1).min())
    assert np.median(found) < 0.25


def test_what_may_be_luck_changes_no_choice() -> None:
    """Another choice is taken where it is better by more than the error of its mean, not else."""
    plain, sure, unsure = np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.5]), [0.0, 1.5, 5.0]
    assert better(0, {0: plain, 1: sure, 2: plain}) == 1
    assert better(0, {0: plain, 1: np.array(unsure)}) == 0
    assert better(1, {0: plain, 1: plain}) == 1
    assert better(0, {0: np.array([1.0]), 1: np.array([2.0])}) == 1


def test_looking_ahead_places_more() -> None:
    """On some instances together more than the agent alone, and the same for a seed."""
    problems = [arrivals(seed, nodes=4, ppn=4, priorities=1) for seed in range(12)]
    agent = load(None)
    found = looked_ahead(agent, problems, 4, 6, 0)
    alone = [bind(agent, one, Budget.of(60), 0, 1).placement for one in problems]
    assert sum(placed[0] for placed in found) > sum(int((one.host >= 0).sum()) for one in alone)
    assert found == looked_ahead(agent, problems, 4, 6, 0)


def test_the_table_names_all_arms() -> None:
    """The decider first, then what stands beside it."""
    lines = ahead(None, range(3), Case(nodes=4, ppn=4), 2).splitlines()
    assert lines[0].startswith("3 instances of 2 to 4 nodes")
    names = [line.split("|")[1].strip() for line in lines[4:]]
    assert names == ["2 futures", "the agent", "best-fit", "default-scheduler", "chance"]
