"""VM rescheduling: fragment rate, proof and time, ours beside other methods.

    python -m benchmarks.vm_rescheduling.run --table benchmarks/results/vm_rescheduling.md

Without options it runs the suite that the project stands by, in about six minutes alone; `--kinds`,
`--moves`, `--orders`, `--arms`, `--objective`, `--seeds` and `--seconds` run one part of it, or
anything else. Each family of snapshots is solved in a fresh process. Every plan is replayed in
random orders on a simulator of its own: what it counts must be what the method and the checker say.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.child import in_child
from benchmarks.vm_rescheduling import tables
from benchmarks.vm_rescheduling.arms import ARMS, FIRST, OWN_ORDER, PER_VM, Answer, run
from benchmarks.vm_rescheduling.instances import KINDS, REAL, draw
from optsched import kernels
from optsched.check import Report, check
from optsched.errors import PlanError
from optsched.levels import Term
from optsched.objective import evaluate
from optsched.plan import Order, Placement
from optsched.problem import PlacementProblem
from optsched.rates import rates, with_objective
from optsched.simulate import Replay, replay

ORDERS = {"safe": Order.SAFE, "waves": Order.WAVES}
REPLAYS = 3  # random orders per plan
RATES = "fr16,fr64,mem64"  # counted of every plan, whatever was asked for


@dataclass(frozen=True)
class Part:
    """Some snapshots, and what is asked of them."""

    kind: str
    seeds: int
    moves: tuple[int, ...]
    orders: tuple[str, ...] = ("safe",)
    arms: tuple[str, ...] = ("ours",)
    seconds: float = 10.0
    objective: str = "fr16"

    def words(self) -> str:
        """What is run."""
        moves = ", ".join(map(str, self.moves))
        return (
            f"{self.kind}, {self.seeds} snapshots, {self.objective}, MNL {moves}, "
            f"{' and '.join(self.orders)}: {', '.join(self.arms)}; {self.seconds:g} s each"
        )


BOTH = ("safe", "waves")
LOADS = ("medium", "medium-middle", "medium-low", "medium-mixed")
APART = ("medium-apart", "medium-apart-many")
USUAL = ("ours", "greedy", FIRST)
SUITE = (
    Part("medium", 20, (10, 25, 50, 100), BOTH),
    Part("medium", 20, (50,), arms=("greedy", FIRST)),
    Part("medium-real", 20, (10, 20, 30, 40, 50), BOTH, ("ours", "greedy", "HA", "random")),
    Part("medium-real", 20, (50,), arms=(FIRST,)),
    Part("medium-real", 1, (50,), arms=(PER_VM,), seconds=60.0),
    *(Part(kind, 5, (10, 25, 50, 100), BOTH) for kind in LOADS[1:3]),
    Part("medium-mixed", 5, (10, 25, 50, 100)),
    Part("medium-mixed", 3, (10, 50, 100), ("waves",)),  # takes all of the time
    *(Part(kind, 5, (50,), arms=("greedy", FIRST)) for kind in LOADS[1:]),
    Part("real-medium", 1, (50, 100, 200), BOTH, ("ours", "greedy", "HA", FIRST)),
    Part("real-large", 1, (50, 100, 200), BOTH, ("ours", "greedy", "HA", FIRST), 5.0),
    Part("large", 3, (100, 200), arms=USUAL, seconds=5.0),
    Part("1000", 3, (100, 250), arms=USUAL),
    Part("1000-mixed", 3, (100, 250), arms=USUAL),
    Part("5000", 3, (500,), arms=USUAL),
    Part("5000-mixed", 3, (500,), arms=USUAL),
    *(Part(kind, 3, (50,), BOTH, ("ours", "greedy"), 3.0) for kind in APART),
    *(Part("medium", 3, (50,), BOTH, seconds=3.0, objective=one) for one in ("fr64", "fr16,fr64")),
    *(
        Part("medium-mixed", 3, (50,), BOTH, seconds=3.0, objective=one)
        for one in ("mem64", "fr16,mem64")
    ),
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
    begun = time.monotonic()
    rows = tables.read(args.out) if args.out else []
    done = {json.dumps(row["part"]) for row in rows}
    for at, part in enumerate(args.parts, 1):
        if json.dumps(_key(part)) in done:
            continue
        print(f"{at} of {len(args.parts)}: {part.words()}", file=sys.stderr, flush=True)
        found, peak = in_child(_solve, part, args.workers)
        for row in found:
            row |= {"peak": round(peak)}
            rows.append(row)
            if args.out:
                with args.out.open("a") as out:
                    out.write(json.dumps(row) + "\n")
        print(tables.lines(found), file=sys.stderr, flush=True)
    settings = {
        "workers": args.workers,
        "parts": len(args.parts),
        "replays_per_plan": REPLAYS,
        "whole_run": f"{time.monotonic() - begun:.0f} s",
    }
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
    parser.add_argument("--objective", default="fr16", help="rates, as solve takes them")
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
            Part(kind, args.seeds, moves, orders, arms, args.seconds, args.objective)
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
        if part.objective != "fr16":
            problem = with_objective(problem, part.objective)
        for moves in part.moves:
            asked = problem.replace(max_moves=moves)
            for name, arm in _asked(part):
                order = ORDERS[name]
                if arm not in warmed and arm != PER_VM:
                    run(arm, asked, order, 1.0, workers, 0)  # imports are not counted
                    warmed.add(arm)
                    gc.freeze()  # what was imported is not looked through again and again
                load = machine.load()
                answer = run(arm, asked, order, part.seconds, workers, max(seed, 0))
                yield {
                    "part": _key(part),
                    "kind": part.kind,
                    "seed": seed,
                    "pms": len(problem.hosts),
                    "vms": len(problem.items),
                    "objective": part.objective,
                    "mnl": moves,
                    "order": name,
                    "arm": arm,
                    "limit": part.seconds,
                    "seconds": answer.seconds,
                    "incumbents": answer.incumbents,
                    "status": answer.status,
                    "load": load,
                    **_value(asked, answer),
                }


def _asked(part: Part) -> list[tuple[str, str]]:
    """(order, arm) of a part; a method that has an order of its own is asked once, for that."""
    pairs = [
        (OWN_ORDER[arm].name.lower() if arm in OWN_ORDER else name, arm)
        for name in part.orders
        for arm in part.arms
    ]
    return list(dict.fromkeys(pairs))


def _value(problem: PlacementProblem, answer: Answer) -> dict[str, object]:
    """The level before and after, as checked, and whether the replays agree with all that is said.

    Not only what was asked for is counted: FR16, FR64 and MEM64 of every plan must be the same in
    the replays as in the placement that the checker arrives at.
    """
    before = rates(problem, Placement.current(problem))
    report = check(problem, answer.plan)
    terms = problem.objective[0].terms
    whole = sum(term.weight * rate.free for term, rate in zip(terms, before, strict=True))
    return {
        "free": whole,
        "before": evaluate(problem, Placement.current(problem))[0],
        "after": int(report.levels[0]),
        "bound": answer.bound,
        "moves": len(answer.plan.moves()),
        "violations": len(report.violations),
        "replayed": _replayed(problem, answer, report),
    }


def _replayed(problem: PlacementProblem, answer: Answer, report: Report) -> bool:
    try:
        ends = [replay(problem, answer.plan, seed) for seed in range(REPLAYS)]
    except PlanError:
        return False
    asked = problem.objective[0].terms
    others = with_objective(problem, RATES)
    counted = [rate.wasted for rate in rates(others, report.placement)]
    for end in ends:
        value = sum(term.weight * _count(end, term) for term in asked)
        if not value == answer.value == report.levels[0]:
            return False
        if [_count(end, term) for term in others.objective[0].terms] != counted:
            return False
        if end.host != tuple(report.placement.host.tolist()):
            return False
    return True


def _count(end: Replay, term: Term) -> int:
    return end.fragments(term.resource, term.size, term.cells)


if __name__ == "__main__":
    sys.exit(main())
