"""RayCloudSim's files: units by hand, paths, and the real files where they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optsched.api import read
from optsched.errors import InputError
from optsched.solvers.scheduling import RULES
from optsched.tasks import TaskProblem, Tier, evaluate

HEAD = "TaskName,GenerationTime,TaskID,TaskSize,CyclesPerBit,TransBitRate,DDL"
KILO = f"{HEAD},DataType,DeviceType\nt0,0.41,0,80,50.0,20,30,Bulk,Mobile\nt1,2,1,220,900,90,9,A,B\n"
MEGA = f"{HEAD},SrcName\nt0,1.0,0,87,783,40,57,b\nt1,2,1,30,100,10,60,a\n"


def configuration() -> dict[str, Any]:
    """Three nodes in a row: a - b - c."""
    speeds = {"a": 10_000, "b": 20_000, "c": 1900}
    return {
        "Nodes": [
            {"NodeType": "Node", "NodeName": name, "NodeId": 7 * k, "MaxCpuFreq": speed,
             "MaxBufferSize": 100, "IdleEnergyCoef": 0.01, "ExeEnergyCoef": 0.4}
            for k, (name, speed) in enumerate(speeds.items())
        ],
        "Edges": [
            {"EdgeType": "Link", "SrcNodeID": 0, "DstNodeID": 7, "Bandwidth": 1000},
            {"EdgeType": "SingleLink", "SrcNodeID": 7, "DstNodeID": 14, "Bandwidth": 1000},
            {"EdgeType": "SingleLink", "SrcNodeID": 14, "DstNodeID": 7, "Bandwidth": 95},
        ],
    }  # fmt: skip


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., str]:
    """A writer of both files; returns the path of the configuration."""

    def write(tasks: str, config: dict[str, Any] | None = None) -> str:
        path = tmp_path / "X_config.json"
        path.write_text(json.dumps(config or configuration()))
        (tmp_path / "X_testset.csv").write_text(tasks)
        return str(path)

    return write


def problem(path: str, **options: Any) -> TaskProblem:
    """Read as tasks."""
    made = read(path, **options)
    assert isinstance(made, TaskProblem)
    return made


def test_kilobits_by_hand(save: Callable[..., str]) -> None:
    """80 kb at 20 kb/s take 4 s a link; 80 kb of 50 cycles are 4,000 thousands, at 10,000 a second.

    220 kb at 90 kb/s are 27,500 bytes in four parts at 45 bytes a ms, 612 ms each.
    """
    made = problem(save(KILO))
    assert made.tasks.arrival.tolist() == [410, 2000]
    assert made.tasks.deadline.tolist() == [30_410, 11_000]
    assert made.tasks.input.tolist() == [10_000, 27_500]
    assert made.upload.tolist() == [[1, 4001, 8001], [1, 2449, 4897]]
    assert made.run.tolist() == [[400, 200, 2106], [19_800, 9900, 104_211]]
    assert not made.download.any()


def test_megabits_by_hand(save: Callable[..., str]) -> None:
    """87 Mb at 40 Mb/s take 2,175 ms; from b, so that a and c are one link away."""
    made = problem(save(MEGA))
    assert made.tasks.input.tolist() == [10_875_000, 3_750_000]
    assert made.upload.tolist() == [[2176, 1, 2176], [1, 3001, 6001]]
    assert made.run[0].tolist() == [6813, 3407, 35_854]
    assert made.nodes.busy.tolist() == [round(1000 * (s / 1900) ** 3) for s in (10000, 20000, 1900)]


def test_settings(save: Callable[..., str], tmp_path: Path) -> None:
    """Fewer tasks, other deadlines, another unit, and both files by name."""
    made = problem(save(MEGA), first="1", slack="2", unit="kb")
    assert len(made.tasks) == 1
    assert made.tasks.deadline.tolist() == [1000 + 2 * 3408]  # on b: 1 ms and 3,407 ms
    named = f"{tmp_path / 'X_testset.csv'},{tmp_path / 'X_config.json'}"
    assert problem(named).digest() == problem(str(tmp_path / "X_testset.csv")).digest()
    told = evaluate(made, RULES["eft"](made, 0))
    assert told.violations == ()


@pytest.mark.parametrize(
    ("change", "tasks", "words"),
    [
        ({"Bandwidth": 0}, KILO, "from 'a' to 'b' has no bandwidth"),
        ({"Bandwidth": 80}, KILO, "carries 80 and a task is sent at 90 kb/s"),
        ({"DstNodeID": 3}, KILO, "names the node 3"),
        ({"EdgeType": "SingleLink"}, KILO, "from 'a' to 'b' has no way back"),
        ({}, MEGA.replace(",b", ",x"), "task 't0' names the node 'x'"),
        ({}, KILO.replace("0.41", "-1"), "task 't0': GenerationTime is '-1'"),
        ({}, KILO.replace("50.0", "nan"), "task 't0': CyclesPerBit is 'nan'"),
        ({}, KILO.replace(",20,30", ",0,30"), "TransBitRate is '0'"),
        ({}, f"{HEAD},SrcName\n", "no nodes or no tasks"),
        ({}, MEGA.replace(",60,a", ",60"), "line 3 ends too early"),
    ],
)
def test_bad_files_are_refused(
    save: Callable[..., str], change: dict[str, Any], tasks: str, words: str
) -> None:
    """One sentence that names the object."""
    config = configuration()
    config["Edges"][0].update(change)
    with pytest.raises(InputError, match=words):
        read(save(tasks, config))


def test_what_is_missing_is_said(save: Callable[..., str]) -> None:
    """The other file, or a setting that is none."""
    with pytest.raises(InputError, match=r"X_trainset\.csv is not beside it"):
        read(save(KILO), select="trainset")
    with pytest.raises(InputError, match="kb or Mb"):
        read(save(KILO), unit="GB")
    with pytest.raises(InputError, match="slack is 'fast'"):
        read(save(KILO), slack="fast")


def test_folders(tmp_path: Path) -> None:
    """One with a pair is read; of others it is said what is there, what lacks, and what to give."""
    near, far = tmp_path / "sets" / "near", tmp_path / "sets" / "far"
    for folder in (near, far):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(configuration()))
    (near / "testset.csv").write_text(KILO)
    (near / "package.config.json").write_text("{}")  # of something else
    assert problem(str(near)).digest() == problem(str(near / "config.json")).digest()
    with pytest.raises(InputError) as told:
        read(tmp_path / "sets")
    assert str(told.value) == (
        f"{tmp_path / 'sets'}: 2 data sets are in it (far/config.json, near/config.json); give "
        f"one, such as {far / 'config.json'}"
    )
    with pytest.raises(InputError) as told:
        read(far)
    pair = f"{far / 'config.json'},{near / 'testset.csv'}"
    assert str(told.value) == (
        f"{far}: testset.csv is not beside it; if {near / 'testset.csv'} belongs to it, give "
        f'"{pair}"'
    )
    assert problem(pair).digest() == problem(str(near)).digest()
    (near / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json is not beside it; if .*far/config\.json"):
        read(near)
    (far / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json is not beside it; give \"config"):
        read(near)
    with pytest.raises(InputError, match=r"there is no config\.json, the nodes and links, nor"):
        read(far, format="raycloudsim")


@pytest.mark.parametrize(
    ("file", "nodes"),
    [
        ("Pakistan/Tuple30K_config.json", 8),
        ("Topo4MEC/25N50E_testset.csv", 25),
        ("Topo4MEC/MilanCityCenter_config.json", 30),
        ("Topo4MEC/100N150E_config.json", 100),
    ],
)
def test_public_files(data_path: Callable[[str], Path], file: str, nodes: int) -> None:
    """They are read, every node is reachable, and EFT is allowed."""
    made = problem(str(data_path(f"iot/raycloudsim/{file}")), first="60")
    assert len(made.nodes) == nodes
    assert made.fits.all()
    assert evaluate(made, RULES["eft"](made, 0)).violations == ()
    if nodes == 8:
        assert made.nodes.tier.tolist() == [Tier.EDGE, *[Tier.FOG] * 5, *[Tier.CLOUD] * 2]
        assert made.upload[0].tolist() == [1, *[2701] * 7]  # 270 kb at 100 kb/s
