"""A cache of one kind of object that follows the API server: list in pages, then watch.

Objects are known by namespace and name and told apart by UID: one that was deleted and made anew
behind our back is a deletion and an addition. After a watch that cannot be resumed (410) the list
is read again and compared; what is no longer there is deleted as if the server had said so.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from optsched.errors import FormatError
from optsched.k8s.api import Api, ApiError, Unreachable
from optsched.kube.wire import Wire

log = logging.getLogger(__name__)

NAMED = "and is left out; `optsched simulate` of a dump names it"

T = TypeVar("T")
BACKOFF = (0.8, 30.0)  # seconds before the first and before late attempts, each times 0 to 1
WATCH = (300, 600)  # seconds that a watch lasts, drawn anew each time so that they spread
AUDIT = 1800.0  # seconds between comparisons of the cache with a list
HEALTHY = 30.0  # seconds after which the next failure is a first one again


@dataclass(frozen=True)
class Resource:
    """A kind of object and where the API keeps it."""

    kind: str
    group: str  # "" for the core group
    version: str
    plural: str

    @property
    def path(self) -> str:
        """All of them."""
        return self.prefix() + f"/{self.plural}"

    def prefix(self) -> str:
        """Of every path of the group."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def at(self, namespace: str, name: str = "", sub: str = "") -> str:
        """One of them, or a part of it."""
        parts = [self.prefix(), f"namespaces/{namespace}" if namespace else "", self.plural]
        return "/".join(part for part in (*parts, name, sub) if part)


