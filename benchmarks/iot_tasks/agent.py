"""The shipped agent alone on 8 to 128 nodes: never worse than EFT, and how long a decision takes.

    python -m benchmarks.iot_tasks.agent --instances 30 --out benchmarks/results/iot_agent.md

One file for all sizes, loads and bursts; instances are of the held-out seeds, and topologies are
drawn anew for each. No search, no solver and no rule helps it. Values are the weighted sum of
response, energy and lateness over that of EFT, with 95 % intervals of the mean. A decision is
one call of the network and one step of the world, in processor time of one thread.
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.machine import header
from benchmarks.markdown import markdown
from optsched.envs.seeds import seeds
from optsched.generate.tasks import tasks
from optsched.simulate import World
from optsched.simulate.episodes import Episode, weighed
from optsched.solvers.scheduling.agent import load
from optsched.solvers.scheduling.measuring import Case, interval, measure

NODES, LOADS = (8, 16, 32, 64, 128), (0.5, 0.8, 1.1)


def cells(arguments: argparse.Namespace) -> list[list[object]]:
    """A line per cell of the grid."""
    own = seeds("heldout")[: arguments.instances]
    lines = []
    for nodes, rate, burst in product(arguments.nodes, LOADS, (False, True)):
        case = Case(nodes, arguments.count or max(60, 2 * nodes), rate, burst)
        found = measure(arguments.agent, (), own, case)["agent"]
        ratios = np.array([run.ratio for run in found])
        low, high = interval(ratios)
        verdict = "better" if high < 1 else "not worse" if low <= 1 else "worse"
        shown = f"{ratios.mean():.4f} [{low:.4f}, {high:.4f}]"
        share = f"{(ratios <= 1).mean():.0%}"
        lines.append([nodes, rate, burst, shown, f"{ratios.max():.4f}", share, verdict])
        print(*lines[-1], flush=True)
    return lines


def decisions(agent: str | None, nodes: int) -> list[object]:
    """Median, p99 and largest processor time of a decision, in ms."""
    loaded, spent = load(agent), list[float]()
    problem = weighed(tasks(seeds("heldout")[0], nodes=nodes, count=1000, load=0.9))
    run = Episode(World.of(problem))
    while run.task >= 0:
        begun = time.thread_time()
        scores = loaded.scores(run.nodes[None], run.facts[None], run.mask[None])
        run.step(int(scores[0].argmax()))
        spent.append(1e3 * (time.thread_time() - begun))
    values = np.array(spent[10:])
    return [nodes, *(f"{x:.3f}" for x in (*np.quantile(values, [0.5, 0.99]), values.max()))]


def main() -> None:
    """Run the grid and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", help="ONNX file; default: the shipped one")
    parser.add_argument("--instances", type=int, default=30)
    parser.add_argument("--count", type=int, default=0, help="tasks; default: 60, or 2 a node")
    parser.add_argument("--nodes", type=int, nargs="+", default=NODES)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    times = [decisions(arguments.agent, nodes) for nodes in arguments.nodes]
    head = ["nodes", "median, ms", "p99, ms", "largest, ms"]
    grid = ["nodes", "load", "bursts", "over EFT", "worst", "not worse", "verdict"]
    parts = [
        "# The agent for tasks on sizes from 8 to 128 nodes\n",
        " ".join(__doc__.split("\n\n")[2].split()) + "\n",
        header(instances=arguments.instances),
        markdown([head, *times]),
        markdown([grid, *cells(arguments)]),
    ]
    page = "\n".join(parts)
    print(page)
    if arguments.out:
        arguments.out.write_text(page)


if __name__ == "__main__":
    main()
