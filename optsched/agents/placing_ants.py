"""The last stage for tasks: the network learns from what ants make of its belief.

As DeepACO (Ye et al., NeurIPS 2023) trains: ants draw nodes by the network's belief and their own
heuristic with all pheromone equal, a local search betters each, and the belief in what an ant drew
is raised by how far it ended before the others of its world (REINFORCE). What is compared is
the value after the search, so that the network need not learn what the search does anyway; what is
made more likely is the ant's own draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from optsched.agents.hyperparameters import schedule
from optsched.agents.placement_network import PlacementNetwork
from optsched.agents.placing import Instance, Look, collate, instance, pick, play, scored
from optsched.arrays import Ints
from optsched.kernels import ants, climbing, warm_schedules
from optsched.kernels import schedules as kernel
from optsched.solvers.scheduling.colony import weights
from optsched.solvers.scheduling.flat import tables
from optsched.solvers.scheduling.learned import FLOOR
from optsched.solvers.scheduling.rules import by_arrival
from optsched.tasks import TaskProblem

CLIP = 1.0  # of the gradient's norm
WISHES = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))  # haste and thrift of ants, in turn


@dataclass
class Belief:
    """A static problem, the decisions that the network took in it, and what it believed.

    Attributes
    ----------
    looks, tasks
        Of every decision, and which task it was about.
    worth
        (I, J) as the hybrid gives it to its ants.
    """

    problem: TaskProblem
    looks: list[Look]
    tasks: list[int]
    worth: np.ndarray


@dataclass
class Herd:
    """What ants drew in one problem.

    Attributes
    ----------
    chosen
        (A, I) nodes, -1: rejected.
    beside
        (A, I, J) all but the belief in the weight of each node; 0: it could not go there.
    values
        (A,) after the local search.
    """

    chosen: Ints
    beside: np.ndarray
    values: np.ndarray


def believed(network: PlacementNetwork, given: Sequence[Instance]) -> list[Belief]:
    """Episodes of best choices, and the chances of nodes in them."""
    found, traces = [], play(network, given, np.random.default_rng(0), 0.0)
    for one, trace in zip(given, traces, strict=True):
        problem = one.world.seen
        worth = np.ones(problem.fits.shape)
        with torch.no_grad():
            worth[trace.tasks] = chances(network, trace.looks).numpy()
        found.append(Belief(problem, trace.looks, trace.tasks, worth))
    return found


def chances(network: PlacementNetwork, looks: list[Look]) -> torch.Tensor:
    """(T, J) of nodes, none below `FLOOR`."""
    found = torch.softmax(scored(network, collate(looks)), dim=1)[:, :-2]
    return found.clamp(min=FLOOR).cpu()


def released(one: Belief, count: int, steps: int, rng: np.random.Generator) -> Herd:
    """So many ants, each bettered by a local search of so many steps a task."""
    flat, weight = tables(one.problem), weights(one.problem)
    lines, rank = kernel.lines(flat), np.array(by_arrival(one.problem), np.int64)
    stream = rng.integers(1, 1 << 63, 1).astype(np.uint64)
    shape, place = one.worth.shape, np.empty(len(rank))
    place[rank] = np.arange(len(rank))
    even, beside = np.ones(shape), np.zeros((count, *shape))
    chosen, values = np.empty((count, shape[0]), np.int64), np.empty(count)
    for ant in range(count):
        order = ants.shuffled(place, 6.0 * (ant % 4 != 0), rank, flat, stream)
        haste, thrift = WISHES[ant % len(WISHES)]
        ants.walk(flat, lines, order, even, one.worth, haste, thrift, stream, beside[ant])
        chosen[ant], goals = lines.node, np.empty(4, np.int64)
        kernel.goals(flat, lines, goals)
        climbing.climb(
            flat, lines, order, chosen[ant].copy(), goals, weight, steps * len(rank), stream
        )
        values[ant] = float(weight[0] @ goals)
    return Herd(chosen, beside / one.worth, values)


def surprise(network: PlacementNetwork, one: Belief, herd: Herd) -> torch.Tensor:
    """What is to be lowered: advantages of ants times log chances of what they drew."""
    worth = torch.log(chances(network, one.looks))  # (T, J)
    beside = torch.from_numpy(herd.beside[:, one.tasks]).float()  # (A, T, J)
    drawn = torch.from_numpy(herd.chosen[:, one.tasks])
    able = beside > 0
    score = torch.where(able, worth + torch.log(beside.clamp(min=1e-30)), torch.tensor(-1e9))
    log = torch.log_softmax(score, dim=2)
    told = log.gather(2, drawn.clamp(min=0)[..., None]).squeeze(2)
    told = torch.where((drawn >= 0) & able.any(dim=2), told, torch.tensor(0.0)).mean(dim=1)
    return (torch.from_numpy(places(herd.values)).float() * told).mean()


def places(values: np.ndarray) -> np.ndarray:
    """(A,) from -1, the least value, to 1; equals share theirs, and all together are 0.

    By rank, as ants deposit: one that ends very badly would drown what the others tell.
    """
    below = (values[None, :] < values[:, None]).sum(axis=1)
    above = (values[None, :] > values[:, None]).sum(axis=1)
    return np.asarray((below - above) / max(len(values) - 1, 1))


class AntTuning:
    """Fine-tuning of a network through ants; see `agents.subject.Stage`.

    Parameters
    ----------
    network
        Is changed.
    config
        `ants` of the hyperparameters.
    env
        `env_kwargs`; worlds without noise, since ants plan what is believed.
    seed
        Of all draws.
    """

    def __init__(
        self, network: PlacementNetwork, config: dict[str, Any], env: dict[str, Any], seed: int
    ) -> None:
        self.network, self.config, self.env, self.seed = network, config, env | {"noisy": 0.0}, seed
        self.rate = schedule(config["learning_rate"])
        self.optimizer = torch.optim.Adam(network.parameters(), self.rate(1.0))
        self.round, self.total, self.every = 0, int(config["rounds"]), max(1, int(config["every"]))
        warm_schedules()

    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"round": self.round, "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.round = state["round"]
        self.optimizer.load_state_dict(state["optimizer"])

    def rounds(self, stop: Callable[[], bool]) -> Iterator[float]:
        """The mean value of the ants in what EFT loses, of every round that is left."""
        while self.round < self.total and not stop():
            rng = np.random.default_rng([self.seed, 11, self.round])
            count = int(self.config["worlds"])
            worlds = [instance(pick(rng), self.env) for _ in range(count)]
            found = self.improve(worlds, rng, 1 - self.round / self.total)
            self.round += 1
            yield found

    def improve(self, worlds: list[Instance], rng: np.random.Generator, left: float) -> float:
        """One update; what the ants ended at before it, in what EFT loses in each world."""
        told, many = believed(self.network, worlds), int(self.config["ants"])
        herds = [released(one, many, int(self.config["steps"]), rng) for one in told]
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(left)
        loss = torch.stack(
            [surprise(self.network, one, herd) for one, herd in zip(told, herds, strict=True)]
        ).mean()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        reached = (
            herd.values.mean() / (one.unit * len(one.world.seen.tasks))
            for one, herd in zip(worlds, herds, strict=True)
        )
        return float(np.mean([*reached]))
