"""Random clusters in which a pod does not fit, and everything that may go wrong while it is helped.

Used by the tests with a few seeds and by benchmarks/k8s/random_plans.py with many.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fake_cluster import FakeCluster
from fake_world import CHAIN, World, bench, by_hand, chain, world

from optsched.k8s.records import ENDED, PlacementPlan
from optsched.k8s.simulator.api_objects import Refusal

SIZE = 4000  # milli-CPUs of a node
DEADLINE = 900  # rounds; far more than any plan takes


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Story:
    """How one plan went.

    Attributes
    ----------
    phase
        In which it ended; "" if the solver had none.
    kills, steps
        How often the executor was killed, and how many writes it has begun or ended.
    """

    seed: int
    phase: str
    evictions: int = 0
    violations: tuple[str, ...] = ()
    doubles: int = 0
    lost: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    reason: str = ""
    kills: int = 0
    steps: int = 0

    @property
    def harm(self) -> bool:
        """Whether anything went wrong that must not."""
        return bool(self.violations or self.doubles or self.lost or self.leftovers)


def fill(cluster: FakeCluster, rng: random.Random) -> None:
    """Owners with budgets on nodes that are nearly full, and pods that nothing has room for."""
    nodes = [f"n{i}" for i in range(rng.randint(3, 6))]
    for name in nodes:
        cluster.node(name, SIZE)
    for number in range(rng.randint(4, 8)):
        replicas = rng.randint(2, 4)
        owner = cluster.owner(f"app{number}", 100 * rng.randint(3, 12), replicas)
        room = [n for n in nodes if cluster.free(n) >= owner["spec"]["cpu"]]
        if not room:
            cluster.api.remove("replicasets", "shop", owner["metadata"]["name"])
            continue
        for _ in range(replicas):
            room = [n for n in nodes if cluster.free(n) >= owner["spec"]["cpu"]]
            if room:
                cluster.pod_of(owner, rng.choice(room))
        if rng.random() < 0.8:
            there = len(cluster.pods_of(owner))
            least = max(0, there - rng.choice((0, 1, 1, 1, 2)))
            cluster.budget(owner["metadata"]["name"], least)
    cluster.settle()
    most = max(cluster.free(name) for name in nodes)
    whole = sum(cluster.free(name) for name in nodes)
    size = min(most + 100 * rng.randint(1, 4), SIZE, whole)
    if size > most:
        cluster.owner("wanted", size, 1)
    cluster.settle()


def _delete_a_pod(w: World, rng: random.Random, plan: PlacementPlan) -> None:
    w.api.terminate(rng.choice(w.api.all("pods")))


def _cordon(w: World, rng: random.Random, plan: PlacementPlan) -> None:
    node = rng.choice(w.api.all("nodes"))
    w.api.put("nodes", {**node, "spec": {"unschedulable": True}})


def _scale_down(w: World, rng: random.Random, plan: PlacementPlan) -> None:
    owner = rng.choice(w.api.all("replicasets"))
    spec = {**owner["spec"], "replicas": max(0, owner["spec"]["replicas"] - 1)}
    w.api.put("replicasets", {**owner, "spec": spec})
    live = [p for p in w.cluster.pods_of(owner) if "deletionTimestamp" not in p["metadata"]]
    for pod in live[spec["replicas"] :]:
        w.api.terminate(pod)


def _strangers(w: World, rng: random.Random, plan: PlacementPlan) -> None:
    w.cluster.owner(f"stranger{w.steps}", 100 * rng.randint(1, 6), 2)


TROUBLES: tuple[Callable[[World, random.Random, PlacementPlan], None], ...] = (
    _delete_a_pod,
    _cordon,
    _scale_down,
    _strangers,
)


async def tell(
    seed: int, folder: Path, trouble: float = 0.25, faults: float = 0.02, kills: float = 0.5
) -> Story:
    """One cluster, one plan.

    Parameters
    ----------
    trouble
        How likely it is that something happens to the cluster meanwhile.
    faults
        Share of requests that the server answers with 500, 429 or 409, or not at all.
    kills
        How likely it is that the executor is killed once and started anew.
    """
    rng = random.Random(seed)
    async with world(folder, seed, bench()) as w:
        fill(w.cluster, rng)
        plan = await w.propose(0.5)
        if plan is None:
            return Story(seed, "")
        w.api.fault = _faults(rng, faults)
        killed = _kill_once(w, rng) if rng.random() < kills else []
        when = rng.randint(1, 12) if rng.random() < trouble else -1
        for number in range(DEADLINE):
            if w.plan(plan).phase in ENDED:
                break
            if number == when:
                rng.choice(TROUBLES)(w, rng, plan)
                w.cluster.settle()
                await w.caught_up()
            try:
                await w.round()
            except Killed:
                w.cluster.settle()
                w.clock.advance(rng.choice((0.0, 1.0, 30.0)))
                await w.restart()
        w.api.fault = lambda method, path: None
        for _ in range(3):  # what is left over is taken away by the next steps
            await w.round()
        return _told(w, plan, seed, len(killed))


async def killed_at(step: int, folder: Path, gates: str = "", seed: int = 0) -> Story:
    """A plan of two waves; the executor is killed at one of its steps and started anew.

    Parameters
    ----------
    step
        From 1, before and after each write; 0 kills nobody.
    gates
        The gate of all new pods, in the place of the extender.
    """
    settings = bench(DEPLOYMENT="Gated") if gates else bench()
    async with world(folder, seed, settings) as w:
        w.cluster.gates = (gates,) if gates else ()
        chain(w.cluster)
        w.cluster.budget("first", 0)
        w.cluster.budget("second", 0)
        await w.caught_up()
        plan = await w.create(by_hand(w, *CHAIN))
        steps = [0]

        def point(name: str) -> None:
            steps[0] += 1
            if steps[0] == step:
                raise Killed(name)

        w.point = point
        kills = 0
        while w.plan(plan).phase not in ENDED:
            try:
                await w.round()
            except Killed:
                kills += 1
                w.cluster.settle()
                await w.restart()
        for _ in range(3):
            await w.round()
        return _told(w, plan, step, kills, steps[0])


def _told(w: World, plan: PlacementPlan, seed: int, kills: int, steps: int = 0) -> Story:
    end = w.plan(plan)
    return Story(
        seed,
        end.phase.value,
        sum(w.api.evicted.values()),
        tuple(w.api.violations),
        sum(times > 1 for times in w.api.evicted.values()),
        tuple(w.lost()),
        tuple(w.leftovers()),
        end.status.reason,
        kills,
        steps,
    )


def _faults(rng: random.Random, share: float) -> Callable[[str, str], Refusal | str | None]:
    def fault(method: str, path: str) -> Refusal | str | None:
        if rng.random() >= share or method == "GET":
            return None
        kind = rng.randrange(4)
        if kind == 0:
            return Refusal(500, "InternalError", "etcd is slow today")
        if kind == 1:
            return Refusal(429, "TooManyRequests", "later", retryAfterSeconds=1)
        if kind == 2 and path.endswith("/status"):
            return Refusal(409, "Conflict", "the object has been modified")
        return rng.choice(("drop", "lose"))

    return fault


def _kill_once(w: World, rng: random.Random) -> list[str]:
    left, killed = [rng.randint(1, 30)], list[str]()

    def point(name: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            killed.append(name)
            raise Killed(name)

    w.point = point
    return killed
