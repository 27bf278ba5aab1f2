"""Small task problems, drawn at random or by hand."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from optsched.tasks import Network, Nodes, Schedule, Taken, TaskProblem, Tasks


def tiny_tasks(random: Random, tasks: int = 5) -> TaskProblem:
    """Up to three nodes around one gateway, with everything that tables can say.

    Half of the networks have detours, on which paths are often equally short.
    """
    nodes = random.randint(1, 3)
    relays = random.choice([0, 3])
    sites = ["gateway", *(f"site-{j}" for j in range(nodes)), "island"]
    sites += [f"relay-{j}" for j in range(relays)]
    ends = [(0, 1 + j) for j in range(nodes) if random.random() < (0.4 if relays else 0.9)]
    detours = [a for a in range(len(sites)) if sites[a] != "island"]
    for _ in range(random.randint(3, 9) if relays else 0):
        a, b = sorted(random.sample(detours, 2))
        if (a, b) not in ends:
            ends.append((a, b))
    links = len(ends)

    def some(low: int, high: int, count: int) -> list[int]:
        return [random.randint(low, high) for _ in range(count)]

    network = Network.of(
        sites, ends, latency=some(0, 1 if relays else 9, links),
        bandwidth=some(1, 50, links), energy=some(0, 400_000, links),
    )  # fmt: skip
    idle = some(0, 900, nodes)
    table = Nodes.of(
        some(1, 40, nodes), site=[1 + j for j in range(nodes)], tier=some(0, 2, nodes),
        cores=some(1, 2, nodes), memory=some(2, 8, nodes), idle=idle,
        busy=[one + random.randint(0, 900) for one in idle], sleep=some(0, 50, nodes),
        wake_time=some(0, 20, nodes), wake_energy=some(0, 90, nodes),
        asleep=[random.random() < 0.3 for _ in range(nodes)],
    )  # fmt: skip
    arrival = some(0, 60, tasks)
    soft = [-1 if random.random() < 0.4 else a + random.randint(0, 400) for a in arrival]
    taken = []
    for j, (cores, memory) in enumerate(
        zip(table.cores.tolist(), table.memory.tolist(), strict=True)
    ):
        if random.random() < 0.3:
            held = random.randint(0, 50)
            begin = held + random.randint(0, 9)
            end = begin + random.randint(0, 90)
            taken.append((j, held, begin, end, random.randint(0, cores), random.randint(0, memory)))
    pairs = [(a, b) for a in range(tasks) for b in range(a + 1, tasks) if random.random() < 0.1]
    return TaskProblem(
        network,
        table,
        Tasks.of(
            some(0, 4, tasks), nodes, arrival=arrival, input=some(0, 300, tasks),
            output=some(0, 300, tasks), cores=some(1, 2, tasks), memory=some(0, 4, tasks),
            deadline=soft, hard=[d >= 0 and random.random() < 0.3 for d in soft],
            weight=some(1, 3, tasks), before=pairs, data=some(0, 99, len(pairs)),
            eligible=[[random.random() < 0.9 for _ in range(nodes)] for _ in range(tasks)],
        ),
        horizon=random.randint(70, 900),
        taken=Taken.of(taken),
    )  # fmt: skip


def any_schedule(random: Random, problem: TaskProblem) -> Schedule:
    """Right or wrong."""
    node, start = [], []
    for _ in range(len(problem.tasks)):
        rejected = random.random() < 0.2
        node.append(
            -1 if rejected else random.randrange(len(problem.nodes) + (random.random() < 0.02))
        )
        start.append(-1 if rejected and random.random() < 0.97 else random.randint(0, 500))
    sent = None
    if random.random() < 0.5:
        sent = [a + random.randint(-1, 30) for a in problem.tasks.arrival.tolist()]
    woken = None
    if random.random() < 0.3:
        woken = [random.randint(-1, 60) for _ in problem.nodes.names]
    return Schedule.of(node, start, sent, woken)


def edge_and_cloud() -> TaskProblem:
    """A gateway with a slow edge node beside it and a fast one in the cloud, 50 ms away."""
    network = Network.of(
        ["gateway", "cloud"], [(0, 1)], latency=[50], bandwidth=[100], energy=[2000]
    )
    nodes = Nodes.of(
        [100, 1000], names=["edge", "cloud"], site=[0, 1], tier=[0, 2], cores=[1, 4],
        idle=[1000, 50_000], busy=[3000, 90_000],
    )  # fmt: skip
    tasks = Tasks.of(
        [10, 100], 2, names=["small", "large"], input=[1000, 20_000], output=[100, 1000],
        arrival=[0, 10], deadline=[200, 500], weight=[1, 3],
    )  # fmt: skip
    return TaskProblem(network, nodes, tasks, horizon=1000)


@pytest.fixture
def two_nodes() -> TaskProblem:
    """An edge node and one in the cloud."""
    return edge_and_cloud()


@pytest.fixture(scope="session")
def draw_tasks() -> Callable[[Random], TaskProblem]:
    """Maker of tiny problems."""
    return tiny_tasks


@pytest.fixture(scope="session")
def draw_schedule() -> Callable[[Random, TaskProblem], Schedule]:
    """Maker of schedules."""
    return any_schedule


def same(one: np.ndarray, two: list[int]) -> bool:
    """Whether an array holds these numbers."""
    return bool(one.tolist() == two)
