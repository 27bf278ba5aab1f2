"""The openb GPU trace: a node list and a pod list as CSV.

The path is "nodes.csv,pods.csv", or the folder that holds the published lists: then the GPU nodes
and the pod list "default" are read, or the one that `select` names ("gpuspec10"). All pods are
pending.

CPU is in milli, memory in MiB. Each GPU is a cell of 1000 milli, its model is the cell's kind. A
pod with one GPU may share it (`gpu_milli` below 1000); one with several takes them whole.
`gpu_spec` ("A10|T4") lists the models a pod may use. That binds the node, which has one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.errors import FormatError
from optsched.problem import Cells, Hosts, Items, PlacementProblem, Where
from optsched.snapshot.names import Names, appearing

from .csv_tables import Rows, table

NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
POD_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
NODE_LIST = "openb_node_list_gpu_node.csv"
POD_LIST = "openb_pod_list_{}.csv"
WHOLE = 1000  # milli of one GPU


def problem_of(nodes: Rows, pods: Rows, name: str) -> PlacementProblem:
    """The tables of the two lists.

    Raises
    ------
    InputError
        A number cannot be read, or a name is used twice.
    """
    node_names, models = [row["sn"] for row in nodes], [row["model"] for row in nodes]
    size = _amounts(nodes, ("cpu_milli", "memory_mib", "gpu"), node_names)
    hosts = Hosts.of(size[:, :2], names=node_names)
    kinds = Names("GPU model", appearing(model or "GPU" for model in models) or ["GPU"])
    kind = kinds.column([model or "GPU" for model in models], node_names, "node")
    on = np.repeat(np.arange(len(hosts)), size[:, 2])
    items = _items(pods)
    excluded, eligible = _eligibility(pods, models)
    return PlacementProblem.of(
        hosts,
        items,
        name=name,
        resources=("cpu", "memory_mib"),
        cells=Cells.of(
            on,
            np.full((len(on), 1), WHOLE),
            kind=kind[on],
            resources=("gpu_milli",),
            kinds=kinds.table,
        ),
        where=Where.of(
            hosts, items, excluded=excluded, item_eligible=eligible, rule_names=("GPU model",)
        ),
        tiers=("pod",),
    )


def _items(pods: Rows) -> Items:
    names = [row["name"] for row in pods]
    asked = _amounts(pods, ("cpu_milli", "memory_mib", "num_gpu", "gpu_milli"), names)
    gpus, milli = asked[:, 2], asked[:, 3]
    return Items.of(
        asked[:, :2],
        names=names,
        cells_needed=gpus,
        cell_demand=np.where(gpus > 1, WHOLE, np.where(gpus == 1, milli, 0))[:, None],
    )


def _eligibility(pods: Rows, models: Sequence[str]) -> tuple[Bools, Ints]:
    """Which nodes each distinct `gpu_spec` excludes (E, H), and the row of each pod."""
    specs = [row.get("gpu_spec") or "" for row in pods]
    rows = {spec: at for at, spec in enumerate(dict.fromkeys(["", *specs]))}
    excluded = np.zeros((len(rows), len(models)), np.bool_)
    for spec, at in rows.items():
        if spec:
            excluded[at] = ~np.isin(models, spec.split("|"))
    return excluded, np.array([rows[spec] for spec in specs], dtype=np.int64)


def _amounts(rows: Rows, columns: Sequence[str], names: Sequence[str]) -> Ints:
    out = np.zeros((len(rows), len(columns)), np.int64)
    for at, row in enumerate(rows):
        for column, title in enumerate(columns):
            value = row[title] or "0"
            if not value.isdecimal() or len(value) > 16:
                raise FormatError(f"{names[at][:80]!r}: {title} is {value[:40]!r}, not an amount")
            out[at, column] = int(value)
    return out


def lists(path: str, select: str | None = None) -> tuple[str, str]:
    """The node list and the pod list that `path` means.

    Raises
    ------
    FormatError
        The path is neither "nodes.csv,pods.csv" nor a folder that holds the lists.
    """
    folder = Path(path)
    if not folder.is_dir():
        parts = path.split(",")
        if len(parts) != 2 or select is not None:
            raise FormatError(
                f'{path}: give "nodes.csv,pods.csv", or a folder with {NODE_LIST} and a pod list'
            )
        return parts[0], parts[1]
    pods = folder / POD_LIST.format(select or "default")
    if not pods.is_file():
        start, end = POD_LIST.split("{}")
        there = sorted(one.name[len(start) : -len(end)] for one in folder.glob(f"{start}*{end}"))
        raise FormatError(
            f"{path}: there is no pod list {(select or 'default')[:80]!r} "
            f"(there are: {', '.join(there) or 'none'})"
        )
    return str(folder / NODE_LIST), str(pods)


class OpenbFormat:
    """Reads a node list with a pod list; see `optsched.formats.base.Format`."""

    name = "openb"
    describes = "a node list and a pod list of the openb GPU trace, nodes.csv,pods.csv"
    takes = ("select",)

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether the path means two tables, or the folder of the trace.

        One of the lists alone is taken too, to be refused by `read` in words that help.
        """
        parts = path.split(",")
        two = len(parts) == 2 and all(".csv" in Path(part).name for part in parts)
        alone = head.startswith(
            tuple(",".join(row).encode() for row in (NODE_COLUMNS, POD_COLUMNS))
        )
        return two or alone or (Path(path) / NODE_LIST).is_file()

    def read(self, data: bytes, path: str, **options: Any) -> PlacementProblem:
        """The problem of the two lists."""
        nodes, pods = lists(path, options.get("select"))
        name = Path(pods).name.partition(".")[0]
        return problem_of(table(nodes, NODE_COLUMNS), table(pods, POD_COLUMNS), name)
