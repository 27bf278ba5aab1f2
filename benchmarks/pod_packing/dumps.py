"""Solve the real kubectl dumps: what is placed, with how many moves, within all rules.

    python -m benchmarks.pod_packing.dumps --table benchmarks/results/dumps.md

Each dump is read and solved in a fresh process. Beside it stand the figures of a naive greedy
search that takes PodDisruptionBudgets as not binding (see the data's README).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, fields
from pathlib import Path

from benchmarks import machine
from benchmarks.child import in_child
from benchmarks.data import data_path
from benchmarks.markdown import level_table, markdown
from optsched import api, kernels
from optsched.check import check
from optsched.formats import read
from optsched.kube import KubeOptions
from optsched.plan import Order
from optsched.registry import solver

NAIVE = {30: (4, 8), 200: (10, 16), 1000: (37, 49)}  # nodes: (pending pods placed, moves)
SETTINGS: dict[str, dict[str, object]] = {  # of the reader, see KubeOptions
    "default": {},
    "open": {"min_replicas": 1, "move_local_storage": True, "move_jobs": True},
}


@dataclass(frozen=True)
class Solved:
    """One dump, read and solved.

    `dropped` counts moves that could not be sequenced; `levels` is a table in markdown.
    """

    nodes: int
    items: int
    pending: int
    placed: int
    moves: int
    evictions: int
    dropped: int
    waves: int
    status: str
    violations: int
    read_seconds: float
    solve_seconds: float
    levels: str
    notes: tuple[str, ...]


def main() -> None:
    """Solve what the command line names and print the tables."""
    parser = argparse.ArgumentParser(prog="dumps", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", default="30,200,1000", help="nodes; default 30,200,1000")
    parser.add_argument("--settings", default="default,open", help=f"of: {', '.join(SETTINGS)}")
    parser.add_argument("--solver", default="portfolio")
    parser.add_argument("--seconds", type=float, default=10.0, help="time limit; default 10")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--table", type=Path, help="write the tables here, as markdown")
    args = parser.parse_args()
    rows: list[list[object]] = [
        [
            *("nodes", "settings", "items", "pending", "naive: placed, moves", "placed", "moves"),
            *(
                "evictions",
                "dropped",
                "waves",
                "status",
                "violations",
                "read s",
                "solve s",
                "peak MiB",
            ),
        ]
    ]
    details = []
    for size in map(int, args.sizes.split(",")):
        for name in args.settings.split(","):
            one, peak = in_child(solve, size, name, args.solver, args.seconds, args.workers)
            naive = "{}, {}".format(*NAIVE[size])
            rows.append(
                [
                    *(one.nodes, name, one.items, one.pending, naive, one.placed, one.moves),
                    *(one.evictions, one.dropped, one.waves, one.status, one.violations),
                    *(f"{one.read_seconds:.2f}", f"{one.solve_seconds:.2f}", f"{peak:.0f}"),
                ]
            )
            notes = "".join(f"- {note}\n" for note in one.notes)
            details.append(f"### {size} nodes, settings {name}\n\n{one.levels}\n{notes}")
    page = "\n".join(
        [
            "# Real kubectl dumps\n",
            machine.header(
                solver=args.solver,
                time_limit=f"{args.seconds:g} s",
                workers=args.workers,
                evictions="never",
                moves=Order.WAVES.value,
                **{
                    f"settings_{name}": words(KubeOptions.of(SETTINGS[name]))
                    for name in args.settings.split(",")
                },
            )
            + "\n",
            markdown(rows),
            "## Levels\n",
            *details,
        ]
    )
    if args.table:
        args.table.write_text(page)
    print(page)


def solve(size: int, settings: str, name: str, seconds: float, workers: int) -> Solved:
    """Read one dump and solve it."""
    path = data_path(f"kubectl-dumps/cluster-{size}.json.gz")
    solver(name)  # imports and the loading of compiled kernels are not counted
    kernels.warm()
    begun = time.monotonic()
    problem = read(path, "kubectl", **SETTINGS[settings])
    read_seconds = time.monotonic() - begun
    begun = time.monotonic()
    result = api.solve(problem, solver=name, time_limit=seconds, workers=workers)
    solve_seconds = time.monotonic() - begun
    before, after = problem.items.host0, result.plan.placement(problem).host
    return Solved(
        nodes=len(problem.hosts),
        items=len(problem.items),
        pending=int((before < 0).sum()),
        placed=int(((before < 0) & (after >= 0)).sum()),
        moves=int(((before >= 0) & (after >= 0) & (before != after)).sum()),
        evictions=int(((before >= 0) & (after < 0)).sum()),
        dropped=len(result.dropped),
        waves=len(result.plan.waves),
        status=result.status.value,
        violations=len(check(problem, result.plan).violations),
        read_seconds=read_seconds,
        solve_seconds=solve_seconds,
        levels=level_table(result),
        notes=result.notes,
    )


def words(options: KubeOptions) -> str:
    """The settings, one after the other."""
    named = [(one.name, getattr(options, one.name)) for one in fields(options)]
    return ", ".join(
        f"{name} {sorted(value) if isinstance(value, frozenset) else value!r}"
        for name, value in named
    )


if __name__ == "__main__":
    main()
