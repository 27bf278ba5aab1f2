"""Instances of the priority-based pod packing paper (arXiv 2511.08373), by its published recipe.

A cell of the paper's grid is (nodes, pods per node, priorities, usage); an instance is a cell and
a seed. ReplicaSets of 1 to 4 equal pods are drawn until there are `nodes * ppn` pods; every
ReplicaSet draws CPU, memory and a priority; equal nodes are then sized so that all pods together
ask for `usage` percent of them. The draws come from one random stream per label, so that two cells
with the same number of pods and the same seed have the same ReplicaSets.

The instance has no placement: where pods sit at the start is decided by a scheduler, real or
emulated. `problem` joins the two.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.errors import ProblemError
from optsched.levels import ORDERS
from optsched.problem import Evict, Hosts, Items, PlacementProblem

CPU = (100, 1000)  # milli-CPU of one pod, inclusive
MEMORY = (100_000_000, 1_000_000_000)  # bytes of one pod, inclusive
REPLICAS = (1, 4)


@dataclass(frozen=True)
class ReplicaSet:
    """Equal pods of one owner.

    Attributes
    ----------
    name
        "rs-<number from 01>-p<priority>".
    replicas
        Number of pods.
    cpu, memory
        Requests of one pod, in milli-CPU and bytes.
    priority
        1 is the lowest.
    """

    name: str
    replicas: int
    cpu: int
    memory: int
    priority: int


@dataclass(frozen=True)
class Instance:
    """One instance without a placement.

    Attributes
    ----------
    seed, nodes, ppn, priorities, usage
        What it was drawn from; `usage` in percent.
    node_cpu, node_memory
        Capacity of every node, in milli-CPU and bytes.
    replica_sets
        In the order in which they are created.
    """

    seed: int
    nodes: int
    ppn: int
    priorities: int
    usage: int
    node_cpu: int
    node_memory: int
    replica_sets: tuple[ReplicaSet, ...]

    @property
    def name(self) -> str:
        """Cell and seed in one word."""
        return f"n{self.nodes}_ppn{self.ppn}_prio{self.priorities}_u{self.usage}_s{self.seed}"

    def owner(self) -> Ints:
        """(I,) index of the ReplicaSet of every pod, in order of creation."""
        return np.repeat(
            np.arange(len(self.replica_sets)), [rs.replicas for rs in self.replica_sets]
        )

    def demand(self) -> Ints:
        """(I, 2) milli-CPU and bytes of every pod."""
        per_set = np.array([(rs.cpu, rs.memory) for rs in self.replica_sets], dtype=np.int64)
        return per_set[self.owner()]

    def priority(self) -> Ints:
        """(I,) priority of every pod; 1 is the lowest."""
        per_set = np.array([rs.priority for rs in self.replica_sets], dtype=np.int64)
        return per_set[self.owner()]


def instance(seed: int, nodes: int, ppn: int, priorities: int, usage: int) -> Instance:
    """Draw an instance.

    Parameters
    ----------
    seed
        0 to 2**128 - 1.
    nodes, ppn
        Number of nodes, and of pods per node on average.
    priorities
        Number of priorities, from 1 (lowest) up.
    usage
        Requests of all pods in percent of all nodes.

    Raises
    ------
    ProblemError
        A number is out of range.
    """
    for value, what in ((nodes, "nodes"), (ppn, "pods per node"), (priorities, "priorities")):
        if value < 1:
            raise ProblemError(f"{value} {what} are not possible; give 1 or more")
    if usage < 1 or not 0 <= seed < 2**128:
        raise ProblemError(f"usage {usage} % or seed {seed} is out of range")
    sizes = _sizes(_stream(seed, "rs-sizes"), nodes * ppn)
    cpu_stream, memory_stream = _stream(seed, "rs-cpu"), _stream(seed, "rs-mem")
    priority_stream = _stream(seed, "base")
    sets = tuple(
        ReplicaSet(
            name=f"rs-{number:02d}-p{priority}",
            replicas=size,
            cpu=cpu_stream.randint(*CPU),
            memory=memory_stream.randint(*MEMORY),
            priority=priority,
        )
        for number, size in enumerate(sizes, 1)
        for priority in (priority_stream.randint(1, priorities),)
    )
    return Instance(
        seed=seed,
        nodes=nodes,
        ppn=ppn,
        priorities=priorities,
        usage=usage,
        node_cpu=_node_size([(rs.replicas, rs.cpu) for rs in sets], nodes, usage),
        node_memory=_node_size([(rs.replicas, rs.memory) for rs in sets], nodes, usage),
        replica_sets=sets,
    )


def problem(
    drawn: Instance, host: Sequence[int] | Ints | None = None, *, order: str = "tier"
) -> PlacementProblem:
    """The instance as a placement problem, with the paper's freedom: any pod may move or go.

    Parameters
    ----------
    drawn
        The instance.
    host
        (I,) node of every pod, -1 for pending; without it all are pending.
    order
        A name in `levels.ORDERS`.
    """
    if order not in ORDERS:
        raise ProblemError(f"no order {order!r} (there are: {', '.join(ORDERS)})")
    owner = drawn.owner()
    number = np.concatenate([np.arange(rs.replicas) for rs in drawn.replica_sets])
    names = [rs.name for rs in drawn.replica_sets]
    return PlacementProblem.of(
        Hosts.of(
            np.tile([drawn.node_cpu, drawn.node_memory], (drawn.nodes, 1)),
            names=[f"node-{j}" for j in range(1, drawn.nodes + 1)],
        ),
        Items.of(
            drawn.demand(),
            names=[f"{names[o]}-{n}" for o, n in zip(owner, number, strict=True)],
            host0=NONE if host is None else host,
            tier=drawn.priorities - drawn.priority(),
            owner=owner,
        ),
        name=drawn.name,
        resources=("cpu_milli", "memory_bytes"),
        tiers=[f"p{p}" for p in range(drawn.priorities, 0, -1)],
        owners=names,
        objective=ORDERS[order](drawn.priorities),
        order=order,
        evict=Evict.ANY,
    )


def _stream(seed: int, label: str) -> random.Random:
    """One random stream per label: seeded with BLAKE2b-128 of the seed, a zero byte, the label."""
    text = seed.to_bytes(16, "big") + b"\0" + label.encode()
    return random.Random(int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big"))


def _sizes(stream: random.Random, pods: int) -> list[int]:
    sizes: list[int] = []
    while (left := pods - sum(sizes)) > 0:
        sizes.append(stream.randint(REPLICAS[0], min(REPLICAS[1], left)))
    return sizes


def _node_size(demands: list[tuple[int, int]], nodes: int, usage: int) -> int:
    """Smallest equal nodes that hold `usage` percent, and at least the largest pod.

    The division is in floating point because the published sizes were computed so.
    """
    total = sum(copies * demand for copies, demand in demands)
    wanted = math.ceil(total / (usage / 100))
    return max(max(demand for _, demand in demands), -(-wanted // nodes))
