"""The brain's process against an API server: it helps, obeys, and says what it lacks."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_cluster import FakeCluster
from fake_world import fragmented

from optsched.k8s.parent import starting
from optsched.k8s.simulator.api_objects import Refusal
from optsched.k8s.simulator.api_server import FakeApi
from optsched.k8s.simulator.clock import SimulatedClock
from optsched.k8s.simulator.front import FrontEnd
from optsched.k8s.table import Ack

from .conftest import HEAD, PATIENCE
from .test_doctor import kubeconfig


class RealClock(SimulatedClock):
    """The machine's, for a cluster that expects a simulated one."""

    def now(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic()


EAGER = str(Path(__file__).with_name("eager_brain.py"))


class Punctual(FrontEnd):
    """Acknowledges by itself, as a front end does: the brain does not wait for those who sleep."""

    def look(self) -> None:
        """Take over what is known of pods."""
        self.memory.settle(self.board.read().settled)

    @contextlib.contextmanager
    def acknowledging(self) -> Iterator[None]:
        """Say again and again which table is answered from, for as long as the context lasts."""
        over = threading.Event()

        def acknowledge() -> None:
            while not over.wait(0.01):
                table = self.board.read()
                self.board.acknowledge(Ack(table.generation, table.plan, self.clock.now(), 1))

        thread = threading.Thread(target=acknowledge)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@dataclass
class Living:
    """A brain beside a fake cluster in which everybody acts all the time."""

    api: FakeApi
    cluster: FakeCluster
    folder: Path
    process: subprocess.Popen[bytes]

    def configure(self, **changes: Any) -> None:
        """Write the configuration."""
        write(self.folder, self.api.url, **changes)

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until something holds."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := holds():
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(f"waited in vain\n{(self.folder / 'log').read_text()[-3000:]}")

    async def get(self, port: str, path: str) -> str:
        """What one of the ports says, "" while it says nothing."""
        found = re.search(rf"{port}=(\d+)", (self.folder / "log").read_text())
        if not found:
            return ""
        return await asyncio.to_thread(_fetch, f"http://127.0.0.1:{found[1]}{path}")

    async def ready(self, *words: str) -> str:
        """Wait until /readyz?verbose has these words; what it says then."""
        deadline = time.monotonic() + PATIENCE
        said = ""
        while time.monotonic() < deadline:
            said = await self.get("health", "/readyz?verbose")
            if said and all(word in said for word in words):
                return said
            await asyncio.sleep(0.05)
        raise AssertionError(f"{words} not in: {said}")

    def changes(self) -> list[tuple[str, str]]:
        """What was written: to ask what one may do is a POST that changes nothing."""
        return [one for one in self.api.writes if "accessreviews" not in one[1]]

    async def quiet(self) -> None:
        """Wait until nothing has been written for a while."""
        count = -1
        while count != len(self.changes()):
            count = len(self.changes())
            await asyncio.sleep(1.0)

    def placed(self, app: str = "big") -> bool:
        """Whether all pods of an owner have a node."""
        pods = [p for p in self.api.all("pods") if p["metadata"]["labels"]["app"] == app]
        return bool(pods) and all(pod["spec"].get("nodeName") for pod in pods)


def _fetch(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return str(reply.read().decode())
    except urllib.error.HTTPError as error:
        return str(error.read().decode())
    except OSError:
        return ""


def write(folder: Path, url: str, **changes: Any) -> None:
    """The configuration of a brain, whole at every moment."""
    (folder / "kubeconfig").write_text(kubeconfig(url))
    tree = {
        **HEAD,
        "mode": "Enforce",
        "profile": "Bench",
        "runtime": str(folder / "run"),
        "client": {"kubeconfig": str(folder / "kubeconfig"), "qps": 1000, "burst": 1000},
        "brain": {"metrics": {"port": 0}, "health": {"port": 0}},
        **changes,
    }
    part = folder / "optsched.yaml.part"
    part.write_text(yaml.safe_dump(tree))
    part.replace(folder / "optsched.yaml")


@contextlib.asynccontextmanager
async def living(
    folder: Path, prepare: Callable[[FakeApi], None] = lambda api: None, **settings: Any
) -> AsyncIterator[Living]:
    """Everything, with a fragmented cluster."""
    clock = RealClock()
    api = FakeApi(clock.now)
    prepare(api)
    await api.start()
    front = Punctual(folder / "run", clock)
    cluster = FakeCluster(api, clock, front)
    cluster.namespace()
    fragmented(cluster)
    write(folder, api.url, **settings)

    async def act() -> None:
        while True:
            cluster.settle()
            await asyncio.sleep(0.02)

    task = asyncio.ensure_future(act())
    with (folder / "log").open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, EAGER, str(folder / "optsched.yaml")],
            stderr=sink,
            env=starting(),
        )
    try:
        with front.acknowledging():
            yield Living(api, cluster, folder, process)
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, PATIENCE)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await api.stop()


