"""A last stage of pod packing: every choice is tried, and what gains by it becomes more likely.

From states of the network's own episodes each allowed choice is played to the end by the network's
best choices, with the same pods to come. Which pods come does not depend on the choice, so most of
their luck cancels in the differences between these ends, and no critic has to be learned first. The
network follows the gradient of what its choices are worth on average (the mean over all actions
instead of drawn ones: Asadi et al., Mean Actor Critic, 2017), held near what it was when the round
began by the divergence from it.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optsched.agents.cloning import CLIP, Desk, Weights, copied
from optsched.agents.hyperparameters import schedule
from optsched.agents.pod_lessons import drawn
from optsched.agents.pod_network import PodNetwork
from optsched.arrays import Bools
from optsched.envs.pod_batch import PodPackingBatch
from optsched.envs.pool import Pool
from optsched.envs.seeds import seeds
from optsched.problem import PlacementProblem
from optsched.simulate.pod_sight import alike, distinct

NEVER = -1e8  # score of a choice that is not allowed
TOGETHER = 16  # instances of a job
SAMPLED = 0.5  # temperature of the choices that lead to half of the states


@dataclass(frozen=True)
class Tried:
    """A state, what is allowed (H + 1,), and what was earned in the end after each choice."""

    hosts: np.ndarray
    task: np.ndarray
    legal: Bools
    worth: np.ndarray


@dataclass(frozen=True)
class Job:
    """Seeds of instances, and the seed of all that is drawn."""

    seeds: tuple[int, ...]
    draw: int


@dataclass(frozen=True)
class Branches:
    """What is asked for in a round; it goes to other processes, so it can be pickled.

    Parameters
    ----------
    env
        `env_kwargs` of the hyperparameters.
    instances, states
        Of a round, and of each of its instances.
    """

    env: dict[str, Any]
    instances: int
    states: int

    def jobs(self, rng: np.random.Generator) -> list[Job]:
        """All of a round."""
        own = seeds("train")
        found = rng.integers(own.start, own.stop, self.instances).tolist()
        return [
            Job(tuple(found[at : at + TOGETHER]), int(rng.integers(1 << 62)))
            for at in range(0, len(found), TOGETHER)
        ]

    def study(self, job: Job, weights: Weights) -> list[Tried]:
        """States in which it matters what is chosen."""
        network = PodNetwork()
        network.load_state_dict({name: torch.from_numpy(part) for name, part in weights.items()})
        network.eval()
        rng = np.random.default_rng(job.draw)
        problems = [drawn(seed, self.env) for seed in job.seeds]
        return self.tried(network, problems, rng)

    def tried(
        self, network: PodNetwork, problems: list[PlacementProblem], rng: np.random.Generator
    ) -> list[Tried]:
        """Some states of an episode on each of the problems."""
        batch = self._batch(len(problems))
        seen, warmth = batch.begin(problems), SAMPLED * rng.integers(0, 2, len(problems))
        lengths = [int((one.items.host0 < 0).sum()) for one in problems]
        picked = [set(rng.integers(0, length, self.states).tolist()) for length in lengths]
        found: list[tuple[int, int, dict[str, np.ndarray], Bools]] = []
        step = 0
        while not batch.over.all():
            masks = batch.action_masks()
            for n, steps in enumerate(picked):
                if step in steps:
                    found.append((n, step, {k: v[n].copy() for k, v in seen.items()}, masks[n]))
            scores = scored(network, seen)
            scores += warmth[:, None] * rng.gumbel(size=scores.shape)
            batch.play(np.where(masks, scores, -np.inf).argmax(axis=1))
            seen, step = batch.see(), step + 1
        ways = [[host if host >= 0 else batch.nodes for host in own] for own in batch.bound]
        return self._branched(network, problems, ways, found)

    def _branched(
        self,
        network: PodNetwork,
        problems: list[PlacementProblem],
        ways: list[list[int]],
        states: list[tuple[int, int, dict[str, np.ndarray], Bools]],
    ) -> list[Tried]:
        """Play every choice of the states to the end."""
        branches = [
            (at, action)
            for at, (_, _, seen, mask) in enumerate(states)
            for action in distinct(seen["hosts"], mask)
        ]
        batch = self._batch(len(branches))
        forced = [[*ways[states[at][0]][: states[at][1]], action] for at, action in branches]
        ends = played(network, batch, [problems[states[at][0]] for at, _ in branches], forced)
        found = []
        for at, (_, _, seen, mask) in enumerate(states):
            own = [k for k, (state, _) in enumerate(branches) if state == at]
            worth = np.full(len(mask), np.nan)
            for k in own:
                worth[alike(seen["hosts"], mask, branches[k][1])] = ends[k]
            if np.ptp(ends[own]) > 0:
                worth = np.where(mask, worth, 0.0).astype(np.float32)
                found.append(Tried(seen["hosts"], seen["task"], mask, worth))
        return found

    def _batch(self, count: int) -> PodPackingBatch:
        nodes, ratio = int(self.env.get("nodes", 8)), float(self.env.get("ratio", 4.0))
        return PodPackingBatch(count, Pool(lambda seed: drawn(seed, self.env)), nodes, ratio)


@torch.no_grad()
def scored(network: PodNetwork, seen: dict[str, np.ndarray]) -> np.ndarray:
    """(N, H + 1) scores of all choices."""
    device = next(network.parameters()).device
    tables = (torch.from_numpy(seen[name]).to(device) for name in ("hosts", "task"))
    scores, leave, _ = network(*tables)
    return torch.cat([scores, leave], dim=1).cpu().numpy()


def played(
    network: PodNetwork,
    batch: PodPackingBatch,
    problems: list[PlacementProblem],
    forced: Sequence[Sequence[int]],
) -> np.ndarray:
    """(N,) what episodes earn whose first actions are given; the others are the network's best."""
    seen, step = batch.begin(problems), 0
    first = min((len(actions) for actions in forced), default=0)
    while not batch.over.all():
        masks = batch.action_masks()
        actions = np.full(len(problems), -1)
        if step >= first:
            actions = np.where(masks, scored(network, seen), -np.inf).argmax(axis=1)
        for n, own in enumerate(forced):
            if step < len(own):
                actions[n] = own[step]
        batch.play(actions)
        seen, step = batch.see(), step + 1
    return batch.earned()


