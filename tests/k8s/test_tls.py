"""Only clients of the right authority get in, and certificates change under full load."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import pytest

from optsched.errors import InputError
from optsched.k8s.settings import Tls
from optsched.k8s.tls import Certificates, not_after

from .conftest import Client, FrontEnd, Start, pod, until

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not here to make certificates")

REQUEST = {"Pod": pod(), "Nodes": None, "NodeNames": ["n0"]}


def run(*words: str | Path) -> None:
    """openssl."""
    subprocess.run([str(OPENSSL), *map(str, words)], check=True, capture_output=True)


class Authority:
    """Signs certificates below a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.cert = folder / "ca.crt"
        run(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", folder / "ca.key", "-out", self.cert, "-days", "2"),
            *("-subj", f"/CN={folder.name}"),
        )

    def sign(self, name: str, days: int = 2) -> tuple[Path, Path]:
        """Certificate and key; 0 days: one that ends now."""
        cert, key, asked = (self.folder / f"{name}.{end}" for end in ("crt", "key", "csr"))
        run(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", key, "-out", asked, "-subj", f"/O=tests/CN={name}"),
        )
        names = self.folder / "names"
        names.write_text("subjectAltName=IP:127.0.0.1")
        run(
            *("x509", "-req", "-in", asked, "-out", cert, "-days", str(days)),
            *("-CA", self.cert, "-CAkey", self.folder / "ca.key", "-CAcreateserial"),
            *("-extfile", names),
        )
        return cert, key

    def client(self, name: str = "", days: int = 2) -> ssl.SSLContext:
        """What a client that trusts this authority brings along."""
        context = ssl.create_default_context(cafile=str(self.cert))
        if name:
            context.load_cert_chain(*map(str, self.sign(name, days)))
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The one that the tests trust."""
    return Authority(tmp_path_factory.mktemp("tls") / "good")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another one."""
    return Authority(tmp_path_factory.mktemp("tls") / "other")


def files(folder: Path, authority: Authority, name: str = "server") -> dict[str, str]:
    """Server files, put in place by name as a Secret's are."""
    cert, key = authority.sign(name)
    for source, target in ((cert, "tls.crt"), (key, "tls.key"), (authority.cert, "ca.crt")):
        shutil.copy(source, folder / f"{target}.new")
        os.replace(folder / f"{target}.new", folder / target)
    return {
        "certFile": str(folder / "tls.crt"),
        "keyFile": str(folder / "tls.key"),
        "caFile": str(folder / "ca.crt"),
    }


