"""How long a scheduler waits for filter while the solver keeps every core busy.

    python -m benchmarks.k8s.filter_latency --table benchmarks/results/filter_latency.md

A front end runs as its own process; a client sends requests over one keep-alive connection, as the
scheduler does, and measures from the first byte sent to the last byte read. Beside them as many
solves as there are cores run in processes of their own: as the planner's child (idle), with nice
10, or with the same priority as the front end.
Cases: no plan; a pod of the plan, for which all nodes but one are rejected; another pod, for which
the nodes that a plan has locked (--locked of all) are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.k8s.front import Connection, FrontEnd, front_end
from benchmarks.markdown import markdown
from optsched.k8s.priority import step_back
from optsched.k8s.table import EMPTY, Lock, Member, PlanTable, now_ms

CASES = ("no plan", "pod of the plan", "other pod")


def main() -> None:
    """Measure every case at every size and print the table."""
    parser = argparse.ArgumentParser(
        prog="filter_latency", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--names", default="500,5000", help="nodes per request; default 500,5000")
    parser.add_argument("--locked", type=float, default=0.86, help="share of nodes; default 0.86")
    parser.add_argument("--requests", type=int, default=3000, help="per case; default 3000")
    parser.add_argument("--busy", type=int, default=os.cpu_count() or 1, help="solves beside")
    parser.add_argument(
        "--solves", default="idle,10,0", help="their nice, or idle; default all three"
    )
    parser.add_argument("--pause", type=float, default=0.001, help="seconds between requests")
    parser.add_argument("--tls", action="store_true", help="mutual TLS, as between machines")
    parser.add_argument("--table", type=Path, help="write the table here, as markdown")
    args = parser.parse_args()
    head = ["solves", "names", "case", "rejected", "p50 ms", "p99 ms", "p99.9 ms", "worst ms"]
    rows: list[list[object]] = [[*head, "in the front end, mean ms"]]
    before = busy()
    for nice in args.solves.split(","):
        with front_end(args.tls) as front, load(args.busy, nice):
            for count in map(int, args.names.split(",")):
                for case in CASES:
                    rows.append([nice, count, case, *measure(front, count, case, args)])
    whole, ours, idle = (after - start for after, start in zip(busy(), before, strict=True))
    page = "# Latency of filter\n\n" + machine.header(
        "uvicorn",
        "uvloop",
        "msgspec",
        processors_taken_by_others=f"{(whole - ours) / (whole + idle):.0%}",
    )
    page += "\n\n" + markdown(rows)
    print(page)
    if args.table:
        args.table.write_text(page)


def measure(front: FrontEnd, count: int, case: str, args: argparse.Namespace) -> list[object]:
    """The cells of one row."""
    names = [f"ip-10-{i // 250}-{i % 250}-7.eu-west-1.compute.internal" for i in range(count)]
    front.board.publish(plan(names, args.locked) if case != "no plan" else EMPTY)
    connection = front.connect()
    before = spent(front)
    times = []
    rejected = 0
    uids = ["member"] if case == "pod of the plan" else [f"pod-{number}" for number in range(40)]
    bodies = [request(names, uid) for uid in uids]
    for number in range(args.requests + 50):
        body = bodies[number % len(bodies)]
        start = time.perf_counter()
        status, reply = connection.post("/filter", body)
        times.append(time.perf_counter() - start)
        if status != 200:
            raise SystemExit(f"filter answered {status}")
        if number == 0:
            rejected = len(json.loads(reply)["FailedAndUnresolvableNodes"])
            if case != "no plan" and rejected < 0.8 * count:
                raise SystemExit(f"only {rejected} of {count} nodes were rejected")
        time.sleep(args.pause)
    after = spent(front)
    connection.close()
    times = sorted(times[50:])
    inside = (after[0] - before[0]) / (after[1] - before[1])
    points = [times[int(share * (len(times) - 1))] for share in (0.5, 0.99, 0.999, 1.0)]
    return [f"{rejected / count:.0%}", *(f"{1000 * t:.2f}" for t in points), f"{1000 * inside:.3f}"]


def plan(names: list[str], locked: float) -> PlanTable:
    """A live plan that has locked most nodes, each with some room that is reserved."""
    end = now_ms() + 900_000
    full = Lock(
        end, {"cpu": 900, "memory": 4 << 30, "pods": 40}, {"cpu": 700, "memory": 1 << 30, "pods": 1}
    )
    locks = dict.fromkeys(names[: int(locked * len(names))], full)
    members = {"member": Member(names[len(names) // 2], end)}
    return PlanTable(plan="bench", expires=end, priority=5, members=members, locks=locks)


def request(names: list[str], uid: str) -> bytes:
    """What a scheduler with nodeCacheCapable sends."""
    pod: dict[str, Any] = {
        "metadata": {
            "name": f"web-{uid}",
            "namespace": "shop",
            "uid": uid,
            "creationTimestamp": "2026-11-23T06:01:40Z",
            "labels": {"app": "web", "pod-template-hash": "5d7f"},
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": "web-5d7f", "uid": "rs-1", "controller": True}
            ],
        },
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "image": "registry.example/web:1",
                    "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}},
                }
            ],
            "priority": 0,
            "schedulerName": "default-scheduler",
        },
        "status": {"phase": "Pending"},
    }
    return json.dumps({"Pod": pod, "Nodes": None, "NodeNames": names}).encode()


def busy() -> tuple[float, float, float]:
    """Seconds that all processors were busy, that was for us, and that they were idle, so far."""
    told = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, idle, waiting, irq, soft, _ = (int(word) / 100 for word in told)
    ours = os.times()
    whole = user + nice + system + irq + soft
    return whole, sum(ours[:4]), idle + waiting


def spent(front: FrontEnd) -> tuple[float, float]:
    """Seconds in the front end and answers, for filter, so far."""
    connection = Connection(front.ports["metrics"])
    text = connection.get("/metrics")[1].decode()
    connection.close()
    name = "optsched_extender_request_duration_seconds"
    labels = r'\{outcome="ok",verb="filter"\}'
    return tuple(  # type: ignore[return-value]
        float(found[1]) if (found := re.search(rf"{name}_{what}{labels} (\S+)", text)) else 0.0
        for what in ("sum", "count")
    )


@contextlib.contextmanager
def load(processes: int, nice: str) -> Iterator[None]:
    """Solves that never end, each in a process."""
    context = multiprocessing.get_context("spawn")
    started: list[Any] = []
    ready = context.Semaphore(0)
    try:
        for number in range(processes):
            process = context.Process(target=_solve, args=(number, nice, ready), daemon=True)
            process.start()
            started.append(process)
        for _ in started:
            ready.acquire()
        yield
        if not all(process.is_alive() for process in started):
            raise SystemExit("a solve ended in between; the figures are worth nothing")
    finally:
        for process in started:
            process.kill()
            process.join()


def _solve(seed: int, nice: str, ready: Any) -> None:
    from optsched import api
    from optsched.generate.cluster import cluster

    if nice == "idle":
        step_back()
    else:
        os.nice(int(nice))
    problem = cluster(seed=seed, nodes=200, pods_per_node=10, pending=60)
    tell: Callable[[], None] = ready.release
    while True:
        tell()
        tell = _nothing
        api.solve(problem, time_limit=30, workers=1, seed=seed)


def _nothing() -> None:
    pass


if __name__ == "__main__":
    main()
