"""A front end as a process on free ports, and a client that measures nothing but the exchange."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from optsched.k8s.parent import starting
from optsched.k8s.table import Board

CONFIG = """\
apiVersion: optsched.io/v1alpha1
kind: OptschedConfiguration
mode: Enforce
runtime: {folder}/run
extender: {{port: 0{tls}}}
metrics: {{port: 0}}
health: {{port: 0}}
"""


TLS = ", tls: {{certFile: {folder}/tls.crt, keyFile: {folder}/tls.key, caFile: {folder}/tls.crt}}"


@dataclass
class FrontEnd:
    """A running front end."""

    process: subprocess.Popen[bytes]
    board: Board
    ports: dict[str, int]
    context: ssl.SSLContext | None = None

    def connect(self) -> Connection:
        """As a scheduler does."""
        return Connection(self.ports["verbs"], self.context)

    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) * 1024 if found else 0

    def alive(self) -> bool:
        """Whether it runs still."""
        return self.process.poll() is None


@contextlib.contextmanager
def front_end(tls: bool = False) -> Iterator[FrontEnd]:
    """Start one, with mutual TLS if asked for; end it."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        config, log = Path(folder, "optsched.yaml"), Path(folder, "log")
        config.write_text(
            CONFIG.format(folder=folder, tls=TLS.format(folder=folder) if tls else "")
        )
        context = _certificates(Path(folder)) if tls else None
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "optsched.k8s.extender", str(config)],
                stderr=sink,
                env=starting(),
            )
        try:
            deadline = time.monotonic() + 60
            while not (told := re.search(r"serving (.*) tls=", log.read_text())):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the front end did not start: {log.read_text()}")
                time.sleep(0.02)
            ports = {name: int(port) for name, port in re.findall(r"(\w+)=(\d+)", told[1])}
            yield FrontEnd(process, Board(Path(folder, "run")), ports, context)
        finally:
            process.terminate()
            process.wait(30)


def _certificates(folder: Path) -> ssl.SSLContext:
    """One certificate for both sides, its own authority; the client's context."""
    cert, key = str(folder / "tls.crt"), str(folder / "tls.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=bench"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(cafile=cert)
    context.load_cert_chain(cert, key)
    return context


class Connection:
    """Keep-alive HTTP over a bare socket."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._context = context
        self._socket = self._open()

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        head = f"POST {path} HTTP/1.1\r\nHost: b\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            self._socket.sendall(head.encode() + body)
            return self._read()
        except OSError:
            self.close()
            self._socket = self._open()
            raise

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: b\r\n\r\n".encode())
        return self._read()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _open(self) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self._port), 60)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            return self._context.wrap_socket(opened, server_hostname="127.0.0.1")
        return opened

    def _read(self) -> tuple[int, bytes]:
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            self._more(data)
        head = bytes(data[:end]).lower()
        found = re.search(rb"content-length: (\d+)", head)
        whole = end + 4 + (int(found[1]) if found else 0)
        while len(data) < whole:
            self._more(data)
        if b"connection: close" in head:
            self.close()
            self._socket = self._open()
        return int(head[9:12]), bytes(data[end + 4 : whole])

    def _more(self, data: bytearray) -> None:
        part = self._socket.recv(1 << 18)
        if not part:
            raise ConnectionError("the front end hung up")
        data += part
