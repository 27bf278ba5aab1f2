"""VM rescheduling: fragment rate, proof and time, ours beside other methods.

    python -m benchmarks.vm_rescheduling.run --table benchmarks/results/vm_rescheduling.md

Without options it runs the suite that the project stands by; `--kinds`, `--moves`, `--orders`,
`--arms`, `--seeds` and `--seconds` run one part of it, or anything else. Each family of snapshots
is solved in a fresh process. Every plan is replayed in random orders on a simulator of its own, and
its fragments are compared with those claimed.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.child import in_child
from benchmarks.vm_rescheduling import tables
from benchmarks.vm_rescheduling.arms import ARMS, FIRST, run
from benchmarks.vm_rescheduling.instances import KINDS, REAL, draw
from optsched import kernels
from optsched.check import check
from optsched.errors import PlanError
from optsched.plan import Order, Placement, Plan
from optsched.problem import PlacementProblem
from optsched.rates import rates
from optsched.simulate import replay

ORDERS = {"safe": Order.SAFE, "waves": Order.WAVES}
REPLAYS = 3  # random orders per plan


@dataclass(frozen=True)
class Part:
    """Some snapshots, and what is asked of them."""

    kind: str
    seeds: int
    moves: tuple[int, ...]
    orders: tuple[str, ...] = ("safe",)
    arms: tuple[str, ...] = ("ours",)
    seconds: float = 10.0


LOADS = ("medium", "medium-middle", "medium-low", "medium-mixed")
SUITE = (
    Part("medium", 20, (50,), arms=("ours", "greedy", FIRST)),
    Part("medium-real", 20, (50,), arms=("ours", "greedy", FIRST)),
    *(Part(kind, 5, (10, 25, 50, 100), orders=("safe", "waves")) for kind in LOADS),
    *(Part(kind, 5, (50,), arms=("greedy", FIRST)) for kind in LOADS[1:]),
    Part("medium-real", 3, (10, 20, 30, 40, 50), arms=("ours", "greedy", "HA", "random")),
    Part("medium-real", 1, (50,), arms=("per-VM",), seconds=60.0),
    Part("real-medium", 1, (50, 100, 200), ("safe", "waves"), ("ours", "greedy", "HA", FIRST)),
    Part("real-large", 1, (50, 100, 200), ("safe", "waves"), ("ours", "greedy", "HA", FIRST), 5.0),
    Part("large", 3, (100, 200), arms=("ours", "greedy", FIRST), seconds=5.0),
    Part("1000", 3, (100, 250), arms=("ours", "greedy", FIRST)),
    Part("1000-mixed", 3, (100, 250), arms=("ours", "greedy", FIRST)),
    Part("5000", 3, (500,), arms=("ours", "greedy", FIRST)),
    Part("5000-mixed", 3, (500,), arms=("ours", "greedy", FIRST)),
    *(Part(kind, 5, (50,), seconds=0.05) for kind in LOADS),
    Part("medium-real", 5, (50,), seconds=0.05),
    Part("real-medium", 1, (50, 100, 200), seconds=0.05),
    Part("real-large", 1, (50, 100, 200), seconds=0.05),
    Part("large", 3, (100, 200), seconds=0.05),
    Part("1000", 3, (100, 250), seconds=0.05),
    Part("1000-mixed", 3, (100, 250), seconds=0.05),
    Part("5000", 3, (500,), seconds=0.2),
    Part("5000-mixed", 3, (500,), seconds=0.2),
)


def main() -> int:
    """Run the suite, or what the command line asks for."""
    args = _arguments()
    rows = tables.read(args.out) if args.out else []
    done = {json.dumps(row["part"]) for row in rows}
    for part in args.parts:
        if json.dumps(_key(part)) in done:
            continue
        found, peak = in_child(_solve, part, args.workers)
        for row in found:
            row |= {"peak": round(peak)}
            rows.append(row)
            if args.out:
                with args.out.open("a") as out:
                    out.write(json.dumps(row) + "\n")
        print(tables.lines(found), file=sys.stderr, flush=True)
    settings = {"workers": args.workers, "replays_per_plan": REPLAYS}
    page = tables.page(rows, machine.header(**settings))
    if args.table:
        args.table.write_text(page)
    print(page)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="vm_rescheduling", description=__doc__)
    parser.add_argument("--kinds", help=f"of: {', '.join([*KINDS, *REAL])}; default: the suite")
    parser.add_argument("--seeds", type=int, default=3, help="snapshots per family; default 3")
    parser.add_argument("--moves", default="10,20,30,40,50", help="MNLs; default 10,20,30,40,50")
    parser.add_argument("--orders", default="safe", help="of: safe, waves; default safe")
    parser.add_argument("--arms", default="ours,greedy", help=f"of: {', '.join(ARMS)}, any solver")
    parser.add_argument("--seconds", type=float, default=10.0, help="time limit; default 10")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON lines; what is there is not run again")
    parser.add_argument("--table", type=Path, help="write the tables here, as markdown")
    args = parser.parse_args()
    args.parts = SUITE
    if args.kinds:
        moves = tuple(int(word) for word in args.moves.split(","))
        orders, arms = tuple(args.orders.split(",")), tuple(args.arms.split(","))
        args.parts = [
            Part(kind, args.seeds, moves, orders, arms, args.seconds)
            for kind in args.kinds.split(",")
        ]
    return args


def _key(part: Part) -> dict[str, object]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(part).items()}


def _solve(part: Part, workers: int) -> list[dict[str, object]]:
    """All rows of one part; runs in a process of its own."""
    return list(_rows(part, workers))


def _rows(part: Part, workers: int) -> Iterator[dict[str, object]]:
    kernels.warm()
    warmed: set[str] = set()
    for seed, problem in draw(part.kind, range(part.seeds)):
        for moves in part.moves:
            asked = problem.replace(max_moves=moves)
            for name in part.orders:
                for arm in part.arms:
                    if arm not in warmed and arm != "per-VM":
                        run(arm, asked, ORDERS[name], 1.0, workers, 0)  # imports are not counted
                        warmed.add(arm)
                        gc.freeze()  # what was imported is not looked through again and again
                    load = machine.load()
                    answer = run(arm, asked, ORDERS[name], part.seconds, workers, max(seed, 0))
                    yield {
                        "part": _key(part),
                        "kind": part.kind,
                        "seed": seed,
                        "pms": len(problem.hosts),
                        "vms": len(problem.items),
                        "mnl": moves,
                        "order": name,
                        "arm": arm,
                        "limit": part.seconds,
                        "seconds": answer.seconds,
                        "incumbents": answer.incumbents,
                        "status": answer.status,
                        "load": load,
                        **_value(asked, answer.plan, answer.bound),
                    }


def _value(problem: PlacementProblem, plan: Plan, bound: int) -> dict[str, object]:
    """Fragments before and after, as checked and as replayed."""
    before = rates(problem, Placement.current(problem))[0]
    report = check(problem, plan)
    try:
        ends = [replay(problem, plan, seed) for seed in range(REPLAYS)]
        replayed = all(end.fragments(0, 16) == report.levels[0] for end in ends)
    except PlanError:
        replayed = False
    return {
        "free": before.free,
        "before": before.wasted,
        "after": int(report.levels[0]),
        "bound": bound,
        "moves": len(plan.moves()),
        "violations": len(report.violations),
        "replayed": replayed,
    }


if __name__ == "__main__":
    sys.exit(main())
