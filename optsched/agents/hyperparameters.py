"""Hyperparameters from YAML in the shape of the RL zoo: an environment's id and its arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from optsched.agents import PROBLEMS
from optsched.errors import InputError, MissingExtraError

_LINEAR = re.compile(r"lin_([0-9.eE+-]+)")
# The rest is Stable-Baselines3's.
_OURS = ("ants", "branch", "clone", "correct", "tilt", "validate")
RUN, INIT = {"problem", "seed", "hyperparameters"}, "init"  # what a run's config.yml holds
# Of a stage that has rounds, what cannot be 0.
_POSITIVE = (
    "batch_size", "pool", "population", "instances", "states", "episodes", "worlds", "ants", "every"
)  # fmt: skip
_SIZES = ("n_envs", "n_steps", "n_worlds", "n_rollouts", "batch_size", "n_epochs")


def read(problem: str, path: str | Path | None, changes: Mapping[str, str]) -> dict[str, Any]:
    """The arguments for a problem: from a file, or ours, with single values changed.

    Parameters
    ----------
    changes
        "clone.rounds" -> "50" and the like; values are YAML.
    path
        A file in the zoo's shape, or the config.yml of another run.

    Raises
    ------
    InputError
        The file or a change says something that no training knows.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError(
            "training needs the package 'yaml': pip install 'optsched[rl]'"
        ) from error
    if problem not in PROBLEMS:
        raise InputError(f"no environment for {problem[:40]!r}; there are {', '.join(PROBLEMS)}")
    env_id, name = PROBLEMS[problem].environment, PROBLEMS[problem].hyperparameters
    told = str(path) if path is not None else name
    try:
        content = yaml.safe_load(_shipped(name) if path is None else Path(path).read_text("utf-8"))
        if isinstance(content, dict) and set(content) - {INIT} == RUN:
            known = PROBLEMS.get(str(content["problem"]))
            content = {known.environment: content["hyperparameters"]} if known else {}
        for key, value in changes.items():
            _change(content, env_id, key, yaml.safe_load(value))
    except OSError as error:
        raise InputError(f"{told!r} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{told!r} is no YAML") from error
    if not isinstance(content, dict) or not isinstance(content.get(env_id), dict):
        raise InputError(f"{told!r} has nothing for {env_id!r}")
    found: dict[str, Any] = content[env_id]
    check(told, problem, found)
    return found


def _shipped(name: str) -> str:
    return (resources.files("optsched.envs") / "hyperparams" / name).read_text("utf-8")


def _change(content: Any, env_id: str, key: str, value: Any) -> None:
    at = content.get(env_id) if isinstance(content, dict) else None
    *path, last = key.split(".")
    for name in path:
        at = _known(at, name, key)[name]
    if path != ["env_kwargs"] or not isinstance(at, dict):  # those are checked by who takes them
        at = _known(at, last, key)
    at[last] = value


def _known(values: Any, name: str, key: str) -> dict[str, Any]:
    """Values among which there is one of the name, which `key` asks for."""
    if isinstance(values, dict) and name in values:
        return values
    there = f" (there are: {', '.join(map(str, values))})" if isinstance(values, dict) else ""
    raise InputError(f"there is no hyperparameter {key[:80]!r}{there}")


def check(told: str, problem: str, found: Any) -> None:
    """Refuse missing, unknown or ill-typed values, by the file that ships for the problem.

    Raises
    ------
    InputError
        There are some, or there is no such problem.
    """
    import yaml

    if problem not in PROBLEMS:
        raise InputError(f"no environment for {problem[:40]!r}; there are {', '.join(PROBLEMS)}")
    known = PROBLEMS[problem]
    shipped = yaml.safe_load(_shipped(known.hyperparameters))[known.environment]
    if not isinstance(found, dict) or set(shipped) - set(found):
        left_out = sorted(set(shipped) - set(found)) if isinstance(found, dict) else sorted(shipped)
        raise InputError(f"{told!r} lacks {', '.join(left_out)} for {problem}")
    for name, usual in shipped.items():
        given = found[name]
        if isinstance(usual, dict):
            if not isinstance(given, dict) or (name in _OURS and set(given) != set(usual)):
                raise InputError(f"{told!r}: {name} needs exactly {', '.join(usual)}")
            if name in _OURS:
                for key in usual:
                    _check_one(told, f"{name}.{key}", given[key], usual[key])
        else:
            _check_one(told, name, given, usual)
    if min(found["validate"].values()) < 1:
        raise InputError(f"{told!r}: validate needs numbers of at least 1")
    for name in _OURS:
        stage = found.get(name, {})
        for key in _POSITIVE if stage.get("rounds") else ():
            if stage.get(key, 1) < 1:
                raise InputError(f"{told!r}: {name}.{key} is at least 1 where it has rounds")
    if found["n_timesteps"]:
        _check_sizes(told, found)


def _check_sizes(told: str, found: dict[str, Any]) -> None:
    """Refuse rollouts that cannot be learned from."""
    if min(found[key] for key in _SIZES if key in found) < 1:
        raise InputError(f"{told!r}: {', '.join(k for k in _SIZES if k in found)} are at least 1")
    if "n_envs" in found:
        steps, size = found["n_envs"] * found["n_steps"], found["batch_size"]
        # Stable-Baselines3 divides by the deviation within each batch.
        if min(steps, size) < 2 or steps % size == 1:
            raise InputError(
                f"{told!r}: a rollout of {steps} steps in batches of {size} leaves a batch of one; "
                "change batch_size"
            )


def _check_one(told: str, name: str, given: Any, usual: Any) -> None:
    """A number like the one that ships; whole ones stay whole."""
    if name.endswith("learning_rate"):
        schedule(given)
    elif (
        isinstance(given, bool)
        or not isinstance(given, int | float)
        or not 0 <= given < float("inf")
        or (isinstance(usual, int) and int(given) != given)
    ):
        raise InputError(f"{told!r}: {name} cannot be {given!r}")


def schedule(value: Any) -> Callable[[float], float]:
    """From what is left (1 to 0) to a value: constant, or for "lin_x" falling from x.

    Raises
    ------
    InputError
        The value is neither, or it is negative or infinite.
    """
    found = _LINEAR.fullmatch(value) if isinstance(value, str) else None
    try:
        top = float(found.group(1) if found else value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{str(value)[:40]!r} is no number and not 'lin_' and one") from error
    if not 0 <= top < float("inf"):
        raise InputError(f"{str(value)[:40]!r} is no rate; give a number of at least 0")
    return (lambda left: left * top) if found else (lambda left: top)
