"""A dump through the whole planner and executor, without a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from optsched.errors import FormatError, OptschedError
from optsched.k8s.api import Access, Api
from optsched.k8s.events import Recorder
from optsched.k8s.executor import Executor
from optsched.k8s.executor.effects import Effects
from optsched.k8s.mirror import Mirror
from optsched.k8s.planner.planner import Planner
from optsched.k8s.planner.solving import Solving
from optsched.k8s.records import ENDED, PLANS, PlacementPlan, decode_plan
from optsched.k8s.settings import Client, Settings
from optsched.k8s.simulator.api_server import FakeApi
from optsched.k8s.simulator.clock import START, SimulatedClock
from optsched.k8s.simulator.cluster import Loaded, live
from optsched.k8s.simulator.front import FrontEnd
from optsched.k8s.storyteller import Storyteller

Tree = dict[str, Any]
ROUNDS = 200_000  # steps; far more than any plan takes


@dataclass(frozen=True)
class Told:
    """An event on a pod."""

    pod: str
    reason: str
    note: str


@dataclass(frozen=True)
class Simulation:
    """What came of it.

    Attributes
    ----------
    before, after
        Names of the pending pods.
    ran
        Running pods before and after.
    seconds
        Of simulated time.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    ran: tuple[int, int]
    plans: tuple[PlacementPlan, ...]
    events: tuple[Told, ...]
    evictions: int
    violations: tuple[str, ...]
    lost: tuple[str, ...]
    seconds: float


@dataclass
class _Scene:
    """Everything that runs."""

    clock: SimulatedClock
    api: FakeApi
    cluster: Loaded
    mirror: Mirror
    planner: Planner
    executor: Executor
    events: Recorder
    failures: list[str]

    async def caught_up(self) -> Mirror:
        """Wait until the caches know what the server knows."""
        for _ in range(200_000):
            if all(
                one.synced and int(one.version or 0) >= self.api.latest[one.resource.plural]
                for one in self.mirror.reflectors.values()
            ):
                return self.mirror
            await asyncio.sleep(0.0005)
        raise RuntimeError("the caches do not catch up")

    def plans(self) -> list[PlacementPlan]:
        """As they are stored, oldest first."""
        trees = self.api.all(PLANS.plural)
        plans = [decode_plan(msgspec.json.encode(tree)) for tree in trees]
        return sorted(plans, key=lambda plan: (plan.spec.created, plan.uid))


async def simulate(
    items: Iterable[Tree],
    settings: Settings,
    *,
    now: int | None = None,
    seed: int = 0,
    most_plans: int = 20,
    on_progress: Callable[[str], None] = lambda text: None,
) -> Simulation:
    """Let the service deal with a cluster until it has nothing more to propose.

    Parameters
    ----------
    items
        Objects of a dump.
    settings
        As the service would have them; the mode too.
    now
        Milliseconds since 1970; default: the newest time in the dump.

    Raises
    ------
    FormatError
        The objects cannot be read.
    """
    objects = list(items)
    clock = SimulatedClock(now if now is not None else _newest(objects))
    async with _scene(objects, settings, clock, seed) as scene:
        await scene.cluster.settle()
        await scene.caught_up()  # the scheduler may just have refused somebody
        before = [_name(pod) for pod in scene.cluster.pending()]
        began, running = clock.monotonic(), live(scene.api)
        on_progress(f"pending: {len(before)}")
        await _drive(scene, most_plans, on_progress)
        await scene.events.flush()
        return Simulation(
            tuple(before),
            tuple(_name(pod) for pod in scene.cluster.pending()),
            (running, live(scene.api)),
            tuple(scene.plans()),
            tuple(_events(scene.api)),
            sum(scene.api.evicted.values()),
            tuple(scene.api.violations),
            tuple(scene.cluster.lost()),
            clock.monotonic() - began,
        )


