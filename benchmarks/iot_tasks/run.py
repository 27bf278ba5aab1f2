"""The test that could refute the claim of -18.4 % response, +12.7 % utilisation, -9.3 % energy.

    python -m benchmarks.iot_tasks.run --instances 30 --out benchmarks/results/iot_tasks.md

All arms get the same instances with all arrivals known, and minimise the same weighted sum of
response, energy and lateness, each measured in what earliest-finish-time dispatching (EFT) needs
on the same instance. A baseline is beaten only if all three claims hold as bounds of a 95 %
interval in the same cell and no more deadlines are missed (half a percentage point). Where a
proven bound leaves less room than a claim asks for, the claim is not attainable against that
baseline.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.iot_tasks.statistics import holm, interval, wilcoxon
from benchmarks.machine import header
from benchmarks.markdown import markdown
from optsched.api import schedule
from optsched.generate.tasks import tasks
from optsched.solvers.scheduling import RULES
from optsched.solvers.scheduling.bounds import free_bounds
from optsched.tasks import Goal, Mix, Objective, Schedule, TaskProblem, evaluate

LOADS, NODES, BURSTS = (0.5, 0.8, 1.1), (8, 16, 32, 64), (False, True)
RESPONSE, USE, ENERGY, SLA = 0.184, 0.127, 0.093, 0.005
BASELINES = ("eft", "energy", "edf", "wspt", "least-loaded", "two-choices", "round-robin", "random")
COLUMNS = ("response", "energy", "use", "violated", "composite")


def weighed(problem: TaskProblem) -> TaskProblem:
    """The problem with the weighted sum, in whole millijoules of EFT."""
    eft = evaluate(problem, RULES["eft"](problem, 0))
    rate = max(1, round(eft.energy / max(1, int(eft.response.sum()))))
    terms = ((Goal.RESPONSE, rate), (Goal.ENERGY, 1), (Goal.LATENESS, rate))
    return problem.replace(objective=Objective((Mix(terms),)))


def measures(problem: TaskProblem, found: Schedule) -> list[float]:
    """In the order of `COLUMNS`; response as mean, violated as share of the tasks."""
    told = evaluate(problem, found)
    return [
        float(told.response.mean()),
        float(told.energy),
        told.utilisation,
        float(told.violated.mean()),
        float(told.levels[0]),
    ]


def room(problem: TaskProblem) -> list[float]:
    """Proven least mean response, energy and weighted sum."""
    found = []
    for level in (Goal.RESPONSE, Goal.ENERGY):
        bound = free_bounds(problem.replace(objective=Objective((level,))))[0].value
        found.append(bound / (len(problem.tasks) if level is Goal.RESPONSE else 1))
    return [*found, float(free_bounds(problem)[0].value)]


def cell(
    arguments: argparse.Namespace, nodes: int, load: float, burst: bool
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Per arm (seeds, instances, columns), and (instances, 3) of what is proven."""
    arms: dict[str, list[list[list[float]]]] = {}
    bounds = []
    for k in range(arguments.instances):
        problem = weighed(
            tasks(arguments.first + k, nodes=nodes, count=arguments.count, load=load, burst=burst)
        )
        bounds.append(room(problem))
        for name in BASELINES:
            row = measures(problem, RULES[name](problem, 0))
            arms.setdefault(name, [[]])[0].append(row)
        for limit in arguments.limits:
            own = arms.setdefault(f"colony {limit:g} s", [[] for _ in range(arguments.seeds)])
            for seed in range(arguments.seeds):
                found = schedule(problem, solver="colony", time_limit=limit, workers=1, seed=seed)
                own[seed].append(measures(problem, found.schedule))
    return {name: np.array(one) for name, one in arms.items()}, np.array(bounds)


def verdicts(
    ours: np.ndarray, arms: dict[str, np.ndarray], bounds: np.ndarray
) -> list[list[object]]:
    """One line per baseline."""
    lines, tests = list[list[object]](), list[float]()
    for name in BASELINES:
        theirs = arms[name][0]
        told = [
            interval(np.maximum(ours[..., k], 1e-9) / np.maximum(theirs[None, :, k], 1e-9))
            for k in (0, 2, 1, 4)
        ]
        tests += [wilcoxon(ours[..., k].mean(axis=0) - theirs[:, k]) for k in (0, 2, 1)]
        left = [1 - bounds[:, k].mean() / theirs[:, k].mean() for k in range(2)]
        missed = ours[..., 3].mean() - theirs[:, 3].mean()
        met = told[0][2] <= 1 - RESPONSE and told[1][1] >= 1 + USE and told[2][2] <= 1 - ENERGY
        attainable = left[0] >= RESPONSE and left[1] >= ENERGY
        verdict = "met" if met and missed <= SLA else "not met" if attainable else "not attainable"
        shown = [f"{mean:.3f} [{low:.3f}, {high:.3f}]" for mean, low, high in told]
        lines.append([name, *shown, f"{100 * missed:+.1f}", *(f"{x:.1%}" for x in left), verdict])
    adjusted = holm(tests)
    for k, line in enumerate(lines):
        line.insert(-1, ", ".join(f"{p:.2g}" for p in adjusted[3 * k : 3 * k + 3]))
    return lines


def main() -> None:
    """Run the grid, or a part of it, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=30)
    parser.add_argument("--first", type=int, default=10_000, help="first seed of instances")
    parser.add_argument("--count", type=int, default=60, help="tasks")
    parser.add_argument("--seeds", type=int, default=1, help="of the colony")
    parser.add_argument("--limits", type=float, nargs="+", default=[0.05, 1.0], help="s")
    parser.add_argument("--nodes", type=int, nargs="+", default=NODES)
    parser.add_argument("--loads", type=float, nargs="+", default=LOADS)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    head = ("baseline", "response", "utilisation", "energy", "weighted sum", "missed, pp",
            "room in response", "room in energy", "p (Holm)", "verdict")  # fmt: skip
    parts = [
        "# IoT tasks: the claim against every baseline\n",
        " ".join(__doc__.split("\n\n")[2].split()) + "\n",
        header(instances=arguments.instances, tasks=arguments.count, limits=arguments.limits),
        "Ratios are ours over the baseline's (geometric mean, 95 % interval).\n",
    ]
    schedule(tasks(0, nodes=4, count=5), solver="colony", time_limit=0.1)  # compiles
    for nodes, load, burst in product(arguments.nodes, arguments.loads, BURSTS):
        arms, bounds = cell(arguments, nodes, load, burst)
        best = min(BASELINES, key=lambda name: arms[name][0, :, 4].mean())
        parts.append(f"\n## {nodes} nodes, load {load:g}{', bursts' if burst else ''}\n")
        for limit in arguments.limits:
            ours = arms[f"colony {limit:g} s"]
            gap = (ours[0, :, 4] - bounds[:, 2]) / (arms[best][0, :, 4] - bounds[:, 2])
            parts.append(
                f"Colony, {limit:g} s. Gap to the bound, of that of the best heuristic ({best}): "
                f"median {np.median(gap):.1%}.\n"
            )
            parts.append(markdown([head, *verdicts(ours, arms, bounds)]))
        print("\n".join(parts[-1 - 2 * len(arguments.limits) :]), flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
