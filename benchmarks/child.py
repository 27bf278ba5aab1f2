"""Run a function in a fresh process and say how much memory that process took at its peak."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_child(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
    """What the function returns, and the peak resident set of its process in MiB.

    The process starts empty (it is spawned), so the peak holds the interpreter, the imports and
    the work, and nothing of earlier runs. `function` must be importable.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        return pool.apply(_measured, (function, args, kwargs))


def _measured(
    function: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[T, float]:
    result = function(*args, **kwargs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return result, peak / (2**20 if sys.platform == "darwin" else 2**10)
