"""Starting points: the paper's instances with the placement a default scheduler leaves."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.data import data_path
from benchmarks.pod_packing.default_scheduler import DETERMINISTIC, place
from optsched.arrays import Ints
from optsched.generate.paper import Instance, instance

# At these usages the paper keeps only seeds for which its deterministic run leaves a pod pending.
SELECTED_USAGES = (90, 95)
GIVE_UP = 500  # candidates in a row without one that is kept; the paper found none for 32x8 at 90 %
SHIPPED = "priority-matters/placements"


@dataclass(frozen=True, order=True)
class Cell:
    """A cell of the grid; `usage` in percent."""

    nodes: int
    ppn: int
    priorities: int
    usage: int


@dataclass(frozen=True)
class Start:
    """An instance and where its pods sit.

    Attributes
    ----------
    drawn
        The instance.
    host
        (I,) node of each pod in order of creation, -1: pending.
    source
        "generated" (emulated scheduler) or "shipped" (real scheduler).
    """

    drawn: Instance
    host: Ints
    source: str

    @property
    def cell(self) -> Cell:
        """The cell of the instance."""
        drawn = self.drawn
        return Cell(drawn.nodes, drawn.ppn, drawn.priorities, drawn.usage)

    def running(self, host: Ints | None = None) -> tuple[int, ...]:
        """Pods that run, per priority, highest first; of `host` or of the start."""
        where = self.host if host is None else host
        up = self.drawn.priority()[where >= 0]
        return tuple(int((up == p).sum()) for p in range(self.drawn.priorities, 0, -1))


@cache
def _left_pending(nodes: int, ppn: int, usage: int, seed: int) -> bool:
    # Without preemption priorities change nothing: ReplicaSets come one by one.
    drawn = instance(seed, nodes, ppn, 1, usage)
    return bool((place(drawn, DETERMINISTIC) < 0).any())


def kept_seeds(cell: Cell, candidates: Iterable[int]) -> Iterator[int]:
    """The candidates that the paper's rule keeps; ends after `GIVE_UP` misses in a row."""
    if cell.usage not in SELECTED_USAGES:
        yield from candidates
        return
    misses = 0
    for seed in candidates:
        if _left_pending(cell.nodes, cell.ppn, cell.usage, seed):
            misses = 0
            yield seed
        elif (misses := misses + 1) >= GIVE_UP:
            return


def generated(cell: Cell, seeds: str) -> Iterator[Start]:
    """Instances of a cell: the first N kept seeds from 1 up ("10"), or those of a range ("5-9")."""
    first, _, last = seeds.partition("-")
    kept = (
        kept_seeds(cell, range(int(first), int(last) + 1))
        if last
        else itertools.islice(kept_seeds(cell, itertools.count(1)), int(first))
    )
    for seed in kept:
        drawn = instance(seed, cell.nodes, cell.ppn, cell.priorities, cell.usage)
        yield Start(drawn, place(drawn, seed=seed), "generated")


def shipped(cell: Cell, seeds: str) -> Iterator[Start]:
    """The real scheduler's placements of a cell, where there are any.

    Raises
    ------
    ValueError
        A file does not hold the instance that the generator draws.
    """
    name = f"n{cell.nodes}_ppn{cell.ppn}_prio{cell.priorities}_util{cell.usage:03d}.json"
    path = data_path(SHIPPED) / name
    if not path.exists():
        return
    first, _, last = seeds.partition("-")
    wanted = slice(int(first) - 1, int(last)) if last else slice(0, int(first))
    for entry in json.loads(path.read_text())[wanted]:
        drawn = instance(entry["seed"], cell.nodes, cell.ppn, cell.priorities, cell.usage)
        yield Start(drawn, _hosts(drawn, entry), "shipped")


def _hosts(drawn: Instance, entry: dict[str, list[list[int | None]]]) -> Ints:
    """Nodes in order of creation; the file lists pods by the names of their ReplicaSets."""
    owner, priority = drawn.owner(), drawn.priority()
    listed = sorted(range(len(owner)), key=lambda pod: drawn.replica_sets[owner[pod]].name)
    host = np.full(len(owner), -1)
    for pod, (cpu, memory, level, node) in zip(
        listed, entry["pods_cpu_mem_prio_node"], strict=True
    ):
        if [cpu, memory, level] != [*drawn.demand()[pod].tolist(), priority[pod]]:
            raise ValueError(f"{drawn.name}: the file and the generator disagree on pod {pod}")
        host[pod] = -1 if node is None else node
    return host
