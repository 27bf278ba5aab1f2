"""ByteDance's VM snapshots: the published rates, and files that contradict themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from optsched.check import check
from optsched.errors import InputError
from optsched.formats import read
from optsched.plan import Move, Placement, Plan, Wave
from optsched.problem import PlacementProblem
from optsched.rates import rates

MEDIUM, LARGE = "reset_vm_pm_id_clear2.json", "reset_vm_pm_id_clear_big2.json"


def machine(name: str, **fields: Any) -> dict[str, Any]:
    """A PM of 2 x 44 cores and 1000.5 MiB."""
    nodes = [{"node": n, "total_cpu": 44, "memory_huge_total_mb": 1000.5} for n in (0, 1)]
    return {"node_id": name, "status": "ACTIVE", "numa": nodes, "rack_id": 3, **fields}


def vm(name: str, host: str, *nodes: int, cpu: float = 8, **fields: Any) -> dict[str, Any]:
    """A VM that takes `cpu` cores and 100.2 MiB of each of some NUMA nodes."""
    parts = [{"node": n, "cpu": cpu, "mem_mb": 100.2} for n in nodes]
    return {"instance_id": name, "host_id": host, "numa": parts, **fields}


def document(
    *vms: dict[str, Any], machines: tuple[dict[str, Any], ...] = (), **fields: Any
) -> dict[str, Any]:
    """One cluster of two PMs."""
    pms = [*machines] or [machine("pm_0"), machine("pm_1")]
    cluster = {"cluster_name": "c1", "host_info": pms, "vm_instance": [*vms], **fields}
    return {"cluster_list": [cluster], "vm_type_list": [], "general_requirement": {}}


@pytest.fixture
def read_it(tmp_path: Path) -> Callable[..., PlacementProblem]:
    """Reader of a document through a file."""

    def reading(content: dict[str, Any], **options: Any) -> PlacementProblem:
        path = tmp_path / "snapshot.json"
        path.write_text(json.dumps(content))
        return read(path, **options)

    return reading


@pytest.mark.parametrize(
    ("file", "hosts", "vms", "free", "blocks", "rate", "odd", "other"),
    [
        (MEDIUM, 279, 2089, 1394, 2, 0.9770, 80, 167),
        (LARGE, 1176, 4546, 18772, 469, 0.6003, 239, 499),
    ],
)
def test_published_rates_are_met(
    data_path: Callable[[str], Path],
    file: str,
    hosts: int,
    vms: int,
    free: int,
    blocks: int,
    rate: float,
    odd: int,
    other: int,
) -> None:
    """FR16 of both real snapshots, recomputed from the VMs; warnings count what is odd."""
    problem = read(data_path(f"vmr/{file}"))
    assert (len(problem.hosts), len(problem.items)) == (hosts, vms)
    (found,) = rates(problem, Placement.current(problem))
    assert (found.name, found.free, found.blocks) == ("FR16", free, blocks)
    assert round(found.share, 4) == rate
    split, room = problem.warnings
    assert split.startswith(f"{other} VMs are of other size or split than the type says")
    assert room.startswith(f"{odd} NUMA nodes are said to have other room")
    assert check(problem, Plan(problem.digest())).levels == (found.wasted,)


def test_records_become_tables(read_it: Callable[..., PlacementProblem]) -> None:
    """Nodes are cells, halves are equal, memory is rounded to the safe side, racks are kept."""
    problem = read_it(document(vm("a", "pm_0", 1), vm("b", "pm_1", 0, 1, allow_migration=False)))
    items = problem.items
    assert problem.cells.resources == ("cores", "memory_mib")
    assert problem.cells.capacity.tolist() == [[44, 1000]] * 4
    assert items.cell_demand.tolist() == [[8, 101]] * 2
    assert items.cells0.tolist() == [[1, -1], [2, 3]]
    assert items.cells_needed.tolist() == [1, 2]
    assert items.movable.tolist() == [True, False]
    assert not items.lets_go_first.any()
    assert problem.pin_reasons == ("the file forbids its migration",)
    assert problem.where.keys == ("host", "cluster", "rack")
    assert problem.where.domain_names[2] == ("3",)
    assert not problem.warnings


def test_broken_cores_are_counted_in_milli(read_it: Callable[..., PlacementProblem]) -> None:
    """One VM with half a core turns all cores into milli; FR16 keeps its meaning."""
    problem = read_it(document(vm("a", "pm_0", 0, cpu=12.5), vm("b", "pm_0", 1, cpu=4)))
    assert problem.cells.resources[0] == "cores_milli"
    assert problem.items.cell_demand[:, 0].tolist() == [12_500, 4_000]
    (found,) = rates(problem, Placement.current(problem))
    # 31.5, 40, 44 and 44 free: 1 + 2 + 2 + 2 blocks
    assert (found.name, found.free, found.blocks) == ("FR16", 159_500, 7)


def test_anti_affinity_keeps_vms_apart(read_it: Callable[..., PlacementProblem]) -> None:
    """No two of a deployment set on one PM, if one of them enters it."""
    vms = vm("a", "pm_0", 0), vm("b", "pm_1", 0), vm("c", "pm_1", 1)
    apart = {"deployment_set": [["a", "b"]]}
    problem = read_it(document(*vms, other_requirement=apart))
    digest = problem.digest()
    moves = Move(0, 0, 1, (3,)), Move(2, 1, 0, (1,))
    found = [check(problem, Plan(digest, waves=(Wave((move,)),))).violations for move in moves]
    assert "anti-affinity group 0" in found[0][0].text
    assert not found[1]


def test_clusters_are_one_pool_unless_asked(read_it: Callable[..., PlacementProblem]) -> None:
    """By default a VM may go to another cluster's PM; apart, it may not."""
    two = document(vm("a", "pm_0", 0))
    other = deepcopy(two["cluster_list"][0])
    other.update(cluster_name="c2", host_info=[machine("pm_9")], vm_instance=[])
    two["cluster_list"].append(other)
    assert not read_it(two).where.excluded.any()
    problem = read_it(two, clusters="apart")
    assert problem.where.excluded[problem.where.item_eligible[0]].tolist() == [0, 0, 1]


