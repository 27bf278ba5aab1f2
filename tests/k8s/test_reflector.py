"""The cache equals the server's list, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from fake_world import run

from optsched.errors import FormatError
from optsched.k8s import reflector as module
from optsched.k8s.api import Access, Api, cancel
from optsched.k8s.mirror import NAMESPACES
from optsched.k8s.reflector import Reflector
from optsched.k8s.settings import Client
from optsched.k8s.simulator.api_objects import Refusal
from optsched.k8s.simulator.api_server import FakeApi
from optsched.k8s.simulator.clock import SimulatedClock

Tree = dict[str, Any]


def _decode(raw: msgspec.Raw) -> Tree:
    tree: Tree = msgspec.json.decode(raw)
    if tree["metadata"].get("labels", {}).get("broken"):
        raise FormatError("this one is broken")
    return tree


@dataclass
class Scene:
    """A reflector of namespaces that runs, and what it told."""

    api: FakeApi
    clock: SimulatedClock
    one: Reflector[Tree]
    told: list[tuple[str, str]] = field(default_factory=list)

    def put(self, name: str, **labels: str) -> None:
        """An object changes, or is new."""
        before = self.api.get("namespaces", "", name)
        uid = {"uid": before["metadata"]["uid"]} if before else {}
        self.api.put("namespaces", {"metadata": {"name": name, "labels": labels, **uid}})

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait."""
        for _ in range(5000):
            if holds():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("waited in vain")

    def equal(self) -> bool:
        """Whether cache and server are the same."""
        here = {key[1]: one.version for key, one in self.one.store.items()}
        there = {
            one["metadata"]["name"]: one["metadata"]["resourceVersion"]
            for one in self.api.all("namespaces")
        }
        return self.one.synced and here == there


@contextlib.asynccontextmanager
async def scene(names: int = 0, **client: Any) -> AsyncIterator[Scene]:
    """One that has read `names` objects."""
    clock = SimulatedClock()
    api = FakeApi(clock.now)
    await api.start()
    settings = Client(qps=1000, burst=1000, **client)
    async with Api(Access(api.url), settings, clock) as connection:
        one: Reflector[Tree] = Reflector(connection, NAMESPACES, _decode)
        here = Scene(api, clock, one)

        def note(what: str, before: Tree | None, after: Tree | None) -> None:
            tree = after or before
            assert tree is not None
            here.told.append((what, tree["metadata"]["name"]))

        one.on_change = note
        for number in range(names):
            here.put(f"n{number}")
        task = asyncio.ensure_future(one.run())
        try:
            await here.until(here.equal)
            yield here
        finally:
            await cancel(task)
            await api.stop()


def test_lists_in_pages() -> None:
    """A list of several pages is read whole."""

    async def story() -> None:
        async with scene(35, page_size=10) as s:
            assert len(s.one.store) == 35
            assert s.one.restarts == {}

    run(story())


def test_follows() -> None:
    """Additions, changes and deletions arrive as such; a bookmark moves the version on."""

    async def story() -> None:
        async with scene() as s:
            s.put("a")
            s.put("a", x="1")
            s.put("b")
            s.api.remove("namespaces", "", "a")
            await s.until(lambda: len(s.told) == 4)
            assert s.told == [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
            s.api.version += 100
            s.api.bookmark()
            await s.until(lambda: s.one.version == str(s.api.version))

    run(story())


def test_gone() -> None:
    """After 410 the list is compared by UID: what went is deleted, a namesake is another object."""

    async def story() -> None:
        async with scene(3) as s:
            await s.until(lambda: bool(s.api._watchers["namespaces"]))
            s.told.clear()
            s.api.mute = True
            s.api.remove("namespaces", "", "n0")
            s.api.remove("namespaces", "", "n1")
            s.put("n1")
            s.put("n3")
            await asyncio.sleep(0.02)  # a watch that is open swallows all of it
            s.api.compact()
            s.api.mute = False
            s.api.drop_watches()
            await s.until(s.equal)
            assert sorted(s.told) == [
                ("ADDED", "n1"), ("ADDED", "n3"), ("DELETED", "n0"), ("DELETED", "n1"),
            ]  # fmt: skip
            assert s.told.index(("DELETED", "n1")) < s.told.index(("ADDED", "n1"))
            assert s.one.restarts["gone"] == 1

    run(story())


def test_dropped() -> None:
    """A watch that ends is resumed from where it was; nothing is told twice."""

    async def story() -> None:
        async with scene(2) as s:
            for round_ in range(5):
                s.api.drop_watches()
                s.put(f"more{round_}")
            await s.until(s.equal)
            assert [name for what, name in s.told if what == "ADDED"] == [
                "n0", "n1", *(f"more{i}" for i in range(5)),
            ]  # fmt: skip

    run(story())


@pytest.mark.parametrize(
    "fault",
    [
        Refusal(500, "InternalError"),
        Refusal(429, "TooManyRequests", retryAfterSeconds=2),
        Refusal(403, "Forbidden"),
        "drop",
    ],
)
def test_in_trouble(fault: Refusal | str) -> None:
    """A server in trouble is asked again, and the cache keeps what it has meanwhile."""

    async def story() -> None:
        async with scene(3) as s:
            s.api.fault = lambda method, path: fault
            s.api.drop_watches()
            s.api.remove("namespaces", "", "n0")
            await s.until(lambda: sum(s.one.restarts.values()) >= 4)
            assert len(s.one.store) == 3
            s.api.fault = lambda method, path: None
            await s.until(s.equal)

    run(story())


def test_audit() -> None:
    """A cache that differs from the list without anybody having said so is found and mended."""

    async def story() -> None:
        async with scene(3) as s:
            s.one.store.pop(("", "n1"))
            s.clock.advance(module.AUDIT + 1)
            await s.until(lambda: bool(s.api._watchers["namespaces"]))
            s.api.drop_watches()
            await s.until(s.equal)
            assert s.one.drift == 1

    run(story())


def test_age() -> None:
    """The age of the cache grows while nothing is heard."""

    async def story() -> None:
        async with scene(1) as s:
            s.clock.advance(3)
            assert s.one.age() >= 3
            s.put("a")
            await s.until(lambda: s.one.age() == 0)

    run(story())


def test_unreadable(caplog: pytest.LogCaptureFixture) -> None:
    """An object that cannot be read is left out and counted; the others are not harmed."""

    async def story() -> None:
        async with scene(1) as s:
            s.put("bad", broken="1")
            s.put("good")
            await s.until(lambda: s.one.get("", "good") is not None)
            assert s.one.get("", "bad") is None
            assert s.one.unreadable == 1

    run(story())
    assert "cannot be read" in caplog.text
    assert "bad" not in caplog.text


def test_many_faults() -> None:
    """After a thousand events with drops and compactions between them the cache is the list."""

    async def story() -> None:
        async with scene() as s:
            for number in range(1000):
                name = f"n{number % 37}"
                if number % 5 == 4:
                    s.api.remove("namespaces", "", name)
                else:
                    s.put(name, round=str(number))
                if number % 50 == 7:
                    s.api.drop_watches()
                if number % 200 == 9:
                    s.api.compact()
                if number % 10 == 0:
                    await asyncio.sleep(0)
            s.api.drop_watches()
            await s.until(s.equal)
            assert s.one.get("", f"n{998 % 37}") is not None

    run(story())
