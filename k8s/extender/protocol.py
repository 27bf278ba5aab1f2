"""HTTP/1.1 for the three ports: uvicorn's, with patience that ends, and a short way for the verbs.

A scheduler's request is small and arrives in one piece. It is answered where its last byte is read:
no task, no scope, one write. Whatever is not like that (it comes in pieces, is not for a verb, is
malformed, asks for something special) goes uvicorn's way to the ASGI application, whole and from
its beginning, so that there is one place that refuses.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from optsched.k8s.tls import common_name

if TYPE_CHECKING:
    from optsched.k8s.extender.app import Verbs

HEADER_BYTES = 1 << 16
SPECIAL = frozenset((b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"))


class Patience(HttpToolsProtocol):
    """HTTP/1.1 that waits neither for ever nor for headers without end, and knows its clients.

    Attributes
    ----------
    seconds
        For the headers of a request, from their first byte.
    clients
        Common names that may ask; empty: all whose certificate is good.
    verbs
        Who may answer at once; None: nobody.
    """

    seconds = 2.0
    clients: frozenset[str] = frozenset()
    verbs: Verbs | None = None
    _timer: asyncio.TimerHandle | None = None
    _in_headers = False
    _header_bytes = 0
    _began = 0.0
    _body: bytes | None = None  # of a request that may be answered at once, as far as it is here

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Turn away clients that are not on the list."""
        super().connection_made(transport)
        if self.clients:
            name = common_name(transport.get_extra_info("peercert"))
            if name not in self.clients:
                self._end(b"403 Forbidden")
                return
        # A connection on which nothing is ever asked ends like one that fell silent.
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data: bytes) -> None:
        """Start the clock with the first piece of a request; stop it with the last header."""
        if self.transport.is_closing():
            return
        self._began = time.perf_counter()
        if self.cycle is None or self.cycle.response_complete:
            if not self._in_headers:
                self._header_bytes = 0
            self._in_headers = True
        super().data_received(data)
        if self.transport.is_closing():
            self._body = None
        elif self._body is not None:
            self._go_on()
        elif self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._end(b"431 Request Header Fields Too Large")
            elif self._timer is None:
                self._timer = self.loop.call_later(self.seconds, self._too_slow)

    def on_message_begin(self) -> None:
        """What uvicorn makes here is made when it is needed."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """The rest is the application's matter, unless it can be answered at once."""
        self._stop_timer()
        self._in_headers = False
        if self._is_plain():
            self._body = b""
        else:
            self._prepare()

    def on_body(self, body: bytes) -> None:
        """A piece."""
        if self._body is None:
            super().on_body(body)
        else:
            self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        """The request is here."""
        if self._body is not None:
            assert self.verbs is not None  # _is_plain has seen to it
            if self.verbs.at_once(self.url, self._body, self._began, self.transport.write):
                self._body = None
                self.on_response_complete()
                return
            self._go_on()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """No clock outlives its connection."""
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def _is_plain(self) -> bool:
        """Whether the request may be answered at once if it arrives in one piece."""
        return (
            self.verbs is not None
            and self.url in self.verbs.quick
            and (self.cycle is None or self.cycle.response_complete)
            and len(self.connections) < (self.limit_concurrency or 0)
            and not self.flow.write_paused
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and SPECIAL.isdisjoint([name for name, _ in self.headers])
        )

    def _prepare(self) -> None:
        """Uvicorn's way, from the beginning."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()

    def _go_on(self) -> None:
        """Uvicorn's way, with what is here of the body."""
        body, self._body = self._body, None
        self._prepare()
        if body:
            super().on_body(body)

    def _too_slow(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self._end(b"408 Request Timeout")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, status: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        self.transport.close()
