"""Cloning for tasks: the network learns what every choice of a decision would cost in the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from optsched.agents.hyperparameters import schedule
from optsched.agents.placement_network import PlacementNetwork
from optsched.agents.placing import (
    Lesson,
    collate,
    instance,
    lessons,
    pick,
    play,
    scored,
    solved,
)
from optsched.envs.seeds import seeds
from optsched.kernels import warm_schedules
from optsched.simulate.episodes import Episode
from optsched.solvers.scheduling.bounds import free_bounds

CLIP = 1.0  # of the gradient's norm
WARMTH, WORST = 2.0, 60.0  # scale of scores in the loss, and the most that a choice loses in it
NEVER = 5.0  # what a choice loses that no teacher looked at


class PlacementCourse:
    """Cloning round by round; see `agents.subject.Course`."""

    def __init__(self, network: PlacementNetwork, config: dict[str, Any], seed: int) -> None:
        self.network, self.seed = network, seed
        self.clone, self.env = config["clone"], config["env_kwargs"]
        self.rate = schedule(self.clone["learning_rate"])
        self.optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        self.round = 0
        self.pool: deque[Lesson] = deque(maxlen=int(self.clone["pool"]))
        warm_schedules()

    def state(self) -> dict[str, Any]:
        """What a resumed run needs; the pool fills anew."""
        return {"round": self.round, "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.round = state["round"]
        self.optimizer.load_state_dict(state["optimizer"])

    def rounds(self, stop: Callable[[], bool]) -> Iterator[float]:
        """The loss of every round that is left."""
        while self.round < self.clone["rounds"] and not stop():
            rng = np.random.default_rng([self.seed, self.round])
            count = int(self.clone["lessons_per_round"])
            if not self.pool:
                count += int(self.clone["first"])
            self.pool.extend(self._lessons(rng, count))
            found = self._update(rng)
            self.round += 1
            yield found

    def _lessons(self, rng: np.random.Generator, count: int) -> list[Lesson]:
        """Most by playing on with EFT, some by solvers that know the future.

        The first ones are many: a network that has only seen a few worlds in which sleeping nodes
        were not needed is soon so sure never to wake one that it cannot learn to any more.
        """
        worlds = [instance(pick(rng), self.env) for _ in range(count)]
        shares = float(self.clone["followed"]), float(self.clone["late"])
        found = lessons(self.network, worlds, rng, *shares)
        if rng.random() < self.clone["solved"]:
            found += solved(pick(rng), self.env, float(self.clone["seconds"]))
        return found

    def _update(self, rng: np.random.Generator) -> float:
        left, losses = 1 - self.round / max(self.clone["rounds"], 1), list[float]()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(left)
        for _ in range(int(self.clone["updates_per_round"])):
            rows = rng.integers(0, len(self.pool), int(self.clone["batch_size"]))
            loss = regret(self.network, [self.pool[k] for k in rows.tolist()])
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.optimizer.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses)) if losses else 0.0


def regret(network: PlacementNetwork, batch: list[Lesson]) -> torch.Tensor:
    """What every choice loses, times how much the network prefers it to the best one.

    A logistic surrogate of the loss of its choices, pair by pair (the best and another). A mistake
    that costs little teaches little: unlike imitation of the best choice alone, this does not ask
    to tell nodes apart that are as good. Unlike the mean loss of choices drawn, it still teaches a
    network that is sure of the wrong one.
    """
    tables = collate([one.look for one in batch])
    scores = scored(network, tables)
    lost = np.full(scores.shape, NEVER, np.float32)
    best, most = np.zeros(len(batch), np.int64), lost.shape[1] - 2
    for row, one in enumerate(batch):
        count = len(one.look.nodes)
        known = np.where(np.isinf(one.lost), NEVER, np.minimum(one.lost, WORST))
        lost[row, :count], lost[row, most:] = known[:count], known[count:]
        best[row] = int(one.lost.argmin())
    device = scores.device
    ahead = scores - scores.gather(1, torch.from_numpy(best).to(device)[:, None])
    wrong = torch.nn.functional.softplus(ahead / WARMTH)
    return (wrong * torch.from_numpy(lost).to(device)).sum(dim=1).mean()


class PlacementMeasure:
    """Validation on worlds that are not trained on.

    The gap of all together: what is lost beyond a bound that needs no search, over what EFT loses
    beyond it. Each world counts in what EFT loses in it, so that none outweighs the others.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        own = seeds("validation")[: int(config["validate"]["instances"])]
        self.cases = [instance(seed, config["env_kwargs"]) for seed in own]
        self.bounds = [float(free_bounds(one.world.true)[0].value) for one in self.cases]
        self.first = [Episode(one.world).value for one in self.cases]

    def gap(self, network: PlacementNetwork) -> float:
        """Of episodes of best choices."""
        traces = play(network, self.cases, np.random.default_rng(0), 0.0)
        ours = theirs = 0.0
        for one, bound, first, trace in zip(
            self.cases, self.bounds, self.first, traces, strict=True
        ):
            count = len(one.world.seen.tasks)
            rest = (first - bound) / one.unit  # what nodes take that do nothing, beyond the bound
            ours += (rest - sum(trace.gains)) / count
            theirs += (rest + count) / count
        return ours / theirs
