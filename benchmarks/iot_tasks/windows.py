"""How much of what is attainable in a window is not taken, at 50 ms and at 1 s.

    python -m benchmarks.iot_tasks.windows --out benchmarks/results/iot_windows.md

Windows are taken from runs in which tasks arrive and the best simple rule plans them. In each of
them the gap is (ours - bound) / (best rule - bound) of the weighted sum: the share of the
attainable improvement over the best of all dispatching rules that was not taken. The bound is the
highest of each task alone, tasks matched with positions, and every core on its own over time, given
longer. A cell adds up both sides over its windows.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import clock
from benchmarks.iot_tasks.grid import LOADS, NODES, Cell, cells
from benchmarks.iot_tasks.run import ready
from benchmarks.machine import header, load
from benchmarks.markdown import markdown
from optsched.api import schedule
from optsched.budget import Budget
from optsched.generate.tasks import tasks as generated
from optsched.simulate import roll
from optsched.solvers.scheduling import RULES
from optsched.solvers.scheduling.bounds import crowded_bounds
from optsched.tasks import Schedule, TaskProblem, evaluate

CAP = 0.8  # highest load of the cells that the figure is about
AIMS = {0.05: 0.40, 1.0: 0.25}  # s: gap
LEAST = 3  # tasks in a window that is worth a plan


def windows(cell: Cell, seed: int, arguments: argparse.Namespace) -> list[TaskProblem]:
    """Every so-manieth window of a run by the best rule."""
    found = list[TaskProblem]()

    def decide(problem: TaskProblem) -> Schedule:
        if len(problem.tasks) >= LEAST:
            found.append(problem)
        return best_rule(problem)

    roll(cell.world(seed, arguments.count), decide, window=arguments.window)
    every = max(1, len(found) // arguments.each)
    return found[::every][: arguments.each]


def best_rule(problem: TaskProblem) -> Schedule:
    """The best of all dispatching rules."""
    made = (rule(problem, 0) for rule in RULES.values())
    return min(made, key=lambda one: evaluate(problem, one).levels)


def measured(problem: TaskProblem, arguments: argparse.Namespace) -> list[float]:
    """Value of the best rule, bound, then ours for every time limit."""
    best = evaluate(problem, best_rule(problem)).levels[0]
    ours, bounds = list[float](), list[int]()
    for limit in AIMS:
        answer = schedule(problem, solver=arguments.ours, time_limit=limit, workers=1)
        ours.append(float(answer.levels[0].value))
        bounds.append(answer.levels[0].bound)
    known = int(min(best, *ours))
    if max(bounds) < known:  # not proven yet: give the bound longer
        bounds.append(crowded_bounds(problem, (known,), Budget.of(arguments.proof))[0].value)
    return [float(best), float(max(bounds)), *ours]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, and write the page."""
    usual = "hybrid" if ready("hybrid") else "colony"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", default=usual, help="a solver of tasks")
    parser.add_argument("--instances", type=int, default=5, help="runs of every cell")
    parser.add_argument("--each", type=int, default=6, help="windows of every run")
    parser.add_argument("--first", type=int, default=30_000, help="first seed")
    parser.add_argument("--count", type=int, default=200, help="tasks of a run")
    parser.add_argument("--window", type=int, default=500, help="ms from one plan to the next")
    parser.add_argument("--proof", type=float, default=5.0, help="s for the bound")
    parser.add_argument("--nodes", type=int, nargs="+", default=NODES)
    parser.add_argument("--loads", type=float, nargs="+", default=LOADS)
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args(argv)
    if arguments.clock == "processor":
        clock.by_processor()
    schedule(generated(0, nodes=4, count=5), solver=arguments.ours, time_limit=0.5)  # compiles
    before, rows, gaps = load(), list[Sequence[object]](), list[list[float]]()
    limits = [f"gap at {1000 * limit:g} ms" for limit in AIMS]
    head = ("cell", "windows", "tasks in one", "rule proven optimal", *limits, "bound met at 1 s")
    for cell in cells(arguments.nodes, arguments.loads, contention=(False,)):
        found = [
            problem
            for k in range(arguments.instances)
            for problem in windows(cell, arguments.first + k, arguments)
        ]
        told = np.array([measured(problem, arguments) for problem in found]).reshape(-1, 4)
        room = float((told[:, 0] - told[:, 1]).sum())
        own = [float((told[:, 2 + k] - told[:, 1]).sum()) / room if room else 0.0 for k in (0, 1)]
        if cell.load <= CAP:
            gaps.append(own)
        rows.append(
            (
                cell.words, len(found), f"{np.mean([len(one.tasks) for one in found]):.1f}",
                f"{(told[:, 0] <= told[:, 1]).mean():.0%}", *(f"{gap:.1%}" for gap in own),
                f"{(told[:, 3] <= told[:, 1]).mean():.0%}",
            )
        )  # fmt: skip
        print(*rows[-1], sep=" | ", flush=True)
    shown = " and ".join(
        f"{middle:.1%} at {1000 * limit:g} ms (the aim: {aim:.0%})"
        for middle, (limit, aim) in zip(np.median(gaps, axis=0), AIMS.items(), strict=True)
    )
    busy = f"{before:.1f} processes a core before the run, {load():.1f} at its end"
    text = (
        "# IoT tasks: what windows leave of the attainable\n\n"
        f"{' '.join(__doc__.split(chr(10) * 2)[2].split())}\n\n"
        f"{header(solver=arguments.ours, clock_of_limits=arguments.clock, load=busy)}\n\n"
        f"**Median gap over the {len(gaps)} cells with load of at most {CAP:g}: {shown}.**\n\n"
        f"{markdown([head, *rows])}"
    )
    print(shown)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
