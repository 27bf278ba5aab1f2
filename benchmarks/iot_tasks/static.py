"""How many small task problems are proven optimal within a second.

    python -m benchmarks.iot_tasks.static --instances 20 --out benchmarks/results/iot_static.md

Every instance is solved by the portfolio, once for each objective; the time is that of the whole
call, from the problem to the checked schedule. Weighted: response, energy and lateness in what EFT
needs, as in the test of the claim.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.iot_tasks.grid import weighed
from benchmarks.machine import header, load
from benchmarks.markdown import markdown
from optsched.api import schedule
from optsched.generate.tasks import tasks
from optsched.result import Status
from optsched.tasks import Objective, TaskProblem

LOADS, BURSTS = (0.5, 0.8, 1.1, 3.0), (False, True)
OBJECTIVES = ("sla,response,energy", "response", "weighted")
HEAD = ("objective", "load", "bursts", "proven in time", "median, s", "worst, s", "worst open gap")


def asked(problem: TaskProblem, objective: str) -> TaskProblem:
    """The problem with one of `OBJECTIVES`."""
    if objective == "weighted":
        return weighed(problem)
    return problem.replace(objective=Objective.parse(objective))


def measured(problem: TaskProblem, arguments: argparse.Namespace) -> tuple[bool, float, float]:
    """Whether it is proven, in how many seconds, and (value - bound) / value of what is open."""
    started = time.perf_counter()
    found = schedule(
        problem, solver=arguments.solver, time_limit=arguments.limit, workers=arguments.workers
    )
    took = time.perf_counter() - started
    apart = [(one.value - one.bound) / one.value for one in found.levels if not one.proven]
    return found.status is Status.OPTIMAL, took, max(apart, default=0.0)


def lines(arguments: argparse.Namespace) -> tuple[list[tuple[object, ...]], float]:
    """One line per objective and cell, and the share of all that is proven in time."""
    rows, every = list[tuple[object, ...]](), list[bool]()
    for objective, rho, burst in product(OBJECTIVES, LOADS, BURSTS):
        told = []
        for k in range(arguments.instances):
            drawn = tasks(
                arguments.first + k, nodes=arguments.nodes, count=arguments.count, load=rho,
                burst=burst,
            )  # fmt: skip
            told.append(measured(asked(drawn, objective), arguments))
        # A call ends some milliseconds after its limit; what is proven then, was proven in time.
        good = [proven and took <= arguments.limit + 0.05 for proven, took, _ in told]
        every += good
        took = [seconds for _, seconds, _ in told]
        row = (
            objective, f"{rho:g}", "yes" if burst else "no", f"{sum(good)} of {len(good)}",
            f"{np.median(took):.2f}", f"{max(took):.2f}",
            f"{max(apart for _, _, apart in told):.1%}",
        )  # fmt: skip
        rows.append(row)
        print(*row, sep=" | ", flush=True)
    return rows, float(np.mean(every))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=20, help="of every line")
    parser.add_argument("--first", type=int, default=20_000, help="first seed")
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--count", type=int, default=20, help="tasks")
    parser.add_argument("--limit", type=float, default=1.0, help="s")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--solver", default="portfolio")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args(argv)
    schedule(tasks(0, nodes=4, count=5), time_limit=0.5)  # compiles
    before = load()
    rows, share = lines(arguments)
    busy = f"{before:.1f} processes a core before the run, {load():.1f} at its end"
    page = (
        f"# Static task problems: {arguments.count} tasks on {arguments.nodes} nodes\n\n"
        f"{' '.join(__doc__.split(chr(10) * 2)[2].split())}\n\n"
        f"{header(instances=arguments.instances, limit=arguments.limit, load=busy)}\n\n"
        f"**Proven optimal within {arguments.limit:g} s: {share:.1%}** (the aim: 95 %).\n\n"
        f"{markdown([HEAD, *rows])}"
    )
    print(f"{share:.1%} proven")
    if arguments.out:
        arguments.out.write_text(page.rstrip() + "\n")


if __name__ == "__main__":
    main()
