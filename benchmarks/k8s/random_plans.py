"""Random plans on the fake API server: does anything go wrong, whatever goes wrong?

Every seed is a small cluster in which a pod does not fit, a plan of the solver that would make it
fit, and the executor carrying it out beside controllers, kubelets and a scheduler that asks the
real guard. Meanwhile the server answers some writes with 500, 429, 409 or not at all, pods die,
nodes are cordoned, owners are scaled, strangers come, and the executor is killed and started anew.
The server counts the evictions that a disruption budget did not allow.

    python -m benchmarks.k8s.random_plans --table benchmarks/results/random_plans.md
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "k8s"))

from random_worlds import Story, tell

from benchmarks import machine
from benchmarks.markdown import markdown
from optsched.k8s.settings import BENCH


def main() -> None:
    """Run the seeds and write the page."""
    parser = argparse.ArgumentParser(
        prog="random_plans", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--plans", type=int, default=1000, help="how many; default 1000")
    parser.add_argument("--first", type=int, default=0, help="the first seed; default 0")
    parser.add_argument("--trouble", type=float, default=0.25, help="share with trouble; 0.25")
    parser.add_argument("--kills", type=float, default=0.5, help="share that is killed; 0.5")
    parser.add_argument("--faults", type=float, default=0.02, help="share of requests; 0.02")
    parser.add_argument("--table", type=Path, help="write the table here, as markdown")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    stories: list[Story] = []
    seed = args.first
    while len(stories) < args.plans:
        with tempfile.TemporaryDirectory() as folder:
            story = asyncio.run(tell(seed, Path(folder), args.trouble, args.faults, args.kills))
        seed += 1
        if story.phase:
            stories.append(story)
    page = report(stories, seed - args.first - len(stories))
    print(page)
    if args.table:
        args.table.write_text(page)


def report(stories: list[Story], skipped: int) -> str:
    """The page."""
    done = sum(one.phase == "Done" and one.evictions > 0 for one in stories)
    head = machine.header(
        "aiohttp",
        clusters=f"{len(stories)}, and {skipped} more in which the solver had nothing to move",
        profile=f"bench: {_profile()}",
    )
    counts: list[list[object]] = [
        ["what", "count"],
        ["plans", len(stories)],
        ["Done with at least one eviction", f"{done} ({100 * done / len(stories):.1f} %)"],
        ["evictions", sum(one.evictions for one in stories)],
        ["executors killed and started anew", sum(one.kills for one in stories)],
        ["evictions beyond a disruption budget", sum(len(one.violations) for one in stories)],
        ["pods evicted twice", sum(one.doubles for one in stories)],
        ["owners with fewer pods than they want", sum(len(one.lost) for one in stories)],
        ["tables, slots, nominations left behind", sum(len(one.leftovers) for one in stories)],
    ]
    ends = Counter((one.phase, _why(one)) for one in stories)
    ways: list[list[object]] = [["phase", "why", "plans"]]
    ways += [[*key, count] for key, count in ends.most_common(20)]
    wrong = [f"- {one}" for one in stories if one.harm]
    return "\n".join(["# Random plans", "", head, "", markdown(counts), markdown(ways), *wrong])


def _profile() -> str:
    """What the bench profile takes away."""
    settings = {f"{part}.{key}": v for part, keys in BENCH.items() for key, v in keys.items()}
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def _why(one: Story) -> str:
    """The reason without names of objects."""
    if one.phase == "Done":
        return ""
    words = [re.sub(r"[\w/'-]*\d[\w/'-]*", "...", word) for word in one.reason.split()]
    return " ".join(words)[:80]


if __name__ == "__main__":
    main()
