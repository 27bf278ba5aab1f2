"""A real control plane on loopback: etcd, API server, controllers, scheduler and KWOK.

Everything listens on free ports, keeps its data and logs below one folder, and is stopped by the
process identifiers that were started here.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from build import BuildError, binaries

STAGES = Path(__file__).resolve().parent / "kwok" / "stages.yaml"
PATIENCE = 60.0  # seconds for anything to come up on a busy machine
TAIL = 2000  # characters of a log that are shown when something fails
ADMIN = "admin-token"
# Accounts with static tokens: name, groups. The roles of the first two are Kubernetes' own.
ACCOUNTS = {
    ADMIN: ("admin", "system:masters"),
    "scheduler-token": ("system:kube-scheduler", ""),
    "controller-token": ("system:kube-controller-manager", "system:masters"),
    "kwok-token": ("kwok", "system:masters"),
    "optsched-token": ("system:serviceaccount:optsched:optsched", "system:authenticated"),
}
# Without kubelets there is nobody to renew heartbeats as these expect.
CONTROLLERS = "*,-node-lifecycle-controller,-node-ipam-controller,-cloud-node-lifecycle-controller"

Tree = dict[str, Any]


def why_not() -> str:
    """Why a control plane cannot be started here, "" if it can."""
    if shutil.which("openssl") is None:
        return "openssl is not here to make certificates"
    try:
        binaries()
    except BuildError as error:
        return str(error)
    return ""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until something holds; returns it."""
    deadline = time.monotonic() + patience
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:.0f} s in vain: {what}")
        time.sleep(0.02)
    return found


