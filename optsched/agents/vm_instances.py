"""Instances that agents for VM rescheduling are trained on: drawn, or drawn from a real snapshot.

With `base: FILE` among `env_kwargs` instances start from that snapshot: of its VMs some leave and
others enter, by the same recipe as for drawn ones, so that every seed is another day of the same
cluster. Its size and memory are its own then: `pms` and `memory` mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from optsched.api import read
from optsched.errors import InputError
from optsched.generate.vm import snapshot
from optsched.problem import PlacementProblem
from optsched.simulate.migration import Start, start

MOVES = 50  # where nothing is said


@lru_cache(maxsize=4)
def base(path: str) -> PlacementProblem:
    """The snapshot in a file, read once.

    Raises
    ------
    InputError
        It cannot be read, or holds tasks.
    """
    found = read(path)
    if not isinstance(found, PlacementProblem):
        raise InputError(f"{path!r} holds tasks; VMs are needed")
    return found


def parted(env: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """`env_kwargs` as options of `instance`, and the most migrations.

    Raises
    ------
    InputError
        There are none.
    """
    options = dict(env)
    moves = int(options.pop("moves", MOVES))
    if moves < 1:
        raise InputError(f"{moves} moves make no episode; give at least 1")
    return options, moves


def instance(seed: int, options: Mapping[str, Any]) -> PlacementProblem:
    """The instance of a seed; options as `generate.vm.snapshot` has them, a base by its file."""
    given = dict(options)
    path = given.pop("base", None)
    if path is None:
        return snapshot(seed, **given)
    own = {name: value for name, value in given.items() if name not in ("pms", "memory")}
    return snapshot(seed, base=base(str(path)), **own)


def begun(seed: int, options: Mapping[str, Any], moves: int) -> Start:
    """The start of an episode on the instance of a seed."""
    return start(instance(seed, options), moves)