async def _drive(scene: _Scene, most_plans: int, on_progress: Callable[[str], None]) -> None:
    """Step everybody until no plan is under way and the planner has had its say."""
    known = 0
    idle = 0
    for _ in range(ROUNDS):
        plans = scene.plans()
        busy = any(plan.phase not in ENDED for plan in plans)
        if len(plans) > known:
            known = len(plans)
            on_progress(f"plan {known}: {plans[-1].spec.summary}")
        delay = 0.0
        if not busy:
            tries = scene.planner.waiting.tries()
            if known >= most_plans:
                return
            failed = len(scene.failures)
            delay = await scene.planner.step()
            if len(scene.failures) > failed:
                if failed:
                    raise OptschedError(
                        "the solver gave no answer, twice; give planner.timeLimit or "
                        "planner.memoryBytes more, or look at the file with optsched solve"
                    )
                tries = scene.planner.waiting.tries()  # that was no attempt
            idle = idle + 1 if len(scene.plans()) == known else 0
            # Nobody is left, or all who are were tried in vain since the last plan.
            if idle and (not len(scene.planner.waiting) or scene.planner.waiting.tries() > tries):
                return
        else:
            delay = await scene.executor.step()
        await scene.cluster.settle()
        await scene.caught_up()
        scene.clock.advance(max(delay, 0.001))
    raise RuntimeError("the simulation does not end")


@contextlib.asynccontextmanager
async def _scene(
    objects: list[Tree], settings: Settings, clock: SimulatedClock, seed: int
) -> AsyncIterator[_Scene]:
    api = FakeApi(clock.now)
    await api.start()
    rng = random.Random(seed)
    unlimited = Client(qps=1000, burst=1000, page_size=5000)
    solving = Solving(settings.planner.memory_bytes, clock, polite=False)
    failures: list[str] = []

    def observe(outcome: str, seconds: float) -> None:
        if outcome in ("failed", "unreadable"):
            failures.append(outcome)

    with tempfile.TemporaryDirectory() as folder:
        async with Api(Access(api.url), unlimited, clock) as client:
            mirror = Mirror(client)
            front = FrontEnd(Path(folder), clock, settings.guard.rules())
            events = Recorder(client, lambda: None)
            story = Storyteller(events, lambda: settings.mode)
            effects = Effects(client, front.board, lambda: None)
            executor = Executor(effects, mirror, lambda: settings, clock, rng, story)
            planner = Planner(
                mirror, effects, solving, lambda: settings, clock, events, observe=observe
            )
            scene: _Scene

            async def caught_up() -> Mirror:
                return await scene.caught_up()

            cluster = Loaded(api, clock, front, settings, caught_up, rng)
            cluster.load(objects)
            scene = _Scene(clock, api, cluster, mirror, planner, executor, events, failures)
            try:
                async with mirror.following():
                    await solving.warm()
                    await scene.caught_up()
                    yield scene
            finally:
                await solving.close()
                await api.stop()


def _events(api: FakeApi) -> Iterable[Told]:
    for tree in api.all("events"):
        about = tree["regarding"]
        yield Told(f"{about['namespace']}/{about['name']}", tree["reason"], tree["note"])


def _name(pod: Tree) -> str:
    return f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}"


def _newest(objects: list[Tree]) -> int:
    """The newest time at which anything is said to have happened, in milliseconds."""
    texts = [one.get("metadata", {}).get("creationTimestamp") or "" for one in objects]
    for one in objects:
        status = one.get("status")
        rows = status.get("conditions") if isinstance(status, dict) else None
        texts += [row.get("lastTransitionTime") or "" for row in rows or ()]
    newest = max(texts, default="")
    if not newest:
        return START
    try:
        return int(datetime.fromisoformat(newest).timestamp() * 1000)
    except ValueError as error:
        raise FormatError(f"{newest[:40]!r} is not a time such as 2026-11-23T07:10:53Z") from error
