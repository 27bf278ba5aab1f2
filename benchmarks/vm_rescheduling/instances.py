"""Snapshots by name: generated ones like the published Medium and Large, and the two real ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.data import data_path
from optsched import api
from optsched.generate.vm import snapshot
from optsched.problem import PlacementProblem

REAL = {
    "real-medium": "vmr/reset_vm_pm_id_clear2.json",
    "real-large": "vmr/reset_vm_pm_id_clear_big2.json",
}


@dataclass(frozen=True)
class Kind:
    """How a family of snapshots is drawn."""

    pms: int
    load: str = "high"
    memory: str = "slack"
    base: str = ""  # a real snapshot to start from
    usage: float | None = None
    apart: int = 0  # anti-affinity groups


KINDS = {
    "medium": Kind(279),
    "medium-middle": Kind(279, load="middle"),
    "medium-low": Kind(279, load="low"),
    "medium-mixed": Kind(279, memory="mixed"),
    "medium-real": Kind(279, base="real-medium"),  # calibrated from the real base, as in the note
    "medium-apart": Kind(279, apart=20),
    "medium-apart-many": Kind(279, apart=200),
    "large": Kind(1176, load="middle", memory="tight"),
    "1000": Kind(1000),
    "1000-mixed": Kind(1000, memory="mixed"),
    "5000": Kind(5000),
    "5000-mixed": Kind(5000, memory="mixed"),
}


def draw(name: str, seeds: range) -> Iterator[tuple[int, PlacementProblem]]:
    """(seed, problem) for every seed; a real snapshot has one, without a seed (-1).

    Raises
    ------
    SystemExit
        There is no such family, or its data are not here.
    """
    if name in REAL:
        yield -1, api.read(data_path(REAL[name]))
        return
    if name not in KINDS:
        raise SystemExit(f"no snapshots {name!r}; there are {', '.join([*KINDS, *REAL])}")
    kind = KINDS[name]
    base = api.read(data_path(REAL[kind.base])) if kind.base else None
    for seed in seeds:
        yield (
            seed,
            snapshot(
                seed,
                pms=kind.pms,
                load=kind.load,
                memory=kind.memory,
                usage=kind.usage,
                apart=kind.apart,
                base=base,
            ),
        )
