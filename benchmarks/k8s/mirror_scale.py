"""What it costs to follow a large cluster: memory, the first reading, and the events after it.

    python -m benchmarks.k8s.mirror_scale --table benchmarks/results/mirror_scale.md

A server in a process of its own answers lists and watches over loopback HTTP with ready-made bytes,
as JSON of the size that real pods have. The brain is started as `optsched serve` starts it, in mode
Advisory; its memory, and the processor time of all its threads, are read from /proc.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from benchmarks import machine
from benchmarks.k8s.big_server import serve
from benchmarks.markdown import markdown
from optsched.k8s.parent import starting

PATIENCE = 300.0


def main() -> None:
    """Start both, measure, print the table."""
    parser = argparse.ArgumentParser(
        prog="mirror_scale", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--nodes", type=int, default=5000, help="default 5000")
    parser.add_argument("--pods", type=int, default=50_000, help="default 50000")
    parser.add_argument("--rate", type=float, default=50.0, help="events a second; default 50")
    parser.add_argument("--seconds", type=float, default=60.0, help="of events; default 60")
    parser.add_argument("--table", type=Path, help="write the table here, as markdown")
    args = parser.parse_args()
    parent, child = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(child, args.nodes, args.pods, args.rate), daemon=True
    )
    server.start()
    url = parent.recv()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), url, parent, args.seconds)
    server.terminate()
    size = f"{args.nodes} nodes, {args.pods} pods, {args.rate:g} events/s"
    page = "\n".join(
        [
            "# Following a large cluster",
            "",
            machine.header("aiohttp", "msgspec", cluster=size),
            "",
            markdown([["what", "measured", "target"], *rows]),
        ]
    )
    print(page)
    if args.table:
        args.table.write_text(page)


def measure(folder: Path, url: str, control: Any, seconds: float) -> list[list[object]]:
    """The rows."""
    config, log = _configuration(folder, url), folder / "log"
    with log.open("wb") as sink:
        began = time.monotonic()
        brain = subprocess.Popen(
            [sys.executable, "-m", "optsched.k8s.brain", str(config)],
            stderr=sink,
            env=starting(),
        )
    try:
        health = _port(log, "health")
        while "caches: read" not in _ready(health):
            if time.monotonic() - began > PATIENCE or brain.poll() is not None:
                raise SystemExit(f"the brain does not come up:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        synced = time.monotonic() - began
        after_sync = _memory(brain.pid)
        time.sleep(10)  # what was begun while reading is over
        quiet = _share(brain.pid, 20.0)
        control.send("go")
        time.sleep(3)
        before = control_count(control)
        steady = _share(brain.pid, seconds)
        events = (control_count(control) - before) / seconds
        return [
            ["first reading, from the start of the process", f"{synced:.1f} s", "<= 20 s"],
            ["memory after it", f"{after_sync[0]:.0f} MiB", ""],
            ["memory in the end", f"{_memory(brain.pid)[0]:.0f} MiB", "<= 1024 MiB"],
            ["its peak", f"{_memory(brain.pid)[1]:.0f} MiB", ""],
            ["of a core, without events", f"{100 * quiet:.1f} %", ""],
            [f"of a core, at {events:.0f} events/s", f"{100 * steady:.1f} %", "<= 5 %"],
        ]
    finally:
        brain.terminate()
        brain.wait(30)


def control_count(control: Any) -> int:
    """How many events the server has sent."""
    control.send("count")
    count: int = control.recv()
    return count


def _configuration(folder: Path, url: str) -> Path:
    kubeconfig = folder / "kubeconfig"
    named = [{"name": "x", "cluster": {"server": url}}]
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "x",
                "clusters": named,
                "users": [{"name": "x", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            }
        )
    )
    config = folder / "optsched.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "optsched.io/v1alpha1",
                "kind": "OptschedConfiguration",
                "runtime": str(folder / "run"),
                "client": {"kubeconfig": str(kubeconfig), "qps": 200, "burst": 200},
                "brain": {"metrics": {"port": 0}, "health": {"port": 0}},
            }
        )
    )
    return config


def _port(log: Path, name: str) -> int:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = re.search(rf"{name}=(\d+)", log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.02)
    raise SystemExit(f"the brain does not start:\n{log.read_text()[-2000:]}")


def _ready(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz?verbose", timeout=5) as reply:
            return str(reply.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


def _memory(process: int) -> tuple[float, float]:
    """MiB in use, and their peak."""
    text = Path(f"/proc/{process}/status").read_text()
    now, peak = (
        int(re.search(rf"{name}:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]
        for name in ("VmRSS", "VmHWM")
    )
    return now, peak


def _share(process: int, seconds: float) -> float:
    """Processor time over wall time; of the brain alone, the solver's process sleeps."""
    before, began = _ticks(process), time.monotonic()
    time.sleep(seconds)
    spent = (_ticks(process) - before) / os.sysconf("SC_CLK_TCK")
    return spent / (time.monotonic() - began)


def _ticks(process: int) -> int:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    main()
