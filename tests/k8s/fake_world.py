"""An executor on a fake cluster, by a simulated clock, and started anew as often as wanted."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from fake_cluster import FakeCluster, cpu_of

import optsched
from optsched.errors import PlanError
from optsched.k8s.api import Access, Api
from optsched.k8s.configuration import load
from optsched.k8s.executor import Executor
from optsched.k8s.executor.effects import Effects
from optsched.k8s.executor.machine import OffError
from optsched.k8s.executor.validate import problem_of
from optsched.k8s.mirror import Mirror
from optsched.k8s.proposal import proposal
from optsched.k8s.records import (
    ENDED,
    PLANS,
    ObjectMeta,
    PlacementPlan,
    PlannedMove,
    PlannedPlacement,
    PlanSpec,
    decode_plan,
)
from optsched.k8s.settings import Deployment, Mode, Settings
from optsched.k8s.simulator.api_server import FakeApi
from optsched.k8s.simulator.clock import SimulatedClock
from optsched.k8s.simulator.front import FrontEnd
from optsched.k8s.table import Board

Point = Callable[[str], None]


def bench(**changes: object) -> Settings:
    """The bench profile in mode Enforce; changes like MOVES_TTL="20s"."""
    wanted = {"MODE": "Enforce", "PROFILE": "Bench", "CLIENT_QPS": 1000, "CLIENT_BURST": 1000}
    wanted |= changes
    return load(None, {f"OPTSCHED_CONFIG_{name}": str(value) for name, value in wanted.items()})


@dataclass
class World:
    """Everything together."""

    clock: SimulatedClock
    api: FakeApi
    cluster: FakeCluster
    settings: Settings
    client: Api
    mirror: Mirror
    executor: Executor
    leads: bool = True
    point: Point = lambda name: None
    steps: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def permit(self) -> None:
        """As the brain does before every write."""
        if self.settings.mode is Mode.OFF:
            raise OffError
        if not self.leads:
            from optsched.k8s.leader import NotLeaderError

            raise NotLeaderError("another leads")

    @property
    def board(self) -> Board | None:
        """Where the front end reads; where gates steer there is none."""
        gated = self.settings.deployment is Deployment.GATED
        return None if gated else self.cluster.front.board

    async def restart(self) -> None:
        """As a process that was killed and started again: nothing is known but what is stored."""
        from optsched.k8s.api import cancel

        await cancel(*self._tasks)
        self.mirror = Mirror(self.client)
        self._tasks = [asyncio.ensure_future(one.run()) for one in self.mirror.reflectors.values()]
        self.executor = self.another()
        await self.caught_up()

    def another(self) -> Executor:
        """An executor beside the one that there is."""
        effects = Effects(self.client, self.board, self.permit, lambda name: self.point(name))
        return Executor(effects, self.mirror, lambda: self.settings, self.clock, random.Random(0))

    async def caught_up(self) -> None:
        """Wait until the caches know what the server knows."""
        for _ in range(20_000):
            if all(
                one.synced and int(one.version or 0) >= self.api.latest[one.resource.plural]
                for one in self.mirror.reflectors.values()
            ):
                return
            await asyncio.sleep(0.0005)
        raise AssertionError("the caches do not catch up")

    async def propose(self, time_limit: float = 2.0) -> PlacementPlan | None:
        """Let the solver look at the cluster and write its plan down; None if it has none."""
        await self.caught_up()
        now = self.clock.now()
        problem = problem_of(self.mirror, self.settings, now)
        result = optsched.solve(problem, time_limit=time_limit, workers=1)
        if not result.plan.waves:
            return None
        try:
            plan = proposal(problem, result, self.mirror, self.settings, now)
        except PlanError:
            return None  # a pod would have to be moved twice
        return await self.create(plan)

    async def create(self, plan: PlacementPlan) -> PlacementPlan:
        """Write a plan down."""
        effects = Effects(self.client, None, lambda: None)
        return await effects.create(plan)

    def plan(self, like: PlacementPlan) -> PlacementPlan:
        """The plan as it is stored."""
        tree = self.api.get(PLANS.plural, "", like.metadata.name)
        assert tree is not None
        return decode_plan(msgspec.json.encode(tree))

    async def round(self) -> None:
        """One step, and everybody else reacts; time passes as the executor asks."""
        self.steps += 1
        delay = await self.executor.step()
        self.cluster.settle()
        await self.caught_up()
        self.clock.advance(delay)

    async def drive(self, plan: PlacementPlan, rounds: int = 2000) -> PlacementPlan:
        """Until the plan has ended."""
        for _ in range(rounds):
            now = self.plan(plan)
            if now.phase in ENDED:
                return now
            await self.round()
        raise AssertionError(f"the plan does not end: {self.plan(plan).status}")

    def lost(self) -> list[str]:
        """Owners that have fewer pods than they want."""
        return [
            owner["metadata"]["name"]
            for owner in self.api.all("replicasets")
            if len(self.cluster.pods_of(owner)) < owner["spec"]["replicas"]
        ]

    def leftovers(self) -> list[str]:
        """What a plan that has ended should have taken back."""
        slot = self.api.get("planslots", "", "cluster") or {"spec": {}}
        left = [f"slot {uid}" for uid in slot["spec"].get("activePlans", ())]
        if self.cluster.front.board.read().plan:
            left.append("table")
        for pod in self.api.all("pods"):
            if pod["status"].get("nominatedNodeName"):
                left.append(f"nomination of {pod['metadata']['name']}")
            if pod["spec"].get("schedulingGates"):
                left.append(f"gate of {pod['metadata']['name']}")
        return left


@contextlib.asynccontextmanager
async def world(
    folder: Path, seed: int = 0, settings: Settings | None = None
) -> AsyncIterator[World]:
    """A running one without any objects but the namespace shop."""
    clock = SimulatedClock()
    api = FakeApi(clock.now)
    await api.start()
    cluster = FakeCluster(api, clock, FrontEnd(folder, clock), random.Random(seed))
    cluster.namespace()
    chosen = settings or bench()
    async with Api(Access(api.url), chosen.client, clock) as client:
        mirror = Mirror(client)
        one = World(clock, api, cluster, chosen, client, mirror, None)  # type: ignore[arg-type]
        await one.restart()
        try:
            yield one
        finally:
            from optsched.k8s.api import cancel

            await cancel(*one._tasks)
            await api.stop()


def fragmented(cluster: FakeCluster) -> dict[str, Any]:
    """Two nodes with a half-filled pair of pods, and a pending pod that needs a whole node."""
    cluster.node("n0")
    cluster.node("n1")
    small, big = cluster.owner("small", 900, 2), cluster.owner("big", 1900, 1)
    cluster.pod_of(small, "n0")
    cluster.pod_of(small, "n1")
    cluster.pod_of(big)
    cluster.settle()
    return {"small": small, "big": big}


def chain(cluster: FakeCluster) -> None:
    """A pending pod that fits when one pod makes room for another, in two waves."""
    for name, size in (("n0", 2000), ("n1", 1500), ("n2", 1300)):
        cluster.node(name, size)
    for app, cpu, node in (("first", 700, "n1"), ("second", 900, "n0"), ("third", 500, "n2")):
        cluster.pod_of(cluster.owner(app, cpu, 1), node)
    cluster.pod_of(cluster.owner("big", 1900, 1))
    cluster.settle()


CHAIN = ([("first", "n1", "n2", 0), ("second", "n0", "n1", 1)], [("big", "n0", 2)])


def by_hand(
    w: World, moves: list[tuple[str, str, str, int]], helped: list[tuple[str, str, int]]
) -> PlacementPlan:
    """A plan of (app, source, target, wave) and (app, node, wave)."""

    def pods(app: str, node: str) -> list[dict[str, Any]]:
        return [
            pod
            for pod in w.api.all("pods")
            if pod["metadata"]["labels"]["app"] == app and pod["spec"].get("nodeName", "") == node
        ]

    planned, placements = [], []
    for app, source, target, wave in moves:
        taken = {one.uid for one in planned}
        pod = next(one for one in pods(app, source) if one["metadata"]["uid"] not in taken)
        meta, owner = pod["metadata"], pod["metadata"]["ownerReferences"][0]
        planned.append(
            PlannedMove(
                meta["uid"], "shop", meta["name"], source, target, owner["uid"], owner["kind"],
                "h1", "", wave, pod["spec"]["terminationGracePeriodSeconds"],
                {"cpu": cpu_of(pod), "pods": 1},
            )
        )  # fmt: skip
    for app, node, wave in helped:
        pod = pods(app, "")[0]
        meta, need = pod["metadata"], {"cpu": cpu_of(pod), "pods": 1}
        placements.append(PlannedPlacement(meta["uid"], "shop", meta["name"], node, wave, need))
    now, ttl = w.clock.now(), int(w.settings.moves.ttl)
    spec = PlanSpec(moves=tuple(planned), placements=tuple(placements), created=now, ttl=ttl)
    return PlacementPlan(metadata=ObjectMeta(generate_name="plan-"), spec=spec)


def run(coroutine: Any) -> Any:
    """Run a test's coroutine."""
    return asyncio.run(coroutine)
