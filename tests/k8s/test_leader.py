"""One of several leads; who does not know whether he leads does nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fake_world import run

from optsched.k8s.api import Access, Api
from optsched.k8s.leader import Leader, NotLeaderError
from optsched.k8s.settings import Client
from optsched.k8s.settings import Leader as Settings
from optsched.k8s.simulator.api_objects import Refusal
from optsched.k8s.simulator.api_server import FakeApi
from optsched.k8s.simulator.clock import SimulatedClock


class Skewed(SimulatedClock):
    """Another machine's clock: the same flow of time, another time of day."""

    def __init__(self, clock: SimulatedClock, skew: float) -> None:
        super().__init__()
        self.clock, self.skew = clock, skew

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.clock.now() + int(1000 * self.skew)

    def monotonic(self) -> float:
        """Seconds."""
        return self.clock.monotonic()


@contextlib.asynccontextmanager
async def two(skew: float = 0.0) -> AsyncIterator[tuple[FakeApi, SimulatedClock, list[Leader]]]:
    """Two candidates; the clock of the second is wrong by `skew` seconds."""
    clock = SimulatedClock()
    api = FakeApi(clock.now)
    await api.start()
    async with contextlib.AsyncExitStack() as stack:
        leaders = []
        for number, its in enumerate((clock, Skewed(clock, skew))):
            client = Api(Access(api.url), Client(qps=1000, burst=1000), its)
            await stack.enter_async_context(client)
            leaders.append(Leader(client, Settings(), f"replica-{number}"))
        try:
            yield api, clock, leaders
        finally:
            await api.stop()


def _lease(api: FakeApi) -> Any:
    lease = api.get("leases", "default", "optsched")
    assert lease is not None
    return lease["spec"]


def test_one_leads() -> None:
    """The first leads, the second does not, however often it asks."""

    async def story() -> None:
        async with two() as (api, clock, (first, second)):
            assert await first.renew()
            for _ in range(20):
                assert not await second.renew()
                clock.advance(2)
                assert await first.renew()
            assert _lease(api)["holderIdentity"] == "replica-0"
            with pytest.raises(NotLeaderError):
                second.check()

    run(story())


@pytest.mark.parametrize("skew", [-3600.0, 0.0, 3600.0])
def test_takes_over(skew: float) -> None:
    """The second takes over a whole Lease after the last renewal, whatever its clock says."""

    async def story() -> None:
        async with two(skew) as (api, clock, (first, second)):
            assert await first.renew()
            assert not await second.renew()
            for _ in range(6):
                clock.advance(2)
                assert not await second.renew()
            clock.advance(4)
            assert not first.holds()
            assert await second.renew()
            assert _lease(api)["leaseTransitions"] == 1

    run(story())


def test_never_two() -> None:
    """At no moment may both write, though the first sleeps through the end of its Lease."""

    async def story() -> None:
        async with two() as (_, clock, (first, second)):
            assert await first.renew()
            for _ in range(60):
                clock.advance(0.5)
                await second.renew()
                assert not (first.holds() and second.holds())
            assert second.holds()
            assert not await first.renew()

    run(story())


@pytest.mark.parametrize("fault", [Refusal(500, "InternalError"), Refusal(403, "No"), "drop"])
def test_unreachable(fault: Refusal | str) -> None:
    """A leader that cannot renew stops at the renew deadline, before its Lease ends."""

    async def story() -> None:
        async with two() as (api, clock, (first, _)):
            assert await first.renew()
            api.fault = lambda method, path: fault
            clock.advance(9.9)
            assert await first.renew()  # still within its deadline
            clock.advance(0.2)
            assert not await first.renew()
            with pytest.raises(NotLeaderError):
                first.check()
            api.fault = lambda method, path: None
            assert await first.renew()

    run(story())


def test_conflict() -> None:
    """Who loses the race for a free Lease does not lead."""

    async def story() -> None:
        async with two() as (_, _, (first, second)):
            won = await asyncio.gather(first.renew(), second.renew())
            assert sorted(won) == [False, True]

    run(story())


def test_release() -> None:
    """A leader that ends gives the Lease up, and the next need not wait."""

    async def story() -> None:
        async with two() as (_, _, (first, second)):
            assert await first.renew()
            assert not await second.renew()
            await first.release()
            assert not first.holds()
            assert await second.renew()

    run(story())


def test_leads_beside_the_scheduler() -> None:
    """Only a replica on the machine of the scheduler that schedules leads, and it follows."""

    async def story() -> None:
        async with two() as (api, clock, _):
            settings = Settings(beside="kube-system/kube-scheduler")
            async with Api(Access(api.url), Client(qps=1000, burst=1000), clock) as client:
                east, west = (Leader(client, settings, one, one) for one in ("east", "west"))
                assert not await east.renew()
                assert "no Lease kube-system/kube-scheduler" in east.apart
                _elect(api, "east_0b5a")
                assert not await west.renew()
                assert await east.renew()
                assert "on east" in west.apart
                _elect(api, "west_71c2")
                assert not await east.renew()
                assert not east.holds()
                assert await west.renew()  # at once: the other has given the Lease up
                assert west.apart == ""

    run(story())


def test_a_scheduler_whose_lease_cannot_be_read() -> None:
    """Nothing is known of it: the leader leads on for no longer than without its own."""

    async def story() -> None:
        async with two() as (api, clock, _):
            settings = Settings(beside="kube-system/kube-scheduler")
            async with Api(Access(api.url), Client(qps=1000, burst=1000), clock) as client:
                leader = Leader(client, settings, "replica", "east")
                _elect(api, "east_0b5a")
                assert await leader.renew()
                api.fault = lambda method, path: (
                    Refusal(403, "Forbidden") if "kube-scheduler" in path else None
                )
                clock.advance(9.9)
                assert await leader.renew()
                clock.advance(0.2)
                assert not await leader.renew()

    run(story())


def _elect(api: FakeApi, holder: str) -> None:
    metadata = {"name": "kube-scheduler", "namespace": "kube-system"}
    api.put("leases", {"metadata": metadata, "spec": {"holderIdentity": holder}})
