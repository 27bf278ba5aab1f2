"""Cloning: a network learns what a teacher does, from its starts and from where the clone gets.

A round collects the examples that were asked for one round before, asks for new ones with the
present weights, and makes some updates on examples drawn from the pool of the latest. Teachers work
in processes of their own while the network is updated. A run that is stopped goes on with the next
round; only the pool, which is not kept, fills anew.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from optsched.agents.hyperparameters import schedule

CLIP = 1.0  # of the gradient's norm
Weights = dict[str, np.ndarray]


class Studies(Protocol):
    """What is done in other processes, so it can be pickled."""

    def study(self, job: Any, weights: Weights) -> list[Any]:
        """Examples from a job, the clone's present weights at hand."""
        ...


class Teaching(Studies, Protocol):
    """What is taught."""

    def jobs(self, rng: np.random.Generator, done: int) -> list[Any]:
        """What to ask teachers in a round; `done`: rounds so far."""
        ...

    def collate(self, batch: Sequence[Any]) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Inputs of the network; (B, K) which choices are allowed; (B, K) the share of each."""
        ...

    def scores(self, outputs: tuple[Tensor, ...]) -> Tensor:
        """(B, K) the scores of all choices."""
        ...

    def size(self, example: Any) -> int:
        """By which examples are sorted, so that those of like size are padded together."""
        ...


class Cloning:
    """The state of cloning.

    Parameters
    ----------
    network
        Is changed.
    config
        `clone` of the hyperparameters.
    seed
        Of all draws.
    workers
        Processes in which teachers are asked; 1: in this one.
    """

    def __init__(
        self,
        network: nn.Module,
        teaching: Teaching,
        config: dict[str, Any],
        seed: int,
        workers: int,
    ) -> None:
        self.network, self.teaching, self.clone = network, teaching, config
        self.seed, self.workers, self.round = seed, workers, 0
        self.rate = schedule(self.clone["learning_rate"])
        self.optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4)
        self.pool: deque[Any] = deque(maxlen=int(self.clone["pool"]))

    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"round": self.round, "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.round = state["round"]
        self.optimizer.load_state_dict(state["optimizer"])

    def rounds(self, stop: Callable[[], bool]) -> Iterator[float]:
        """The loss of every round that is left."""
        total = int(self.clone["rounds"])
        if self.round >= total or stop():
            return
        with Desk(self.teaching, self.workers) as desk:
            # A generator of its own for every round: a resumed run draws what it would have drawn.
            desk.ask(self._jobs(0), copied(self.network))
            while self.round < total and not stop():
                self.pool.extend(desk.answers())
                if self.round + 1 < total:
                    desk.ask(self._jobs(1), copied(self.network))
                if self.pool:
                    found = self._update(np.random.default_rng([self.seed, self.round, 1]))
                else:
                    found = 0.0
                self.round += 1
                yield found

    def _jobs(self, ahead: int) -> list[Any]:
        done = self.round + ahead
        return self.teaching.jobs(np.random.default_rng([self.seed, done]), done)

    def _update(self, rng: np.random.Generator) -> float:
        size, many = int(self.clone["batch_size"]), int(self.clone["updates_per_round"])
        drawn = rng.integers(len(self.pool), size=size * many)
        known = list(self.pool)
        chosen = sorted((known[at] for at in drawn.tolist()), key=self.teaching.size)
        left = 1 - self.round / max(self.clone["rounds"], 1)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(left)
        losses = []
        device = next(self.network.parameters()).device
        self.network.train()
        for at in (rng.permutation(many) * size).tolist():
            inputs, legal, wanted = self.teaching.collate(chosen[at : at + size])
            outputs = self.network(*(table.to(device) for table in inputs))
            found = cross_entropy(
                self.teaching.scores(outputs), legal.to(device), wanted.to(device)
            )
            self.optimizer.zero_grad()
            found.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.optimizer.step()
            losses.append(found.detach())
        return float(torch.stack(losses).mean()) if losses else 0.0


def copied(network: nn.Module) -> Weights:
    """A copy of the network's weights, for other processes."""
    state = network.state_dict()
    return {name: part.detach().cpu().numpy().copy() for name, part in state.items()}


def cross_entropy(scores: Tensor, legal: Tensor, wanted: Tensor) -> Tensor:
    """Mean divergence of the policy's choices from the wanted shares; 0 where they are equal."""
    own = torch.log_softmax(scores.masked_fill(~legal, -1e8), dim=1)
    certain = (wanted * torch.log(wanted.clamp_min(1e-9))).sum(dim=1)
    return (certain - (wanted * own.masked_fill(~legal, 0.0)).sum(dim=1)).mean()


class Desk:
    """Where jobs are handed in, and examples are fetched in the order of the jobs."""

    def __init__(self, teaching: Studies, workers: int) -> None:
        self.teaching, self.workers = teaching, workers
        self.pool: ProcessPoolExecutor | None = None
        self.asked: list[Future[list[Any]]] = []
        self.waiting: tuple[list[Any], Weights] | None = None

    def __enter__(self) -> Desk:  # noqa: PYI034 - a class of its own, for one use
        if self.workers > 1:
            context = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(self.workers, context, _alone)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def ask(self, jobs: list[Any], weights: Weights) -> None:
        """Hand in jobs; without other processes they are done when they are fetched."""
        if self.pool is None:
            self.waiting = jobs, weights
        else:
            self.asked = [self.pool.submit(_study, self.teaching, job, weights) for job in jobs]

    def answers(self) -> list[Any]:
        """The examples of the jobs that were handed in last."""
        if self.waiting is not None:
            jobs, weights = self.waiting
            return [one for job in jobs for one in _study(self.teaching, job, weights)]
        return [one for future in self.asked for one in future.result()]


def _alone() -> None:
    """A teacher's process: one thread, and no longer than the run, however that ends.

    Ctrl-C on a terminal reaches it too, and it is the run that stops after the round.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_ends_with, args=(parent,), daemon=True).start()


def _ends_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _study(teaching: Studies, job: Any, weights: Weights) -> list[Any]:
    return teaching.study(job, weights)
