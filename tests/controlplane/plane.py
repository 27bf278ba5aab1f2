"""A real control plane on loopback: etcd, API server, controllers, scheduler and KWOK.

Everything listens on free ports, keeps its data and logs below one folder, and is stopped by the
process identifiers that were started here. Should this process die first, the system ends them.
"""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .api import Api, Tree, until
from .build import BuildError, binaries

STAGES = Path(__file__).resolve().parent / "kwok" / "stages.yaml"
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

_LIBC = ctypes.CDLL(None)  # looked up here: between fork and exec nothing may be loaded


def why_not(minor: str = "") -> str:
    """Why a control plane cannot be started here, "" if it can."""
    if shutil.which("openssl") is None:
        return "openssl is not here to make certificates"
    try:
        binaries(minor)
    except BuildError as error:
        return str(error)
    return ""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Plane:
    """A running control plane.

    Attributes
    ----------
    api
        A client with all rights.
    authority
        Signs whatever is to be trusted here.
    """

    folder: Path
    paths: dict[str, Path]
    api: Api = field(init=False)
    authority: Authority = field(init=False)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, scheduler: Tree | None = None) -> None:
        """Start everything; `scheduler` is merged into the KubeSchedulerConfiguration."""
        self.authority = Authority(self.folder)
        self.authority.sign("server", "kube-apiserver")
        _openssl("genrsa", "-out", self.folder / "sa.key", "2048")
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
        tls = ssl.create_default_context(cafile=str(self.authority.cert))
        self.api = Api(f"https://127.0.0.1:{port}", tls, ADMIN)
        self._run("kube-apiserver", *self._api_flags(store, port))
        until(
            lambda: self._is_ready("kube-apiserver", self.api.url),
            "the API server does not become ready",
        )
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
                "qps": 5000,
                "burst": 5000,
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
            f"--tls-cert-file={self.folder / 'server.crt'}",
            f"--tls-private-key-file={self.folder / 'server.key'}",
        )
        until(
            lambda: self._is_ready("kube-scheduler", f"https://127.0.0.1:{port}"),
            "the scheduler does not become ready",
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

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """A component that hangs: it neither answers nor ends, until the context does."""
        process = self._running[name]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def _run(self, name: str, *flags: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        with log:
            self._running[name] = subprocess.Popen(
                [str(self.paths[name]), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for us, who stop them in order
                preexec_fn=end_with_parent,
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

    def kubeconfig(self, token: str = ADMIN) -> Path:
        """A file with which an account gets in."""
        path = self.folder / f"{token}.kubeconfig"
        cluster = {"server": self.api.url, "certificate-authority": str(self.folder / "ca.crt")}
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

    def _is_ready(self, name: str, url: str) -> bool:
        if (code := self._running[name].poll()) is not None:
            raise RuntimeError(f"{name} ended with code {code}\n{self.logs()}")
        try:
            with urllib.request.urlopen(f"{url}/readyz", context=self.api.tls, timeout=5) as reply:
                return bool(reply.read() == b"ok")
        except OSError:
            return False


def end_with_parent() -> None:
    """The system kills this process when the one that started it is gone, however it went."""
    if sys.platform == "linux":
        _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Authority:
    """Signs certificates for this machine, into a folder: NAME.crt and NAME.key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cert = folder / "ca.crt"
        _openssl("req", "-x509", *self._new("ca"), "-out", self.cert, "-days", "2",
                 "-subj", "/CN=tests")  # fmt: skip
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")

    def sign(self, name: str, who: str) -> tuple[Path, Path]:
        """Certificate and key of `who`, for either end of a connection."""
        cert, key, asked = (self.folder / f"{name}.{end}" for end in ("crt", "key", "csr"))
        _openssl("req", *self._new(name), "-out", asked, "-subj", f"/CN={who}")
        _openssl("x509", "-req", "-in", asked, "-out", cert, "-days", "2", "-CA", self.cert,
                 "-CAkey", self.folder / "ca.key", "-CAcreateserial",
                 "-extfile", self.folder / "names")  # fmt: skip
        return cert, key

    def _new(self, name: str) -> tuple[str, ...]:
        key = str(self.folder / f"{name}.key")
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@contextlib.contextmanager
def running(folder: Path, scheduler: Tree | None = None, minor: str = "") -> Iterator[Plane]:
    """A control plane for as long as the context lasts."""
    plane = Plane(folder, binaries(minor))
    try:
        plane.start(scheduler)
        yield plane
    finally:
        plane.stop()
