"""Cloud balancing: cost and bound of ours beside published figures, and Timefold where it runs.

    python -m benchmarks.cloud_balancing.run --table benchmarks/results/cloud_balancing.md

Timefold needs the package `timefold` and a JDK 17. It runs in a process of its own, with
`--timefold-python` in another interpreter; where it does not start, its column says so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.child import in_child
from benchmarks.data import data_path
from benchmarks.markdown import level_table, markdown
from optsched import api
from optsched.arrays import Ints
from optsched.formats import read
from optsched.problem import PlacementProblem
from optsched.registry import solver

# Measured earlier on 2 cores, 30 s, one run each: first fit decreasing, Rebalancer 1.0.4, Timefold
# 1.24, a CP-SAT neighbourhood search started from first fit, and a bound by covering the demand.
COLUMNS = ("first fit", "Rebalancer", "Timefold", "LNS", "cover bound")
EARLIER: dict[str, tuple[int | None, ...]] = {
    "100computers-300processes": (None, 127_840, 116_000, 96_720, 96_670),
    "800computers-2400processes": (1_112_070, 1_112_070, 963_770, 1_006_770, 747_420),
}
TIMEFOLD = Path(__file__).with_name("timefold_arm.py")


@dataclass(frozen=True)
class Solved:
    """Our answer for one instance; `cost` is None where a process is left over."""

    cost: int | None
    bound: int
    status: str
    seconds: float
    levels: str


def main() -> None:
    """Run every instance and print the table."""
    parser = argparse.ArgumentParser(prog="cloud_balancing")
    parser.add_argument("--instances", default=",".join(EARLIER))
    parser.add_argument("--solver", default="portfolio")
    parser.add_argument("--seconds", type=float, default=30.0, help="time limit; default 30")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timefold-python", default=sys.executable)
    parser.add_argument("--table", type=Path, help="write the table here, as markdown")
    args = parser.parse_args()
    head = ["instance", "cost", "bound", "status", "s", "peak MiB", "Timefold here"]
    rows: list[list[object]] = [[*head, *(f"{name}, earlier" for name in COLUMNS)]]
    details = []
    for name in args.instances.split(","):
        one, peak = in_child(solve, name, args.solver, args.seconds, args.workers)
        rows.append(
            [
                *(name, _number(one.cost), _number(one.bound), one.status),
                *(f"{one.seconds:.1f}", f"{peak:.0f}"),
                timefold(name, args.seconds, args.timefold_python),
                *map(_number, EARLIER.get(name, (None,) * len(COLUMNS))),
            ]
        )
        details.append(f"## {name}\n\n{one.levels}")
    page = "\n".join(
        [
            "# Cloud balancing\n",
            machine.header(
                solver=args.solver, time_limit=f"{args.seconds:g} s", workers=args.workers
            )
            + "\n",
            markdown(rows),
            *details,
        ]
    )
    if args.table:
        args.table.write_text(page)
    print(page)


def solve(name: str, solver_name: str, seconds: float, workers: int) -> Solved:
    """Solve one instance with one of our solvers."""
    problem = _problem(name)
    solver(solver_name)  # imports are not counted
    begun = time.monotonic()
    result = api.solve(problem, solver=solver_name, time_limit=seconds, workers=workers)
    spent = time.monotonic() - begun
    return Solved(
        cost=cost(problem, result.plan.placement(problem).host),
        bound=result.levels[-1].bound,
        status=result.status.value,
        seconds=spent,
        levels=level_table(result),
    )


def timefold(name: str, seconds: float, python: str) -> str:
    """Timefold's cost, recomputed here, or why there is none."""
    path = data_path(f"cloudbalancing/{name}.json")
    command = [python, str(TIMEFOLD), str(path), str(seconds)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=6 * seconds + 120, check=True
        )
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"Timefold does not run here: {reason}", file=sys.stderr)
        return "does not run here"
    except (subprocess.TimeoutExpired, OSError, ValueError, IndexError) as error:
        print(f"Timefold gave no answer: {error}", file=sys.stderr)
        return "no answer"
    problem = _problem(name)
    hosts = {host: index for index, host in enumerate(problem.hosts.names)}
    host = np.full(len(problem.items), -1)
    for index, item in enumerate(problem.items.names):
        on = answer["assignment"][item.removeprefix("process-")]
        host[index] = -1 if on is None else hosts[f"computer-{on}"]
    return f"{_number(cost(problem, host))} in {answer['seconds']:.0f} s"


def cost(problem: PlacementProblem, host: Ints) -> int | None:
    """Cost of the computers in use; None if a process is left over or a capacity is exceeded."""
    used = np.zeros_like(problem.hosts.capacity)
    np.add.at(used, host[host >= 0], problem.items.demand[host >= 0])
    if (host < 0).any() or (used > problem.hosts.capacity).any():
        return None
    return int(problem.hosts.cost[np.unique(host)].sum())


def _problem(name: str) -> PlacementProblem:
    return read(data_path(f"cloudbalancing/{name}.json"), "cloudbalancing")


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


if __name__ == "__main__":
    main()
