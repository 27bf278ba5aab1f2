"""Who places more arriving pods, by tier: the agent, the default scheduler's rule, or best fit.

    python -m benchmarks.agents.pods --table benchmarks/results/agents_pods.md

Pods arrive one by one and are bound for good or left pending; nothing moves and nobody preempts.
Instances are the published recipe on held-out seeds. Pods placed per tier are compared
lexicographically, the highest tier first. The agent plays one episode of best choices. "untrained"
is the same network with random weights, whose one episode takes as long: all that search could do
in that time, as what is bound stays bound.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import machine
from benchmarks.agents.untrained import untrained
from benchmarks.markdown import markdown
from optsched.envs.seeds import seeds
from optsched.solvers.pod_evaluation import Case, measure, rows
from optsched.solvers.pod_rules import RULES

HEAD = ["instances", "arm", "agent better", "agent worse", "top tier placed", "all placed",
        "µs per decision", "fallbacks"]  # fmt: skip
CASES = {
    "all of the grid": Case(),
    "4 pods per node, 1 tier": Case(ppn=4, priorities=1),
    "4 pods per node, 2 tiers": Case(ppn=4, priorities=2),
    "4 pods per node, 4 tiers": Case(ppn=4, priorities=4),
    "8 pods per node, 1 tier": Case(ppn=8, priorities=1),
    "8 pods per node, 2 tiers": Case(ppn=8, priorities=2),
    "8 pods per node, 4 tiers": Case(ppn=8, priorities=4),
    "8 to 16 nodes": Case(nodes=16),
    "16 to 32 nodes": Case(nodes=32),
}
SEARCH = ("all of the grid", "16 to 32 nodes")  # where the untrained network plays too


def main() -> None:
    """Measure all and print the page."""
    parser = argparse.ArgumentParser(prog="pods", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--agent", help="ONNX file; default: the one that ships")
    parser.add_argument("--count", type=int, default=200, help="instances of each kind")
    parser.add_argument("--seed", type=int, default=0, help="where in the held-out seeds to begin")
    parser.add_argument("--table", type=Path, help="write the page here, as markdown")
    args = parser.parse_args()
    own = seeds("heldout")[args.seed : args.seed + args.count]
    body: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        random = str(untrained("pod-packing", Path(folder)))
        for name, case in CASES.items():
            found = measure(args.agent, list(RULES), own, case)
            if name in SEARCH:
                found["untrained"] = measure(random, [], own, case)["agent"]
            body += [[name, *line] for line in rows(found)]
    page = "# The agent for pods that arrive one by one\n\n" + machine.header(
        "onnxruntime", held_out_instances_of_each_kind=args.count, load=machine.load()
    )
    page += "\n\n" + markdown([HEAD, *body])
    print(page)
    if args.table:
        args.table.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
