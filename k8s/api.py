"""The API server over raw HTTPS: addresses and authentication as kubectl finds them.

The official package loads the configuration, and renews tokens; its object models are not used,
because they take a hundred times as long to read a list as structs with just the fields needed
(`optsched.kube`). Nothing is repeated here: whoever asks knows what a repetition may do.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Self

import aiohttp
import msgspec

from optsched.errors import InputError, OptschedError
from optsched.k8s.clock import Clock, SystemClock
from optsched.k8s.settings import Client
from optsched.kube.wire import Wire

JSON = "application/json"
MERGE = "application/merge-patch+json"
IDLE = 120.0  # seconds without a byte after which a watch counts as dead
LARGEST_LINE = 16 << 20  # bytes of one watch event; objects are smaller than 2 MiB


class ApiError(OptschedError):
    """The API server refused or could not be asked.

    Attributes
    ----------
    status
        Of the reply; 0 if there was none.
    reason
        The API's own word, such as "Conflict".
    retry_after
        Seconds that the server asks to wait; 0 if it does not say.
    causes
        Reasons of the causes, such as "DisruptionBudget".
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str = "",
        retry_after: float = 0.0,
        causes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"{status} {reason}: {message[:300]}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.causes = causes


class Unreachable(ApiError):
    """No answer: whether the request had an effect is not known."""

    def __init__(self, message: str) -> None:
        super().__init__(0, f"Unreachable ({message})", message)


class _Cause(Wire):
    reason: str = ""


class _Details(Wire):
    causes: list[_Cause] | None = None
    retry_after_seconds: int = 0


class _Status(Wire):
    reason: str = ""
    message: str = ""
    code: int = 0
    details: _Details | None = None


_STATUS = msgspec.json.Decoder(_Status)


def error_of(status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """What a reply says went wrong."""
    try:
        told = _STATUS.decode(body)
    except msgspec.MsgspecError:
        told = _Status()
    details = told.details or _Details()
    after = headers.get("Retry-After", "")
    wait = float(after) if after.isdecimal() else float(details.retry_after_seconds)
    causes = tuple(one.reason for one in details.causes or ())
    return ApiError(status, told.reason or "Error", told.message, wait, causes)


@dataclass(frozen=True)
class Access:
    """Where the API server is and how it knows us.

    Attributes
    ----------
    token
        Asked before every request, because tokens are renewed; "" for none.
    """

    url: str
    tls: ssl.SSLContext | None = None
    token: Callable[[], str] = lambda: ""
    proxy: str | None = None


def access(settings: Client) -> Access:
    """As the settings, a kubeconfig, or the pod's service account say.

    Raises
    ------
    InputError
        There is no configuration, or it cannot be read.
    """
    from kubernetes import client, config

    loading: Any = config  # some releases are typed in part
    found = client.Configuration()
    try:
        inside = not settings.kubeconfig and "KUBERNETES_SERVICE_HOST" in os.environ
        if inside:
            loading.load_incluster_config(client_configuration=found)
        else:
            loading.load_kube_config(
                config_file=settings.kubeconfig or None,
                context=settings.context or None,
                client_configuration=found,
            )
    except (config.ConfigException, OSError, ValueError) as error:
        raise InputError(
            f"no access to a cluster: {str(error)[:200]}; give client.kubeconfig, or run in a pod"
        ) from error

    def token() -> str:
        # The package keeps it under the first name since 31 and under the second before.
        for name in ("BearerToken", "authorization"):
            given = found.get_api_key_with_prefix(name)
            if given:
                return str(given)
        return str(found.get_basic_auth_token() or "")

    tls = _tls(found) if found.host.startswith("https") else None
    return Access(found.host.rstrip("/"), tls, token, found.proxy or None)


def _tls(found: Any) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=found.ssl_ca_cert or None)
        if found.cert_file:
            context.load_cert_chain(found.cert_file, found.key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"the certificates of the cluster cannot be used: {error}") from error
    # Python 3.13 refuses what kubectl takes: authorities without all extensions of RFC 5280.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not found.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Rate:
    """A bucket of `burst` tokens that fills at `qps` tokens a second."""

    def __init__(self, qps: float, burst: int, clock: Clock) -> None:
        self._qps, self._burst, self._clock = qps, burst, clock
        self._level, self._at = float(burst), clock.monotonic()

    async def take(self) -> None:
        """Wait for a token."""
        now = self._clock.monotonic()
        self._level = min(self._burst, self._level + (now - self._at) * self._qps) - 1.0
        self._at = now
        if self._level < 0:
            await self._clock.sleep(-self._level / self._qps)


