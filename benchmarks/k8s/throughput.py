"""How many pods a second a real scheduler places with our extender, and without.

    python -m benchmarks.k8s.throughput --table benchmarks/results/throughput.md

`make controlplane` first. A control plane of its own is started for each run of the benchmark. Pods
are there before the scheduler starts; the rate is that of the bindings as a watch tells them, from
the first to the last. The arms take turns: none; mtls and http, which is our front end without a
live plan (filter and preempt, nodeCacheCapable) over mutual TLS or plain HTTP; dead, a port on
which nobody listens; hung, a front end that was stopped by SIGSTOP. Neither controllers nor
kubelets run while pods are placed, since they would slow all arms alike and hide the extender.

What filter costs is told three times. More ms a pod: what the scheduler loses, with everything
between it and us. Filter, ms: in the front end from a request's last byte to its answer, by the
clock, as its own metric counts it; on a machine whose cores are all busy much of it is waiting for
a core. CPU, ms: what the front end's process used between the first and the last binding for each
pod, TLS and its heartbeat included.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import re
import signal
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Self
from urllib.parse import quote, urlsplit

from benchmarks import machine
from benchmarks.k8s.filter_latency import busy
from benchmarks.markdown import markdown
from tests.controlplane.api import Api
from tests.controlplane.beside import TIMEOUT, Beside, extender, serving
from tests.controlplane.plane import Plane, free_port, running, why_not

NAMESPACE = "throughput"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_VERSION, _UID = re.compile(rb'"resourceVersion":"(\d+)"'), re.compile(rb'"uid":"([^"]+)"')
ARMS = ("none", "mtls", "http", "dead", "hung")
GOAL = 0.00015  # seconds; a bucket of the front end's histogram
PATIENCE = 300.0  # seconds for all pods of a run


@dataclass
class Arm:
    """Pods per second in each run, and what the front end spent on filter, in seconds.

    Attributes
    ----------
    within
        Answers within `GOAL`.
    used, placed
        Seconds of a core, and the bindings in that time.
    """

    rates: list[float] = field(default_factory=list)
    spent: float = 0.0
    calls: int = 0
    within: int = 0
    used: float = 0.0
    placed: int = 0


def main() -> None:
    """Let the arms take turns and print the table."""
    parser = argparse.ArgumentParser(prog="throughput", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=10, help="of every arm; default 10")
    parser.add_argument("--hung-runs", type=int, default=2, help="of arm hung; default 2")
    parser.add_argument("--pods", type=int, default=500, help="per run; default 500")
    parser.add_argument("--nodes", type=int, default=100, help="default 100")
    parser.add_argument("--arms", default=",".join(ARMS), help=f"of {', '.join(ARMS)}")
    parser.add_argument("--table", type=Path, help="write the table here, as markdown")
    args = parser.parse_args()
    if why := why_not():
        raise SystemExit(why)
    arms = {name: Arm() for name in args.arms.split(",")}
    if unknown := [name for name in arms if name not in ARMS]:
        raise SystemExit(f"there is no arm {unknown[0]}; there are {', '.join(ARMS)}")
    before = busy()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as plane:
        prepare(plane, args.nodes)
        for number in range(args.runs):
            for name, arm in arms.items():
                if name == "hung" and number >= args.hung_runs:
                    continue  # every pod of it waits for httpTimeout
                measure(plane, name, arm, args.pods)
                print(f"run {number + 1} {name}: {arm.rates[-1]:.0f} pods/s", flush=True)
        version = plane.api.ask("GET", "/version")["gitVersion"]
    whole, _, idle = (after - start for after, start in zip(busy(), before, strict=True))
    facts = machine.header(
        "uvicorn",
        kubernetes=version,
        httpTimeout=TIMEOUT,
        processors_busy=f"{whole / (whole + idle):.0%}",
    )
    page = f"# Throughput of the scheduler\n\n{facts}\n\n{markdown(table(arms))}"
    print(page)
    if args.table:
        args.table.write_text(page)


def table(arms: dict[str, Arm]) -> list[list[object]]:
    """The rows, each arm beside the first one."""
    head = [
        "arm",
        "runs",
        "pods/s, median",
        "quartiles",
        "of the first",
        "more ms a pod",
        "filter, ms",
        f"within {1000 * GOAL:g} ms",
        "CPU, ms",
    ]
    rows: list[list[object]] = [[*head]]
    base = median(next(iter(arms.values())).rates)
    for name, arm in arms.items():
        rate = median(arm.rates)
        ends = quantiles(arm.rates, n=4) if len(arm.rates) > 1 else [rate] * 3
        inside = ["-", "-", "-"]
        if arm.calls:
            share = f"{arm.within / arm.calls:.0%}"
            inside = [f"{1000 * arm.spent / arm.calls:.3f}", share]
            inside.append(f"{1000 * arm.used / arm.placed:.3f}")
        spread = f"{ends[0]:.0f}-{ends[2]:.0f}"
        more = f"{1000 / rate - 1000 / base:.2f}"
        rows.append(
            [name, len(arm.rates), f"{rate:.0f}", spread, f"{rate / base:.0%}", more, *inside]
        )
    return rows


def prepare(plane: Plane, nodes: int) -> None:
    """Nodes that are ready, and nobody who does anything but the API server."""
    plane.api.namespace(NAMESPACE)
    for number in range(nodes):
        plane.api.node(f"n{number}", "64", "256Gi")
    plane.stop("kube-scheduler", "kube-controller-manager", "kwok")


def measure(plane: Plane, name: str, arm: Arm, pods: int) -> None:
    """One run."""
    create(plane.api, pods)
    with contextlib.ExitStack() as stack:
        alive = name in ("mtls", "http", "hung")
        beside = stack.enter_context(_front(plane, name)) if alive else None
        extenders = [beside.extender() if beside else extender(free_port())]
        if name == "hung" and beside is not None:
            stack.enter_context(_stopped(beside.process.pid, beside.front()))
        front = beside.front() if beside is not None else 0
        with Bindings(plane.api, pods, front) as bindings:
            plane.start_scheduler({"extenders": extenders if name != "none" else []})
            bindings.wait()
        arm.rates.append((pods - 1) / (bindings.last - bindings.first))
        if beside is not None and name != "hung":
            arm.used, arm.placed = arm.used + bindings.used, arm.placed + pods - 1
            spent, calls, within = told(beside)
            if calls < pods:
                raise SystemExit(f"{name}: {calls} calls for {pods} pods")
            arm.spent, arm.calls = arm.spent + spent, arm.calls + calls
            arm.within += within
    plane.stop("kube-scheduler")
    plane.api.empty(NAMESPACE)


def create(api: Api, pods: int) -> None:
    """Pods without an owner that all fit."""
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda number: api.pod(NAMESPACE, f"p{number}", "10m"), range(pods)):
            pass


def told(beside: Beside) -> tuple[float, int, int]:
    """Seconds in the front end, answers, and those of them within `GOAL`, for filter."""
    with urllib.request.urlopen(f"http://127.0.0.1:{beside.ports['metrics']}/metrics") as reply:
        text = reply.read().decode()
    name = "optsched_extender_request_duration_seconds"
    values = [
        float(found[1])
        if (found := re.search(rf'{name}_{what}outcome="ok",verb="filter"}} (\S+)', text))
        else 0.0
        for what in ("sum{", "count{", rf'bucket{{le="{GOAL}",')
    ]
    return values[0], int(values[1]), int(values[2])


def cpu_seconds(process: int) -> float:
    """What all its threads have used of a core so far."""
    tasks = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


class Bindings:
    """Counts pods that get a node; `first` and `last` are when.

    `used`: seconds of a core that the process `meter` used from the first to the last, if one is
    given.

    The API server hangs up on a watch that does not keep pace for a moment; the next one begins
    where it ended.
    """

    def __init__(self, api: Api, pods: int, meter: int = 0) -> None:
        self.first = self.last = self.used = 0.0
        self._meter = meter
        self._api, self._pods = api, pods
        self._seen: set[bytes] = set()
        self._over = False
        listed = api.ask("GET", f"{PODS}?limit=1")
        self._version = str(listed["metadata"]["resourceVersion"])
        self._connection = self._open()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True

    def wait(self) -> None:
        """Until all of them have one."""
        self._thread.join(PATIENCE)
        if len(self._seen) < self._pods:
            count = len(self._seen)
            raise SystemExit(f"{count} of {self._pods} pods were placed in {PATIENCE:.0f} s")

    def _open(self) -> http.client.HTTPSConnection:
        where = urlsplit(self._api.url)
        connection = http.client.HTTPSConnection(
            str(where.hostname), where.port, timeout=PATIENCE, context=self._api.tls
        )
        selector = quote("spec.nodeName!=")
        connection.request(
            "GET",
            f"{PODS}?watch=1&fieldSelector={selector}&resourceVersion={self._version}",
            headers={
                "Authorization": f"Bearer {self._api.token}",
                "Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            },
        )
        return connection

    def _read(self) -> None:
        while len(self._seen) < self._pods and not self._over:
            reply = self._connection.getresponse()
            while len(self._seen) < self._pods and (line := reply.readline()):
                self._note(line)
            self._connection.close()
            if len(self._seen) < self._pods:
                self._connection = self._open()

    def _note(self, line: bytes) -> None:
        version, uid = _VERSION.search(line), _UID.search(line)
        if version is None or uid is None:
            raise SystemExit(f"the watch says {line[:200]!r}")
        self._version = version[1].decode()
        if uid[1] not in self._seen:
            self._seen.add(uid[1])
            self.last = time.perf_counter()
            self.first = self.first or self.last
            if self._meter and len(self._seen) in (1, self._pods):
                self.used = cpu_seconds(self._meter) - self.used


@contextlib.contextmanager
def _front(plane: Plane, name: str) -> Iterator[Beside]:
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        serving(plane, Path(folder), "extender", tls=name != "http") as beside,
    ):
        yield beside


@contextlib.contextmanager
def _stopped(*processes: int) -> Iterator[None]:
    """Processes that do nothing in the meantime."""
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


if __name__ == "__main__":
    main()