class RefusedError(Exception):
    """The API server said no."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:500]}")
        self.status = status


@dataclass
class Plane:
    """A running control plane.

    Attributes
    ----------
    url
        Of the API server.
    """

    folder: Path
    paths: dict[str, Path]
    url: str = ""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _tls: ssl.SSLContext | None = None

    # ------------------------------------------------------------------ starting and stopping

    def start(self, scheduler: Tree | None = None) -> None:
        """Start everything; `scheduler` is merged into the KubeSchedulerConfiguration."""
        self._certificates()
        store = f"http://127.0.0.1:{free_port()}"
        peer = f"http://127.0.0.1:{free_port()}"
        self._run(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={store}",
            f"--advertise-client-urls={store}",
            f"--listen-peer-urls={peer}",
            "--unsafe-no-fsync",
        )
        port = free_port()
        self.url = f"https://127.0.0.1:{port}"
        self._tls = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        self._run("kube-apiserver", *self._api_flags(store, port))
        until(self._is_ready, "the API server does not become ready")
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig('controller-token')}",
            "--leader-elect=false",
            f"--controllers={CONTROLLERS}",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            f"--service-account-private-key-file={self.folder / 'sa.key'}",
            f"--secure-port={free_port()}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'kcm'}",
        )
        self._run(
            "kwok",
            f"--kubeconfig={self.kubeconfig('kwok-token')}",
            f"--config={STAGES}",
            "--manage-all-nodes",
            f"--server-address=127.0.0.1:{free_port()}",
        )
        self.start_scheduler(scheduler or {})

    def start_scheduler(self, more: Tree) -> None:
        """Start the scheduler, or another one, with these parts of its configuration."""
        self.stop("kube-scheduler")
        configuration = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {
                "kubeconfig": str(self.kubeconfig("scheduler-token")),
                "qps": 1000,
                "burst": 1000,
            },
            **more,
        }
        path = self.folder / "scheduler.yaml"
        path.write_text(yaml.safe_dump(configuration))
        port = free_port()
        self._run(
            "kube-scheduler",
            f"--config={path}",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'scheduler'}",
        )

    def stop(self, *names: str) -> None:
        """End these, or all, last started first."""
        for name in names or tuple(reversed(self._running)):
            process = self._running.pop(name, None)
            if process is None:
                continue
            process.send_signal(signal.SIGTERM if name == "etcd" else signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()

    def logs(self) -> str:
        """The ends of all logs."""
        parts = []
        for path in sorted(self.folder.glob("*.log")):
            parts.append(f"--- {path.name}\n{path.read_text(errors='replace')[-TAIL:]}")
        return "\n".join(parts)

    def _run(self, name: str, *flags: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        with log:
            self._running[name] = subprocess.Popen(
                [str(self.paths[name]), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )

    def _api_flags(self, store: str, port: int) -> list[str]:
        tokens = self.folder / "tokens.csv"
        rows = [
            f'{token},{name},{number},"{group}"'
            for number, (token, (name, group)) in enumerate(ACCOUNTS.items())
        ]
        tokens.write_text("\n".join(rows) + "\n")
        return [
            f"--etcd-servers={store}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={self.folder / 'server.crt'}",
            f"--tls-private-key-file={self.folder / 'server.key'}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            f"--service-account-key-file={self.folder / 'sa.key'}",
            f"--service-account-signing-key-file={self.folder / 'sa.key'}",
            "--service-account-issuer=https://optsched.test",
            "--service-cluster-ip-range=10.0.0.0/24",
            # Nobody gives pods their tokens, and nodes would be born with a taint that only a
            # controller which is off takes away.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            "--max-requests-inflight=2000",
            "--max-mutating-requests-inflight=1000",
        ]

    def _certificates(self) -> None:
        ca, ca_key = self.folder / "ca.crt", self.folder / "ca.key"
        curve = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        _openssl("req", "-x509", "-newkey", *curve, "-keyout", ca_key, "-out", ca, "-days", "2",
                 "-subj", "/CN=tests")  # fmt: skip
        asked, names = self.folder / "server.csr", self.folder / "names"
        _openssl("req", "-newkey", *curve, "-keyout", self.folder / "server.key", "-out", asked,
                 "-subj", "/CN=kube-apiserver")  # fmt: skip
        names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
        _openssl("x509", "-req", "-in", asked, "-out", self.folder / "server.crt", "-days", "2",
                 "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-extfile", names)  # fmt: skip
        _openssl("genrsa", "-out", self.folder / "sa.key", "2048")

    def kubeconfig(self, token: str = ADMIN) -> Path:
        """A file with which an account gets in."""
        path = self.folder / f"{token}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self.folder / "ca.crt")}
        tree = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "me", "user": {"token": token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "me"}}],
            "current-context": "tests",
        }
        path.write_text(yaml.safe_dump(tree))
        return path

    def _is_ready(self) -> bool:
        if (code := self._running["kube-apiserver"].poll()) is not None:
            raise RuntimeError(f"the API server ended with {code}\n{self.logs()}")
        try:
            return self.ask("GET", "/readyz", raw=True) == "ok"
        except (OSError, RefusedError):
            return False

    # ------------------------------------------------------------------ asking

    def ask(
        self,
        method: str,
        path: str,
        body: Tree | None = None,
        kind: str = "application/json",
        *,
        token: str = ADMIN,
        raw: bool = False,
    ) -> Any:
        """The answer to a request; RefusedError if it is no."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
        )
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=PATIENCE) as reply:
                data = reply.read().decode()
        except urllib.error.HTTPError as error:
            raise RefusedError(error.code, error.read().decode(errors="replace")) from error
        return data if raw else json.loads(data)

    def items(self, path: str) -> list[Tree]:
        """The objects of a list."""
        found: list[Tree] = self.ask("GET", path)["items"]
        return found

    def node(self, name: str, cpu: str = "2", memory: str = "8Gi", pods: str = "110") -> None:
        """A ready node; returns when the scheduler can use it."""
        room = {"cpu": cpu, "memory": memory, "pods": pods}
        labels = {"kubernetes.io/hostname": name}
        status = {"allocatable": room, "capacity": room}
        tree = {"metadata": {"name": name, "labels": labels}, "status": status}
        self.ask("POST", "/api/v1/nodes", tree)

    def namespace(self, name: str) -> None:
        """A namespace."""
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    def replica_set(self, namespace: str, name: str, cpu: str, replicas: int, **spec: Any) -> None:
        """Pods of one kind, all of label app=name."""
        resources = {"requests": {"cpu": cpu, "memory": "16Mi"}}
        container = {"name": "c", "image": "none", "resources": resources}
        pod = {"containers": [container], "terminationGracePeriodSeconds": 0, **spec}
        labels = {"app": name}
        self.ask(
            "POST",
            f"/apis/apps/v1/namespaces/{namespace}/replicasets",
            {
                "metadata": {"name": name},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": pod},
                },
            },
        )

    def pods(self, namespace: str, app: str = "") -> list[Tree]:
        """The pods of a namespace, or of one application in it."""
        query = f"?labelSelector=app%3D{app}" if app else ""
        return self.items(f"/api/v1/namespaces/{namespace}/pods{query}")


def bound(pod: Tree) -> str:
    """The node of a pod, "" if it has none."""
    return str(pod["spec"].get("nodeName", ""))


def is_running(pod: Tree) -> bool:
    """Whether the kubelet says so."""
    return bool(pod["status"].get("phase") == "Running")


def is_refused(pod: Tree) -> bool:
    """Whether the scheduler has found no node for it."""
    return any(
        one["type"] == "PodScheduled" and one.get("reason") == "Unschedulable"
        for one in pod["status"].get("conditions", ())
    )


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@contextlib.contextmanager
def running(folder: Path, scheduler: Tree | None = None) -> Iterator[Plane]:
    """A control plane for as long as the context lasts."""
    plane = Plane(folder, binaries())
    try:
        plane.start(scheduler)
        yield plane
    finally:
        plane.stop()
