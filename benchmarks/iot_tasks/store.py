"""Results of single instances, one JSON line each, so that a run may be cut short and go on.

A file belongs to one setting of the test; several files, of shards, may be read together. A line
that was being written when the run ended is left out and measured again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.iot_tasks.grid import Cell

Job = tuple[Cell, int]


@dataclass(frozen=True)
class Measured:
    """One instance: (seeds, columns) per arm, and what is proven of it."""

    arms: dict[str, np.ndarray]
    room: list[float]


def settings(arguments: argparse.Namespace) -> dict[str, object]:
    """What must be equal for results to be told together."""
    names = ("count", "window", "think", "evaluations", "clock")
    agents = [
        hashlib.blake2b(Path(one).read_bytes(), digest_size=8).hexdigest()
        for one in arguments.agents
    ]
    return {name: getattr(arguments, name) for name in names} | {"agents": agents}


class Store:
    """What is measured by now; new results go to the first file.

    Raises
    ------
    SystemExit
        A file holds results of another setting.
    """

    def __init__(self, files: Sequence[Path], about: dict[str, object]) -> None:
        self.files, self.about = files, about
        self.found: dict[Job, Measured] = {}
        for file in files:
            if file.exists():
                self._read(file)

    def _read(self, file: Path) -> None:
        for line in file.read_text().splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if told["settings"] != self.about:
                raise SystemExit(
                    f"{file} was measured with {told['settings']}, not {self.about}; give another "
                    "file to --store"
                )
            arms = {name: np.array(rows, float) for name, rows in told["arms"].items()}
            self.found[Cell(**told["cell"]), told["seed"]] = Measured(arms, told["room"])

    def add(self, job: Job, found: Measured) -> None:
        """Keep a result, on disk too."""
        self.found[job] = found
        if not self.files:
            return
        told = {
            "settings": self.about,
            "cell": asdict(job[0]),
            "seed": job[1],
            "arms": {name: rows.tolist() for name, rows in found.arms.items()},
            "room": found.room,
        }
        held = self.files[0].read_bytes() if self.files[0].exists() else b""
        with self.files[0].open("a") as out:
            # A line that was cut off by the end of a run is ended, and not read.
            out.write("\n" * (held != b"" and not held.endswith(b"\n")) + json.dumps(told) + "\n")

    def of(self, cell: Cell, seeds: Sequence[int]) -> list[Measured]:
        """Those of a cell."""
        return [self.found[cell, seed] for seed in seeds if (cell, seed) in self.found]
