"""RayCloudSim: a configuration of nodes and links (JSON) with a list of tasks (CSV).

The path is "config.json,tasks.csv", or one of them with the other beside it under the published
names (Tuple30K_config.json and Tuple30K_testset.csv, or config.json and testset.csv), or a folder
with one such pair; `select` names another list ("trainset"), `first` takes only so many tasks.
`slack` replaces the published deadlines, which do not depend on how large a task is, by the arrival
and so many times the answer of the task alone on its best node.

Units are not in the files, and differ between them. Lists that name the sources of tasks (Topo4MEC)
are in megabits, megabits per second and MHz; the others (the tuples from Pakistan) are in kilobits,
kilobits per second and thousands of instructions per second, and their tasks come from the first
node of the edge. `unit` ("Mb" or "kb") overrules this. Only the ratio of work and speed counts, so
both stay in the unit of the file. Times are seconds.

As in the simulator a node runs one task at a time with all it has; a task is sent at its own rate,
over one link after another on the path of fewest links, and nothing is sent back. Here that is a
copy of the network for every rate, from which a task enters its node in 1 ms. Where a rate is no
whole number of bytes in a millisecond, each link is several in a row, each as much faster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from optsched.errors import FormatError, InputError
from optsched.snapshot import read_bytes, text
from optsched.snapshot.names import Names
from optsched.tasks import Goal, Network, Nodes, Objective, TaskProblem, Tasks, Tier

from .csv_tables import Rows, number, table, titles
from .raycloudsim_files import COLUMNS, files, sets_in

Amount = Annotated[float, Meta(ge=0, le=1e12)]
Above = Annotated[float, Meta(gt=0, le=1e9)]
BYTES = {"kb": 125, "Mb": 125_000}  # of one unit of data; per second and in ms, a thousandth
AT_ONCE = 1 << 53  # bandwidth of what takes the 1 ms that any data take
WARNINGS = (
    "congestion of links and the buffers of nodes, which RayCloudSim knows, are not modelled",
    "RayCloudSim's energy has no unit: it is in multiples of the thriftiest node's, set to 1 W",
)


class Machine(msgspec.Struct, rename="pascal"):
    """A node; a task that runs adds `exe_energy_coef` times the cube of `max_cpu_freq`."""

    node_name: str
    node_id: int
    max_cpu_freq: Above
    idle_energy_coef: Amount = 0.0
    exe_energy_coef: Amount = 0.0
    device_type: Literal["Edge", "Fog", "Cloud"] | None = None


class Edge(msgspec.Struct):
    """A link; a single one goes one way."""

    kind: Literal["Link", "SingleLink"] = msgspec.field(name="EdgeType")
    source: int = msgspec.field(name="SrcNodeID")
    target: int = msgspec.field(name="DstNodeID")
    bandwidth: Amount = msgspec.field(name="Bandwidth")
    latency: Amount = msgspec.field(name="BaseLatency", default=0.0)


class Configuration(msgspec.Struct, rename="pascal"):
    """The document."""

    nodes: list[Machine]
    edges: list[Edge]


def problem_of(
    configuration: Configuration, rows: Rows, name: str, unit: str, slack: float | None = None
) -> TaskProblem:
    """The tables; `unit` of data is "kb" or "Mb".

    Raises
    ------
    InputError
        The files contradict themselves or each other, or a number cannot be read.
    """
    machines = configuration.nodes
    if not machines or not rows:
        raise FormatError("there are no nodes or no tasks")
    names = Names("node", [one.node_name for one in machines])
    labels = [f"task {row['TaskName']!r}" for row in rows]
    rates = np.array(
        [number(r, "TransBitRate", by, 1e-6) for r, by in zip(rows, labels, strict=True)]
    )
    sources = _sources(machines, rows, labels, names)
    network, entry = _network(configuration, names, np.unique(rates), unit)

    def column(title: str, factor: float = 1.0) -> np.ndarray:
        read = [number(row, title, by) for row, by in zip(rows, labels, strict=True)]
        return np.array(read) * factor

    size = column("TaskSize")
    arrival = np.rint(column("GenerationTime", 1000)).astype(np.int64)
    tasks = Tasks.of(
        _up(size * column("CyclesPerBit")),
        len(machines),
        names=[row["TaskName"] for row in rows],
        source=[entry[at, rate] for at, rate in zip(sources, rates.tolist(), strict=True)],
        arrival=arrival,
        input=_up(size * BYTES[unit]),
        deadline=arrival + np.rint(column("DDL", 1000)).astype(np.int64),
    )
    made = TaskProblem(
        network,
        _nodes(machines),
        tasks,
        horizon=int(arrival.max()) + 1,
        objective=Objective((Goal.SLA, Goal.RESPONSE, Goal.ENERGY)),
        name=name,
        warnings=WARNINGS,
    )
    return _timed(made, slack)


def _timed(problem: TaskProblem, slack: float | None) -> TaskProblem:
    """With a horizon by which each task could answer even if all went to one node, and slack."""
    tasks, fits = problem.tasks, problem.fits
    if not fits.any():
        raise FormatError("no task can be sent to any node")
    alone = np.where(fits, problem.upload + problem.run, 0)
    longest = int(alone.max(axis=1).sum())
    # Deadlines here are seconds; a day's queue would only make the figures of energy meaningless.
    horizon = int(tasks.arrival.max()) + min(longest, 10 * int(alone.max())) + 1
    if slack is not None:
        least = np.where(fits, alone, np.iinfo(np.int64).max // 4).min(axis=1)
        least = np.where(fits.any(axis=1), least, 0)
        deadline = tasks.arrival + np.ceil(slack * least).astype(np.int64)
        tasks = Tasks(**{**vars(tasks), "deadline": deadline})
    return problem.replace(tasks=tasks, horizon=horizon)


def _up(values: np.ndarray) -> np.ndarray:
    """Rounded up, after what floating point added."""
    return np.ceil(np.round(values, 6)).astype(np.int64)


def _nodes(machines: Sequence[Machine]) -> Nodes:
    """One core with all of the speed; powers in multiples of the thriftiest one's when it runs."""
    speed = [max(1, round(one.max_cpu_freq)) for one in machines]
    busy = np.array([one.exe_energy_coef * one.max_cpu_freq**3 for one in machines])
    idle = np.array([one.idle_energy_coef for one in machines])
    least = float(busy[busy > 0].min(initial=np.inf))
    watts = 1000 / least if math.isfinite(least) else 1000.0
    tiers = {"Edge": Tier.EDGE, "Fog": Tier.FOG, "Cloud": Tier.CLOUD}
    named = any(one.device_type for one in machines)
    other = Tier.FOG if named else Tier.EDGE
    return Nodes.of(
        speed,
        names=[one.node_name for one in machines],
        site=range(len(machines)),
        tier=[int(tiers[one.device_type]) if one.device_type else int(other) for one in machines],
        idle=np.rint(idle * watts).astype(np.int64),
        busy=np.rint((idle + busy) * watts).astype(np.int64),
    )


