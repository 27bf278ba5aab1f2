"""A real scheduler refuses a pod, optsched moves others out of its way: how long, and what breaks.

    python -m benchmarks.k8s.end_to_end --table benchmarks/results/end_to_end.md

`make controlplane` first. etcd, the API server, controllers, scheduler and kubelets (KWOK) are real
or played; `optsched serve` runs beside them in mode Enforce with the bench profile, its front end
asked over mutual TLS.

One move: two nodes of 2000m with a pod of 900m each, and a pod of 2000m with the same priority.
Measured from the first event that says Unschedulable to the one with a node, in a watch's eyes.
Random crowds: `tests/controlplane/worlds.py`, with disruption budgets; a witness follows every pod
and counts each event after which fewer were available than a budget demands.
Changes of mode: the file is replaced; until both the brain and the front end say that the new one
is in force.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import machine
from benchmarks.k8s.filter_latency import busy
from benchmarks.markdown import markdown
from optsched.k8s.settings import BENCH
from tests.controlplane.api import Api, Tree, bound, until
from tests.controlplane.beside import Beside, install, serving
from tests.controlplane.plane import Plane, running, why_not
from tests.controlplane.worlds import Witness, World, draw

PLANS = "/apis/optsched.io/v1alpha1/placementplans"
OVER = ("Done", "PartiallyDone", "Aborted", "Rejected", "Expired", "Superseded")
ONE_MOVE = World(2, {"small": [(900, 0), (900, 1)]}, {}, large=2000, room=2000)


@dataclass
class Story:
    """What became of one crowd.

    Attributes
    ----------
    seconds
        From Unschedulable to a node; None if the pod was not placed.
    phase
        Of the last plan, "" if there was none.
    """

    seed: int
    phase: str
    reason: str
    evictions: int
    seconds: float | None
    violations: list[str]
    short: list[str]


def main() -> None:
    """Measure, count, and print the page."""
    parser = argparse.ArgumentParser(prog="end_to_end", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--moves", type=int, default=20, help="times one move; default 20")
    parser.add_argument("--plans", type=int, default=50, help="random plans; default 50")
    parser.add_argument("--switches", type=int, default=20, help="changes of mode; default 20")
    parser.add_argument("--seed", type=int, default=1, help="of the first crowd; default 1")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds per crowd")
    parser.add_argument("--minor", default="", help="of Kubernetes, such as 1.35")
    parser.add_argument("--table", type=Path, help="write the page here, as markdown")
    args = parser.parse_args()
    if why := why_not(args.minor):
        raise SystemExit(why)
    before = busy()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plane = stack.enter_context(running(folder, minor=args.minor))
        install(plane.api)
        beside = stack.enter_context(serving(plane, folder / "optsched"))
        plane.start_scheduler({"extenders": [beside.extender()]})
        warm(plane, beside)
        times = [tell(plane.api, ONE_MOVE, -number, args.patience) for number in range(args.moves)]
        switches = [
            switch(beside, ("Advisory", "Enforce")[number % 2]) for number in range(args.switches)
        ]
        beside.configure(mode="Enforce")
        stories, skipped, seed = [], 0, args.seed
        while len(stories) < args.plans:
            story = tell(plane.api, draw(seed), seed, args.patience)
            seed += 1
            if not story.phase:
                skipped += 1
                continue
            stories.append(story)
            print(f"{len(stories)} of {args.plans}: {story}", flush=True)
        version = plane.api.ask("GET", "/version")["gitVersion"]
    whole, _, idle = (after - start for after, start in zip(busy(), before, strict=True))
    profile = ", ".join(
        f"{part}.{key} {value}" for part, keys in BENCH.items() for key, value in keys.items()
    )
    facts = machine.header(
        kubernetes=version, processors_busy=f"{whole / (whole + idle):.0%}", profile=profile
    )
    parts = (timing(times), switching(switches), counting(stories, skipped))
    page = f"# End to end\n\n{facts}\n\n" + "\n".join(part for part in parts if part)
    print(page)
    if args.table:
        args.table.write_text(page)


def switch(beside: Beside, mode: str) -> float:
    """Seconds until a mode is in force everywhere."""
    began = time.monotonic()
    beside.configure(mode=mode)
    enforces = mode == "Enforce"
    until(lambda: ("not looked at" not in beside.front_readiness()) is enforces, f"mode {mode}")
    return time.monotonic() - began


def switching(seconds: list[float]) -> str:
    """The page's part on changes of mode."""
    if not seconds:
        return ""
    cells = [f"{median(seconds):.2f}", f"{max(seconds):.2f}", sum(one < 1 for one in seconds)]
    return markdown(
        [["changes of mode", "median s", "worst s", "within 1 s"], [len(seconds), *cells]]
    )


