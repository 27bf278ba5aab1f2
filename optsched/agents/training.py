"""A training run: cloning, then masked PPO, validated, saved after every round, resumable."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_contrib import MaskablePPO
from torch import nn

from optsched.agents.board import Board
from optsched.agents.folder import Folder, fill
from optsched.agents.ppo import AfterRollout
from optsched.agents.subject import Finishing, subject
from optsched.errors import InputError, OptschedError


@dataclass(frozen=True)
class Step:
    """How far a run is.

    Attributes
    ----------
    stage
        "clone", "ppo" or "tilt".
    done, total
        Rounds, or steps of environments.
    loss, gap, best
        Of the last round, of the last validation, and the least so far; None: not known.
    """

    stage: str
    done: int
    total: int
    loss: float | None = None
    gap: float | None = None
    best: float | None = None


class Training:
    """A run in a folder.

    Parameters
    ----------
    folder
        New, or with a checkpoint to go on from.
    device
        "cpu", "cuda" or "auto".
    threads
        Of torch; 0: as many as it takes by itself.
    workers
        Processes in which teachers are asked; 1: in this one.
    """

    def __init__(
        self,
        folder: Folder,
        device: str = "auto",
        threads: int = 0,
        workers: int = 1,
        on_step: Callable[[Step], None] = lambda step: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        config = folder.config()
        self.folder, self.on_step, self.stop = folder, on_step, stop
        self.config, self.seed = config["hyperparameters"], int(config["seed"])
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise InputError("there is no GPU that torch can use here; give --device cpu")
        self.device = device
        if threads:
            torch.set_num_threads(threads)
        torch.manual_seed(self.seed)
        self.subject = subject(str(config["problem"]))
        self.network = self.subject.network().to(device)
        self.cloning = self.subject.course(self.network, self.config, self.seed, workers)
        try:
            self.validation = self.subject.measure(self.config)
        except OptschedError:
            raise
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(f"env_kwargs make no instances: {error}") from error
        rule = self.config["validate"]
        self.every, self.patience = int(rule["every"]), int(rule["patience"])
        self.best, self.waited, self.seconds = float("inf"), 0, 0.0
        self.learner: MaskablePPO | None = None
        self._ppo: bytes | None = None
        self._finished = False
        self._board: Board | None = None
        self._gap: float | None = None
        if folder.checkpoint.exists():
            self._restore()

    def run(self) -> float:
        """Train to the end, or as long as `stop` says so; the best gap on validation."""
        self._clock = time.monotonic()
        self._board = Board(self.folder.path / "tensorboard")
        try:
            if self._ppo is None:
                self._clone()
            if int(self.config["n_timesteps"]) and not self.stop():
                self._learn()
            if not self.stop():
                self._finish()
        finally:
            self._board.close()
        return self.best

    def _clone(self) -> None:
        total = int(self.config["clone"]["rounds"])
        for found in self.cloning.rounds(self._enough):
            done = self.cloning.round
            if done % self.every == 0 or done == total:
                self._validate("clone", done)
            self._save("clone")
            self._tell("clone", done, total, found)
        if self.folder.best.exists():
            self.network.load_state_dict(self.folder.load(self.folder.best)["network"])
        self.waited = 0

    def _finish(self) -> None:
        """The last stage, from the best weights so far; one that is cut short begins anew."""
        if self._finished or not isinstance(self.subject, Finishing):
            return
        if self.folder.best.exists():
            best = self.folder.load(self.folder.best)
            fill(self.network, best["network"], str(self.folder.best))
        total = int(self.config.get("tilt", {}).get("rounds", 0))

        def say(done: int, left: float) -> None:
            self._tell("tilt", done, total, left)

        if self.subject.finish(self.network, self.config, self.seed, say, self.stop):
            self._validate("tilt", total)
            self._save("tilt")

    def _learn(self) -> None:
        learner = self.subject.learner(self.config, self.seed, self.device)
        if self._ppo is not None:
            learner.set_parameters(_parameters(self._ppo), device=self.device)
            learner.num_timesteps = self._timesteps
        else:
            self.subject.inside(learner).load_state_dict(self.network.state_dict())
        self.learner, total = learner, int(self.config["n_timesteps"])
        rollouts, alone = 0, int(self.config.get("critic_rollouts", 0))
        _only_critic(self.subject.inside(learner), learner.num_timesteps == 0 and alone > 0)

        def after(model: MaskablePPO) -> bool:
            nonlocal rollouts
            rollouts += 1
            if rollouts == alone:
                _only_critic(self.subject.inside(model), False)
            self.network.load_state_dict(self.subject.inside(model).state_dict())
            if rollouts % self.every == 0 or model.num_timesteps >= total:
                self._validate("ppo", model.num_timesteps)
            self._save("ppo")
            self._tell("ppo", model.num_timesteps, total)
            return not self._enough()

        left = total - learner.num_timesteps
        if left > 0:
            learner.learn(left, callback=AfterRollout(after), reset_num_timesteps=False)
            after(learner)

    def _enough(self) -> bool:
        return self.stop() or self.waited >= self.patience

    def _validate(self, stage: str, done: int) -> None:
        gap = self._gap = self.validation.gap(self.network)
        self.waited = 0 if gap < self.best else self.waited + 1
        if gap < self.best:
            self.best = gap
            weights = {name: part.cpu() for name, part in self.network.state_dict().items()}
            self.folder.save(self.folder.best, {"network": weights, "gap": gap, "stage": stage})
        self.folder.note(stage=stage, done=done, gap=gap, best=self.best, seconds=self._spent())
        if self._board is not None:
            self._board.add(f"{stage}/gap", gap, done)

    def _tell(self, stage: str, done: int, total: int, loss: float | None = None) -> None:
        if self._board is not None and loss is not None:
            self._board.add(f"{stage}/loss", loss, done)
        best = self.best if np.isfinite(self.best) else None
        self.on_step(Step(stage, done, total, loss, self._gap, best))

    def _spent(self) -> float:
        return round(self.seconds + time.monotonic() - self._clock, 1)

    def _save(self, stage: str) -> None:
        content: dict[str, Any] = {
            "stage": stage,
            "network": self.network.state_dict(),
            "cloning": self.cloning.state(),
            "best": self.best,
            "waited": self.waited,
            "seconds": self._spent(),
            "torch": torch.get_rng_state(),
        }
        if self.learner is not None:
            buffer = io.BytesIO()
            torch.save(self.learner.get_parameters(), buffer)
            content |= {"ppo": buffer.getvalue(), "timesteps": self.learner.num_timesteps}
        self.folder.save(self.folder.checkpoint, content)

    def _restore(self) -> None:
        found = self.folder.load(self.folder.checkpoint)
        fill(self.network, found["network"], str(self.folder.checkpoint))
        self.cloning.restore(found["cloning"])
        self.best, self.waited = found["best"], found["waited"]
        self._finished = found["stage"] == "tilt"
        self.seconds = found["seconds"]
        torch.set_rng_state(found["torch"])
        self._ppo, self._timesteps = found.get("ppo"), int(found.get("timesteps", 0))


def _only_critic(network: nn.Module, only: bool) -> None:
    """Whether nothing but what tells the value learns: before it can, rewards mislead the rest."""
    for name, part in network.named_parameters():
        part.requires_grad_(not only or name.startswith("worth."))


def _parameters(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return found


def train(
    problem: str,
    out: Path,
    hyperparameters: dict[str, Any],
    seed: int,
    **options: Any,
) -> Training:
    """A new run in a folder of its own, which is left as it was if the run cannot begin."""
    config = {"problem": problem, "seed": seed, "hyperparameters": hyperparameters}
    folder = Folder.new(out, config)
    try:
        return Training(folder, **options)
    except OptschedError:
        folder.discard()
        raise