def test_machines_out_of_service_drop_out(read_it: Callable[..., PlacementProblem]) -> None:
    """They and their VMs are left out, by name, also from anti-affinity groups."""
    machines = machine("pm_0"), machine("pm_1", status="DOWN")
    groups = {"deployment_set": [["a", "b"]]}
    content = document(
        vm("a", "pm_0", 0), vm("b", "pm_1", 0), machines=machines, other_requirement=groups
    )
    problem = read_it(content)
    assert problem.hosts.names == ("pm_0",)
    assert problem.items.names == ("a",)
    assert problem.warnings == ("1 PM is not ACTIVE and left out with the VMs on them: pm_1",)


def test_what_does_not_add_up_is_named(read_it: Callable[..., PlacementProblem]) -> None:
    """Overfull nodes and wrong free fields: a warning, and the VMs count."""
    odd = machine("pm_0")
    odd["numa"][0] |= {"free_cpu": 44, "memory_huge_free_mb": 899.9}
    odd["numa"][1] |= {"free_cpu": 20}
    vms = [vm(f"v{n}", "pm_0", 0, cpu=24) for n in range(2)]
    problem = read_it(document(*vms, machines=(odd,)))
    assert problem.warnings == (
        "1 NUMA node is overfull, so nothing enters before something leaves: pm_0/0",
        "2 NUMA nodes are said to have other room than VMs leave there; the VMs were believed: "
        "pm_0/0, pm_0/1",
    )


