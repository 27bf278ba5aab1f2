"""The folder of a run: what it was given, how far it is, what came of it.

config.yml      problem, hyperparameters, seed; train --hyperparameters takes it too
starts.jsonl    a line per start or resumption: device, processes, Python, packages, git revision
checkpoint.pt   all that a resumed run needs; replaced as a whole, never half written
best.pt         the weights that validated best
init.pt         those it began with, where some were given
progress.jsonl  a line per validation
tensorboard/
"""

from __future__ import annotations

import contextlib
import io
import json
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from optsched.agents.hyperparameters import INIT, RUN, check
from optsched.errors import FormatError, InputError, OptschedError
from optsched.snapshot import write_atomically

FORMAT = 2
LARGEST_SEED = (1 << 32) - 1  # that numpy and torch both take
PACKAGES = ("optsched", "torch", "stable-baselines3", "sb3-contrib", "gymnasium", "numpy", "numba")


@dataclass(frozen=True)
class Folder:
    """A run's folder."""

    path: Path

    @classmethod
    def new(cls, path: Path, config: dict[str, Any]) -> Folder:
        """Begin a run.

        Raises
        ------
        InputError
            A run is there already, or the folder or its first file cannot be made.
        """
        folder = cls(path)
        if folder.checkpoint.exists() or (path / "config.yml").exists():
            raise InputError(f"{str(path)!r} holds a run; give --resume to go on, or another --out")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{str(path)!r} cannot be made: {error.strerror}") from error
        try:
            write_atomically(path / "config.yml", yaml.safe_dump(config, sort_keys=True).encode())
        except InputError:
            folder.discard()
            raise
        return folder

    @classmethod
    def old(cls, path: Path) -> Folder:
        """A run that was begun.

        Raises
        ------
        InputError
            There is none.
        """
        if not (path / "config.yml").is_file():
            raise InputError(f"{str(path)!r} holds no run; train one with optsched train")
        return cls(path)

    @property
    def checkpoint(self) -> Path:
        """All that a resumed run needs."""
        return self.path / "checkpoint.pt"

    @property
    def best(self) -> Path:
        """The weights that validated best."""
        return self.path / "best.pt"

    @property
    def init(self) -> Path:
        """The weights that the run began with, where some were given."""
        return self.path / "init.pt"

    def config(self) -> dict[str, Any]:
        """What the run was given.

        Raises
        ------
        FormatError
            config.yml is damaged, or speaks of a problem or hyperparameters that this version does
            not know.
        """
        told = str(self.path / "config.yml")
        try:
            found = yaml.safe_load(Path(told).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise FormatError(f"{told!r} is damaged; train anew") from error
        if not isinstance(found, dict) or set(found) - {INIT} != RUN:
            raise FormatError(f"{told!r} is damaged; train anew")
        seed = found["seed"]
        if not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
            raise FormatError(f"{told!r} is damaged; train anew")
        if not isinstance(found["problem"], str):
            raise FormatError(f"{told!r} is damaged; train anew")
        try:
            check(told, found["problem"], found["hyperparameters"])
        except InputError as error:
            raise FormatError(str(error)) from error
        return found

    def discard(self) -> None:
        """Take away what `new` wrote: a run that could not begin must not bar the next one."""
        for name in ("config.yml", "init.pt"):
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # what else is there is not ours
            self.path.rmdir()

    def save(self, path: Path, content: dict[str, Any]) -> None:
        """Write a file as a whole.

        Raises
        ------
        InputError
            There is no room; what was there before is still there.
        """
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, **content}, buffer)
        write_atomically(path, buffer.getvalue())

    def load(self, path: Path) -> dict[str, Any]:
        """Read what `save` wrote.

        Raises
        ------
        FormatError
            It is damaged, or of another version.
        """
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise InputError(f"{str(path)!r} is not there; has the run validated yet?") from None
        except Exception as error:  # bytes that are no checkpoint end in whatever they resemble
            raise FormatError(f"{str(path)!r} is damaged; train anew") from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise FormatError(f"{str(path)!r} is of another version")
        return found

    def began(self, **known: Any) -> None:
        """Add a line to starts.jsonl, with the versions of everything.

        Raises
        ------
        InputError
            There is no room.
        """
        self._add("starts.jsonl", known | _versions())

    def note(self, **known: Any) -> None:
        """Add a line to progress.jsonl.

        Raises
        ------
        InputError
            There is no room.
        """
        self._add("progress.jsonl", known)

    def _add(self, name: str, known: dict[str, Any]) -> None:
        path = self.path / name
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(known) + "\n")
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Say of a file that it is damaged where what it holds cannot be taken up, or is not there.

    Raises
    ------
    FormatError
        In place of what came of it.
    """
    try:
        yield
    except OptschedError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise FormatError(f"{str(path)!r} is damaged; train anew") from error


def fill(network: nn.Module, weights: dict[str, Any], told: str) -> None:
    """Give a network its weights.

    Raises
    ------
    FormatError
        They are those of a network of another problem or version.
    """
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise FormatError(
            f"{told!r} holds the weights of another network than this version trains; train anew"
        ) from error


def _versions() -> dict[str, str]:
    found = {
        "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}",
    }  # fmt: skip
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    where = Path(__file__).resolve().parent
    for key, command in (
        ("git", ["git", "rev-parse", "HEAD"]),
        ("git_changes", ["git", "status", "--porcelain", "--untracked-files=no"]),
    ):
        done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
        found[key] = done.stdout.strip()[:2000] if done.returncode == 0 else "no repository"
    return found
