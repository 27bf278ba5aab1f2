"""Which of several replicas acts: a Lease, held by renewing it.

A Lease is no fence by itself: a process that sleeps through its end may wake up and go on. So
every side effect asks `check` first, which compares the monotonic clock with the *start* of the
last renewal, and whatever a side effect rests on is written by compare-and-swap (`records`).

Of several schedulers, too, one schedules, and asks the front end on its own machine. That front end
knows the plan only if our leader runs there: with `beside`, nobody else leads.
"""

from __future__ import annotations

import logging
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from optsched.errors import OptschedError
from optsched.k8s.api import Api, ApiError
from optsched.k8s.reflector import Resource
from optsched.k8s.settings import Leader as LeaderSettings
from optsched.kube.wire import Wire

log = logging.getLogger(__name__)

HOME = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
LEASES = Resource("Lease", "coordination.k8s.io", "v1", "leases")


class NotLeaderError(OptschedError):
    """Another replica acts, or may do so by now."""


def home() -> str:
    """The namespace that this process runs in, "default" outside of a cluster."""
    if given := os.environ.get("POD_NAMESPACE"):
        return given
    try:
        return HOME.read_text().strip() or "default"
    except OSError:
        return "default"


class _Spec(Wire):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None
    acquire_time: str | None = None


class _Metadata(Wire):
    resource_version: str = ""


class _Lease(Wire):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _Spec = msgspec.field(default_factory=_Spec)


_LEASE = msgspec.json.Decoder(_Lease)


class Leader:
    """One replica's part in the election.

    Another's Lease counts as ended when it has not changed for `duration` by *our* monotonic
    clock, so that clocks which differ do no harm.

    Attributes
    ----------
    apart
        Why this replica cannot lead where it is; "" if it can.
    """

    def __init__(
        self, api: Api, settings: LeaderSettings, identity: str, machine: str = ""
    ) -> None:
        self._api = api
        self._machine = machine or socket.gethostname()
        self.apart = ""
        self._settings = settings
        self._path = LEASES.at(settings.namespace or "default")
        self.identity = identity
        self._renewed = float("-inf")  # when the last renewal that succeeded was begun
        self._seen: tuple[str, float] = ("", 0.0)  # version of the Lease, and since when

    def holds(self) -> bool:
        """Whether side effects are allowed now."""
        elapsed = self._api.clock.monotonic() - self._renewed
        return elapsed < self._settings.renew_deadline.seconds

    def check(self) -> None:
        """Raise NotLeaderError unless side effects are allowed now."""
        if not self.holds():
            raise NotLeaderError("the Lease is not held: nothing may be done")

    async def run(self) -> None:
        """Try for the Lease, and renew it, until cancelled."""
        while True:
            await self.renew()
            await self._api.clock.sleep(self._settings.retry_period.seconds)

    async def renew(self) -> bool:
        """One attempt to take or renew the Lease; whether it is held."""
        began = self._api.clock.monotonic()
        try:
            self.apart = await self._why_apart()
            if self.apart:
                await self.release()
            won = not self.apart and await self._attempt(began)
        except ApiError as error:
            log.warning("the Lease cannot be renewed: %d %s", error.status, error.reason)
            return self.holds()
        if won:
            self._renewed = began
        else:
            self._renewed = float("-inf")
        return won

    async def release(self) -> None:
        """Give the Lease up, so that another replica need not wait."""
        if not self.holds():
            return
        self._renewed = float("-inf")
        lease = await self._read()
        if lease is not None and lease.spec.holder_identity == self.identity:
            await self._write(lease, holder="", took_over=False)

    async def _attempt(self, began: float) -> bool:
        lease = await self._read()
        if lease is None:
            body = self._body("", took_over=True, transitions=0, acquired=None)
            return await self._try("POST", self._path, body)
        version, holder = lease.metadata.resource_version, lease.spec.holder_identity
        if version != self._seen[0]:
            self._seen = (version, began)
        mine = holder == self.identity
        idle = began - self._seen[1]
        length = lease.spec.lease_duration_seconds or self._settings.duration.seconds
        if holder and not mine and idle < length:
            return False
        return await self._write(lease, holder=self.identity, took_over=not mine)

    async def _why_apart(self) -> str:
        """Whether the scheduler that schedules is elsewhere: its name is MACHINE_UUID."""
        if not self._settings.beside:
            return ""
        namespace, _, name = self._settings.beside.partition("/")
        lease = await self._read(f"{LEASES.at(namespace)}/{name}")
        if lease is None:
            return f"there is no Lease {self._settings.beside} of a scheduler"
        machine = (lease.spec.holder_identity or "").rpartition("_")[0]
        if machine == self._machine:
            return ""
        return f"the scheduler that schedules is on {machine[:100] or 'no machine'}"

    async def _read(self, path: str = "") -> _Lease | None:
        try:
            body = await self._api.get(path or f"{self._path}/{self._settings.lease_name}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return _LEASE.decode(body)

    async def _write(self, lease: _Lease, holder: str, took_over: bool) -> bool:
        spec = lease.spec
        body = self._body(
            lease.metadata.resource_version,
            took_over,
            (spec.lease_transitions or 0) + took_over,
            spec.acquire_time,
            holder,
        )
        return await self._try("PUT", f"{self._path}/{self._settings.lease_name}", body)

    async def _try(self, method: str, path: str, body: Any) -> bool:
        """Whether it was written; False if somebody else was faster."""
        try:
            await self._api.request(method, path, body)
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        return True

    def _body(
        self,
        version: str,
        took_over: bool,
        transitions: int,
        acquired: str | None,
        holder: str | None = None,
    ) -> dict[str, Any]:
        now = _micro_time(self._api.clock.now())
        metadata: dict[str, Any] = {"name": self._settings.lease_name}
        if version:
            metadata["resourceVersion"] = version
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": self.identity if holder is None else holder,
                "leaseDurationSeconds": int(self._settings.duration.seconds),
                "acquireTime": now if took_over or not acquired else acquired,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }


def _micro_time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
