"""Who places more arriving pods, by tier: the agent, the default scheduler's rule, or best fit.

    python -m benchmarks.agents.pods --table benchmarks/results/agents_pods.md
    python -m benchmarks.agents.pods --count 100 --lookahead 16

Pods arrive one by one and are bound for good or left pending; nothing moves and nobody preempts.
Instances are the published recipe on held-out seeds. Pods placed per tier are compared
lexicographically, the highest tier first. The agent plays one episode of best choices. "untrained"
is the same network with random weights, whose one episode takes as long: all that search could do
in that time, as what is bound stays bound; "chance" takes any node that has room. Beside each of
them the agent has to be better on three times as many instances of the grid as it is worse: where
it is not, the page says so and the command ends with 1.

With `--lookahead` nothing else is measured: beside the rules and the agent stands a decider that
knows the generator and tries every choice in as many futures, see `lookahead`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.agents.lookahead import looked_ahead
from benchmarks.agents.untrained import untrained
from benchmarks.markdown import markdown
from optsched.envs.seeds import seeds
from optsched.solvers.pod_evaluation import Case, Run, measure, rows
from optsched.solvers.pod_rules import RULES
from optsched.solvers.policy_pods import load

HEAD = ["instances", "arm", "agent better", "agent worse", "top tier placed", "all placed",
        "µs per decision", "fallbacks"]  # fmt: skip
MARGIN = 3  # times as often better as worse
MARGINS = ["instances", "beside", "better", "worse", "three times as often better"]
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
TOGETHER = 10  # instances that look ahead side by side
SEARCH = ("all of the grid", "16 to 32 nodes")  # where the untrained network plays too


def margins(found: dict[str, list[Run]]) -> list[list[object]]:
    """Whether the agent is better `MARGIN` times as often as worse, beside each of the others."""
    lines: list[list[object]] = []
    for name, runs in found.items():
        if name != "agent":
            pairs = list(zip(found["agent"], runs, strict=True))
            better = sum(own.placed > other.placed for own, other in pairs)
            worse = sum(own.placed < other.placed for own, other in pairs)
            lines.append([name, better, worse, "yes" if better > MARGIN * worse else "NO"])
    return lines


def ahead(agent: str | None, own: range, case: Case, futures: int) -> str:
    """The table of the decider that looks ahead, and its time."""
    begun = time.process_time()
    runs: list[Run] = []
    for at in range(0, len(own), TOGETHER):
        part = own[at : at + TOGETHER]
        problems = [case.problem(seed) for seed in part]
        placed = looked_ahead(load(agent), problems, case.nodes, futures, part[0])
        for seed, problem, tiers in zip(part, problems, placed, strict=True):
            pods = tuple(np.bincount(problem.items.tier, minlength=len(tiers)).tolist())
            runs.append(Run(seed, tiers, pods, 0.0, sum(pods), 0))
    spent = time.process_time() - begun
    found = measure(agent, list(RULES), own, case)
    beside = rows({"agent": runs, "the agent": found.pop("agent"), **found})
    beside[0][0] = f"{futures} futures"
    head = [name.replace("agent", "decider") for name in HEAD[1:6]]
    told = f"{len(own)} instances of {case.nodes // 2} to {case.nodes} nodes, {spent:.0f} CPU s"
    return f"{told}\n\n" + markdown([head, *(line[:5] for line in beside)])


def main() -> None:
    """Measure all and print the page."""
    parser = argparse.ArgumentParser(prog="pods", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--agent", help="ONNX file; default: the one that ships")
    parser.add_argument("--count", type=int, default=200, help="instances of each kind")
    parser.add_argument("--seed", type=int, default=0, help="where in the held-out seeds to begin")
    parser.add_argument("--split", default="heldout", help="of the seeds")
    parser.add_argument("--lookahead", type=int, metavar="F", help="futures for each decision")
    parser.add_argument("--nodes", type=int, default=8, help="at most, of those that look ahead")
    parser.add_argument("--table", type=Path, help="write the page here, as markdown")
    args = parser.parse_args()
    own = seeds(args.split)[args.seed : args.seed + args.count]
    body: list[list[object]] = []
    held: list[list[object]] = []
    if args.lookahead:
        print(ahead(args.agent, own, Case(nodes=args.nodes), args.lookahead))
        return
    with tempfile.TemporaryDirectory() as folder:
        random = str(untrained("pod-packing", Path(folder)))
        for name, case in CASES.items():
            found = measure(args.agent, list(RULES), own, case)
            if name in SEARCH:
                found["untrained"] = measure(random, [], own, case)["agent"]
                held += [[name, *line] for line in margins(found)]
            body += [[name, *line] for line in rows(found)]
    page = "# The agent for pods that arrive one by one\n\n" + machine.header(
        "onnxruntime", held_out_instances_of_each_kind=args.count, load=machine.load()
    )
    page += "\n\n" + markdown([HEAD, *body])
    page += "\n## What has to be beaten\n\n" + markdown([MARGINS, *held])
    print(page)
    if args.table:
        args.table.write_text(page, "utf-8")
    if any(line[-1] != "yes" for line in held):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
