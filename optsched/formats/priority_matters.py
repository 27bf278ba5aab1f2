"""Instances of the priority-based pod packing paper with placements by the real scheduler.

A file is a JSON list of instances: equal nodes, and pods as [milli-CPU, bytes, priority, node or
null]. One is read, the first unless `select` names another by its seed or its position from 0.
Priority 1 is the lowest. As in the paper, any pod may be moved or evicted, and
nothing but CPU and memory binds.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from optsched.arrays import NONE
from optsched.errors import FormatError
from optsched.problem import Evict, Hosts, Items, PlacementProblem
from optsched.snapshot import text

Amount = Annotated[int, Meta(ge=0, le=1 << 53)]


class Instance(msgspec.Struct):
    """One element of the list; `util` is the share of the capacity that all pods ask for."""

    seed: int
    nodes: Annotated[int, Meta(ge=0, le=1 << 20)]
    prios: Annotated[int, Meta(ge=1, le=1 << 10)]
    node_cpu_m: Amount
    node_mem_b: Amount
    pods_cpu_mem_prio_node: list[tuple[Amount, Amount, int, int | None]]
    ppn: int = 0
    util: float = 0.0


def chosen(instances: list[Instance], select: str | int | None) -> Instance:
    """The instance with this seed, or at this position; the first one by default.

    Raises
    ------
    FormatError
        There is none; the message lists the seeds.
    """
    if not instances:
        raise FormatError("the list of instances is empty")
    if select is None:
        return instances[0]
    wanted = str(select)
    for at, one in enumerate(instances):
        if wanted in (str(one.seed), str(at)):
            return one
    seeds = ", ".join(str(one.seed) for one in instances[:20])
    raise FormatError(
        f"no instance {wanted[:80]!r}: select a position from 0 to {len(instances) - 1}, "
        f"or one of the seeds {seeds}"
    )


def problem_of(instance: Instance) -> PlacementProblem:
    """The instance as a problem: tier 0 is the highest of its priorities.

    Raises
    ------
    InputError
        A pod has a priority or a node that the instance does not have.
    """
    pods = instance.pods_cpu_mem_prio_node
    for at, (_, _, priority, node) in enumerate(pods):
        if not 1 <= priority <= instance.prios:
            raise FormatError(f"pod {at} has priority {priority}, outside 1..{instance.prios}")
        if node is not None and not 0 <= node < instance.nodes:
            raise FormatError(f"pod {at} runs on node {node}; there are {instance.nodes}")
    size = [[instance.node_cpu_m, instance.node_mem_b]] * instance.nodes
    return PlacementProblem.of(
        Hosts.of(size, names=[f"node-{at}" for at in range(instance.nodes)]),
        Items.of(
            [[cpu, memory] for cpu, memory, _, _ in pods],
            names=[f"pod-{at}" for at in range(len(pods))],
            host0=[NONE if node is None else node for *_, node in pods],
            tier=[instance.prios - priority for _, _, priority, _ in pods],
        ),
        name=f"priority-matters-{instance.seed}",
        resources=("cpu", "memory"),
        tiers=[f"priority {p}" for p in range(instance.prios, 0, -1)],
        evict=Evict.ANY,
        warnings=(
            f"instance {instance.seed}: {instance.nodes} nodes, {len(pods)} pods, "
            f"{instance.prios} priorities, {100 * instance.util:.0f} % usage",
        ),
    )


class PriorityMattersFormat:
    """Reads the files of placements; see `optsched.formats.base.Format`."""

    name = "priority-matters"
    describes = "instances of the pod packing paper, JSON"
    takes = ("select",)

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether the list holds instances of the paper."""
        return b'"pods_cpu_mem_prio_node"' in head

    def read(self, data: bytes, path: str, **options: Any) -> PlacementProblem:
        """One instance of the file."""
        instances = text.decode(data, list[Instance], path)
        return problem_of(chosen(instances, options.get("select")))
