"""Actions as they are given to environments: whole numbers, one for each."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from optsched.arrays import Ints
from optsched.errors import InputError


def one(action: Any) -> int:
    """An action of a single environment.

    Raises
    ------
    InputError
        It is no whole number.
    """
    try:
        return operator.index(action)
    except TypeError:
        raise InputError(f"action {str(action)[:40]!r}: give one whole number") from None


def many(actions: Any, count: int) -> Ints:
    """(count,) int64, the actions of a batch.

    Raises
    ------
    InputError
        They are not whole numbers, or not as many as there are environments.
    """
    found = np.asarray(actions)
    if found.shape != (count,) or not np.issubdtype(found.dtype, np.integer):
        raise InputError(
            f"actions of shape {found.shape} and kind {found.dtype}: give {count} whole numbers, "
            "one for each environment"
        )
    return np.ascontiguousarray(found, dtype=np.int64)
