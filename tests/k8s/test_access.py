"""How the API server is reached."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
import yaml

from optsched.errors import InputError
from optsched.k8s.api import Access, Api, Unreachable, access
from optsched.k8s.settings import Client
from optsched.k8s.simulator.clock import SimulatedClock

from .test_doctor import kubeconfig

OPENSSL = shutil.which("openssl")


def written(folder: Path, authority: str) -> Client:
    """A kubeconfig that trusts an authority."""
    tree = yaml.safe_load(kubeconfig("https://127.0.0.1:1"))
    tree["clusters"][0]["cluster"]["certificate-authority"] = authority
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(tree))
    return Client(kubeconfig=str(path))


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not here to make certificates")
def test_authorities_of_clusters_are_trusted_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.13 would refuse those without all extensions; names and signatures are checked."""
    subprocess.run(
        [str(OPENSSL), "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-subj", "/CN=a", "-keyout", tmp_path / "key",
         "-out", tmp_path / "ca.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    plain = ssl.create_default_context

    def strict(*, cafile: str | None = None) -> ssl.SSLContext:
        context = plain(cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    tls = access(written(tmp_path, str(tmp_path / "ca.crt"))).tls
    assert tls is not None
    assert not tls.verify_flags & ssl.VERIFY_X509_STRICT
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname


def test_an_authority_that_is_none(tmp_path: Path) -> None:
    """One sentence."""
    (tmp_path / "ca.crt").write_text("no certificate")
    with pytest.raises(InputError, match="certificates of the cluster cannot be used"):
        access(written(tmp_path, str(tmp_path / "ca.crt")))


def test_why_a_server_is_not_reached_is_said() -> None:
    """The log has the kind of failure, such as a certificate that is not trusted."""
    assert (
        "ClientConnectorCertificateError" in Unreachable("ClientConnectorCertificateError").reason
    )


NOON = 1_790_000_000_000  # a whole second


@pytest.mark.parametrize(
    ("took", "late", "known", "skew"),
    [
        (0.01, 0.5, 0.0, 0.0),  # the server tells whole seconds only
        (0.01, 0.999, 0.0, 0.0),
        (30.0, 30.0, 0.0, 0.0),  # an answer that took long, or that we came to late
        (30.0, 0.5, 0.0, 0.0),
        (0.01, 6.01, 0.0, 5.0),  # our clock is ahead
        (0.01, -5.0, 0.0, -5.0),  # or behind
        (30.0, 0.5, 5.0, 0.5),  # a slow answer shows that it was set right
        (30.0, 20.0, 5.0, 5.0),  # or does not show it
    ],
)
def test_how_clocks_differ(took: float, late: float, known: float, skew: float) -> None:
    """As far as a reply tells that was asked for and came `late` after the second it names."""
    clock = SimulatedClock(NOON)
    api = Api(Access("http://127.0.0.1:1"), clock=clock)
    api.skew = known
    clock.advance(late)
    sent = clock.now() - int(1000 * took)
    api._note_time("Mon, 21 Sep 2026 14:13:20 GMT", sent)
    assert api.skew == pytest.approx(skew, abs=0.02)
