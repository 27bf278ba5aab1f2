"""Foreign files become problems, found by their content."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optsched.errors import FormatError, InputError, UnsupportedError
from optsched.formats import read
from optsched.levels import TermKind
from optsched.report.summary import needs

BALANCE = {
    "id": 0,
    "computerList": [
        {"id": 7, "cpuPower": 24, "memory": 96, "networkBandwidth": 16, "cost": 4800},
        {"id": 9, "cpuPower": 6, "memory": 4, "networkBandwidth": 6, "cost": 660},
    ],
    "processList": [
        {
            "id": at,
            "requiredCpuPower": at,
            "requiredMemory": 2,
            "requiredNetworkBandwidth": 1,
            "computer": on,
        }
        for at, on in enumerate([None, 9])
    ],
    "score": None,
}
INSTANCES = [
    {
        "seed": 100 + at,
        "nodes": 2,
        "ppn": 1,
        "prios": 2,
        "util": 0.95,
        "node_cpu_m": 1000,
        "node_mem_b": 10**9,
        "pods_cpu_mem_prio_node": [[500, 10**8, 2, 1], [600, 10**8, 1, None]],
    }
    for at in range(3)
]
NODES = "sn,cpu_milli,memory_mib,gpu,model\nn0,32000,262144,0,\nn1,96000,393216,2,T4\n"
PODS = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec
whole,4000,8192,2,1000,A10|T4
share,4000,8192,1,460,
plain,2000,1024,0,0,
picky,2000,1024,1,1000,A10
"""


@pytest.fixture
def save(tmp_path: Path) -> Callable[[str, Any], str]:
    """Write a file, JSON unless it is text already, and give its path."""

    def write(name: str, content: Any) -> str:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_cloud_balancing_charges_computers_only(save: Callable[[str, Any], str]) -> None:
    """Processes are placed first, then the computers in use cost; moves cost nothing."""
    p = read(save("balance.json", BALANCE))
    assert p.hosts.names == ("computer-7", "computer-9")
    assert p.hosts.cost.tolist() == [4800, 660]
    assert p.items.host0.tolist() == [-1, 1]
    kinds = [term.kind for level in p.objective for term in level.terms]
    assert kinds == [TermKind.UNPLACED, TermKind.HOST_COST]


def test_public_cloud_balancing_files(data_path: Callable[[str], Path]) -> None:
    """The published instances are read, every process pending."""
    for name, hosts, items in (
        ("100computers-300processes.json", 100, 300),
        ("800computers-2400processes.json", 800, 2400),
    ):
        p = read(data_path(f"cloudbalancing/{name}"))
        assert (len(p.hosts), len(p.items)) == (hosts, items)
        assert (p.items.host0 < 0).all()


@pytest.mark.parametrize(("select", "seed"), [(None, 100), ("1", 101), (2, 102), ("102", 102)])
def test_an_instance_is_selected(
    save: Callable[[str, Any], str], select: str | int | None, seed: int
) -> None:
    """By position or by seed; the first one by default, and the problem says which."""
    p = read(save("n2.json", INSTANCES), select=select)
    assert p.name == f"priority-matters-{seed}"
    assert str(seed) in p.warnings[0]
    assert p.items.host0.tolist() == [1, -1]
    assert p.items.tier.tolist() == [0, 1]
    assert p.tiers == ("priority 2", "priority 1")


def test_an_unknown_instance_is_refused(save: Callable[[str, Any], str]) -> None:
    """The message lists what there is."""
    with pytest.raises(FormatError, match=r"n2\.json: no instance '7'.*100, 101, 102"):
        read(save("n2.json", INSTANCES), select="7")


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        ([1, 1, 3, None], "pod 0 has priority 3, outside 1..2"),
        ([1, 1, 1, 2], "pod 0 runs on node 2; there are 2"),
        ([-1, 1, 1, None], ">= 0"),
        ([1, 1], "length 4"),
    ],
)
def test_a_broken_instance_is_refused(
    save: Callable[[str, Any], str], pod: list[Any], words: str
) -> None:
    """What contradicts the instance is named."""
    with pytest.raises(InputError, match=r"n2\.json: ") as caught:
        read(save("n2.json", [{**INSTANCES[0], "pods_cpu_mem_prio_node": [pod]}]))
    assert words in str(caught.value)


def test_public_placements(data_path: Callable[[str], Path]) -> None:
    """All shipped instances are read, and no node holds more than it has."""
    files = sorted(data_path("priority-matters/placements").glob("*.json"))
    assert len(files) == 5
    for file in files:
        for at in range(5):
            p = read(file, select=at)
            use = np.zeros_like(p.hosts.capacity)
            placed = p.items.host0 >= 0
            np.add.at(use, p.items.host0[placed], p.items.demand[placed])
            assert (use <= p.hosts.capacity).all()
            assert not placed.all()


