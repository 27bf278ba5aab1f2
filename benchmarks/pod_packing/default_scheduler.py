"""What the default kube-scheduler does with the paper's ReplicaSets, emulated.

For equal nodes and pods that ask for CPU and memory only, these parts of the in-tree configuration
(Kubernetes 1.36) tell nodes apart, all others score every node alike:

- NodeResourcesFit, LeastAllocated, weight 1: the mean of both resources' free share after the pod,
  each cut to whole percent, the mean cut again.
- NodeResourcesBalancedAllocation, weight 1: 100 * (1 - |share of CPU - share of memory| / 2), cut.
- PodTopologySpread, weight 2, with the system's default soft constraint (hostname, maximal skew 3),
  which applies to pods of a ReplicaSet: round(copies on the node * ln(feasible nodes + 2) + 2),
  then turned around and scaled to 0..100 over the feasible nodes.

The best node wins, ties at random. Pods are tried by falling priority, then age; ReplicaSets are
created one after another, each when the scheduler has come to rest. A pod that fits nowhere may
preempt, as DefaultPreemption does, and the ReplicaSets create their deleted pods anew.

`DETERMINISTIC` is the set-up with which the paper chose its seeds: no preemption, and one more
score of weight 1 that falls from 100 to 0 over the feasible nodes in the order of their names.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from optsched.arrays import Ints
from optsched.generate.paper import Instance

SPREAD_WEIGHT = 2
SPREAD_SKEW = 3


@dataclass(frozen=True)
class Setup:
    """Which scheduler is emulated.

    Attributes
    ----------
    preemption
        Whether a pod may delete pods of lower priority.
    by_name
        Whether nodes score by their names on top, and ties go to the first name.
    """

    preemption: bool = True
    by_name: bool = False


DEFAULT = Setup()
DETERMINISTIC = Setup(preemption=False, by_name=True)


@dataclass
class Cluster:
    """Nodes and pods while the scheduler works.

    Attributes
    ----------
    capacity
        (2,) of each node.
    demand, priority, owner
        Of the pods: (I, 2), (I,), (I,).
    host
        (I,) node of each pod, -1: pending.
    used
        (H, 2) requested on each node.
    copies
        (owners, H) pods of each ReplicaSet on each node.
    started
        (I,) a counter that says when the pod was bound last.
    """

    capacity: Ints
    demand: Ints
    priority: Ints
    owner: Ints
    host: Ints
    used: Ints
    copies: Ints
    started: Ints
    clock: int = field(default=0)

    @classmethod
    def of(cls, drawn: Instance) -> Cluster:
        """An empty cluster of the instance's nodes, all its pods still to come."""
        owner = drawn.owner()
        return cls(
            capacity=np.array([drawn.node_cpu, drawn.node_memory]),
            demand=drawn.demand(),
            priority=drawn.priority(),
            owner=owner,
            host=np.full(len(owner), -1),
            used=np.zeros((drawn.nodes, 2), np.int64),
            copies=np.zeros((len(drawn.replica_sets), drawn.nodes), np.int64),
            started=np.zeros(len(owner), np.int64),
        )

    def bind(self, pod: int, node: int) -> None:
        """Put a pod on a node."""
        self.host[pod] = node
        self.used[node] += self.demand[pod]
        self.copies[self.owner[pod], node] += 1
        self.started[pod] = self.clock
        self.clock += 1

    def delete(self, pod: int) -> None:
        """Take a pod off its node."""
        node = self.host[pod]
        self.used[node] -= self.demand[pod]
        self.copies[self.owner[pod], node] -= 1
        self.host[pod] = -1

    def feasible(self, pod: int) -> Ints:
        """Nodes with room for the pod."""
        return np.flatnonzero((self.used + self.demand[pod] <= self.capacity).all(axis=1))

    def scores(self, pod: int, nodes: Ints) -> Ints:
        """Total score of each feasible node, see the module."""
        after = self.used[nodes] + self.demand[pod]
        least = ((self.capacity - after) * 100 // self.capacity).sum(axis=1) // 2
        share = after / self.capacity
        balanced = ((1 - np.abs((share[:, 0] - share[:, 1]) / 2)) * 100).astype(np.int64)
        raw = self.copies[self.owner[pod], nodes] * math.log(len(nodes) + 2) + (SPREAD_SKEW - 1)
        spread = np.floor(raw + 0.5).astype(np.int64)
        spread = 100 * (spread.max() + spread.min() - spread) // spread.max()
        total: Ints = least + balanced + SPREAD_WEIGHT * spread
        return total


def place(drawn: Instance, setup: Setup = DEFAULT, seed: int = 0) -> Ints:
    """Where the emulated scheduler leaves every pod of the instance.

    Parameters
    ----------
    drawn
        The instance.
    setup
        Which scheduler.
    seed
        Decides ties.

    Returns
    -------
    Ints
        (I,) node of each pod in order of creation, -1: pending.
    """
    cluster, ties = Cluster.of(drawn), random.Random(seed)
    names = np.argsort(np.argsort([f"node-{j}" for j in range(1, drawn.nodes + 1)]))
    pending: set[int] = set()
    born = 0
    for owner in range(len(drawn.replica_sets)):
        fresh = [int(pod) for pod in np.flatnonzero(cluster.owner == owner)]
        queue = [(-int(cluster.priority[pod]), born + k, pod) for k, pod in enumerate(fresh)]
        born += len(fresh)
        heapq.heapify(queue)
        while queue:
            pod = heapq.heappop(queue)[2]
            nodes = cluster.feasible(pod)
            if len(nodes):
                cluster.bind(pod, _best(cluster, pod, nodes, names, setup, ties))
                continue
            victims = _preempt(cluster, pod, ties) if setup.preemption else []
            if not victims:
                pending.add(pod)
                continue
            node = int(cluster.host[victims[0]])
            for victim in victims:
                cluster.delete(victim)
            cluster.bind(pod, node)
            # A deleted pod wakes what is pending, and its ReplicaSet makes a new one.
            for woken in sorted(pending) + victims:
                heapq.heappush(queue, (-int(cluster.priority[woken]), born, woken))
                born += 1
            pending.clear()
    return cluster.host


def _best(
    cluster: Cluster, pod: int, nodes: Ints, names: Ints, setup: Setup, ties: random.Random
) -> int:
    if len(nodes) == 1:
        return int(nodes[0])
    scores = cluster.scores(pod, nodes)
    if setup.by_name:
        rank = np.argsort(np.argsort(names[nodes]))
        scores = scores + 100 * (len(nodes) - 1 - rank) // (len(nodes) - 1)
        best = nodes[scores == scores.max()]
        return int(best[np.argmin(names[best])])
    return int(ties.choice(nodes[scores == scores.max()]))


def _preempt(cluster: Cluster, pod: int, ties: random.Random) -> list[int]:
    """The victims DefaultPreemption chooses, all on one node; empty: preemption does not help."""
    candidates = []
    for node in range(len(cluster.used)):
        victims = _victims(cluster, pod, node)
        if victims:
            priorities = [int(cluster.priority[v]) for v in victims]
            top = max(priorities)
            eldest = min(
                int(cluster.started[v])
                for v, p in zip(victims, priorities, strict=True)
                if p == top
            )
            # Lowest highest priority, then lowest sum (each priority counts 2**31 more, so the
            # number of victims decides), then the youngest.
            rank = (top, sum(priorities) + len(victims) * 2**31, -eldest, ties.random())
            candidates.append((rank, victims))
    return min(candidates)[1] if candidates else []


def _victims(cluster: Cluster, pod: int, node: int) -> list[int]:
    """Who must leave the node for the pod: all of lower priority, but as many spared as fit."""
    on_node = cluster.host == node
    lower = np.flatnonzero(on_node & (cluster.priority < cluster.priority[pod]))
    room: npt.NDArray[np.int64] = (
        cluster.capacity - cluster.used[node] + cluster.demand[lower].sum(axis=0)
    ) - cluster.demand[pod]
    if not len(lower) or (room < 0).any():
        return []
    victims = []
    for other in sorted(lower, key=lambda v: (-cluster.priority[v], cluster.started[v])):
        if (cluster.demand[other] <= room).all():
            room = room - cluster.demand[other]
        else:
            victims.append(int(other))
    return victims