def test_helps(tmp_path: Path) -> None:
    """A pod that does not fit is placed by one eviction; events, metrics and probes tell of it."""

    async def story() -> None:
        async with living(tmp_path) as one:
            await one.until(one.placed)
            await one.until(lambda: any(e["reason"] == "Placed" for e in one.api.all("events")))
            assert sum(one.api.evicted.values()) == 1
            assert not one.api.violations
            assert "leader: this replica leads" in await one.ready("caches: read")
            metrics = await one.get("metrics", "/metrics")
            assert 'optsched_plans_total{mode="Enforce",result="Done"} 1.0' in metrics
            assert "shop" not in metrics
            assert await one.get("health", "/livez") == "ok\n"
        assert one.process.returncode == 0
        log = (tmp_path / "log").read_text()
        assert "big-" not in log
        assert "Traceback" not in log

    asyncio.run(story())


def test_modes(tmp_path: Path) -> None:
    """Advisory records; Off writes nothing; Enforce, when the file says so, acts."""

    async def story() -> None:
        async with living(tmp_path, mode="Advisory") as one:
            plans = one.api.objects["placementplans"]
            await one.until(
                lambda: any(p.get("status", {}).get("phase") == "Recorded" for p in plans.values())
            )
            assert not one.api.evicted
            one.configure(mode="Off")
            await one.ready("mode: Off")
            await one.quiet()  # what was on its way
            one.api.writes.clear()
            one.cluster.owner("another", 5000, 1)
            await asyncio.sleep(3.0)  # the Lease would be renewed every 2 s
            assert one.changes() == []
            one.configure(mode="Enforce")
            await one.until(one.placed)

    asyncio.run(story())


def test_a_missing_right(tmp_path: Path) -> None:
    """Without a right it stays Advisory and names the verb; given the right, it acts."""

    async def story() -> None:
        def deny(api: FakeApi) -> None:
            api.denied.add("create pods/eviction")

        async with living(tmp_path, deny) as one:
            said = await one.ready("create pods/eviction", "caches: read")
            assert "Advisory, not Enforce" in said
            await one.until(lambda: one.api.all("placementplans"))
            await asyncio.sleep(1.0)
            assert not one.api.evicted
            one.api.denied.clear()
            await one.until(one.placed)

    asyncio.run(story())


@pytest.mark.parametrize("right", ["list csinodes", "watch pods", "create placementplans"])
def test_every_right_has_a_name(tmp_path: Path, right: str) -> None:
    """Rights to read and to write plans are named too."""

    async def story() -> None:
        async with living(tmp_path, lambda api: api.denied.add(right)) as one:
            assert right in await one.ready(right)

    asyncio.run(story())


def test_no_custom_resources(tmp_path: Path) -> None:
    """Without the custom resources it is not ready and says what to apply."""

    async def story() -> None:
        def prepare(api: FakeApi) -> None:
            api.fault = lambda method, path: (
                Refusal(404, "NotFound") if "/optsched.io/" in path else None
            )

        async with living(tmp_path, prepare) as one:
            said = await one.ready("CustomResourceDefinitions")
            assert "not ready" in said
            assert one.process.poll() is None

    asyncio.run(story())


def test_api_server_away(tmp_path: Path) -> None:
    """While the server is away nothing happens and nothing ends; later the pod is helped."""

    async def story() -> None:
        async with living(tmp_path, mode="Advisory") as one:
            await one.ready("caches: read")
            one.api.fault = lambda method, path: "drop"
            one.api.drop_watches()
            one.configure(mode="Enforce")
            await asyncio.sleep(3.0)
            assert one.process.poll() is None
            assert not one.api.evicted
            one.api.fault = lambda method, path: None
            await one.until(one.placed)
            assert sum(one.api.evicted.values()) == 1

    asyncio.run(story())


def test_killed(tmp_path: Path) -> None:
    """Killed in the middle, a new brain takes the plan over; nobody is evicted twice."""

    async def story() -> None:
        async with living(tmp_path, leader={"duration": "2s", "renewDeadline": "1s",
                                            "retryPeriod": "200ms"}) as one:  # fmt: skip
            await one.until(lambda: one.api.evicted)
            one.process.kill()
            one.process.wait()
            with (tmp_path / "log").open("ab") as sink:
                one.process = subprocess.Popen(
                    [sys.executable, EAGER, str(tmp_path / "optsched.yaml")],
                    stderr=sink,
                    env=starting(),
                )
            await one.until(one.placed)
            slot = one.api.get("planslots", "", "cluster")
            assert slot is not None
            await one.until(
                lambda: not one.api.get("planslots", "", "cluster")["spec"]["activePlans"]  # type: ignore[index]
            )
            assert sum(one.api.evicted.values()) == 1
            process = one.process
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, PATIENCE)

    asyncio.run(story())


def test_bad_access(tmp_path: Path) -> None:
    """Without access to a cluster it ends with code 2 and a sentence."""
    write(tmp_path, "http://127.0.0.1:1", client={"kubeconfig": str(tmp_path / "absent")})
    done = subprocess.run(
        [sys.executable, "-m", "optsched.k8s.brain", str(tmp_path / "optsched.yaml")],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert "no access to a cluster" in done.stderr
    assert "Traceback" not in done.stderr
