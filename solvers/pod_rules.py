"""Rules that bind arriving pods without looking ahead: what agents are measured against.

`best_fit`: the node that keeps the least free of the resource it has least of.

`default_scheduler`: the sum of scores by which the in-tree configuration of Kubernetes 1.36 tells
nodes apart, for pods that ask for resources and no more: LeastAllocated and BalancedAllocation over
CPU and memory, weight 1 each, and the spread of a ReplicaSet's pods over nodes, weight 2. The best
score wins, ties by a draw. There is no preemption: what is bound stays.

`chance`: any node that has room.
"""

from __future__ import annotations

import math

import numpy as np

from optsched.arrays import Ints
from optsched.simulate.arrivals import Arrivals

SPREAD_WEIGHT, SPREAD_SKEW = 2, 3
_WHOLE = 100


def best_fit(pods: Arrivals, rng: np.random.Generator) -> int:
    """The node for the next pod; the number of nodes where none has room."""
    del rng
    if not pods.mask[:-1].any():
        return pods.nodes
    hosts, _ = pods.see()
    return int(np.where(pods.mask[:-1], hosts[:, 4], np.inf).argmin())


def default_scheduler(pods: Arrivals, rng: np.random.Generator) -> int:
    """The node for the next pod; the number of nodes where none has room."""
    nodes = np.flatnonzero(pods.mask[:-1])
    if not len(nodes):
        return pods.nodes
    scores = default_scores(pods, nodes)
    return int(rng.choice(nodes[scores == scores.max()]))


def default_scores(pods: Arrivals, nodes: Ints) -> Ints:
    """(N,) the total score of nodes with room, by the first two resources."""
    problem, item = pods.problem, int(pods.queue[pods.at])
    capacity = np.maximum(problem.hosts.capacity[nodes, :2], 1)
    after = pods.state.use[nodes, :2] + problem.items.demand[item, :2]
    least = ((capacity - after) * _WHOLE // capacity).sum(axis=1) // capacity.shape[1]
    share = after / capacity
    apart = np.abs(share[:, 0] - share[:, -1]) / 2
    balanced = ((1 - apart) * _WHOLE).astype(np.int64)
    total: Ints = least + balanced
    owner = problem.items.owner
    if owner[item] >= 0:
        runs = pods.state.host[(owner == owner[item]) & (pods.state.host >= 0)]
        copies = np.bincount(runs, minlength=len(problem.hosts))[nodes]
        raw = np.floor(copies * math.log(len(nodes) + 2) + (SPREAD_SKEW - 1) + 0.5).astype(np.int64)
        total = total + SPREAD_WEIGHT * (_WHOLE * (raw.max() + raw.min() - raw) // raw.max())
    return total


def chance(pods: Arrivals, rng: np.random.Generator) -> int:
    """Any node with room for the next pod; the number of nodes where none has room."""
    nodes = np.flatnonzero(pods.mask[:-1])
    return int(rng.choice(nodes)) if len(nodes) else pods.nodes


RULES = {"best-fit": best_fit, "default-scheduler": default_scheduler, "chance": chance}
