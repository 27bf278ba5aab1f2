"""Mutual TLS for the verbs, with certificates that may change while the port is open.

A server keeps the context with which its port was opened. That context hands every handshake over
to the newest one, so that a new certificate, and a new authority, hold from the next connection on;
connections that are open stay.
"""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optsched.errors import InputError
from optsched.k8s.settings import Tls

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0


class Certificates:
    """The files of `tls` as contexts.

    Attributes
    ----------
    context
        For the server.
    error
        Why the files as they are now are not in force; "" if they are.
    expires
        End of the certificate's validity, in seconds since 1970.
    """

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._stamps = self._look()
        self.error = ""
        self._current, self.expires = _load(tls)
        self.context, _ = _load(tls)
        self.context.sni_callback = self._hand_over  # also called for clients without a name

    def refresh(self) -> bool:
        """Look at the files; True if others are in force now. Bad ones leave the last good ones."""
        stamps = self._look()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            self._current, self.expires = _load(self._tls)
        except InputError as error:
            self.error = str(error)
            return False
        self.error = ""
        return True

    def _hand_over(self, connection: Any, name: str | None, first: ssl.SSLContext) -> None:
        del name, first
        connection.context = self._current

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(
            _stamp(path) for path in (self._tls.cert_file, self._tls.key_file, self._tls.ca_file)
        )


def common_name(certificate: Any) -> str:
    """The common name of a client's certificate as `getpeercert` gives it, "" for none."""
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return ""


def not_after(pem: str) -> float:
    """When the first certificate of a PEM file ends, in seconds since 1970 (RFC 5280, 4.1).

    Raises
    ------
    InputError
        There is none.
    """
    try:
        begin = pem.index("-----BEGIN CERTIFICATE-----")
        end = pem.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")
        der = ssl.PEM_cert_to_DER_cert(pem[begin:end])
        certificate = _take(der)[1]
        rest = _take(certificate)[1]
        kind, _, after = _take(rest)
        rest = after if kind == _VERSION else rest
        for _ in ("serial number", "signature", "issuer"):
            rest = _take(rest)[2]
        kind, validity, _ = _take(rest)
        if kind != _SEQUENCE:
            raise ValueError(kind)
        kind, text, _ = _take(_take(validity)[2])
        form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}[kind]
        return datetime.strptime(text.decode(), form).replace(tzinfo=UTC).timestamp()
    except (ValueError, KeyError, IndexError) as error:
        raise InputError("there is no certificate in it") from error


def _take(der: bytes) -> tuple[int, bytes, bytes]:
    """Tag and content of the first element, and what follows it."""
    kind, length, start = der[0], der[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(der[2:start], "big")
    return kind, der[start : start + length], der[start + length :]


def _load(tls: Tls) -> tuple[ssl.SSLContext, float]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # a resumed session would outlive the authority it was checked with
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"certificate {tls.cert_file} with key {tls.key_file} cannot be used: {_why(error)}"
        ) from error
    try:
        context.load_verify_locations(tls.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"authority {tls.ca_file} cannot be used: {_why(error)}") from error
    try:
        return context, not_after(Path(tls.cert_file).read_text("ascii", "replace"))
    except InputError as error:
        raise InputError(f"certificate {tls.cert_file} cannot be used: {error}") from error


def _why(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return str(reason).replace("_", " ").lower()


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_ino, status.st_size)
