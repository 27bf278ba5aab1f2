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
_OURS = ("clone", "tilt", "validate")  # the rest is Stable-Baselines3's
_POSITIVE = ("batch_size", "pool")


def read(problem: str, path: str | Path | None, changes: Mapping[str, str]) -> dict[str, Any]:
    """The arguments for a problem: from a file, or ours, with single values changed.

    Parameters
    ----------
    changes
        "clone.rounds" -> "50" and the like; values are YAML.

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
        shipped = (resources.files("optsched.envs") / "hyperparams" / name).read_text("utf-8")
        content = yaml.safe_load(shipped if path is None else Path(path).read_text("utf-8"))
        for key, value in changes.items():
            _change(content, env_id, key, yaml.safe_load(value))
    except OSError as error:
        raise InputError(f"{told!r} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{told!r} is no YAML") from error
    if not isinstance(content, dict) or not isinstance(content.get(env_id), dict):
        raise InputError(f"{told!r} has nothing for {env_id!r}")
    found: dict[str, Any] = content[env_id]
    _check(told, found, yaml.safe_load(shipped)[env_id])
    return found


def _change(content: Any, env_id: str, key: str, value: Any) -> None:
    at = content.get(env_id) if isinstance(content, dict) else None
    *path, last = key.split(".")
    for part in path:
        at = at.get(part) if isinstance(at, dict) else None
    if not isinstance(at, dict) or (last not in at and path != ["env_kwargs"]):
        raise InputError(f"there is no hyperparameter {key[:80]!r}")
    at[last] = value


def _check(told: str, found: dict[str, Any], shipped: dict[str, Any]) -> None:
    """Refuse missing, unknown or ill-typed values of what is ours, by the file that ships."""
    for name in (one for one in _OURS if one in shipped):
        part, known = found.get(name), shipped[name]
        if not isinstance(part, dict) or set(part) != set(known):
            raise InputError(f"{told!r}: {name} needs exactly {', '.join(known)}")
        for key, usual in known.items():
            given = part[key]
            if key == "learning_rate":
                schedule(given)
            elif (
                isinstance(given, bool)
                or not isinstance(given, int | float)
                or given < 0
                or (isinstance(usual, int) and int(given) != given)
            ):
                raise InputError(f"{told!r}: {name}.{key} cannot be {given!r}")
        if name == "validate" and min(part.values()) < 1:
            raise InputError(f"{told!r}: validate needs numbers of at least 1")
    clone = found["clone"]
    if clone["rounds"] and min(clone[key] for key in _POSITIVE if key in clone) < 1:
        raise InputError(f"{told!r}: clone needs a pool and a batch size of at least 1")


def schedule(value: Any) -> Callable[[float], float]:
    """From what is left (1 to 0) to a value: constant, or for "lin_x" falling from x.

    Raises
    ------
    InputError
        The value is neither.
    """
    found = _LINEAR.fullmatch(value) if isinstance(value, str) else None
    try:
        top = float(found.group(1) if found else value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{str(value)[:40]!r} is no number and not 'lin_' and one") from error
    return (lambda left: left * top) if found else (lambda left: top)
