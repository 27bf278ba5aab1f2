"""How the API server is reached."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
import yaml

from optsched.errors import InputError
from optsched.k8s.api import Unreachable, access
from optsched.k8s.settings import Client

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