class Api:
    """One connection pool to one API server; use it as an asynchronous context."""

    def __init__(
        self,
        where: Access,
        settings: Client | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.where = where
        self.settings = settings or Client()
        self.clock = clock or SystemClock()
        self._rate = Rate(self.settings.qps, self.settings.burst, self.clock)
        self._session: aiohttp.ClientSession | None = None
        self.skew = 0.0  # seconds that our clock is ahead of the server's, as its replies tell

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=64, ssl=self.where.tls or True, socket_factory=_keep_alive_socket
        )
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=True)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        kind: str = JSON,
        begin: Callable[[], None] = lambda: None,
    ) -> bytes:
        """The body of the reply; `begin` is called when it is about to be asked for.

        Raises
        ------
        ApiError
            The reply says no; `Unreachable` if there was none.
        """
        await self._rate.take()
        begin()
        timeout = aiohttp.ClientTimeout(total=self.settings.request_timeout.seconds)
        data, sent = None, self.clock.now()
        headers = self._headers()
        if body is not None:
            data, headers["Content-Type"] = msgspec.json.encode(body), kind
        try:
            async with self._open(method, path, params, headers, timeout, data) as reply:
                content = await reply.read()
                self._note_time(reply.headers.get("Date", ""), sent)
                if reply.status >= 300:
                    raise error_of(reply.status, content, reply.headers)
                return content
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{method}: {type(error).__name__}") from error

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """Read."""
        return await self.request("GET", path, params=params)

    async def lines(self, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The lines of a watch until the server ends it; ApiError as `request`."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=IDLE)
        rest = b""
        try:
            async with self._open("GET", path, params, self._headers(), timeout) as reply:
                if reply.status >= 300:
                    raise error_of(reply.status, await reply.read(), reply.headers)
                async for chunk in reply.content.iter_any():
                    *whole, rest = (rest + chunk).split(b"\n")
                    for line in whole:
                        if line.strip():
                            yield line
                    if len(rest) > LARGEST_LINE:
                        raise Unreachable("a watch event that never ends")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"watch: {type(error).__name__}") from error

    def _note_time(self, date: str, sent: int) -> None:
        """Compare clocks, as well as whole seconds tell.

        The server wrote its time after we had `sent` (milliseconds) and before now. What is known
        changes no more than that demands: an answer that takes long, or that we come to late, makes
        no clocks differ, nor hides that they do.
        """
        try:
            there = parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError):
            return
        least, most = sent / 1000 - there - 1.0, self.clock.now() / 1000 - there
        self.skew = min(max(self.skew, least), most)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": JSON, "User-Agent": "optsched"}
        token = self.where.token()
        if token:
            prefix = "" if token.startswith(("Bearer ", "Basic ")) else "Bearer "
            headers["Authorization"] = prefix + token
        return headers

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
        data: bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("use the client as an asynchronous context")
        async with self._session.request(
            method,
            self.where.url + path,
            params=params,
            headers=headers,
            data=data,
            timeout=timeout,
            proxy=self.where.proxy,
            allow_redirects=False,
        ) as reply:
            yield reply


def _keep_alive_socket(address: Any) -> socket.socket:
    """Half-open connections are found by the kernel within 60 s."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """End tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
