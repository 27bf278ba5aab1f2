"""Masked PPO for tasks, with a baseline that knows the input.

Most of what an episode loses is decided by which tasks happen to come. So each world is played by
several rollouts, and a decision is compared with the mean of the same task's return over the others
(an input-dependent baseline: Mao et al., ICLR 2019), not with what a critic expects of a state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from optsched.agents.hyperparameters import schedule
from optsched.agents.placement_network import PlacementNetwork
from optsched.agents.placing import Instance, Look, Trace, collate, instance, pick, play, scored

SPREAD = 0.05  # of EFT's loss for a task: where returns differ less, nothing is to be learned


def _returns(trace: Trace, gamma: float) -> np.ndarray:
    """(T,) what follows each decision, discounted by how many tasks later it is about.

    What the task itself costs, and others before it, counts whole whenever it comes. Were it
    discounted by decisions, to put a task off would seem to make it cheaper.
    """
    order = {task: k for k, task in enumerate(dict.fromkeys(trace.tasks))}
    rank = np.array([order[task] for task in trace.tasks])
    weight = gamma ** np.maximum(rank[None, :] - rank[:, None], 0)
    return np.asarray(np.triu(weight) @ np.array(trace.gains))


class PlacementLearner:
    """A learner with the methods of Stable-Baselines3 that a training run uses."""

    def __init__(self, config: dict[str, Any], seed: int, device: str) -> None:
        self.config, self.seed = config, seed
        self.network = PlacementNetwork().to(device)
        self.rate = schedule(config["learning_rate"])
        self.optimizer = torch.optim.Adam(self.network.parameters(), self.rate(1.0))
        # What is drawn and improved is the policy at this temperature: at 1 it hardly ever leaves
        # its best choice, and learns nothing.
        self.warmth = float(config["temperature"])
        self.num_timesteps = 0

    def get_parameters(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"policy": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def set_parameters(self, found: dict[str, Any], device: str = "cpu") -> None:
        """Go on from `get_parameters`."""
        self.network.load_state_dict(found["policy"])
        self.network.to(device)
        self.optimizer.load_state_dict(found["optimizer"])

    def learn(self, total_timesteps: int, callback: Any, reset_num_timesteps: bool) -> None:
        """Play and learn for so many decisions; the callback may end it after any rollout."""
        if reset_num_timesteps:
            self.num_timesteps = 0
        first, goal = self.num_timesteps, self.num_timesteps + total_timesteps
        while self.num_timesteps < goal:
            # A generator of its own for every rollout: a resumed run draws what it would have.
            rng = np.random.default_rng([self.seed, 7, self.num_timesteps])
            left = 1 - self.num_timesteps / max(goal, 1)
            worlds = [
                instance(pick(rng), self.config["env_kwargs"])
                for _ in range(int(self.config["n_worlds"]))
            ]
            self._improve(worlds, rng, left)
            if self.num_timesteps > first and not callback.call(self):
                return

    def _improve(self, worlds: list[Instance], rng: np.random.Generator, left: float) -> None:
        """One rollout of every world several times, and its updates."""
        times = int(self.config["n_rollouts"])
        again = [one for one in worlds for _ in range(times)]
        traces = play(self.network, again, rng, self.warmth)
        looks, actions, chances, weights = list[Look](), list[int](), list[float](), []
        for k in range(len(worlds)):
            own = traces[k * times : (k + 1) * times]
            for trace, advantage in zip(own, self._advantages(own), strict=True):
                looks += trace.looks
                actions += trace.actions
                chances += trace.chances
                weights.append(advantage)
        self.num_timesteps += len(looks)
        weight = np.concatenate(weights)
        weight = np.clip(weight, -5, 5)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(left)
        size = int(self.config["batch_size"])
        for _ in range(int(self.config["n_epochs"])):
            order = rng.permutation(len(looks))
            for at in range(0, len(order), size):
                rows = order[at : at + size]
                kl = self._update(
                    [looks[k] for k in rows], np.array(actions)[rows], np.array(chances)[rows],
                    weight[rows],
                )  # fmt: skip
                if kl > 1.5 * self.config["target_kl"]:
                    return

    def _advantages(self, traces: list[Trace]) -> list[np.ndarray]:
        """The return of each decision less the mean of that task over the other rollouts.

        In units of their spread, so that worlds in which little can be won teach as much.
        """
        returns = [_returns(trace, float(self.config["gamma"])) for trace in traces]
        last = [
            dict(zip(trace.tasks, found.tolist(), strict=True))
            for trace, found in zip(traces, returns, strict=True)
        ]
        answer = []
        for k, (trace, found) in enumerate(zip(traces, returns, strict=True)):
            base = np.zeros(len(found))
            for row, task in enumerate(trace.tasks):
                others = [one[task] for n, one in enumerate(last) if n != k and task in one]
                base[row] = np.mean(others) if others else found[row]
            answer.append(found - base)
        spread = np.concatenate(answer).std() + SPREAD
        return [one / spread for one in answer]

    def _update(
        self, looks: list[Look], actions: np.ndarray, chances: np.ndarray, weight: np.ndarray
    ) -> float:
        """One step of the clipped objective; the KL divergence from the rollout's policy."""
        batch = collate(looks)
        scores = scored(self.network, batch)
        most, device = scores.shape[1] - 2, scores.device
        counts = np.array([len(look.nodes) for look in looks])
        rows = np.where(actions < counts, actions, actions - counts + most)
        log = torch.log_softmax(scores / self.warmth, dim=-1)
        now = log.gather(1, torch.from_numpy(rows).to(device)[:, None]).squeeze(1)
        old = torch.from_numpy(chances).float().to(device)
        gain = torch.from_numpy(weight).float().to(device)
        ratio = torch.exp(now - old)
        clip = float(self.config["clip_range"])
        surrogate = torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain).mean()
        # Entropy as a share of the most there can be, so that few nodes count as much as many.
        legal = torch.from_numpy(batch[2].sum(axis=1)).float().to(device)
        entropy = -(log.exp() * log.clamp(min=-1e4)).sum(dim=1) / torch.log(legal + 1)
        loss = -surrogate - float(self.config["ent_coef"]) * entropy.mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(
            self.network.parameters(), float(self.config["max_grad_norm"])
        )
        self.optimizer.step()
        return float(((ratio - 1) - torch.log(ratio)).mean().detach())
