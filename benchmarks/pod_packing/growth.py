"""Growth: clusters of 100 to 5,000 nodes with 200 pending pods, solved within 10 s.

    python -m benchmarks.pod_packing.growth --table benchmarks/results/growth.md

Each cluster is drawn and solved in a fresh process; seconds are those of the solve, the peak of
memory is that of the process, drawing included.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.child import in_child
from benchmarks.markdown import level_table, markdown
from optsched import api, kernels
from optsched.check import check
from optsched.generate.cluster import cluster
from optsched.registry import solver


@dataclass(frozen=True)
class Solved:
    """One cluster, drawn and solved; `gaps` holds that of every UNPLACED level, highest first."""

    pods: int
    pending: int
    placed: int
    moves: int
    evictions: int
    status: str
    violations: int
    draw_seconds: float
    solve_seconds: float
    gaps: tuple[float, ...]
    levels: str


def main() -> None:
    """Solve every size and print the tables."""
    parser = argparse.ArgumentParser(prog="growth", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--nodes", default="100,1000,5000")
    parser.add_argument("--ppn", default="10,36", help="pods per node; default 10,36")
    parser.add_argument("--pending", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1, help="clusters per size; default 1")
    parser.add_argument("--solver", default="portfolio")
    parser.add_argument("--seconds", type=float, default=10.0, help="time limit; default 10")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--table", type=Path, help="write the tables here, as markdown")
    args = parser.parse_args()
    head = ["nodes", "pods", "pending", "placed", "moves", "evictions", "status", "violations"]
    rows: list[list[object]] = [[*head, "gap per tier", "draw s", "solve s", "peak MiB"]]
    details = []
    sizes = itertools.product(_ints(args.nodes), _ints(args.ppn), range(args.seeds))
    for nodes, ppn, seed in sizes:
        size = (nodes, ppn, args.pending, seed)
        one, peak = in_child(solve, *size, args.solver, args.seconds, args.workers)
        rows.append(
            [
                *(nodes, one.pods, one.pending, one.placed, one.moves, one.evictions),
                *(one.status, one.violations, " / ".join(f"{gap:.3f}" for gap in one.gaps)),
                *(f"{one.draw_seconds:.1f}", f"{one.solve_seconds:.2f}", f"{peak:.0f}"),
            ]
        )
        details.append(f"## {nodes} nodes, {one.pods} pods, seed {seed}\n\n{one.levels}")
        print(rows[-1], flush=True)
    settings = {"time_limit": f"{args.seconds:g} s", "workers": args.workers, "solver": args.solver}
    page = "\n".join(["# Growth\n", machine.header(**settings) + "\n", markdown(rows), *details])
    if args.table:
        args.table.write_text(page)
    print(page)


def _ints(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def solve(
    nodes: int, ppn: int, pending: int, seed: int, name: str, seconds: float, workers: int
) -> Solved:
    """Draw one cluster and solve it."""
    begun = time.monotonic()
    problem = cluster(seed, nodes=nodes, pods_per_node=ppn, pending=pending)
    draw_seconds = time.monotonic() - begun
    solver(name)  # imports and the loading of compiled kernels are not counted
    kernels.warm()
    begun = time.monotonic()
    result = api.solve(problem, solver=name, time_limit=seconds, workers=workers)
    solve_seconds = time.monotonic() - begun
    before, after = problem.items.host0, result.plan.placement(problem).host
    return Solved(
        pods=len(problem.items),
        pending=int((before < 0).sum()),
        placed=int(((before < 0) & (after >= 0)).sum()),
        moves=int(((before >= 0) & (after >= 0) & (before != after)).sum()),
        evictions=int(((before >= 0) & (after < 0)).sum()),
        status=result.status.value,
        violations=len(check(problem, result.plan).violations),
        draw_seconds=draw_seconds,
        solve_seconds=solve_seconds,
        gaps=tuple(v.gap for v in result.levels if v.name.startswith("unplaced")),
        levels=level_table(result),
    )


if __name__ == "__main__":
    main()
