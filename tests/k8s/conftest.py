"""A real front end on free ports of this machine, and a client that keeps its connection."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from optsched.k8s.parent import starting
from optsched.k8s.table import Board

sys.path.append(str(Path(__file__).resolve().parent))  # fake_api and what stands on it

HEAD = {"apiVersion": "optsched.io/v1alpha1", "kind": "OptschedConfiguration"}
PATIENCE = 300.0  # seconds for anything to happen on a busy machine


def gone(process: int) -> bool:
    """Whether there is no such process, or only its name is left."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(holds: Callable[[], Any]) -> Any:
    """Wait until something holds; returns it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@dataclass
class Client:
    """One keep-alive connection, as the scheduler has."""

    port: int
    context: ssl.SSLContext | None = None
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body."""
        if self._connection is None:
            if self.context is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE)
            else:
                self._connection = http.client.HTTPSConnection(
                    "127.0.0.1", self.port, timeout=PATIENCE, context=self.context
                )
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            self._connection.request(method, path, data, headers or {})
            reply = self._connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def post(self, verb: str, body: Any) -> Any:
        """The answer to a verb, which must be one."""
        status, reply = self.ask("POST", f"/{verb}", body)
        assert status == 200, reply
        return json.loads(reply)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text."""
        status, reply = self.ask("GET", path)
        return status, reply.decode()

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass
class FrontEnd:
    """A running front end."""

    process: subprocess.Popen[bytes]
    board: Board
    config: Path
    log: Path
    ports: dict[str, int]

    def client(self, port: str = "verbs", context: ssl.SSLContext | None = None) -> Client:
        """A new connection."""
        return Client(self.ports[port], context)

    def stop(self) -> int:
        """End it; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


Start = Callable[..., FrontEnd]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts front ends with the given settings; all are stopped at the end."""
    pytest.importorskip("uvloop", reason="the front end needs the extra k8s")
    running: list[FrontEnd] = []

    def begin(environ: dict[str, str] | None = None, **settings: Any) -> FrontEnd:
        folder = tmp_path_factory.mktemp("front")
        config, log = folder / "optsched.yaml", folder / "log"
        tree = {
            **HEAD,
            "mode": "Enforce",
            "runtime": str(folder / "run"),
            "extender": {"port": 0, **settings.pop("extender", {})},
            "metrics": {"port": 0},
            "health": {"port": 0},
            **settings,
        }
        config.write_text(yaml.safe_dump(tree))
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "optsched.k8s.extender", str(config)],
                stderr=sink,
                env=starting({**os.environ, **(environ or {})}),
            )
        front = FrontEnd(process, Board(folder / "run"), config, log, {})
        running.append(front)
        told = until(
            lambda: re.search(r"serving (.*) tls=", log.read_text()) or process.poll() is not None
        )
        assert isinstance(told, re.Match), log.read_text()
        front.ports.update({name: int(port) for name, port in re.findall(r"(\w+)=(\d+)", told[1])})
        return front

    yield begin
    for front in running:
        front.stop()


@pytest.fixture(scope="module")
def front_end(start: Start) -> FrontEnd:
    """One with default settings, shared by the tests of a module."""
    return start()


def recorded(data_path: Callable[[str], Path], verb: str) -> list[dict[str, Any]]:
    """All recorded requests of a verb by a real scheduler."""
    folder = data_path("extender-captures")
    calls = [
        json.loads(line)
        for file in sorted(folder.glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    return [call["request"] for call in calls if call["verb"] == verb]


def pod(uid: str = "stranger", cpu: str = "500m", priority: int = 0, **meta: Any) -> dict[str, Any]:
    """A pod as a request holds it."""
    return {
        "metadata": {"uid": uid, "name": uid, "namespace": "shop", **meta},
        "spec": {
            "priority": priority,
            "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}],
        },
    }
