"""The service beside a test's control plane, and how the scheduler's configuration names it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from optsched.k8s.parent import starting
from optsched.k8s.table import Board

from .api import Api, RefusedError, Tree, until
from .plane import Plane

ROOT = Path(__file__).resolve().parents[2]
# What an administrator applies before the service is started in mode Enforce.
MANIFESTS = (
    ROOT / "k8s" / "manifests" / "crds" / "crds.yaml",
    ROOT / "k8s" / "manifests" / "base" / "install.yaml",
    ROOT / "k8s" / "manifests" / "enforce" / "executor.yaml",
)
# Not its pods: here the service runs as a process of the test.
INSTALLED = (
    "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"
)  # fmt: skip
HOME = "optsched"  # the service's namespace
CLIENT = "system:kube-scheduler"  # the name in the scheduler's certificate
TIMEOUT = "200ms"


@dataclass
class Beside:
    """A running `optsched serve`.

    Attributes
    ----------
    extends
        Whether a front end is part of it.
    ports
        By their names in the log: verbs, metrics, health.
    """

    plane: Plane
    process: subprocess.Popen[bytes]
    board: Board
    config: Path
    log: Path
    tls: bool
    extends: bool = True
    ports: dict[str, int] = field(default_factory=dict)

    def extender(self, **more: Any) -> Tree:
        """What a KubeSchedulerConfiguration says of it; `more` replaces parts."""
        return extender(self.ports["verbs"], self.plane if self.tls else None, **more)

    def front(self) -> int:
        """The process that answers the scheduler."""
        ack = until(self.board.ack, "the front end gives no sign of life")
        return int(ack.process)

    def part(self, name: str) -> int:
        """The process of a part."""
        found = re.findall(rf"{name} started as process (\d+)", self.words())
        return int(found[-1])

    def configure(self, **settings: Any) -> None:
        """Change these settings while it runs; returns when they are in force."""
        tree = {**yaml.safe_load(self.config.read_text()), **settings}
        new = self.config.with_suffix(".new")
        new.write_text(yaml.safe_dump(tree))
        new.replace(self.config)
        until(lambda: f"mode: {tree['mode']}" in self.readiness(), f"mode {tree['mode']}")

    def readiness(self) -> str:
        """What /readyz of the brain says; "" while it does not answer."""
        return self._of_brain("health", "/readyz?verbose")

    def front_readiness(self) -> str:
        """What /readyz of the front end says."""
        url = f"http://127.0.0.1:{self.ports['health']}/readyz?verbose"
        with urllib.request.urlopen(url, timeout=5) as reply:
            return str(reply.read().decode())

    def solved(self) -> int:
        """How often the solver has been asked since the brain started."""
        counts = re.findall(
            r"^optsched_solve_duration_seconds_count\S* (\S+)",
            self._of_brain("metrics", "/metrics"),
            re.M,
        )
        return int(sum(map(float, counts)))

    def asked(self, verb: str) -> int:
        """How many requests of a verb were answered well."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metrics']}/metrics") as reply:
            text = reply.read().decode()
        name = "optsched_extender_request_duration_seconds_count"
        found = re.search(rf'{name}{{outcome="ok",verb="{verb}"}} (\S+)', text)
        return int(float(found[1])) if found else 0

    def _of_brain(self, port: str, path: str) -> str:
        found = re.findall(rf"the brain serves .*{port}=(\d+)", self.words())
        if not found:
            return ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{found[-1]}{path}", timeout=5) as reply:
                return str(reply.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            return ""

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def words(self) -> str:
        """All that it has logged."""
        return self.log.read_text(errors="replace")


def extender(port: int, trusting: Plane | None = None, **more: Any) -> Tree:
    """An extender of a KubeSchedulerConfiguration; with a plane's certificates, or plain."""
    tree: Tree = {
        "urlPrefix": f"{'https' if trusting else 'http'}://127.0.0.1:{port}",
        "filterVerb": "filter",
        "preemptVerb": "preempt",
        "httpTimeout": TIMEOUT,
        "nodeCacheCapable": True,
        "ignorable": True,
    }
    if trusting:
        tree["enableHTTPS"] = True
        tree["tlsConfig"] = {
            "certFile": str(trusting.folder / "scheduler.crt"),
            "keyFile": str(trusting.folder / "scheduler.key"),
            "caFile": str(trusting.authority.cert),
        }
    return {**tree, **more}


def install(api: Api) -> None:
    """The service's namespace, custom resources and rights."""
    with contextlib.suppress(RefusedError):
        api.namespace(HOME)
    for path in MANIFESTS:
        for tree in yaml.safe_load_all(path.read_text()):
            if tree["kind"] in INSTALLED:
                api.apply(tree)
    served = "/apis/optsched.io/v1alpha1/placementplans"

    def is_served() -> bool:
        with contextlib.suppress(RefusedError):
            return "items" in api.ask("GET", served)
        return False

    until(is_served, "the custom resources are not served")


@contextlib.contextmanager
def serving(
    plane: Plane, folder: Path, *parts: str, tls: bool = True, **settings: Any
) -> Iterator[Beside]:
    """The service, or parts of it, for as long as the context lasts; it may act from the start."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, who in (("extender", "optsched"), ("scheduler", CLIENT)):
        if not (plane.folder / f"{name}.crt").exists():
            plane.authority.sign(name, who)
    extender: Tree = {"port": 0}
    if tls:
        extender["tls"] = {
            "certFile": str(plane.folder / "extender.crt"),
            "keyFile": str(plane.folder / "extender.key"),
            "caFile": str(plane.authority.cert),
            "clientNames": [CLIENT],
        }
    config, log = folder / "optsched.yaml", folder / "optsched.log"
    tree = {
        "apiVersion": "optsched.io/v1alpha1",
        "kind": "OptschedConfiguration",
        "mode": "Enforce",
        "profile": "Bench",
        "runtime": str(folder / "run"),
        "client": {"kubeconfig": str(plane.kubeconfig("optsched-token")), "qps": 200, "burst": 400},
        "extender": extender,
        "metrics": {"port": 0},
        "health": {"port": 0},
        "brain": {"metrics": {"port": 0}, "health": {"port": 0}},
        "leader": {"namespace": HOME},
        **settings,
    }
    config.write_text(yaml.safe_dump(tree))
    command = [Path(sys.executable).parent / "optsched", "serve", "--config", config]
    for part in parts:
        command += ["--part", part]
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=_environment()
        )
    extends = not parts or "extender" in parts
    beside = Beside(plane, process, Board(folder / "run"), config, log, tls, extends)
    try:
        told = until(lambda: _told(beside), f"optsched does not start\n{beside.words()}")
        beside.ports.update((name, int(port)) for name, port in re.findall(r"(\w+)=(\d+)", told))
        yield beside
    finally:
        beside.stop()


def _told(beside: Beside) -> str:
    if (code := beside.process.poll()) is not None:
        raise RuntimeError(f"optsched ended with code {code}\n{beside.words()}")
    first = "extender" if beside.extends else "brain"
    words = {"extender": r"serving (.*) tls=", "brain": r"the brain serves (.*) as "}
    found = re.search(words[first], beside.words())
    return found[1] if found else ""


def _environment() -> dict[str, str]:
    return starting(
        {name: text for name, text in os.environ.items() if not name.startswith("OPTSCHED_CONFIG_")}
    )
