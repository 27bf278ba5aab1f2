"""The verbs: /filter, /prioritize and /preempt as a bare ASGI application, and at once.

Nobody waits for us: a request that is no request gets 400, one that is too large 413, one that does
not arrive 408, one too many 503. A scheduler for which we are `ignorable` then goes on without
us. What cannot be decided is let pass; an empty 200, which would reject every node, does not exist.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from optsched.errors import FormatError
from optsched.k8s import wire
from optsched.k8s.extender.front import Front
from optsched.k8s.extender.metrics import Metrics
from optsched.k8s.extender.scorer import Scorer
from optsched.k8s.guard import Result
from optsched.k8s.settings import Extender as Settings

log = logging.getLogger(__name__)

Body = bytes | bytearray
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SWOLLEN = 1 << 20
TOGETHER = 8  # largest bodies that may be held at once, of all requests together
DRAIN = 10.0  # seconds for the rest of a request that is refused

_JSON = (b"content-type", b"application/json")
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Refused(Exception):
    """A request that gets no answer; status, outcome for the metrics, and why.

    `unread`: there is more to come, which is read and forgotten first, so that the client sees our
    answer instead of a reset connection.
    """

    def __init__(self, status: int, outcome: str, why: str, unread: bool = False) -> None:
        super().__init__(why)
        self.status = status
        self.outcome = outcome
        self.unread = unread


class Verbs:
    """The application.

    Attributes
    ----------
    settings
        Limits; may be replaced while running.
    swollen
        Set when a body was so large that memory should be given back to the system.
    quick
        By path what can be answered without waiting for anything: the verb, and how.
    """

    def __init__(
        self, front: Front, settings: Settings, metrics: Metrics, scorer: Scorer | None = None
    ) -> None:
        self.front = front
        self.settings = settings
        self.metrics = metrics
        self.scorer = scorer
        self.swollen = False
        self._running = 0
        self._held = 0
        self._answers: dict[str, Callable[[Body], bytes]] = {
            f"{settings.prefix}/filter": self._filter,
            f"{settings.prefix}/prioritize": self._prioritize,
            f"{settings.prefix}/preempt": self._preempt,
        }
        self.quick = {
            path.encode(): (path[len(settings.prefix) + 1 :], answer)
            for path, answer in self._answers.items()
            if scorer is None or answer != self._prioritize
        }

    def at_once(
        self, path: bytes, body: Body, began: float, write: Callable[[bytes], None]
    ) -> bool:
        """Answer a request that is here whole, in one write; False: ask again as application.

        Only good answers are given. What is refused, malformed or fails is told there, in one
        place; nothing that is remembered of a request was remembered before it failed.
        """
        verb, answer = self.quick[path]
        if self._running >= self.settings.concurrency or len(body) > self.settings.max_body_bytes:
            return False
        try:
            reply = answer(body)
        except Exception:
            return False
        write(_OK % len(reply) + reply)
        self.metrics.observe(verb, "ok", time.perf_counter() - began)
        return True

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        path = scope.get("path", "")
        answer = self._answers.get(path)
        verb = path[len(self.settings.prefix) + 1 :] if answer else "other"
        status, outcome, close = 200, "ok", False
        self._running += 1
        try:
            body = await self._admit(scope, receive, answer is not None)
            assert answer is not None  # _admit has refused it
            if self.scorer is not None and verb == "prioritize":
                reply = await self._score(body, self.scorer)
            else:
                reply = answer(body)
        except Refused as refused:
            status, outcome, close = refused.status, refused.outcome, True
            reply = wire.error_reply(str(refused))
            if refused.unread:
                await _drain(receive, self.settings.body_timeout.seconds)
                self.swollen = True
        except FormatError as error:
            status, outcome = 400, "malformed"
            reply = wire.error_reply(str(error))
        except Exception as error:  # a fault of ours must look like one, never like an answer
            log.error("a request failed: %s", type(error).__name__, exc_info=True)
            status, outcome, close = 500, "error", True
            reply = wire.error_reply("a fault in optsched")
        finally:
            self._running -= 1
        headers = [_JSON, (b"content-length", b"%d" % len(reply))]
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": reply})
        self.metrics.observe(verb, outcome, time.perf_counter() - began)

    async def _admit(self, scope: Message, receive: Receive, known: bool) -> Body:
        """The body of a request that we want to answer."""
        if not known:
            raise Refused(404, "refused", "there is no such verb")
        if scope["method"] != "POST":
            raise Refused(405, "refused", "verbs are POSTed")
        if self._running > self.settings.concurrency:
            raise Refused(503, "busy", "too many requests at once")
        length = None
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = int(value) if value.isdigit() else None
            elif name == b"content-encoding" and value.lower() not in (b"", b"identity"):
                raise Refused(415, "refused", "compressed requests are not read")
        try:
            async with asyncio.timeout(self.settings.body_timeout.seconds):
                return await self._read(receive, length)
        except TimeoutError as error:
            raise Refused(408, "slow", "the request did not arrive in time") from error

    async def _read(self, receive: Receive, length: int | None) -> Body:
        largest = self.settings.max_body_bytes
        if length is not None and length > largest:
            raise Refused(413, "large", f"more than {largest} bytes", unread=True)
        body: Body = b""
        size, more = 0, True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "gone", "the client hung up")
                part = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(part)
                self._held += len(part)
                self.swollen = self.swollen or size > SWOLLEN
                if size > largest:
                    body = b""  # the exception would hold it while the rest is read
                    raise Refused(413, "large", f"more than {largest} bytes", unread=more)
                if self._held > TOGETHER * largest:
                    raise Refused(503, "busy", "too many large requests at once")
                if size == len(part):
                    body = part
                else:
                    body = body if isinstance(body, bytearray) else bytearray(body)
                    body += part
            return body
        finally:
            self._held -= size

    def _filter(self, body: Body) -> bytes:
        asked = wire.decode_nodes(body)
        held = self.front.memory.starved_for(asked.pod.uid, self.front.clock.now())
        decision = self.front.filter(asked)
        if decision is None:
            self.metrics.decided("filter", "error")
            return wire.filter_reply(asked)
        self.metrics.decided("filter", decision.result.value)
        if held and (not decision.starved or decision.result is Result.YIELDED):
            self.metrics.held.observe(held / 1000)
        return wire.filter_reply(asked, decision.kept, decision.rejected)

    def _prioritize(self, body: Body) -> bytes:
        names = wire.decode_nodes(body).names
        self.metrics.decided("prioritize", "passthrough")
        return wire.prioritize_reply(names)

    async def _score(self, body: Body, scorer: Scorer) -> bytes:
        asked = wire.decode_nodes(body)
        scores = await scorer.score(asked)
        self.metrics.decided("prioritize", "scored" if scores is not None else "error")
        return wire.prioritize_reply(asked.names, scores)

    def _preempt(self, body: Body) -> bytes:
        asked = wire.decode_candidates(body)
        decision = self.front.preempt(asked)
        if decision is None or decision.kept is None:
            self.metrics.decided("preempt", decision.result.value if decision else "error")
            return wire.preempt_reply(asked.victims)
        self.metrics.decided("preempt", decision.result.value)
        return wire.preempt_reply({name: asked.victims[name] for name in decision.kept})


async def _drain(receive: Receive, seconds: float) -> None:
    """Read and forget what is still to come, while it comes and not for ever."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN):
            more = True
            while more:
                async with asyncio.timeout(seconds):
                    more = (await receive()).get("more_body", False)