class Branching:
    """The rounds of the stage; see `agents.subject.Stage`.

    Parameters
    ----------
    network
        Is changed.
    config
        `branch` of the hyperparameters.
    env
        `env_kwargs`.
    seed
        Of all draws.
    workers
        Processes in which episodes are played; 1: in this one.
    """

    def __init__(
        self,
        network: PodNetwork,
        config: dict[str, Any],
        env: dict[str, Any],
        seed: int,
        workers: int,
    ) -> None:
        self.network, self.config, self.seed, self.workers = network, config, seed, workers
        self.branches = Branches(env, int(config["instances"]), int(config["states"]))
        self.total, self.every, self.round = int(config["rounds"]), 1, 0
        self.rate = schedule(config["learning_rate"])
        self.optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        self.pool: deque[Tried] = deque(maxlen=int(config["pool"]))

    def state(self) -> dict[str, Any]:
        """What a resumed run needs; the pool fills anew."""
        return {"round": self.round, "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.round = state["round"]
        self.optimizer.load_state_dict(state["optimizer"])

    def rounds(self, stop: Callable[[], bool]) -> Iterator[float]:
        """What choices lose beside the best one in hindsight, after every round that is left."""
        if self.round >= self.total or stop():
            return
        with Desk(self.branches, self.workers) as desk:
            while self.round < self.total and not stop():
                rng = np.random.default_rng([self.seed, self.round, 5])
                desk.ask(self.branches.jobs(rng), copied(self.network))
                self.pool.extend(desk.answers())
                found = self._update(rng) if self.pool else 0.0
                self.round += 1
                yield found

    def _update(self, rng: np.random.Generator) -> float:
        network, many = self.network, int(self.config["updates"])
        before, known, losses = copy.deepcopy(network).eval(), list(self.pool), list[Tensor]()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(1 - self.round / self.total)
        network.train()
        for _ in range(many):
            rows = rng.integers(len(known), size=int(self.config["batch_size"])).tolist()
            lost, moved = _lost(network, before, [known[k] for k in rows])
            loss = lost.mean() + float(self.config["keep"]) * moved.mean()
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            self.optimizer.step()
            losses.append(lost.detach().mean())
        return float(torch.stack(losses).mean()) if losses else 0.0


def _lost(network: PodNetwork, before: PodNetwork, batch: Sequence[Tried]) -> tuple[Tensor, Tensor]:
    """(B,) what is lost on average beside the best choice, and the divergence from before."""
    device = next(network.parameters()).device
    hosts, task, legal, worth = (
        torch.from_numpy(np.stack([getattr(one, name) for one in batch])).to(device)
        for name in ("hosts", "task", "legal", "worth")
    )

    def chances(of: PodNetwork) -> Tensor:
        scores, leave, _ = of(hosts, task)
        every = torch.cat([scores, leave], dim=1).masked_fill(~legal, NEVER)
        return torch.log_softmax(every, dim=1)

    own = chances(network)
    with torch.no_grad():
        old = chances(before)
    best = worth.masked_fill(~legal, NEVER).amax(dim=1, keepdim=True)
    lost = (own.exp() * (best - worth) * legal).sum(dim=1)
    return lost, (old.exp() * (old - own)).sum(dim=1)