@pytest.fixture(scope="module")
def served(
    start: Start, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> FrontEnd:
    """A front end with mutual TLS that knows one client by name."""
    folder = tmp_path_factory.mktemp("server")
    tls = {**files(folder, authority), "clientNames": ["scheduler"]}
    return start(extender={"tls": tls})


def works(front: FrontEnd, context: ssl.SSLContext | None) -> bool:
    """Whether a new connection is answered."""
    client = front.client(context=context)
    try:
        return client.ask("POST", "/filter", REQUEST)[0] == 200
    except (OSError, HTTPException):
        return False
    finally:
        client.close()


def test_the_right_client_is_served(served: FrontEnd, authority: Authority) -> None:
    """Over one connection, again and again; probes need no certificate."""
    client = served.client(context=authority.client("scheduler"))
    for _ in range(3):
        assert client.post("filter", REQUEST)["NodeNames"] == ["n0"]
    status, text = served.client("health").get("/readyz?verbose")
    assert status == 200
    assert "[+] certificate: in force" in text
    assert "[+] validity: good" in text


def test_others_are_not(served: FrontEnd, authority: Authority, other: Authority) -> None:
    """No certificate, one of another authority, one that has ended, no TLS at all."""
    assert not works(served, authority.client())
    foreign = authority.client()
    foreign.load_cert_chain(*map(str, other.sign("scheduler")))
    assert not works(served, foreign)
    ended = authority.client("scheduler", days=0)
    time.sleep(1.1)  # certificates know seconds
    assert not works(served, ended)
    assert not works(served, None)
    assert works(served, authority.client("scheduler"))


def test_sessions_are_not_resumed(served: FrontEnd, authority: Authority) -> None:
    """Every connection shows its certificate anew."""
    context = authority.client("scheduler")
    plain = socket.create_connection(("127.0.0.1", served.ports["verbs"]), 60)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped:
        wrapped.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wrapped.recv(100).startswith(b"HTTP/1.1 404 ")
        assert wrapped.version() == "TLSv1.3"
        session = wrapped.session
    assert session is None or not session.has_ticket


def test_another_name_is_forbidden(served: FrontEnd, authority: Authority) -> None:
    """A certificate of the cluster's authority alone is not enough."""
    client = served.client(context=authority.client("somebody"))
    assert client.ask("POST", "/filter", REQUEST)[0] == 403


def test_certificates_rotate_under_load(
    start: Start, authority: Authority, other: Authority, tmp_path: Path
) -> None:
    """No request fails while certificate and authority change; then only the new ones count."""
    front = start(extender={"tls": files(tmp_path, authority)})
    old, new = authority.client("a"), other.client("b")
    stop = threading.Event()
    failures: list[str] = []
    answered = [0]

    def ask(make: Callable[[], Client]) -> None:
        while not stop.is_set():
            client = make()
            try:
                for _ in range(20):
                    client.post("filter", REQUEST)
                    answered[0] += 1
            except Exception as error:
                failures.append(repr(error))
            client.close()

    both = tmp_path / "both"
    both.write_text(authority.cert.read_text() + other.cert.read_text())
    trusting = ssl.create_default_context(cafile=str(both))
    trusting.load_cert_chain(*map(str, authority.sign("c")))
    makers = [lambda: front.client(context=trusting)] * 2
    threads = [threading.Thread(target=ask, args=(make,)) for make in makers]
    for thread in threads:
        thread.start()
    health = front.client("health")

    def swap(**sources: Path) -> None:
        for name, source in sources.items():
            path = tmp_path / name.replace("_", ".")
            shutil.copy(source, f"{path}.new")
            os.replace(f"{path}.new", path)

    # As authorities are exchanged: trust both, change the certificate, drop the old authority.
    swap(ca_crt=both)
    until(lambda: works(front, _foreign(trusting, both, other)))
    cert, key = other.sign("server")
    swap(tls_crt=cert)  # key and certificate do not fit for a moment
    until(lambda: "[!] certificate: the last good one" in health.get("/readyz?verbose")[1])
    assert works(front, old)
    swap(tls_key=key)
    until(lambda: works(front, new))
    assert not works(front, old)  # it does not trust the new certificate
    before = answered[0]
    until(lambda: answered[0] > before + 50)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert answered[0] > 100
    swap(ca_crt=other.cert)
    until(lambda: not works(front, trusting))
    assert works(front, new)


def _foreign(trusting: ssl.SSLContext, both: Path, other: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(both))
    context.load_cert_chain(*map(str, other.sign("d")))
    return context


def test_files_that_are_no_certificates_are_refused(tmp_path: Path, authority: Authority) -> None:
    """Each with the file in one sentence."""
    cert, key = authority.sign("x")
    good = {"cert_file": str(cert), "key_file": str(key), "ca_file": str(authority.cert)}
    empty = tmp_path / "empty"
    empty.write_text("")
    for field, path, said in (
        ("cert_file", empty, "certificate .*empty with key .* cannot be used"),
        ("cert_file", tmp_path / "none", "no such file"),
        ("key_file", authority.folder / "ca.key", "key values mismatch"),
        ("ca_file", empty, "authority .*empty cannot be used"),
    ):
        with pytest.raises(InputError, match=said) as told:
            Certificates(Tls(**{**good, field: str(path)}))
        assert "\n" not in str(told.value)


def test_the_end_of_a_certificate_is_read(authority: Authority) -> None:
    """To the second, as openssl says it."""
    cert, _ = authority.sign("dated")
    told = subprocess.run(
        [str(OPENSSL), "x509", "-in", str(cert), "-noout", "-enddate"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert not_after(cert.read_text()) == ssl.cert_time_to_seconds(told.strip().split("=")[1])
    with pytest.raises(InputError, match="no certificate"):
        not_after("nothing")


def test_an_expired_certificate_is_not_ready(
    start: Start, authority: Authority, tmp_path: Path
) -> None:
    """The probe says so, and it heals with a new one."""
    tls = files(tmp_path, authority)
    cert, key = authority.sign("ended", days=0)
    shutil.copy(cert, tmp_path / "tls.crt")
    shutil.copy(key, tmp_path / "tls.key")
    front = start(extender={"tls": tls})
    health = front.client("health")
    until(lambda: health.get("/readyz")[0] == 503)
    assert "[-] validity: the certificate has expired" in health.get("/readyz?verbose")[1]
    files(tmp_path, authority, "renewed")
    until(lambda: health.get("/readyz")[0] == 200)
    assert works(front, authority.client("scheduler"))
