"""Rerun the paper's grid: our solver beside the paper's model, on the same starting placements.

One JSON line per instance, window and arm goes to `--out` at once; a run that is started again
skips what is there. Ctrl-C ends it with the tables of what was done. See benchmarks/README.md.

    python -m benchmarks.pod_packing.run --seeds 10 --windows 1 --out results.jsonl --table table.md
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.pod_packing import arms, instances, tables
from benchmarks.pod_packing.instances import Cell, Start
from optsched.generate.paper import problem
from optsched.objective import evaluate
from optsched.plan import Placement

Row = dict[str, object]
WHOLE = {"nodes": "4,8,16,32", "ppn": "4,8", "prios": "1,2,4", "utils": "90,95,100,105"}
KEY = ("instance", "source", "order", "cost", "window", "arm", "workers")


def main() -> int:
    """Run what the command line asks for."""
    args = _arguments()
    rows = tables.read(args.out)
    done = {tuple(row[k] for k in KEY) for row in rows}
    print("drawing instances ...", file=sys.stderr)
    starts = list(_starts(args))
    jobs = [
        (start, window, arm)
        for start, window, arm in itertools.product(starts, args.windows, args.solvers)
        if _key(args, start, window, arm) not in done
    ]
    print(f"{len(starts)} instances, {len(jobs)} solves to do, {len(done)} there", file=sys.stderr)
    stopped = False
    try:
        _warm_up(args, starts)
        with args.out.open("a") as out:
            for row in _solve(args, jobs):
                out.write(json.dumps(row) + "\n")
                out.flush()
                rows.append(row)
    except KeyboardInterrupt:
        stopped = True
        print("\nstopped; start again with the same --out to go on", file=sys.stderr)
    wanted = {start.drawn.name for start in starts}
    shown = [
        row
        for row in rows
        if row["instance"] in wanted
        and row["source"] == args.placements
        and (row["order"], row["cost"], row["workers"]) == (args.order, args.cost, args.workers)
        and row["window"] in args.windows
        and row["arm"] in args.solvers
    ]
    page = tables.page(shown, _settings(args))
    if args.table:
        args.table.write_text(page)
    print(page)
    return 130 if stopped else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pod_packing", description=(__doc__ or "").split("\n")[0])
    for name, values in WHOLE.items():
        parser.add_argument(
            f"--{name}", type=_ints, default=_ints(values), help=f"default {values}"
        )
    parser.add_argument("--windows", type=_floats, default=[1.0], help="seconds; default 1")
    parser.add_argument("--seeds", default="10", help="how many per cell, or a range 1-10")
    parser.add_argument(
        "--solvers",
        type=_names,
        default=["ours", arms.PAPER],
        help="of: ours (the portfolio), paper, any solver by name; default ours,paper",
    )
    parser.add_argument("--order", choices=("tier", "place-first"), default="tier")
    parser.add_argument("--cost", choices=("own", "paper"), default="own", help="of disturbance")
    parser.add_argument("--placements", choices=("generated", "shipped"), default="generated")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="JSON lines; resumed if there")
    parser.add_argument("--table", type=Path, help="write the tables here, as markdown")
    args = parser.parse_args()
    args.solvers = ["portfolio" if name == "ours" else name for name in args.solvers]
    return args


def _ints(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _floats(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _list(values: list[int] | list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _names(text: str) -> list[str]:
    return text.split(",")


def _starts(args: argparse.Namespace) -> Iterator[Start]:
    source = instances.shipped if args.placements == "shipped" else instances.generated
    for values in itertools.product(args.nodes, args.ppn, args.prios, args.utils):
        yield from source(Cell(*values), args.seeds)


def _key(args: argparse.Namespace, start: Start, window: float, arm: str) -> tuple[object, ...]:
    return (
        start.drawn.name,
        start.source,
        args.order,
        args.cost,
        window,
        arm,
        args.workers,
    )


def _warm_up(args: argparse.Namespace, starts: list[Start]) -> None:
    """Import and compile before the clock runs, on the smallest instance."""
    pending = [start for start in starts if (start.host < 0).any()]
    if pending:
        first = min(pending, key=lambda start: len(start.host))
        for arm in args.solvers:
            arms.run(arm, problem(first.drawn, first.host), 2.0, args.workers)


def _solve(args: argparse.Namespace, jobs: list[tuple[Start, float, str]]) -> Iterator[Row]:
    begun = time.monotonic()
    ahead = sum(window for _, window, _ in jobs)
    nominal = 0.0
    for number, (start, window, arm) in enumerate(jobs, 1):
        row = _row(args, start, window, arm)
        nominal += window
        left = (time.monotonic() - begun) * (ahead - nominal) / nominal
        print(
            f"\r{number}/{len(jobs)} {start.drawn.name} {window:g} s {arm}: {row['category']}, "
            f"{left / 60:.0f} min left   ",
            end="",
            file=sys.stderr,
            flush=True,
        )
        yield row
    print(file=sys.stderr)


def _row(args: argparse.Namespace, start: Start, window: float, arm: str) -> Row:
    """Solve one instance with one arm and say what came of it."""
    drawn, default = start.drawn, start.running()
    pending = int((start.host < 0).sum())
    levels = arms.objective(args.order, args.cost, drawn.priorities)
    asked = problem(drawn, start.host, order=args.order).replace(objective=levels)
    load = machine.load()
    if pending:
        outcome = arms.run(arm, asked, window, args.workers)
    else:
        outcome = arms.Outcome("NOT CALLED", start.host, 0.0)
    found = start.running(outcome.host)
    # What is not better is not applied.
    host = outcome.host if found > default else start.host
    tier = asked.items.tier
    gone = (start.host >= 0) & (host < 0)
    moved = (start.host >= 0) & (host >= 0) & (host != start.host)
    return {
        **dict(zip(KEY, _key(args, start, window, arm), strict=True)),
        "nodes": drawn.nodes,
        "ppn": drawn.ppn,
        "priorities": drawn.priorities,
        "usage": drawn.usage,
        "seed": drawn.seed,
        "status": outcome.status,
        "category": arms.category(outcome.status, found, default, pending),
        "seconds": round(outcome.seconds, 4),
        "load": round(load, 2),
        "pods": len(start.host),
        "pending": pending,
        "default": list(default),
        "found": list(found),
        "placed": list(start.running(host)),
        "evicted": np.bincount(tier[gone], minlength=drawn.priorities).tolist(),
        "moved": np.bincount(tier[moved], minlength=drawn.priorities).tolist(),
        "values": list(evaluate(asked, Placement.of(asked, host))),
        **outcome.detail,
    }


def _settings(args: argparse.Namespace) -> dict[str, object]:
    return {
        "grid": "; ".join(f"{k} {_list(getattr(args, k))}" for k in WHOLE),
        "windows": _list(args.windows),
        "seeds": args.seeds,
        "starting_placements": args.placements,
        "order": args.order,
        "disturbance": args.cost,
        "workers": args.workers,
        "window": f"a solve gets {arms.HEAD_START} s less, model building included",
    }


if __name__ == "__main__":
    sys.exit(main())
