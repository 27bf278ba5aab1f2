"""What agents are measured against is what it is said to be."""

from __future__ import annotations

import numpy as np

from benchmarks.pod_packing.default_scheduler import Cluster
from optsched.generate.paper import instance, problem
from optsched.simulate.arrivals import Arrivals
from optsched.solvers.pod_rules import default_scheduler, default_scores


def test_the_rule_is_the_emulated_scheduler() -> None:
    """Scores of the default scheduler's rule are those of its emulation, pod by pod."""
    rng = np.random.default_rng(0)
    for seed in range(6):
        drawn = instance(seed, 5, 5, 2, 95)
        pods, cluster = Arrivals(problem(drawn)), Cluster.of(drawn)
        while not pods.over:
            nodes, pod = np.flatnonzero(pods.mask[:-1]), pods.at
            assert nodes.tolist() == cluster.feasible(pod).tolist()
            if len(nodes):
                own, theirs = default_scores(pods, nodes), cluster.scores(pod, nodes)
                assert own.tolist() == theirs.tolist()
            action = default_scheduler(pods, rng)
            if action < pods.nodes:
                assert own[nodes.tolist().index(action)] == own.max()
                cluster.bind(pod, action)
            pods.step(action)