def test_gpus_are_cells(save: Callable[[str, Any], str]) -> None:
    """Several GPUs are taken whole, one may be shared, and a model binds the node."""
    nodes, pods = save("nodes.csv", NODES), save("pods.csv", PODS)
    p = read(f"{nodes},{pods}")
    assert p.cells.host.tolist() == [1, 1]
    assert p.cells.kinds == ("GPU", "T4")
    assert p.items.cells_needed.tolist() == [2, 1, 0, 1]
    assert p.items.cell_demand.tolist() == [[1000], [460], [0], [1000]]
    excluded = p.where.excluded[p.where.item_eligible].astype(bool)
    assert excluded.tolist() == [[True, False], [False, False], [False, False], [True, True]]
    assert (p.items.host0 < 0).all()


def test_amounts_are_told_in_their_units(save: Callable[[str, Any], str]) -> None:
    """MiB are MiB, milli of a GPU are shares of it, and cloud balancing's units are unknown."""
    nodes, pods = save("nodes.csv", NODES), save("pods.csv", PODS)
    p = read(f"{nodes},{pods}")
    assert needs(p, 1) == "4 cpu, 8 GiB memory, 1 cell of 0.46 gpu"
    balance = read(save("balance.json", BALANCE))
    assert needs(balance, 1) == "1 cpu power, 2 RAM, 1 network"


def test_public_gpu_trace(data_path: Callable[[str], Path]) -> None:
    """The folder of the trace holds 1,213 nodes with 6,212 GPUs and 8,152 pods."""
    p = read(data_path("gpu/openb"))
    assert (len(p.hosts), len(p.cells), len(p.items)) == (1213, 6212, 8152)
    asked = (p.items.cells_needed * p.items.cell_demand[:, 0]).sum()
    assert round(asked / 1000, 1) == 6086.8
    assert read(data_path("gpu/openb"), select="gpuspec10").name == "openb_pod_list_gpuspec10"
    with pytest.raises(FormatError, match=r"no pod list 'gpuspec99' \(there are: cpu0, "):
        read(data_path("gpu/openb"), select="gpuspec99")


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        ("name,cpu_milli\n", "no column memory_mib, num_gpu, gpu_milli"),
        (PODS + "late,1\n", "line 6 ends too early"),
        (PODS + "odd,-5,1,0,0,\n", "'odd': cpu_milli is '-5', not an amount"),
        (PODS + f"odd,{10**17},1,0,0,\n", "not an amount"),
        (PODS + "share,1,1,0,0,\n", "'share': the name is used twice"),
        ("", "no column name"),
    ],
)
def test_broken_lists_are_refused(save: Callable[[str, Any], str], pods: str, words: str) -> None:
    """What is wrong with a table is said with its line or pod."""
    with pytest.raises(InputError) as caught:
        read(f"{save('nodes.csv', NODES)},{save('pods.csv', pods)}")
    assert words in str(caught.value)


def test_a_single_table_is_not_enough(save: Callable[[str, Any], str]) -> None:
    """One list asks for the other, whether its format is named or seen."""
    for name, rows in (("nodes.csv", NODES), ("pods.csv", PODS)):
        for format in ("openb", None):
            with pytest.raises(FormatError, match=r"give \"nodes.csv,pods.csv\""):
                read(save(name, rows), format)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        ("hello", "the file is of no known format"),
        ("{}", "the JSON is of no known format"),
        ('{"computer', "the JSON is broken"),
    ],
)
def test_the_unknown_is_told_what_is_understood(
    save: Callable[[str, Any], str], content: str, words: str
) -> None:
    """A file of no known format gets the list of those that are."""
    with pytest.raises(FormatError, match=r"snapshot, kubectl, .*openb, .*cloudbalancing") as e:
        read(save("what.json", content))
    assert words in str(e.value)


def test_a_cut_file_keeps_its_format(save: Callable[[str, Any], str]) -> None:
    """A file that starts well and ends early is broken, not unknown."""
    with pytest.raises(FormatError, match=r"balance\.json: the JSON ends too early"):
        read(save("balance.json", json.dumps(BALANCE)[:-9]))


def test_gzip_needs_no_name(tmp_path: Path) -> None:
    """Compression is found by content."""
    (tmp_path / "balance").write_bytes(gzip.compress(json.dumps(BALANCE).encode()))
    assert read(tmp_path / "balance").name == "cloudbalancing-2x2"


def test_options_of_other_formats_are_refused(save: Callable[[str, Any], str]) -> None:
    """An option that would be ignored is an error."""
    with pytest.raises(UnsupportedError, match="cloudbalancing takes no option 'select'"):
        read(save("balance.json", BALANCE), select="3")


def test_an_unknown_format_is_refused(save: Callable[[str, Any], str]) -> None:
    """The nearest name is offered."""
    with pytest.raises(UnsupportedError, match="did you mean 'openb'"):
        read(save("balance.json", BALANCE), "openbb")