def timing(stories: list[Story]) -> str:
    """The page's part on one move."""
    seconds = sorted(one.seconds for one in stories if one.seconds is not None)
    if not seconds:
        return ""
    high = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
    head = ["one move", "placed", "median s", "95 % s", "worst s", "within 1 s"]
    within = sum(one <= 1 for one in seconds)
    cells = [f"{median(seconds):.2f}", f"{high:.2f}", f"{seconds[-1]:.2f}", within]
    return markdown([head, [len(stories), len(seconds), *cells]])


def counting(stories: list[Story], skipped: int) -> str:
    """The page's part on random crowds."""
    if not stories:
        return ""
    done = [one for one in stories if one.phase == "Done" and one.evictions]
    waits = [one.seconds for one in stories if one.seconds is not None]
    broken = sum(len(one.violations) for one in stories)
    rows: list[list[object]] = [
        ["random crowds", "count"],
        ["plans", len(stories)],
        ["crowds for which no plan was found", skipped],
        ["Done with at least one eviction", f"{len(done)} ({len(done) / len(stories):.0%})"],
        ["evictions", sum(one.evictions for one in stories)],
        ["events after which a disruption budget did not hold", broken],
        ["owners with fewer pods than they want", sum(len(one.short) for one in stories)],
        ["median s until the pod has a node", f"{median(waits):.2f}" if waits else "-"],
    ]
    ends = Counter((one.phase, one.reason if one.phase != "Done" else "") for one in stories)
    ways: list[list[object]] = [["phase", "why", "plans"]]
    ways += [[*key, count] for key, count in ends.most_common()]
    return f"{markdown(rows)}\n{markdown(ways)}"


def warm(plane: Plane, beside: Beside) -> None:
    """Until it leads, its mode is in force, and the solver has solved something."""
    until(lambda: "mode: Enforce" in beside.readiness(), "mode Enforce")
    for number in range(2):
        tell(plane.api, ONE_MOVE, -1000 - number, 120.0)


def tell(api: Api, world: World, seed: int, patience: float) -> Story:
    """Make a crowd, let a large pod come, and see what happens."""
    namespace = f"crowd-{abs(seed)}{'x' if seed <= 0 else ''}"
    api.namespace(namespace)
    api.ask("DELETE", PLANS)
    try:
        world.build(api, namespace)
        with Witness(api, namespace, world.least) as witness:
            api.pod(namespace, "large", f"{world.large}m")
            plan = outcome(api, namespace, patience)
            counts = {app: len(pods) for app, pods in world.homes.items()}
            short = [app for app, count in counts.items() if not whole(api, namespace, app, count)]
        placed, refused = witness.placed.get("large"), witness.refused.get("large")
        seconds = placed - refused if placed and refused else None
        status = plan.get("status", {})
        evictions = sum(bool(one.get("evicted")) for one in status.get("moves", {}).values())
        return Story(
            seed, status.get("phase", ""), status.get("reason", ""), evictions, seconds,
            witness.violations, short,
        )  # fmt: skip
    finally:
        api.clear(namespace, world.names(namespace))


def outcome(api: Api, namespace: str, patience: float) -> Tree:
    """The plan for this namespace when it is over; {} if none is made."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        plans = [
            one
            for one in api.items(PLANS)
            if any(pod["namespace"] == namespace for pod in one["spec"]["placements"])
        ]
        plans.sort(key=lambda plan: int(plan["spec"].get("created", 0)))
        if plans and plans[-1].get("status", {}).get("phase") in OVER:
            return plans[-1]
        if not plans and unhelped(api, namespace):
            return {}
        time.sleep(0.1)
    return plans[-1] if plans else {}


def unhelped(api: Api, namespace: str) -> bool:
    """Whether optsched has said that it cannot help."""
    return any(one["reason"] == "NotHelped" for one in api.events(namespace, "large"))


def whole(api: Api, namespace: str, app: str, count: int) -> bool:
    """Whether an owner has its pods again, all with a node, before long."""

    def all_there() -> bool:
        return sum(bool(bound(pod)) for pod in api.pods(namespace, app)) == count

    with contextlib.suppress(TimeoutError):
        until(all_there, app, 20.0)
        return True
    return False


if __name__ == "__main__":
    main()
