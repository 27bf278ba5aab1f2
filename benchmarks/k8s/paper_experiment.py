"""The pod packing paper's experiment against a real scheduler that nobody has changed.

    python -m benchmarks.k8s.paper_experiment --table benchmarks/results/paper_experiment.md

`make controlplane` first. Cells are nodes x pods per node with 4 priorities at 95 % usage; the
seeds are those of the public placements (`priority-matters`), the instances are drawn anew by the
paper's recipe. ReplicaSets are created one by one while `optsched serve` is in mode Off, and the
stock scheduler, preemption included, does what it can: that is "the scheduler alone". Then the mode
becomes Enforce (bench profile) and optsched acts until nothing is pending, or the solver was asked
again after its last plan and has found nothing more.

A case ends *where the plan says* if, for every ReplicaSet and node, as many pods are bound there as
the placement before plus all moves and placements of the plans give, and every plan is Done. Pods
for which the scheduler finds room by itself afterwards are counted apart, as beyond the plans.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import machine
from benchmarks.data import data_path
from benchmarks.k8s.filter_latency import busy
from benchmarks.markdown import markdown
from optsched.generate.paper import Instance, instance
from optsched.k8s.settings import BENCH
from tests.controlplane.api import Api, Tree, bound, is_refused, until
from tests.controlplane.beside import Beside, install, serving
from tests.controlplane.plane import running, why_not

PLANS = "/apis/optsched.io/v1alpha1/placementplans"
OPEN = ("", "Proposed", "Validated", "Reserving", "Evicting", "Placing", "Completing", "Aborting")
CELLS = "8x4,8x8,16x4,16x8,32x4,32x8"
PRIORITIES, USAGE = 4, 95
NAMESPACE = "paper"
EACH = 2.0  # seconds that the scheduler has for a ReplicaSet before the next one comes
CALM = 3.0  # seconds without a change after which the scheduler has done what it can
AFTER = 2.0  # seconds after a solve in which its plan would have been seen

Homes = Counter[tuple[str, str]]  # bound pods per ReplicaSet and node


@dataclass
class Case:
    """What became of one instance.

    Attributes
    ----------
    alone, after
        Bound pods per priority, the highest first: by the scheduler alone, and with optsched.
    strays
        Pods that are not bound where the plans say.
    more
        Pods beyond the plans, for which the scheduler found room itself afterwards, or strays.
    ends
        Phase and reason of every plan, oldest first.
    seconds
        From the change of mode to the end of the last plan; 0 without a plan.
    """

    cell: str
    seed: int
    pods: int
    alone: tuple[int, ...]
    after: tuple[int, ...]
    strays: int
    more: int
    moves: int
    waves: int
    ends: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def as_planned(self) -> bool:
        """Whether every plan was carried out whole, bound for bound."""
        return not self.strays and all(end == "Done" for end in self.ends)

    @property
    def never_fewer(self) -> bool:
        """Whether no priority has lost a pod."""
        return all(now >= before for now, before in zip(self.after, self.alone, strict=True))


def main() -> None:
    """Run the cells and print the page."""
    parser = argparse.ArgumentParser(prog="paper_experiment", description=(__doc__ or "")[:60])
    parser.add_argument("--cells", default=CELLS, help=f"nodes x pods per node; default {CELLS}")
    parser.add_argument("--seeds", type=int, default=5, help="per cell, at most 5; default 5")
    parser.add_argument("--time-limit", default="10s", help="planner.timeLimit; default 10s")
    parser.add_argument(
        "--protect-higher",
        action="store_true",
        help="as in a cluster: no pod moves for one of lower priority; the paper moves any",
    )
    parser.add_argument("--minor", default="", help="of Kubernetes, such as 1.35")
    parser.add_argument("--table", type=Path, help="write the page here, as markdown")
    args = parser.parse_args()
    if why := why_not(args.minor):
        raise SystemExit(why)
    cells = [(int(n), int(p)) for n, p in (cell.split("x") for cell in args.cells.split(","))]
    before, cases = busy(), list[Case]()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plane = stack.enter_context(running(folder, minor=args.minor))
        install(plane.api)
        planner = {"timeLimit": args.time_limit, "protectHigher": args.protect_higher}
        limits = {"mode": "Off", "planner": planner}
        beside = stack.enter_context(serving(plane, folder / "optsched", **limits))
        plane.start_scheduler({"extenders": [beside.extender()]})
        for number in range(1, PRIORITIES + 1):
            plane.api.priority(f"p{number}", number)
        for nodes, ppn in cells:
            for seed in seeds()[: args.seeds]:
                drawn = instance(seed, nodes, ppn, PRIORITIES, USAGE)
                cases.append(run(plane.api, beside, drawn))
                print(f"{len(cases)}: {cases[-1]}", flush=True)
        version = plane.api.ask("GET", "/version")["gitVersion"]
    whole, _, idle = (after - start for after, start in zip(busy(), before, strict=True))
    profile = ", ".join(
        f"{part}.{key} {v}" for part, keys in BENCH.items() for key, v in keys.items()
    )
    facts = machine.header(
        kubernetes=version,
        processors_busy=f"{whole / (whole + idle):.0%}",
        planner=f"timeLimit {args.time_limit}, protectHigher {args.protect_higher}",
        profile=profile,
    )
    page = report(cases, facts)
    print(page)
    if args.table:
        args.table.write_text(page)


def seeds() -> list[int]:
    """Those of the public placements; every cell has the same."""
    path = data_path("priority-matters/placements/n8_ppn4_prio4_util095.json")
    return [entry["seed"] for entry in json.loads(path.read_text())]


def run(api: Api, beside: Beside, drawn: Instance) -> Case:
    """One instance from empty nodes to the end."""
    beside.configure(mode="Off")
    with place(api, drawn):
        create(api, drawn)
        settle(api)
        alone, start = homes(api), time.monotonic()
        beside.configure(mode="Enforce")
        ended = finish(api, beside)
        plans, after = api.items(PLANS), homes(api)
        plans.sort(key=lambda plan: int(plan["spec"].get("created", 0)))
        told = [plan.get("status", {}) for plan in plans]
        wanted = planned(alone, plans)
        done = [one for one, status in zip(plans, told, strict=True) if status["phase"] == "Done"]
        return Case(
            f"{drawn.nodes}x{drawn.ppn}",
            drawn.seed,
            drawn.nodes * drawn.ppn,
            per_priority(alone),
            per_priority(after),
            sum((wanted - after).values()),
            sum((after - wanted).values()),
            sum(len(plan["spec"].get("moves", ())) for plan in done),
            sum(1 + max((m.get("wave", 0) for m in p["spec"].get("moves", ())), default=-1)
                for p in done),
            [s["phase"] if s["phase"] == "Done" else f"{s['phase']}: {s['reason']}" for s in told],
            ended - start if plans else 0.0,
        )  # fmt: skip


@contextlib.contextmanager
def place(api: Api, drawn: Instance) -> Iterator[None]:
    """Empty nodes of the instance's size, for as long as the context lasts."""
    api.namespace(NAMESPACE)
    names = [f"node-{number:02d}" for number in range(drawn.nodes)]
    try:
        for name in names:
            api.node(name, f"{drawn.node_cpu}m", str(drawn.node_memory))
        yield
    finally:
        api.ask("DELETE", PLANS)
        api.clear(NAMESPACE, names)

        def gone() -> bool:
            found = api.items("/api/v1/namespaces")
            return all(one["metadata"]["name"] != NAMESPACE for one in found)

        until(gone, f"namespace {NAMESPACE} does not go")