class Head(Wire):
    """Which object this is, at which version."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Object(Wire):
    metadata: Head


class _ListHead(Wire):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _List(Wire):
    metadata: _ListHead = msgspec.field(default_factory=_ListHead)
    items: list[msgspec.Raw] | None = None


class _Event(Wire):
    type: str
    object: msgspec.Raw


class _Error(Wire):
    code: int = 0
    message: str = ""


_OBJECT = msgspec.json.Decoder(_Object)
_LIST = msgspec.json.Decoder(_List)
_EVENT = msgspec.json.Decoder(_Event)
_ERROR = msgspec.json.Decoder(_Error)

Key = tuple[str, str]


@dataclass(slots=True)
class Entry(Generic[T]):
    """An object, who it is, and its version."""

    uid: str
    version: str
    value: T


Listener = Callable[[str, Any, Any], None]  # ADDED, MODIFIED or DELETED; before; after


class _Gone(Exception):
    """The watch cannot be resumed from where we are."""


@dataclass
class Reflector(Generic[T]):
    """Follows one kind; run `run` as a task.

    Attributes
    ----------
    decode
        An object from its JSON; FormatError drops the object, counted in `unreadable`.
    on_change
        Called with every change, after it is in the cache.
    synced
        Whether the list has been read once.
    version
        Up to where the server has told us everything.
    drift
        Objects in which the last audit found the cache wrong.
    restarts
        Per reason.
    """

    api: Api
    resource: Resource
    decode: Callable[[msgspec.Raw], T]
    on_change: Listener = lambda what, before, after: None
    params: dict[str, str] = field(default_factory=dict)
    rng: random.Random = field(default_factory=random.Random)
    store: dict[Key, Entry[T]] = field(default_factory=dict)
    synced: bool = False
    version: str = ""
    drift: int = 0
    unreadable: int = 0
    restarts: dict[str, int] = field(default_factory=dict)
    _heard: float = float("-inf")
    _audited: float = float("-inf")
    _failures: int = 0

    def age(self) -> float:
        """Seconds since the server last said anything about this kind; infinite before the list."""
        return self.api.clock.monotonic() - self._heard

    def confirm(self, at: float) -> None:
        """What matters of the cache was compared with the server at the monotonic time `at`."""
        self._heard = max(self._heard, at)

    def values(self) -> Iterator[T]:
        """All objects."""
        return (entry.value for entry in self.store.values())

    def get(self, namespace: str, name: str) -> T | None:
        """One object."""
        entry = self.store.get((namespace, name))
        return entry.value if entry else None

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            began = self.api.clock.monotonic()
            try:
                if not self.version or began - self._audited > AUDIT:
                    await self.relist()
                await self._watch()
                reason = "ended"
            except _Gone:
                reason, self.version = "gone", ""
            except ApiError as error:
                reason = "unreachable" if isinstance(error, Unreachable) else str(error.status)
                if error.status == 410:
                    reason, self.version = "gone", ""
                wait = error.retry_after
                await self._pause(began, wait)
            except (msgspec.MsgspecError, FormatError) as error:
                reason, self.version = "unreadable", ""
                log.warning(
                    "%s: what the server sent cannot be read: %s", self.resource.kind, error
                )
                await self._pause(began)
            self.restarts[reason] = self.restarts.get(reason, 0) + 1
            if reason in ("ended", "gone"):
                await self._pause(began)

    async def _pause(self, began: float, at_least: float = 0.0) -> None:
        """Wait longer after every failure in a row, at random so that clients spread."""
        lived = self.api.clock.monotonic() - began
        self._failures = 0 if lived > HEALTHY else self._failures + 1
        most = min(BACKOFF[1], BACKOFF[0] * 2 ** min(self._failures, 10))
        await self.api.clock.sleep(at_least + most * self.rng.random())

    async def relist(self) -> None:
        """Read everything and bring the cache to it.

        Raises
        ------
        ApiError
            A page cannot be had; the cache is as before.
        """
        began = self.api.clock.monotonic()
        fresh: dict[Key, Entry[T]] = {}
        query, version = {"limit": str(self.api.settings.page_size), **self.params}, ""
        while True:
            page = _LIST.decode(await self.api.get(self.resource.path, query))
            version = version or page.metadata.resource_version
            for raw in page.items or ():
                self._take(fresh, raw)
            if not page.metadata.continue_:
                break
            query["continue"] = page.metadata.continue_
        audit = self.synced and bool(self.version)
        self.drift = self._replace(fresh, audit)
        self.version, self.synced = version, True
        self._audited = began
        self.confirm(began)

    def _take(self, into: dict[Key, Entry[T]], raw: msgspec.Raw) -> None:
        head = _OBJECT.decode(raw).metadata
        try:
            value = self.decode(raw)
        except FormatError:  # it names the object, and names are a tenant's
            self.unreadable += 1
            log.warning("an object of kind %s cannot be read, %s", self.resource.kind, NAMED)
            return
        into[head.namespace, head.name] = Entry(head.uid, head.resource_version, value)

    def _replace(self, fresh: dict[Key, Entry[T]], audit: bool) -> int:
        """Make the cache equal to a list, telling of every difference; how many there were."""
        before, different = self.store, 0
        self.store = dict(fresh)
        for key, old in before.items():
            new = fresh.get(key)
            if new is None or new.uid != old.uid:
                different += 1
                self.on_change("DELETED", old.value, None)
        for key, new in fresh.items():
            was = before.get(key)
            if was is None or was.uid != new.uid:
                different += 1
                self.on_change("ADDED", None, new.value)
            elif was.version != new.version:
                different += 1
                self.on_change("MODIFIED", was.value, new.value)
        return different if audit else 0

    async def _watch(self) -> None:
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self.version,
            "timeoutSeconds": str(self.rng.randint(*WATCH)),
            **self.params,
        }
        async for line in self.api.lines(self.resource.path, params):
            event = _EVENT.decode(line)
            if event.type == "ERROR":
                error = _ERROR.decode(event.object)
                if error.code == 410:
                    raise _Gone
                raise ApiError(error.code, "watch", error.message)
            self.apply(event.type, event.object)
            self._heard = self.api.clock.monotonic()

    def apply(self, what: str, raw: msgspec.Raw) -> None:
        """Take over one event."""
        head = _OBJECT_OR_BOOKMARK.decode(raw).metadata
        if what == "BOOKMARK":
            self.version = head.resource_version or self.version
            return
        key = (head.namespace, head.name)
        before = self.store.get(key)
        if what == "DELETED":
            if before is not None and before.uid in (head.uid, ""):
                del self.store[key]
                self.on_change("DELETED", before.value, None)
        else:
            one: dict[Key, Entry[T]] = {}
            self._take(one, raw)
            if before is not None and before.uid != head.uid:
                del self.store[key]
                self.on_change("DELETED", before.value, None)
                before = None
            if one:
                self.store.update(one)
                old = before.value if before else None
                self.on_change("MODIFIED" if before else "ADDED", old, one[key].value)
        self.version = head.resource_version


class _LooseHead(Wire):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Loose(Wire):
    metadata: _LooseHead


_OBJECT_OR_BOOKMARK = msgspec.json.Decoder(_Loose)