def test_sizes_that_are_said_twice_are_compared(read_it: Callable[..., PlacementProblem]) -> None:
    """Of a VM and its type, of a PM and its NUMA nodes: a warning, and the smaller parts count."""
    content = document(
        vm("a", "pm_0", 0, instance_type="small"),
        vm("b", "pm_0", 0, 1, instance_type="small"),
        vm("c", "pm_1", 0, instance_type="unheard of"),
        machines=(machine("pm_0", node_cpu=88, node_mem_mb=2001), machine("pm_1", node_cpu=64)),
    )
    content["vm_type_list"] = [
        {"vm_type": "small", "request_cpu": 8, "request_mem_mb": 100.2, "numa": 1}
    ]
    problem = read_it(content)
    assert problem.warnings == (
        "1 PM is said to be of another size than the NUMA nodes are together; the nodes were "
        "believed: pm_1",
        "1 VM is of other size or split than the type says; the VMs were believed: b",
    )
    assert problem.cells.capacity[:, 0].tolist() == [44] * 4


def test_groups_that_are_broken_already_are_named(
    read_it: Callable[..., PlacementProblem],
) -> None:
    """Who shares a PM with another of the group may stay there."""
    vms = [vm("a", "pm_0", 0), vm("b", "pm_0", 1), vm("c", "pm_1", 0)]
    groups = [["a", "c"], ["c", "a", "b"]]
    problem = read_it(document(*vms, other_requirement={"deployment_set": groups}))
    assert problem.warnings == (
        "1 anti-affinity group is broken already, which is left as it is: group 1 (a and b on "
        "pm_0)",
    )
    assert check(problem, Plan(problem.digest())).violations == ()


BAD = {
    "unknown host": (document(vm("a", "pm_7", 0)), "VM 'a' names the PM 'pm_7'"),
    "unknown node": (document(vm("a", "pm_0", 2)), "VM 'a' sits on NUMA node 2 of PM 'pm_0'"),
    "fits nowhere": (document(vm("a", "pm_0", 0, cpu=45)), "'a' takes 45 cores.*fits nowhere"),
    "node twice": (
        document(machines=(machine("pm_0", numa=[*machine("x")["numa"], *machine("y")["numa"]]),)),
        "PM 'pm_0' lists NUMA node 0 twice",
    ),
    "PM twice": (document(machines=(machine("pm_0"), machine("pm_0"))), "'pm_0': .*twice"),
    "VM twice": (document(vm("a", "pm_0", 0), vm("a", "pm_1", 0)), "'a': the name is used twice"),
    "twice on a node": (document(vm("a", "pm_0", 0, 0)), "'a': .*too few or too many distinct"),
    "no name": (document(vm("", "pm_0", 0)), "vm_instance.*instance_id"),
    "no host": (document({"instance_id": "a", "numa": []}), "vm_instance"),
    "unknown member": (
        document(vm("a", "pm_0", 0), other_requirement={"deployment_set": [["a", "z"]]}),
        "anti-affinity group 0 names the VM 'z'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused(case: str, read_it: Callable[..., PlacementProblem]) -> None:
    """The error names the file and the object."""
    content, words = BAD[case]
    with pytest.raises(InputError, match=words) as refused:
        read_it(content)
    assert "snapshot.json" in str(refused.value)


def test_unequal_parts_are_refused(read_it: Callable[..., PlacementProblem]) -> None:
    """A VM that takes 8 cores here and 4 there is not understood."""
    content = document(vm("a", "pm_0", 0, 1))
    content["cluster_list"][0]["vm_instance"][0]["numa"][1]["cpu"] = 4
    with pytest.raises(InputError, match="'a' takes 8 cores of one NUMA node and 4 of another"):
        read_it(content)


def test_an_unknown_way_with_clusters_is_refused(read_it: Callable[..., PlacementProblem]) -> None:
    """There are two."""
    with pytest.raises(InputError, match="write joined or apart"):
        read_it(document(vm("a", "pm_0", 0)), clusters="maybe")
