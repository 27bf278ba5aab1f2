"""Tasks from devices at the edge: seeded instances over a grid of load, size and burst.

Applications are those that EdgeCloudSim describes (work, data and deadlines retyped as figures);
power follows the published SPECpower ranges of small and large servers. Gateways with edge nodes
stand on a ring around a core with fog nodes; the cloud is behind a slow link. How many tasks arrive
in which time follows from the load: work offered over what all nodes could do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.errors import InputError
from optsched.tasks import Network, Nodes, TaskProblem, Tasks, Tier

KILOBYTE = 1000


@dataclass(frozen=True)
class Application:
    """A kind of task: million instructions, kB up and down, and how often it comes."""

    name: str
    work: int
    up: int
    down: int
    share: float
    timely: bool


# EdgeCloudSim's profiles; the share is the inverse of the time between two tasks of a device.
APPLICATIONS = (
    Application("traffic", 3000, 20, 20, 1 / 3, True),
    Application("danger", 10_000, 40, 20, 1 / 5, True),
    Application("infotainment", 20_000, 20, 80, 1 / 15, True),
    Application("augmented-reality", 2000, 1500, 25, 1 / 5, False),
    Application("health", 400, 1250, 20, 1 / 30, False),
    Application("heavy", 3000, 2500, 250, 1 / 60, False),
)
# (cores, MI/s of a core, MiB, idle and busy W) of the kinds of nodes
KINDS = {
    Tier.EDGE: ((4, 5000, 4096, 75, 117), (2, 4000, 2048, 71, 126)),
    Tier.FOG: ((8, 6000, 16_384, 69, 137),),
    Tier.CLOUD: ((16, 10_000, 65_536, 81, 244),),
}
TIGHT, LOOSE = 1.2, 4.0  # deadline over the ideal response
HARD = 0.1  # share of the tasks with a deadline that must keep it
RUSH, CALM, RUSHES = 4.0, 0.25, 0.2  # rates in and out of bursts, and the share of time in them


def tasks(
    seed: int = 0,
    *,
    nodes: int = 8,
    count: int = 200,
    load: float = 0.8,
    burst: bool = False,
    sleeping: float = 0.25,
    turns: bool = False,
) -> TaskProblem:
    """An instance.

    Parameters
    ----------
    seed
        Of the draw.
    nodes
        At least 3: one of each tier; half of them are edge nodes, and one in eight is in the cloud.
    count
        Tasks.
    load
        Work offered over what all nodes together could do in the same time.
    burst
        Whether arrivals come in rushes (a Markov-modulated Poisson process of two states).
    sleeping
        Share of the nodes that are off at first.
    turns
        Whether inputs take turns on the links of devices and of the cloud.

    Raises
    ------
    InputError
        A number is out of range.
    """
    if nodes < 3 or count < 1 or not 0 < load < 100:
        raise InputError("tasks need at least 3 nodes, 1 task and a load above 0")
    rng = np.random.default_rng([seed, nodes, count, round(1000 * load), burst])
    network, sources, table = _cluster(rng, nodes, sleeping, turns)
    drawn = rng.choice(len(APPLICATIONS), size=count, p=_shares())
    work = _around(rng, np.array([a.work for a in APPLICATIONS])[drawn])
    power = int((table.speed * table.cores).sum())
    length = float(work.sum()) / (load * power) * 1000
    arrival = _arrivals(rng, count, length, burst)
    made = Tasks.of(
        work,
        nodes,
        names=[f"{APPLICATIONS[a].name}-{i}" for i, a in enumerate(drawn.tolist())],
        source=sources[rng.integers(len(sources), size=count)],
        arrival=arrival,
        input=_around(rng, np.array([a.up for a in APPLICATIONS])[drawn] * KILOBYTE),
        output=_around(rng, np.array([a.down for a in APPLICATIONS])[drawn] * KILOBYTE),
        memory=rng.choice([16, 32, 64, 128], size=count),
        weight=rng.integers(1, 4, size=count),
    )
    problem = TaskProblem(network, table, made, int(arrival[-1]) + 1)
    due, hard = _deadlines(rng, problem, drawn)
    longest = int((problem.earliest + problem.run + problem.download - arrival[:, None]).max())
    return TaskProblem(
        network,
        table,
        Tasks(**{**vars(made), "deadline": due, "hard": hard}),
        int(arrival[-1]) + 3 * longest,
        name=f"tasks-{nodes}x{count}-{load:g}{'-burst' if burst else ''}{'-turns' if turns else ''}"
        f"-{seed}",
    )


def _shares() -> np.ndarray:
    shares = np.array([one.share for one in APPLICATIONS])
    return shares / shares.sum()


def _around(rng: np.random.Generator, mean: Ints) -> Ints:
    """Between half and one and a half times the mean."""
    return np.maximum(1, np.rint(mean * rng.uniform(0.5, 1.5, size=len(mean)))).astype(np.int64)


def _cluster(
    rng: np.random.Generator, count: int, sleeping: float, turns: bool
) -> tuple[Network, Ints, Nodes]:
    """Network, the sites of the devices, and the nodes."""
    clouds = max(1, count // 8)
    fogs = max(1, round(0.375 * count))
    tiers = [Tier.CLOUD] * clouds + [Tier.FOG] * fogs
    tiers = [Tier.EDGE] * (count - len(tiers)) + tiers[::-1]
    gateways = max(2, count // 4)
    sites = ["core", "cloud", *(f"gateway-{g}" for g in range(gateways))]
    ends: list[tuple[int, int]] = [(0, 1)]
    latency, speed, energy = [int(rng.integers(50, 76))], [int(rng.integers(1875, 6251))], [1000]
    devices = []
    for g in range(gateways):
        devices.append(len(sites))
        sites.append(f"devices-{g}")
        ends += [(0, 2 + g), (2 + g, devices[-1])]
        latency += [int(rng.integers(2, 8)), int(rng.integers(1, 5))]
        speed += [125_000, int(rng.integers(3000, 12_500))]
        energy += [200, int(rng.integers(2000, 5001))]
    place = {Tier.CLOUD: 1, Tier.FOG: 0}
    kinds = [KINDS[t][int(rng.integers(len(KINDS[t])))] for t in tiers]
    site = [place.get(t, 2 + i % gateways) for i, t in enumerate(tiers)]
    nodes = Nodes.of(
        [k[1] for k in kinds],
        names=[f"{t.name.lower()}-{i}" for i, t in enumerate(tiers)],
        tier=[int(t) for t in tiers],
        site=site,
        cores=[k[0] for k in kinds],
        memory=[k[2] for k in kinds],
        idle=[1000 * k[3] for k in kinds],
        busy=[1000 * k[4] for k in kinds],
        sleep=[50 * k[3] for k in kinds],
        wake_time=500,
        wake_energy=[500 * k[4] for k in kinds],
        asleep=rng.random(count) < sleeping,
    )
    inner = [2 + g for g in range(gateways)]  # gateways and the core are joined by fibre
    shared = [turns and not (a == 0 and b in inner) for a, b in ends]
    network = Network.of(
        sites, ends, latency=latency, bandwidth=speed, energy=energy, shared=shared
    )
    return network, np.array(devices, np.int64), nodes


def _arrivals(rng: np.random.Generator, count: int, length: float, burst: bool) -> Ints:
    """(count,) ascending times in ms, about `length` in all."""
    gaps = rng.exponential(1.0, size=count)
    if burst:
        rate, left = CALM, 0.0
        for i in range(count):
            if left <= 0:
                rate = RUSH if rng.random() < RUSHES else CALM
                left = rng.exponential(count / 20) * (RUSHES if rate == RUSH else 1 - RUSHES)
            gaps[i] /= rate
            left -= gaps[i]
    times = np.cumsum(gaps)
    return np.floor(times * (length / max(times[-1], 1e-9))).astype(np.int64)


def _deadlines(
    rng: np.random.Generator, problem: TaskProblem, drawn: Ints
) -> tuple[Ints, np.ndarray]:
    """Absolute deadlines by the best response without any wait, and which of them are hard."""
    tasks = problem.tasks
    alone = problem.earliest + problem.run + problem.download - tasks.arrival[:, None]
    ideal = np.where(problem.fits, alone, np.iinfo(np.int64).max).min(axis=1)
    slack = rng.uniform(TIGHT, LOOSE, size=len(tasks))
    timely = np.array([one.timely for one in APPLICATIONS])[drawn]
    due = np.where(timely, tasks.arrival + np.ceil(ideal * slack).astype(np.int64), NONE)
    hard = timely & (rng.random(len(tasks)) < HARD)
    due.setflags(write=False)
    hard.setflags(write=False)
    return due, hard
