"""How well the emulated default scheduler agrees with the real one, on the shipped placements.

    python -m benchmarks.pod_packing.agreement

Two runs of the real scheduler on one instance differ too, because ties are broken at random. So the
agreement of our placements with the real one stands beside the agreement of our placements among
themselves: if the two are alike, ties explain all there is.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np

from benchmarks import machine
from benchmarks.data import data_path
from benchmarks.pod_packing.default_scheduler import place
from benchmarks.pod_packing.instances import SHIPPED, Cell, Start, shipped
from optsched.arrays import Ints


def main() -> None:
    """Print a table per cell."""
    parser = argparse.ArgumentParser(prog="agreement", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ties", type=int, default=5, help="emulated runs per instance; default 5")
    args = parser.parse_args()
    print("# The emulated default scheduler against the real one\n")
    print(machine.header(emulated_runs_per_instance=args.ties) + "\n")
    print(
        "| cell | instances | pending per tier, real | pending per tier, emulated (mean) | "
        "same counts | pods on the same node, emulated and real | among emulated |"
    )
    print("|---|---|---|---|---|---|---|")
    for cell in _cells():
        print(_line(cell, list(shipped(cell, "1000")), args.ties))


def _cells() -> list[Cell]:
    names = sorted(path.stem for path in data_path(SHIPPED).glob("n*_ppn*_prio*_util*.json"))
    parts = [[int("".join(filter(str.isdigit, word))) for word in n.split("_")] for n in names]
    return sorted(Cell(*numbers) for numbers in parts)


def _line(cell: Cell, starts: Sequence[Start], ties: int) -> str:
    real, emulated, same = np.zeros(cell.priorities), np.zeros(cell.priorities), 0
    with_real, among = [], []
    for start in starts:
        ours = [place(start.drawn, seed=tie) for tie in range(ties)]
        totals = np.array(start.running(np.zeros_like(start.host)))
        here = totals - start.running()
        there = [totals - start.running(host) for host in ours]
        real += here
        emulated += np.mean(there, axis=0)
        same += sum(bool((one == here).all()) for one in there)
        with_real += [agreement(start, host, start.host) for host in ours]
        among += [agreement(start, a, b) for a, b in itertools.combinations(ours, 2)]
    return (
        f"| {cell.nodes}x{cell.ppn} | {len(starts)} | {_per_tier(real)} | {_per_tier(emulated)} | "
        f"{same} of {len(starts) * ties} | {100 * np.mean(with_real):.1f} % | "
        f"{100 * np.mean(among):.1f} % |"
    )


def _per_tier(counts: np.ndarray) -> str:
    return " / ".join(f"{count:g}" for count in np.round(counts, 1))


def agreement(start: Start, first: Ints, second: Ints) -> float:
    """Share of pods on the same node in two placements, under the best relabelling of the nodes.

    Pods of one ReplicaSet are alike, and so are nodes; pods that are pending in both count as
    agreeing.
    """
    from ortools.graph.python import linear_sum_assignment  # type: ignore[import-untyped]

    owner, nodes = start.drawn.owner(), start.drawn.nodes
    contents = [
        [Counter(owner[host == node].tolist()) for node in range(-1, nodes)]
        for host in (first, second)
    ]
    common = np.array(
        [[(a & b).total() for b in contents[1][1:]] for a in contents[0][1:]], dtype=np.int64
    )
    left, right = np.indices(common.shape).reshape(2, -1)
    matching = linear_sum_assignment.SimpleLinearSumAssignment()
    matching.add_arcs_with_cost(left, right, -common.reshape(-1))
    if matching.solve() != matching.OPTIMAL:
        raise RuntimeError("the matching of nodes has no optimum")
    pending = (contents[0][0] & contents[1][0]).total()
    return float(pending - matching.optimal_cost()) / len(owner)


if __name__ == "__main__":
    main()
