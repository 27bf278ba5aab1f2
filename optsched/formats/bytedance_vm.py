"""ByteDance's VM rescheduling snapshots: clusters of PMs with NUMA nodes, and the VMs on them.

Published with the DRL-based VM rescheduling work and used by VMR2L (EuroSys 2025). A PM is a host,
its NUMA nodes are cells with cores and memory; a VM takes one node whole, or the same on each of
several. What is minimised is FR16, the share of the free cores that no 16-core VM can use.

The fields of the public files contradict each other, so this is how they are read:

- `free_cpu` and `memory_huge_free_mb` are ignored. What is free is the node's total less its VMs;
  where the file says otherwise, a warning names the nodes.
- A VM's size is that of its own record, not that of its type: VMs of one type come whole and split.
  A PM's is that of its NUMA nodes. Where types and PMs say otherwise, a warning names VMs and PMs.
- Memory may be a fraction of a MiB: what a VM takes is rounded up, what a node has down. Cores are
  whole, unless some number is not; then they are counted in milli.
- PMs that are not ACTIVE are left out with the VMs on them, and a warning names them.
- All clusters are one pool, as in the published figures; `clusters=apart` keeps VMs in their own.
- `other_requirement.deployment_set` lists anti-affinity groups. The public files have none, so
  their shape is ours: lists of VM names, of which no two may share a PM that one of them enters.
  Who shares one already may stay; a warning names the group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from optsched.arrays import NONE
from optsched.errors import FormatError
from optsched.levels import Level, Term, TermKind
from optsched.limits import Limit, LimitKind, Where
from optsched.problem import Cells, Hosts, Items, PlacementProblem
from optsched.rates import LEVEL
from optsched.snapshot import text
from optsched.snapshot.names import Names, appearing

Amount = Annotated[float, Meta(ge=0, le=1 << 40)]
Name = Annotated[str, Meta(min_length=1)]
BLOCK = 16  # cores
SHOWN = 5  # names in a message
FORBIDDEN = "the file forbids its migration"


class Node(msgspec.Struct, gc=False):
    """A NUMA node of a PM; what it says to be free is compared and not used."""

    node: int
    total_cpu: Amount
    memory_huge_total_mb: Amount
    free_cpu: float | None = None
    memory_huge_free_mb: float | None = None


class Machine(msgspec.Struct, gc=False):
    """A PM."""

    node_id: Name
    numa: Annotated[list[Node], Meta(min_length=1)]
    status: str = "ACTIVE"
    rack_id: int | str | None = None
    node_cpu: float | None = None
    node_mem_mb: float | None = None

    @property
    def differs(self) -> bool:
        """Whether it is said to be of another size than its NUMA nodes are together."""
        cpu = sum(node.total_cpu for node in self.numa)
        memory = sum(node.memory_huge_total_mb for node in self.numa)
        return _apart(self.node_cpu, cpu) or _apart(self.node_mem_mb, memory)


class Part(msgspec.Struct, gc=False):
    """What a VM takes of one NUMA node."""

    node: int
    cpu: Amount
    mem_mb: Amount


class Instance(msgspec.Struct, gc=False):
    """A VM."""

    instance_id: Name
    host_id: Name
    numa: Annotated[list[Part], Meta(min_length=1)]
    instance_type: str = ""
    allow_migration: bool = True


class Flavour(msgspec.Struct, gc=False):
    """A type of VMs: what it asks for in all, and of how many NUMA nodes."""

    vm_type: str
    request_cpu: float | None = None
    request_mem_mb: float | None = None
    numa: int | None = None

    def differs(self, vm: Instance) -> bool:
        """Whether a VM is of another size, or on another number of nodes."""
        return (
            _apart(self.request_cpu, sum(part.cpu for part in vm.numa))
            or _apart(self.request_mem_mb, sum(part.mem_mb for part in vm.numa))
            or _apart(self.numa, len(vm.numa))
        )


def _apart(said: float | None, found: float) -> bool:
    """Whether what is said, if anything is, differs from what is found by one or more."""
    return said is not None and abs(said - found) >= 1


class Requirement(msgspec.Struct, gc=False):
    """Anti-affinity groups, each a list of VM names."""

    deployment_set: list[list[str]] = []


class ClusterRecord(msgspec.Struct, gc=False):
    """A cluster."""

    host_info: list[Machine]
    vm_instance: list[Instance]
    cluster_name: str = "cluster"
    other_requirement: Requirement = msgspec.field(default_factory=Requirement)


class Document(msgspec.Struct, gc=False):
    """The file."""

    cluster_list: list[ClusterRecord]
    vm_type_list: list[Flavour] = []


def problem_of(document: Document, name: str, *, apart: bool = False) -> PlacementProblem:
    """The tables; `apart` keeps every VM in its cluster.

    Raises
    ------
    FormatError
        A VM names a PM or a NUMA node that is not there, takes unequal parts, or is larger than
        the node that it is said to sit on.
    """
    return _Tables(document).problem(name, apart)


class _Tables:
    """The records as columns."""

    def __init__(self, document: Document) -> None:
        self.warnings: list[str] = []
        self.clusters = Names("cluster", [one.cluster_name for one in document.cluster_list])
        machines = [(c, pm) for c, one in enumerate(document.cluster_list) for pm in one.host_info]
        vms = [(c, vm) for c, one in enumerate(document.cluster_list) for vm in one.vm_instance]
        all_hosts = Names("PM", [pm.node_id for _, pm in machines])
        off = {pm.node_id for _, pm in machines if pm.status != "ACTIVE"}
        self.machines = [(c, pm) for c, pm in machines if pm.node_id not in off]
        self.vms = [(c, vm) for c, vm in vms if vm.host_id not in off]
        for _, vm in vms:
            all_hosts.find(vm.host_id, f"VM {vm.instance_id[:80]!r}")
        gone = {vm.instance_id for _, vm in vms} - {vm.instance_id for _, vm in self.vms}
        sets = [g for one in document.cluster_list for g in one.other_requirement.deployment_set]
        self.groups = [[vm for vm in group if vm not in gone] for group in sets]
        off_names = [pm.node_id for _, pm in machines if pm.node_id in off]
        self._say("PM", off_names, "not ACTIVE and left out with the VMs on them")
        self._compare_sizes({one.vm_type: one for one in document.vm_type_list})
        whole = all(cores == int(cores) for cores in self._cores())
        self.unit = 1 if whole else 1000
        self.resources = ("cores" if whole else "cores_milli", "memory_mib")
        self._hosts()
        self._items()

    def _compare_sizes(self, flavours: dict[str, Flavour]) -> None:
        self._say(
            "PM",
            [pm.node_id for _, pm in self.machines if pm.differs],
            "said to be of another size than the NUMA nodes are together; the nodes were believed",
        )
        odd = [
            vm.instance_id
            for _, vm in self.vms
            if (flavour := flavours.get(vm.instance_type)) is not None and flavour.differs(vm)
        ]
        self._say("VM", odd, "of other size or split than the type says; the VMs were believed")

    def _cores(self) -> Iterable[float]:
        for _, pm in self.machines:
            yield from (node.total_cpu for node in pm.numa)
        for _, vm in self.vms:
            yield from (part.cpu for part in vm.numa)

    def _hosts(self) -> None:
        self.hosts = Names("PM", [pm.node_id for _, pm in self.machines])
        self.cell: dict[tuple[int, int], int] = {}
        host: list[int] = []
        capacity: list[tuple[int, int]] = []
        self.claimed: list[tuple[float | None, float | None]] = []
        for h, (_, pm) in enumerate(self.machines):
            for node in pm.numa:
                if (h, node.node) in self.cell:
                    raise FormatError(f"PM {pm.node_id[:80]!r} lists NUMA node {node.node} twice")
                self.cell[h, node.node] = len(host)
                host.append(h)
                cores = floor(round(node.total_cpu * self.unit, 6))
                capacity.append((cores, floor(node.memory_huge_total_mb)))
                self.claimed.append((node.free_cpu, node.memory_huge_free_mb))
        self.cells = Cells.of(
            host,
            np.array(capacity, dtype=np.int64).reshape(-1, 2),
            resources=self.resources,
            kinds=("NUMA node",),
        )

    def _items(self) -> None:
        count = len(self.vms)
        wide = max((len(vm.numa) for _, vm in self.vms), default=0)
        self.cells0 = np.full((count, wide), NONE, np.int64)
        self.demand = np.zeros((count, 2), np.int64)
        self.host0 = np.zeros(count, np.int64)
        for i, (_, vm) in enumerate(self.vms):
            self.host0[i] = h = self.hosts.number[vm.host_id]
            first = vm.numa[0]
            for at, part in enumerate(vm.numa):
                cell = self.cell.get((h, part.node))
                if cell is None:
                    raise FormatError(
                        f"VM {vm.instance_id[:80]!r} sits on NUMA node {part.node} of PM "
                        f"{vm.host_id[:80]!r}, which has no such node"
                    )
                if (part.cpu, part.mem_mb) != (first.cpu, first.mem_mb):
                    raise FormatError(
                        f"VM {vm.instance_id[:80]!r} takes {first.cpu:g} cores of one NUMA node "
                        f"and {part.cpu:g} of another, or unequal memory; equal parts are needed"
                    )
                self.cells0[i, at] = cell
            cores = ceil(round(first.cpu * self.unit, 6))
            self.demand[i] = cores, ceil(first.mem_mb)
        self.names = [vm.instance_id for _, vm in self.vms]
        self._check_room()
        on = {vm.instance_id: vm.host_id for _, vm in self.vms}
        self._say(
            "anti-affinity group",
            [
                f"group {at} ({' and '.join(shared[:2])} on {on[shared[0]]})"
                for at, group in enumerate(self.groups)
                if (shared := _shared(group, on))
            ],
            "broken already, which is left as it is",
        )

    def _check_room(self) -> None:
        item, column = np.nonzero(self.cells0 >= 0)
        own = self.cells0[item, column]
        larger = (self.demand[item] > self.cells.capacity[own]).any(axis=1)
        if larger.any():
            i, cell = int(item[larger][0]), int(own[larger][0])
            (cores, memory), (have, room) = self.demand[i].tolist(), self.cells.capacity[cell]
            raise FormatError(
                f"VM {self.names[i][:80]!r} takes {cores / self.unit:g} cores and {memory} MiB of "
                f"NUMA node {self._node(cell)}, which has {have / self.unit:g} and {room}: it "
                "fits nowhere like that"
            )
        free = self.cells.capacity.copy()
        np.subtract.at(free, own, self.demand[item])
        over = np.flatnonzero((free < 0).any(axis=1)).tolist()
        self._say(
            "NUMA node",
            map(self._node, over),
            "overfull, so nothing enters before something leaves",
        )
        said = [self._differs(at, row) for at, row in enumerate(free.tolist())]
        self._say(
            "NUMA node",
            [self._node(at) for at, differs in enumerate(said) if differs],
            "said to have other room than VMs leave there; the VMs were believed",
        )

    def _differs(self, cell: int, free: Sequence[int]) -> bool:
        cpu, memory = self.claimed[cell]
        wrong = cpu is not None and round(cpu * self.unit) != free[0]
        return wrong or (memory is not None and abs(memory - free[1]) >= 1)

    def _node(self, cell: int) -> str:
        host = int(self.cells.host[cell])
        pm = self.machines[host][1]
        first = int(np.searchsorted(self.cells.host, host))
        return f"{pm.node_id}/{pm.numa[cell - first].node}"

    def _say(self, what: str, names: Iterable[str], fault: str) -> None:
        listed = [*names]
        if listed:
            shown = ", ".join(one[:80] for one in listed[:SHOWN]) + ", ..." * (len(listed) > SHOWN)
            counted = f"1 {what} is" if len(listed) == 1 else f"{len(listed):,} {what}s are"
            self.warnings.append(f"{counted} {fault}: {shown}")

    def problem(self, name: str, apart: bool) -> PlacementProblem:
        """The problem."""
        movable = [vm.allow_migration for _, vm in self.vms]
        hosts = Hosts.of(np.zeros((len(self.machines), 0), np.int64), names=self.hosts.table)
        items = Items.of(
            np.zeros((len(self.vms), 0), np.int64),
            names=self.names,
            cells_needed=(self.cells0 >= 0).sum(axis=1),
            cell_demand=self.demand,
            host0=self.host0,
            cells0=self.cells0,
            movable=movable,
            evictable=False,
            may_evict_others=False,
            lets_go_first=False,
            pinned_by=[NONE if free else 0 for free in movable],
        )
        where, limits = self._where(hosts, items, apart)
        block = Term(TermKind.FRAGMENTS, resource=0, size=BLOCK * self.unit)
        return PlacementProblem.of(
            hosts,
            items,
            name=name,
            resources=(),
            cells=self.cells,
            where=where,
            limits=limits,
            tiers=("VM",),
            pin_reasons=() if all(movable) else (FORBIDDEN,),
            objective=(Level(LEVEL, (block,)),),
            order="fr16",
            warnings=tuple(self.warnings),
        )

    def _where(self, hosts: Hosts, items: Items, apart: bool) -> tuple[Where, list[Limit]]:
        cluster = np.array([c for c, _ in self.machines], dtype=np.int64)
        racks = [None if pm.rack_id is None else f"{pm.rack_id}" for _, pm in self.machines]
        names = appearing(racks)
        rack = Names("rack", names).column(racks, hosts.names, "PM")
        vms = Names("VM", self.names)
        named = [f"anti-affinity group {at}" for at in range(len(self.groups))]
        where = Where.of(
            hosts,
            items,
            excluded=np.arange(len(self.clusters))[:, None] != cluster if apart else None,
            item_eligible=[c for c, _ in self.vms] if apart else 0,
            rule_names=("another cluster",) if apart else ("not eligible",),
            keys=("cluster", "rack"),
            domain=np.stack([cluster, rack]),
            domain_names=[self.clusters.table, names],
            groups=[
                vms.find_all(group, name) for name, group in zip(named, self.groups, strict=True)
            ],
            group_names=named,
        )
        limits = [
            Limit(LimitKind.CONFLICT, key=0, subject=at, counted=at, name=name)
            for at, name in enumerate(named)
        ]
        return where, limits


def _shared(group: Sequence[str], on: dict[str, str]) -> list[str]:
    """VMs of a group on one PM, if some share one."""
    there: dict[str, list[str]] = {}
    for vm in group:
        there.setdefault(on.get(vm, ""), []).append(vm)
    there.pop("", None)
    return max(there.values(), key=len) if there and max(map(len, there.values())) > 1 else []


class BytedanceVmFormat:
    """Reads VM rescheduling snapshots; see `optsched.formats.base.Format`."""

    name = "bytedance-vm"
    describes = "ByteDance's VM rescheduling snapshots (also VMR2L's), JSON"
    takes = ("clusters",)

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether it lists clusters of PMs."""
        return b'"cluster_list"' in head and b'"host_info"' in head

    def read(self, data: bytes, path: str, **options: Any) -> PlacementProblem:
        """The problem in the file."""
        clusters = options.get("clusters", "joined")
        if clusters not in ("joined", "apart"):
            raise FormatError(f"clusters={clusters[:40]!r}: write joined or apart")
        document = text.decode(data, Document, path)
        stem = Path(path).name.removesuffix(".gz").removesuffix(".json")
        name = "vms" if path == "-" or not stem else stem
        return problem_of(document, name, apart=clusters == "apart")