def _sources(
    machines: Sequence[Machine], rows: Rows, labels: Sequence[str], names: Names
) -> list[int]:
    """The node at which each task comes in."""
    if "SrcName" in rows[0]:
        return [names.find(row["SrcName"], by) for row, by in zip(rows, labels, strict=True)]
    edge = next((k for k, one in enumerate(machines) if one.device_type == "Edge"), 0)
    return [edge] * len(rows)


def _network(
    configuration: Configuration, names: Names, rates: np.ndarray, unit: str
) -> tuple[Network, dict[tuple[int, float], int]]:
    """A copy of the links for every rate, and the site of a node (by position) in each copy."""
    machines = configuration.nodes
    place = {one.node_id: k for k, one in enumerate(machines)}
    if len(place) < len(machines):
        raise FormatError("two nodes have the same NodeId")
    joined = _joined(configuration.edges, place, names)
    for (a, b), (wide, _) in joined.items():
        if wide < rates[-1]:
            raise FormatError(
                f"the link between {names.table[a]!r} and {names.table[b]!r} carries {wide:g} and "
                f"a task is sent at {rates[-1]:g} {unit}/s; leave one of them out"
            )
    per_ms = BYTES[unit] / 1000  # bytes in a millisecond at a rate of 1
    parts = next((k for k in (1, 2, 4, 8) if not (rates * per_ms * k % 1).any()), 8)
    sites, ends = list(names.table), list[tuple[int, int]]()
    latency, bandwidth = list[int](), list[int]()
    entry: dict[tuple[int, float], int] = {}
    for rate in rates.tolist():
        for k, node in enumerate(names.table):
            entry[k, rate] = len(sites)
            ends.append((k, len(sites)))
            latency.append(0)
            bandwidth.append(AT_ONCE)
            sites.append(f"{node} at {rate:g} {unit}/s")
        for (a, b), (_, late) in joined.items():
            row = [entry[a, rate], *range(len(sites), len(sites) + parts - 1), entry[b, rate]]
            sites += [
                f"{names.table[a]}-{names.table[b]} at {rate:g}, {p}" for p in range(1, parts)
            ]
            ends += pairwise(row)
            latency += [late, *[0] * (parts - 1)]
            bandwidth += [max(1, round(rate * per_ms * parts))] * parts
    return Network.of(sites, ends, latency=latency, bandwidth=bandwidth), entry


