"""`python -m optsched.k8s.reaper [CONFIG]`: sees to it that no gate outlives its end.

A gated pod is looked at by no scheduler, so a service that dies must not leave any behind. This
process knows nothing of plans: it looks at pending pods, opens the gates that have ended, and has
pods that were led to a node which has no room for them made anew, by an eviction of that very pod.
It does so in every mode, because in modes that do not act it only undoes. Several may run at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from optsched.errors import FormatError, OptschedError
from optsched.k8s import gates
from optsched.k8s.api import MERGE, Api, ApiError, access
from optsched.k8s.configuration import Watched
from optsched.k8s.logs import set_up
from optsched.k8s.mirror import PODS
from optsched.k8s.parent import end_with_parent
from optsched.k8s.settings import Mode, Settings
from optsched.kube import Cluster
from optsched.kube.podspec import Pod
from optsched.kube.wire import Wire

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between looks at the pods
SILENT = 5.0  # seconds without a sign of the brain after which it counts as dead
PENDING = {"fieldSelector": "spec.nodeName="}


class Todo(StrEnum):
    """What is due for a pod."""

    OPEN = "open"
    REMAKE = "remake"


class _Listed(Wire):
    items: list[msgspec.Raw] = msgspec.field(default_factory=list)


class _Versioned(Wire):
    resource_version: str = ""


class _Headed(Wire):
    metadata: _Versioned = msgspec.field(default_factory=_Versioned)


_LISTED = msgspec.json.Decoder(_Listed)
_HEADED = msgspec.json.Decoder(_Headed)


def due(pod: Pod, settings: Settings, alive: bool, now: int) -> Todo | None:
    """What is to be done about a pending pod now, milliseconds since 1970.

    Without a brain that is `alive` only pods are held for which a plan has asked; in modes that do
    not act, none.
    """
    if pod.metadata.deletion_timestamp:
        return None
    acts, hold = settings.mode is Mode.ENFORCE, int(settings.guard.max_hold)
    if gates.is_held(pod):
        life = int(settings.guard.max_life) if acts else 0
        ends = gates.ends(pod, hold if alive else 0, life)
        return Todo.OPEN if now >= ends else None
    since = gates.refused_since(pod) if gates.led_to(pod) else 0
    return Todo.REMAKE if since and now - since >= hold else None


class Reaper:
    """Looks at the pending pods again and again."""

    def __init__(self, watched: Watched, api: Api) -> None:
        self.watched = watched
        self._api = api
        self._pulse = Path(watched.current.runtime) / "brain"

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.watched.refresh()
            try:
                await self.look()
            except ApiError as error:
                log.warning("gates are looked at later: %d %s", error.status, error.reason)
            await self._api.clock.sleep(LOOK)

    async def look(self) -> None:
        """Do what is due.

        Raises
        ------
        ApiError
            The server cannot be asked.
        """
        listed = _LISTED.decode(await self._api.get(PODS.path, PENDING))
        settings, alive = self.watched.current, self.brain_acts()
        now = self._api.clock.now() - int(1000 * self._api.skew)
        for raw, pod in _readable(listed.items):
            todo = due(pod, settings, alive, now)
            try:
                if todo is Todo.OPEN:
                    await self._open(pod)
                elif todo is Todo.REMAKE:
                    await self._remake(pod, _HEADED.decode(raw).metadata.resource_version)
            except ApiError as error:
                if error.status not in (404, 409, 422):
                    raise

    def brain_acts(self) -> bool:
        """Whether the brain lives and decides on gated pods."""
        try:
            silent = time.time() - self._pulse.stat().st_mtime
            return silent < SILENT and self._pulse.read_text().endswith(Mode.ENFORCE.value)
        except OSError:
            return False

    async def _open(self, pod: Pod) -> None:
        log.info("a gate has ended and is opened")
        path = PODS.at(pod.metadata.namespace, pod.metadata.name)
        await self._api.request("PATCH", path, gates.opening(pod), kind=MERGE)

    async def _remake(self, pod: Pod, version: str) -> None:
        """Evict a pod that has no node, in the very state that we saw, so that it runs nowhere."""
        log.info("a pod that was led to a node without room is made anew")
        meta = pod.metadata
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": meta.name, "namespace": meta.namespace},
            "deleteOptions": {"preconditions": {"uid": meta.uid, "resourceVersion": version}},
        }
        await self._api.request("POST", PODS.at(meta.namespace, meta.name, "eviction"), body)


def _readable(items: list[msgspec.Raw]) -> Iterator[tuple[msgspec.Raw, Pod]]:
    """The pods whose gates can be read, whatever else is in them."""
    for raw in items:
        one = Cluster()
        with contextlib.suppress(FormatError):
            one.add(raw, PODS.kind)
            yield raw, one.pods[0]


def main(arguments: list[str]) -> int:
    """Serve; 2 if the configuration or an installation is at fault."""
    end_with_parent()
    try:
        watched = Watched(arguments[0] if arguments else None)
        set_up(watched.current.logging)
        asyncio.run(_serve(watched))
    except OptschedError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(watched: Watched) -> None:
    settings = watched.current
    async with Api(access(settings.client), settings.client) as api:
        task = asyncio.ensure_future(Reaper(watched, api).run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
