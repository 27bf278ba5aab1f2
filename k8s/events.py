"""Events on pods: one sentence each, best effort, never in the way of anything."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from optsched.k8s.api import Api, ApiError
from optsched.k8s.reflector import Resource

log = logging.getLogger(__name__)

EVENTS = Resource("Event", "events.k8s.io", "v1", "events")
CONTROLLER = "optsched.io/optsched"
SAME = 600.0  # seconds in which the same sentence about the same pod is not said again
MOST = 10_000  # sentences remembered
QUEUE = 500  # events that wait to be written; more are dropped


@dataclass(frozen=True)
class About:
    """The pod that an event is about."""

    namespace: str
    name: str
    uid: str


@dataclass
class Recorder:
    """Writes events in the background.

    Attributes
    ----------
    permit
        Raises where nothing may be written now.
    dropped
        Events that were not written: too many, or refused.
    """

    api: Api
    permit: Callable[[], None]
    instance: str = "optsched"
    dropped: int = 0
    _said: OrderedDict[tuple[str, str, str], float] = field(default_factory=OrderedDict)
    _queue: asyncio.Queue[tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: asyncio.Queue(QUEUE)
    )

    def say(self, pod: About, reason: str, note: str, *, warn: bool = False) -> None:
        """Queue a sentence; the same one about the same pod is not said again for a while."""
        now, key = self.api.clock.monotonic(), (pod.uid, reason, note)
        if now - self._said.get(key, float("-inf")) < SAME:
            return
        self._said[key] = now
        self._said.move_to_end(key)
        if len(self._said) > MOST:
            self._said.popitem(last=False)
        try:
            self._queue.put_nowait((pod.namespace, self._body(pod, reason, note, warn)))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Write what is queued until cancelled."""
        while True:
            namespace, body = await self._queue.get()
            await self._write(namespace, body)

    async def flush(self) -> None:
        """Write all that is queued now."""
        while not self._queue.empty():
            await self._write(*self._queue.get_nowait())

    async def _write(self, namespace: str, body: dict[str, Any]) -> None:
        try:
            self.permit()
            await self.api.request("POST", EVENTS.at(namespace), body)
        except ApiError as error:
            self.dropped += 1
            log.info("an event was not written: %d %s", error.status, error.reason)
        except Exception as error:  # not allowed to write now
            self.dropped += 1
            log.debug("an event was not written: %s", type(error).__name__)

    def _body(self, pod: About, reason: str, note: str, warn: bool) -> dict[str, Any]:
        at = datetime.fromtimestamp(self.api.clock.now() / 1000, UTC)
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": f"{pod.name[:200]}-", "namespace": pod.namespace},
            "eventTime": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": self.instance[:128],
            "action": "Plan",
            "reason": reason,
            "regarding": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": pod.namespace,
                "name": pod.name,
                "uid": pod.uid,
            },
            "note": note[:1000],
            "type": "Warning" if warn else "Normal",
        }