def _joined(
    edges: Sequence[Edge], place: dict[int, int], names: Names
) -> dict[tuple[int, int], tuple[float, int]]:
    """Bandwidth of the narrower way and latency in ms of every pair of nodes that are joined."""
    ways: dict[tuple[int, int], tuple[float, int]] = {}
    for one in edges:
        if one.source not in place or one.target not in place:
            missing = one.source if one.source not in place else one.target
            raise FormatError(f"a link names the node {missing}, which the file does not have")
        if one.bandwidth <= 0:
            ends = [names.table[place[k]] for k in (one.source, one.target)]
            raise FormatError(
                f"the link from {ends[0]!r} to {ends[1]!r} has no bandwidth; leave it out"
            )
        way = (place[one.source], place[one.target])
        ways[way] = (one.bandwidth, round(1000 * one.latency))
        if one.kind == "Link":
            ways[way[::-1]] = ways[way]
    joined = {}
    for (a, b), (wide, late) in ways.items():
        if (b, a) not in ways:
            raise FormatError(
                f"the link from {names.table[a]!r} to {names.table[b]!r} has no way back; "
                "networks of optsched go both ways"
            )
        if a < b:
            joined[a, b] = (min(wide, ways[b, a][0]), max(late, ways[b, a][1]))
    return joined


class RayCloudSimFormat:
    """Reads a configuration and a list of tasks; see `optsched.formats.base.Format`."""

    name = "raycloudsim"
    describes = "nodes and tasks of RayCloudSim (Pakistan, Topo4MEC), config.json,tasks.csv"
    takes = ("select", "first", "unit", "slack")

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether it is a configuration, a list of tasks, or both by name."""
        parts = path.split(",")
        if not head and len(parts) == 2:
            return {*COLUMNS} <= {*titles(parts[0]), *titles(parts[1])}
        if Path(path).is_dir():
            return any(sets_in(Path(path), 2))
        return b'"MaxCpuFreq"' in head or head.startswith(b"TaskName,GenerationTime,")

    def read(self, data: bytes, path: str, **options: Any) -> TaskProblem:
        """The problem in the two files."""
        config, listed = files(path, options.get("select"))
        rows = table(listed, COLUMNS, ["SrcName"])
        first = _option(options, "first", 1)
        unit = options.get("unit") or ("Mb" if rows and "SrcName" in rows[0] else "kb")
        if unit not in BYTES:
            raise InputError(f"unit={unit}: kb or Mb is needed")
        document = text.decode(read_bytes(config), Configuration, config)
        return problem_of(
            document,
            rows if first is None else rows[: int(first)],
            Path(listed).name.partition(".")[0],
            unit,
            _option(options, "slack", 0.01),
        )


def _option(options: dict[str, Any], name: str, least: float) -> float | None:
    if options.get(name) is None:
        return None
    return number({name: str(options[name])}, name, "--set", least)