def create(api: Api, drawn: Instance) -> None:
    """The ReplicaSets one by one, as in the paper."""
    for one in drawn.replica_sets:
        labels = {"app": one.name}
        requests = {"cpu": f"{one.cpu}m", "memory": str(one.memory)}
        container = {"name": "c", "image": "none", "resources": {"requests": requests}}
        spec = {
            "containers": [container],
            "terminationGracePeriodSeconds": 0,
            "priorityClassName": f"p{one.priority}",
        }
        tree = {
            "metadata": {"name": one.name},
            "spec": {
                "replicas": one.replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }
        api.ask("POST", f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets", tree)

        def decided(name: str = one.name, count: int = one.replicas) -> bool:
            pods = api.pods(NAMESPACE, name)
            return len(pods) == count and all(bound(pod) or is_refused(pod) for pod in pods)

        with contextlib.suppress(TimeoutError):
            until(decided, one.name, EACH)


def settle(api: Api) -> None:
    """Wait until the scheduler has decided on every pod, and nothing has changed for a while."""
    known: list[tuple[str, str]] = []
    since = time.monotonic()

    def calm() -> bool:
        nonlocal known, since
        pods = api.pods(NAMESPACE)
        now = sorted((pod["metadata"]["uid"], bound(pod)) for pod in pods)
        decided = all(
            bound(pod) or (is_refused(pod) and not pod["status"].get("nominatedNodeName"))
            for pod in pods
        ) and not any("deletionTimestamp" in pod["metadata"] for pod in pods)
        if now != known or not decided:
            known, since = now, time.monotonic()
        return time.monotonic() - since > CALM

    until(calm, "the scheduler does not come to rest")


def finish(api: Api, beside: Beside) -> float:
    """Wait until optsched has nothing more to do; when its last plan ended."""
    solved, ended, number = beside.solved(), time.monotonic(), 0

    def over() -> bool:
        nonlocal solved, ended, number
        plans = api.items(PLANS)
        if any(plan.get("status", {}).get("phase", "") in OPEN for plan in plans):
            return False
        if len(plans) > number:
            number, ended, solved = len(plans), time.monotonic(), beside.solved()
        if all(bound(pod) for pod in api.pods(NAMESPACE)):
            return True
        if beside.solved() == solved:
            return False
        time.sleep(AFTER)
        return len(api.items(PLANS)) == number

    until(over, "optsched does not come to an end", 300.0)
    return ended


def homes(api: Api) -> Homes:
    """Where the pods are."""
    pods = api.pods(NAMESPACE)
    return Counter((pod["metadata"]["labels"]["app"], bound(pod)) for pod in pods if bound(pod))


def planned(alone: Homes, plans: list[Tree]) -> Homes:
    """Where the plans say that they are at the end."""
    wanted = Counter(alone)
    for plan in plans:
        for move in plan["spec"].get("moves", ()):
            app = _owner(move["name"])
            wanted[app, move["source"]] -= 1
            wanted[app, move["target"]] += 1
        for one in plan["spec"].get("placements", ()):
            wanted[_owner(one["name"]), one["node"]] += 1
    return +wanted


def _owner(pod: str) -> str:
    return pod.rpartition("-")[0]


def per_priority(found: Homes) -> tuple[int, ...]:
    """Bound pods per priority, the highest first."""
    counts = Counter[str]()
    for (app, _), pods in found.items():
        counts[app.rpartition("-")[2]] += pods
    return tuple(counts[f"p{number}"] for number in range(PRIORITIES, 0, -1))


def report(cases: list[Case], facts: str) -> str:
    """The page."""
    rows: list[list[object]] = [
        [
            "cell", "cases", "as planned, bound for bound", "no priority lost a pod",
            "pods bound: alone, with optsched, of", "cases made better", "moves", "waves",
            "median s",
        ]
    ]  # fmt: skip
    for cell in dict.fromkeys(one.cell for one in cases):
        rows.append(_row(cell, [one for one in cases if one.cell == cell]))
    rows.append(_row("all", cases))
    each: list[list[object]] = [
        [
            "cell",
            "seed",
            "alone, per priority",
            "with optsched",
            "moves",
            "waves",
            "beyond the plans",
            "plans",
            "s",
        ]
    ]
    for one in cases:
        ends = ", ".join(one.ends) or "none needed or found"
        each.append([one.cell, one.seed, one.alone, one.after, one.moves, one.waves, one.more, ends,
                     f"{one.seconds:.1f}"])  # fmt: skip
    parts = ["# The paper's experiment with a real scheduler", "", facts, ""]
    parts += [markdown(rows), "Priorities from the highest to the lowest.", "", markdown(each)]
    return "\n".join(parts)


def _row(name: str, cases: list[Case]) -> list[object]:
    times = sorted(one.seconds for one in cases if one.ends)
    sums = [sum(sum(one) for one in many) for many in (
        [case.alone for case in cases], [case.after for case in cases])]  # fmt: skip
    return [
        name,
        len(cases),
        sum(one.as_planned for one in cases),
        sum(one.never_fewer for one in cases),
        f"{sums[0]}, {sums[1]}, {sum(one.pods for one in cases)}",
        sum(sum(one.after) > sum(one.alone) for one in cases),
        sum(one.moves for one in cases),
        sum(one.waves for one in cases),
        f"{times[len(times) // 2]:.1f}" if times else "-",
    ]


if __name__ == "__main__":
    main()
