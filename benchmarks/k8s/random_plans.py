"""Random plans on a fake API server: budgets kept, nothing lost, nothing left over, nothing twice.

    python -m benchmarks.k8s.random_plans --plans 1000 --table benchmarks/results/random_plans.md

Each seed draws a nearly full cluster with disruption budgets and a pod that does not fit. The
solver's plan is carried out by the executor on a simulated clock while requests fail at random, and
in a share of the stories the executor is killed at a random write, or the cluster is changed under
it. The API server (tests/k8s/fake_api.py) counts what went wrong, not the executor.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.markdown import markdown
from optsched.k8s.configuration import to_tree

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "k8s"))
PROFILE = ("mode", "profile", "moves", "guard")  # settings that decide what may be done


def main() -> None:
    """Tell the stories and print the table."""
    parser = argparse.ArgumentParser(
        prog="random_plans", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--plans", type=int, default=1000, help="plans to carry out; default 1000")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--trouble", type=float, default=0.25, help="share killed, and changed")
    parser.add_argument("--faults", type=float, default=0.02, help="share of failing requests")
    parser.add_argument("--table", type=Path, help="write the table here, as markdown")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    stories = tell_all(args.plans, args.seed, args.trouble, args.faults)
    for one in stories:
        if one.violations or one.doubles or one.lost or one.leftovers:
            print(one)
    text = page(stories, args.trouble, args.faults)
    print(text)
    if args.table:
        args.table.write_text(text)


def tell_all(plans: int, first: int, trouble: float, faults: float) -> list[Any]:
    """As many stories as have a plan."""
    from random_worlds import tell

    stories, seed = [], first
    while len(stories) < plans:
        with tempfile.TemporaryDirectory() as folder:
            one = asyncio.run(tell(seed, Path(folder), trouble, faults))
        seed += 1
        if one.phase:
            stories.append(one)
            print(f"\r{len(stories)}/{plans}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return stories


def page(stories: list[Any], trouble: float, faults: float) -> str:
    """The results as markdown."""
    from fake_world import bench

    settings = to_tree(bench())
    rules = {name: settings[name] for name in PROFILE}
    done = [one for one in stories if one.phase == "Done" and one.evictions]
    rows: list[list[object]] = [
        ["what", "number"],
        ["plans", len(stories)],
        ["Done, with at least one eviction", f"{len(done)} ({len(done) / len(stories):.0%})"],
        *([f"ended {phase}", n] for phase, n in Counter(s.phase for s in stories).most_common()),
        ["evictions", sum(one.evictions for one in stories)],
        ["kills", sum(one.kills for one in stories)],
        ["violations of a disruption budget", sum(len(one.violations) for one in stories)],
        ["pods evicted twice", sum(one.doubles for one in stories)],
        ["owners with fewer pods than they want", sum(len(one.lost) for one in stories)],
        ["guards, slots or nominations left", sum(len(one.leftovers) for one in stories)],
    ]
    head = machine.header("aiohttp", trouble=trouble, faults=faults, profile=rules)
    why = Counter(one.reason for one in stories if one.phase != "Done")
    reasons = markdown([["why a plan was not done", "number"], *map(list, why.most_common(12))])
    return f"# Random plans\n\n{head}\n\n{markdown(rows)}\n\n{reasons}\n"


if __name__ == "__main__":
    main()
