"""Hot loops, compiled by numba where it is installed; without it the same functions run plain."""

from __future__ import annotations

import numpy as np


def warm() -> None:
    """Compile every kernel, or load what was compiled before.

    Once after an installation this takes some twenty seconds, later a fraction of one. Without
    numba there is nothing to do.
    """
    from .annealing import anneal
    from .jit import COMPILED
    from .pricing import best_pattern, patterns_above

    if not COMPILED:
        return
    ones, none, long = np.ones(1), np.zeros((0, 1)), np.zeros(1, np.int64)
    anneal(
        np.ones((1, 1)), np.ones((1, 1)), long, np.ones((1, 1), bool), long - 1, long - 1, ones,
        ones, ones, 1.0, np.zeros((1, 1)), long.copy(), np.inf, 1.0, 0.5, 1,
        np.ones(1, np.uint64),
    )  # fmt: skip
    empty = np.zeros(0, np.int64)
    best_pattern(ones, none, empty, empty, 0, 1, np.zeros((1, 0), np.int64))
    patterns_above(ones, none, empty, empty, empty, 0, 1, np.zeros((1, 0), np.int64))
