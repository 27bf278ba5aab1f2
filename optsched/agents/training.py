"""A training run: cloning, masked PPO, further stages; validated, saved each round, resumable."""

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
from optsched.agents.folder import LARGEST_SEED, Folder, fill, restoring
from optsched.agents.ppo import AfterRollout
from optsched.agents.subject import Finishing, subject
from optsched.agents.weights import weights
from optsched.errors import InputError, OptschedError

HUGE = 1e6  # no weight of a network that learns comes near it


@dataclass(frozen=True)
class Step:
    """How far a run is.

    Attributes
    ----------
    stage
        "clone", "ppo", or one of the subject's own; "init" for the weights it began with.
    done, total
        Rounds, or steps of environments.
    loss, gap, best
        Of the last round, of the last validation, and the least so far; None: not known.
    validated
        Whether that validation came since the step before.
    """

    stage: str
    done: int
    total: int
    loss: float | None = None
    gap: float | None = None
    best: float | None = None
    validated: bool = False


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

    Raises
    ------
    InputError
        There is no such device, or the hyperparameters make no instances.
    FormatError
        The folder holds weights of another network than this version trains.
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
        self.device, self.workers = device, workers
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
        # The least gap so far, and that of the best weights; they differ after a kill between.
        self.best = self.kept = float("inf")
        self.waited, self.seconds = 0, 0.0
        self.learner: MaskablePPO | None = None
        self._ppo: bytes | None = None
        self._timesteps = self._rollouts = 0
        self._stages: dict[str, Any] = {}
        self._stage = ""
        self._board: Board | None = None
        self._gap: float | None = None
        self._new = False  # that gap
        if folder.checkpoint.exists():
            self._restore()
        elif folder.init.exists():
            fill(self.network, folder.load(folder.init)["network"], str(folder.init))

    def run(self) -> float:
        """Train to the end, or as long as `stop` says so; the best gap on validation.

        Raises
        ------
        InputError
            The network diverged, or there is no room for the folder's files; what was written
            before is whole.
        """
        self._clock = time.monotonic()
        self.folder.began(device=self.device, threads=torch.get_num_threads(), workers=self.workers)
        self._board = Board(self.folder.path / "tensorboard")
        try:
            if self.folder.init.exists() and not self._stage:
                self._validate("init", 0)
                self._tell("init", 0, 1)
            if not self._stages:  # else what comes before them is done, however it ended
                if self._ppo is None:
                    self._clone()
                if int(self.config["n_timesteps"]) and not self._enough():
                    self._learn()
            self._finish()
        finally:
            self._board.close()
        return min(self.best, self.kept)

    def _clone(self) -> None:
        total = int(self.config["clone"]["rounds"])
        for found in self.cloning.rounds(self._enough):
            done = self.cloning.round
            self._require_numbers("clone", self.network)
            if done % self.every == 0 or done == total:
                self._validate("clone", done)
            self._save("clone")
            self._tell("clone", done, total, found)
        self._from_best()
        self.waited = 0

    def _from_best(self) -> None:
        if np.isfinite(self.best):  # else those there are of a run that no checkpoint came of
            best = self.folder.load(self.folder.best)
            with restoring(self.folder.best):
                fill(self.network, best["network"], str(self.folder.best))

    def _finish(self) -> None:
        """The further stages, each from the best weights so far, or from where it was left."""
        if not isinstance(self.subject, Finishing):
            return
        for name, stage in self.subject.stages(
            self.network, self.config, self.seed, self.workers
        ).items():
            if name in self._stages:
                with restoring(self.folder.checkpoint):
                    stage.restore(self._stages[name])
            if name == self._stage:
                fill(self.network, self._left, str(self.folder.checkpoint))
            elif not stage.round:
                self._from_best()
                self.waited = 0
            for found in stage.rounds(self._enough):
                self._require_numbers(name, self.network)
                self._stages[name], done = stage.state(), stage.round
                if done % stage.every == 0 or done == stage.total:
                    self._validate(name, done)
                self._save(name)
                self._tell(name, done, stage.total, found)

    def _learn(self) -> None:
        learner = self.subject.learner(self.config, self.seed, self.device, self._timesteps)
        if self._ppo is not None:
            with restoring(self.folder.checkpoint):
                learner.set_parameters(_parameters(self._ppo), device=self.device)
            learner.num_timesteps = self._timesteps
        else:
            self.subject.inside(learner).load_state_dict(self.network.state_dict())
        self.learner, total = learner, int(self.config["n_timesteps"])
        alone = int(self.config.get("critic_rollouts", 0))
        _only_critic(self.subject.inside(learner), self._rollouts < alone)

        told, going = learner.num_timesteps, True

        def after(model: MaskablePPO) -> bool:
            nonlocal told, going
            if model.num_timesteps == told or not going:
                return going  # no rollout since, or but the first steps of one
            told = model.num_timesteps
            self._require_numbers("ppo", self.subject.inside(model))
            self._rollouts += 1
            if self._rollouts == alone:
                _only_critic(self.subject.inside(model), False)
            self.network.load_state_dict(self.subject.inside(model).state_dict())
            if self._rollouts % self.every == 0 or told >= total:
                self._validate("ppo", told)
            self._save("ppo")
            self._tell("ppo", told, total)
            going = not self._enough()
            return going

        left = total - learner.num_timesteps
        if left > 0:
            try:
                learner.learn(left, callback=AfterRollout(after), reset_num_timesteps=False)
            except ValueError:  # of distributions that are none
                self._require_numbers("ppo", self.subject.inside(learner))
                raise
            after(learner)

    def _require_numbers(self, stage: str, network: nn.Module) -> None:
        """Refuse to go on with a network that has diverged; the folder keeps what was before."""
        if not all(bool((part.abs() < HUGE).all()) for part in network.parameters()):
            raise InputError(
                f"{stage}: the weights have grown beyond all measure; train anew with a smaller "
                "learning rate"
            )

    def _enough(self) -> bool:
        return self.stop() or self.waited >= self.patience

    def _validate(self, stage: str, done: int) -> None:
        gap = self._gap = self.validation.gap(self.network)
        self._new = True
        self.waited = 0 if gap < self.best else self.waited + 1
        self.best = min(gap, self.best)
        if gap < self.kept:
            self.kept = gap
            weights = {name: part.cpu() for name, part in self.network.state_dict().items()}
            self.folder.save(self.folder.best, {"network": weights, "gap": gap, "stage": stage})
        best = min(self.best, self.kept)
        self.folder.note(stage=stage, done=done, gap=gap, best=best, seconds=self._spent())
        if self._board is not None:
            self._board.add(f"{stage}/gap", gap, done)

    def _tell(self, stage: str, done: int, total: int, loss: float | None = None) -> None:
        if self._board is not None and loss is not None:
            self._board.add(f"{stage}/loss", loss, done)
        best = min(self.best, self.kept) if np.isfinite(self.best) else None
        self.on_step(Step(stage, done, total, loss, self._gap, best, self._new))
        self._new = False

    def _spent(self) -> float:
        return round(self.seconds + time.monotonic() - self._clock, 1)

    def _save(self, stage: str) -> None:
        content: dict[str, Any] = {
            "stage": stage,
            "network": self.network.state_dict(),
            "cloning": self.cloning.state(),
            "stages": self._stages,
            "best": self.best,
            "waited": self.waited,
            "seconds": self._spent(),
            "torch": torch.get_rng_state(),
        }
        if self.learner is not None:
            buffer = io.BytesIO()
            torch.save(self.learner.get_parameters(), buffer)
            content |= {"ppo": buffer.getvalue(), "timesteps": self.learner.num_timesteps}
            content["rollouts"] = self._rollouts
        self.folder.save(self.folder.checkpoint, content)

    def _restore(self) -> None:
        found = self.folder.load(self.folder.checkpoint)
        with restoring(self.folder.checkpoint):
            fill(self.network, found["network"], str(self.folder.checkpoint))
            self.cloning.restore(found["cloning"])
            self.best = self.kept = float(found["best"])
            self.waited, self.seconds = int(found["waited"]), float(found["seconds"])
            self._stage, self._stages, self._left = (
                found["stage"],
                found["stages"],
                found["network"],
            )
            torch.set_rng_state(found["torch"])
        self._ppo, self._timesteps = found.get("ppo"), int(found.get("timesteps", 0))
        self._rollouts = int(found.get("rollouts", 0))
        if self.folder.best.exists():  # a kill may have come between the two files
            best = self.folder.load(self.folder.best)
            with restoring(self.folder.best):
                self.kept = min(self.kept, float(best["gap"]))


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
    init: Path | None = None,
    **options: Any,
) -> Training:
    """A new run in a folder of its own, which is left as it was if the run cannot begin.

    Parameters
    ----------
    init
        Weights to begin with, see `agents.weights`; the folder keeps a copy.
    **options
        For `Training`.

    Raises
    ------
    InputError
        The seed is none, a run is there already, or what `Training` and `weights` raise.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"the seed {seed} is out of range; give 0 to {LARGEST_SEED}")
    config: dict[str, Any] = {"problem": problem, "seed": seed, "hyperparameters": hyperparameters}
    given = None
    if init is not None:
        given = weights(init, subject(problem))
        config["init"] = given.told
    folder = Folder.new(out, config)
    try:
        if given is not None:
            folder.save(folder.init, {"network": given.state})
        return Training(folder, **options)
    except OptschedError:
        folder.discard()
        raise
