"""Correction: the last stage of VM rescheduling, in which a network unlearns its own mistakes.

Each round plays episodes with the present weights and finds their mistakes (`agents.mistakes`).
Where a choice was wrong, one of those that would have been right must score higher by a margin;
where it was right, the choices must stay as likely as they were, by the divergence from the network
as it was when the round began. Without that the few mistakes would cost what was right before.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optsched.agents.cloning import CLIP, Desk, copied
from optsched.agents.hyperparameters import schedule
from optsched.agents.mistakes import Choice, Searching
from optsched.agents.network import MigrationNetwork
from optsched.agents.vm_lessons import Teaching, collate, padded

NEVER = -1e8  # score of a choice that is not allowed
SLOW = 20  # updates until the learning rate is what it is
AVERAGED = 0.02  # of each update, in the average of weights that is kept
WRONG, RIGHT = 24, 40  # choices in an update


class Correcting:
    """The rounds of correction; see `agents.subject.Stage`.

    Parameters
    ----------
    network
        Is changed.
    teaching
        Draws instances.
    config
        `correct` of the hyperparameters.
    seed
        Of all draws.
    workers
        Processes in which episodes are played and teachers asked; 1: in this one.
    """

    def __init__(
        self,
        network: MigrationNetwork,
        teaching: Teaching,
        config: dict[str, Any],
        seed: int,
        workers: int,
    ) -> None:
        self.network, self.config, self.seed, self.workers = network, config, seed, workers
        self.searching = Searching(teaching, int(config["episodes"]), int(config["kept"]))
        self.total, self.every, self.round = int(config["rounds"]), 1, 0
        self.rate = schedule(config["learning_rate"])
        self.wrong: deque[Choice] = deque(maxlen=int(config["pool"]))
        self.right: deque[Choice] = deque(maxlen=int(config["pool"]))

    def state(self) -> dict[str, Any]:
        """What a resumed run needs; the pools fill anew."""
        return {"round": self.round}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.round = state["round"]

    def rounds(self, stop: Callable[[], bool]) -> Iterator[float]:
        """The share of choices that are still wrong, of those that were, after every round."""
        if self.round >= self.total or stop():
            return
        with Desk(self.searching, self.workers) as desk:
            while self.round < self.total and not stop():
                rng = np.random.default_rng([self.seed, self.round, 3])
                desk.ask(self.searching.jobs(rng), copied(self.network))
                for one in desk.answers():
                    (self.wrong if one.wrong else self.right).append(one)
                found = self._update(rng) if self.wrong and self.right else 0.0
                self.round += 1
                yield found

    def _update(self, rng: np.random.Generator) -> float:
        """Learn from what is known; of the last updates' wrong choices, the share that stays so."""
        network, many = self.network, int(self.config["updates"])
        before, kept = copy.deepcopy(network).eval(), copy.deepcopy(network)
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4)
        margin, weight = float(self.config["margin"]), float(self.config["keep"])
        wrong, right, still = list(self.wrong), list(self.right), list[Tensor]()
        network.train()
        for at in range(many):
            for group in optimizer.param_groups:
                group["lr"] = self.rate(1 - at / many) * min(1.0, (at + 1) / SLOW)
            drawn = [wrong[k] for k in rng.integers(len(wrong), size=WRONG).tolist()]
            ahead = torch.cat([_ahead(network, part) for part in _phases(drawn)])
            drawn = [right[k] for k in rng.integers(len(right), size=RIGHT).tolist()]
            moved = torch.cat([_moved(network, before, part) for part in _phases(drawn)])
            loss = torch.relu(margin - ahead).mean() + weight * moved.mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            with torch.no_grad():
                for mine, other in zip(kept.parameters(), network.parameters(), strict=True):
                    mine.lerp_(other, AVERAGED)
            still.append((ahead.detach() < 0).float())
        network.load_state_dict(kept.state_dict())
        return float(torch.cat(still[-SLOW:]).mean()) if still else 0.0


def _phases(choices: Sequence[Choice]) -> list[list[Choice]]:
    """Those of items and those of cells: what the one needs, the other has no use for."""
    first = [one for one in choices if one.look.tasks[0, 0] <= 0]
    second = [one for one in choices if one.look.tasks[0, 0] > 0]
    return [part for part in (first, second) if part]


def _scores(network: MigrationNetwork, choices: Sequence[Choice]) -> Tensor:
    """(B, K) scores; what is not allowed has the least."""
    looks = [one.look for one in choices]
    device = next(network.parameters()).device
    found = network(*(table.to(device) for table in collate(looks)))
    legal = padded(looks, [look.actions[0] >= 0 for look in looks]).to(device)
    return torch.cat(found[:3], dim=1).masked_fill(~legal, NEVER)


def _ahead(network: MigrationNetwork, choices: Sequence[Choice]) -> Tensor:
    """(B,) by how much the best of the right choices is ahead of the best other one."""
    scores = _scores(network, choices)
    better = padded([one.look for one in choices], [one.better for one in choices])
    better = better.to(scores.device)
    best: Tensor = scores.masked_fill(~better, NEVER).amax(dim=1)
    return best - scores.masked_fill(better, NEVER).amax(dim=1)


def _moved(
    network: MigrationNetwork, before: MigrationNetwork, choices: Sequence[Choice]
) -> Tensor:
    """(B,) the divergence of what is chosen from what was."""
    scores = _scores(network, choices)
    with torch.no_grad():
        old = torch.log_softmax(_scores(before, choices), dim=1)
    return (old.exp() * (old - torch.log_softmax(scores, dim=1))).sum(dim=1)
