"""A late plan: the fragment rate that remains when a plan is applied t seconds after the snapshot.

    python -m benchmarks.vm_rescheduling.dynamic --seeds 5

Meanwhile VMs leave and others of the same mix arrive, as a Poisson process; a move whose VM has
left, or whose target has no room any more, is skipped, as in the published setting. Neither the
churn nor how arrivals are placed is published. Arrivals take any place with room (with best fit the
rate would fall on its own, which the published one does not), and the default churn is such that a
plan loses about a quarter of its gain in a minute, as on the published curve.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import mean, median

import numpy as np

from benchmarks import machine
from benchmarks.markdown import markdown
from benchmarks.vm_rescheduling.arms import run
from benchmarks.vm_rescheduling.instances import draw
from optsched import kernels
from optsched.generate.vm import Room
from optsched.plan import Order, Plan
from optsched.problem import PlacementProblem

SIZE = 16


def main() -> int:
    """Apply plans late and print what is left of them."""
    parser = argparse.ArgumentParser(prog="dynamic", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kind", default="medium")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--moves", type=int, default=50, help="MNL; default 50")
    parser.add_argument("--delays", default="0,1,5,7,20,60,300,600", help="seconds")
    parser.add_argument(
        "--churn", type=float, default=0.02, help="share of VMs that leave a minute"
    )
    parser.add_argument("--arms", default="ours,greedy,HA")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--table", type=Path, help="write the table here, as markdown")
    args = parser.parse_args()
    kernels.warm()
    delays = [float(word) for word in args.delays.split(",")]
    arms = args.arms.split(",")
    found: dict[str, list[list[float]]] = {arm: [[] for _ in delays] for arm in ["no plan", *arms]}
    spent: dict[str, list[float]] = {arm: [] for arm in arms}
    for seed, problem in draw(args.kind, range(args.seeds)):
        asked = problem.replace(max_moves=args.moves)
        plans = {"no plan": Plan(problem.digest(), Order.SAFE)}
        for arm in arms:
            run(arm, asked, Order.SAFE, 1.0, args.workers, 0)
            answer = run(arm, asked, Order.SAFE, 10.0, args.workers, 0)
            plans[arm] = answer.plan
            spent[arm].append(answer.seconds)
        for at, delay in enumerate(delays):
            for arm, plan in plans.items():
                found[arm][at].append(late(problem, plan, delay, args.churn, seed))
    table: list[list[object]] = [["method", "solve s", *(f"t = {delay:g} s" for delay in delays)]]
    for arm, values in found.items():
        seconds = f"{median(spent[arm]):.3f}" if arm in spent else ""
        table.append([arm, seconds, *(f"{mean(one):.4f}" for one in values)])
    settings = {
        "snapshots": f"{args.kind}, {args.seeds} seeds",
        "MNL": args.moves,
        "churn": f"{args.churn:g} of the VMs a minute leave, as many arrive",
    }
    page = "\n".join(
        ["# VM rescheduling: plans that come late\n", machine.header(**settings) + "\n",
         "Mean FR16 at the time t at which the plan is applied.\n", markdown(table)]
    )  # fmt: skip
    if args.table:
        args.table.write_text(page)
    print(page)
    return 0


def late(problem: PlacementProblem, plan: Plan, delay: float, churn: float, seed: int) -> float:
    """FR16 after `delay` seconds of churn and what is then left of the plan."""
    rng = np.random.default_rng(seed)
    room = Room.of(problem.cells, len(problem.hosts))
    items = problem.items
    shapes = np.column_stack([items.cells_needed, items.cell_demand]).tolist()
    for shape, own in zip(shapes, items.cells0.tolist(), strict=True):
        room.add(tuple(shape), tuple(cell for cell in own if cell >= 0))
    events = rng.poisson(churn * len(items) * delay / 60)
    alive = list(range(len(items)))
    for _ in range(events):
        vm = alive.pop(int(rng.integers(len(alive))))
        room.leave(vm)
        drawn = shapes[int(rng.integers(len(shapes)))]
        own = room.any_fit(tuple(drawn), rng)
        if own:
            room.add(tuple(drawn), own)
            alive.append(len(room.shapes) - 1)
    for move in plan.moves():
        _apply(room, move.item, move.cells)
    free = np.maximum(room.free[:, 0], 0)
    return float((free % SIZE).sum() / free.sum())


def _apply(room: Room, vm: int, target: tuple[int, ...]) -> None:
    """One move, if its VM is still there and there is room for it."""
    own = room.cells[vm]
    if not own:
        return
    demand = np.array(room.shapes[vm][1:])
    if (room.free[list(target)] >= demand).all():
        room.free[list(own)] += demand
        room.free[list(target)] -= demand
        room.cells[vm] = target


if __name__ == "__main__":
    sys.exit(main())
