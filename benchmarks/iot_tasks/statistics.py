"""Paired ratios: geometric means, bootstrap intervals, Wilcoxon's test, Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

DRAWS = 2000


def interval(ratios: Sequence[Sequence[float]], seed: int = 0) -> tuple[float, float, float]:
    """Geometric mean and 95 % interval of a hierarchical bootstrap.

    Parameters
    ----------
    ratios
        One list per training seed (or solver seed), each with one ratio per instance: seeds are
        drawn first, then the instances of each.
    """
    rng = np.random.default_rng(seed)
    logs = np.log(np.asarray(ratios, float))
    many, count = logs.shape
    rows = rng.integers(many, size=(DRAWS, many, 1))
    means = logs[rows, rng.integers(count, size=(DRAWS, many, count))].mean(axis=(1, 2))
    low, high = np.quantile(means, [0.025, 0.975])
    return math.exp(float(logs.mean())), math.exp(float(low)), math.exp(float(high))


def wilcoxon(differences: Sequence[float]) -> float:
    """Two-sided p of the signed-rank test, by the normal approximation with ties corrected.

    Zeros are left out, as Wilcoxon did; without any difference p is 1.
    """
    given = np.asarray([d for d in differences if d != 0], float)
    n = len(given)
    if n == 0:
        return 1.0
    size = np.abs(given)
    _, index, counts = np.unique(size, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    rank = (last - (counts - 1) / 2)[index]
    positive = float(rank[given > 0].sum())
    mean = n * (n + 1) / 4
    variance = n * (n + 1) * (2 * n + 1) / 24 - float((counts**3 - counts).sum()) / 48
    distance = max(0.0, abs(positive - mean) - 0.5)
    return math.erfc(distance / math.sqrt(variance) / math.sqrt(2))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p values, in the order given (Holm 1979)."""
    adjusted, worst = [0.0] * len(p), 0.0
    for place, k in enumerate(sorted(range(len(p)), key=lambda one: p[one])):
        worst = max(worst, min(1.0, (len(p) - place) * p[k]))
        adjusted[k] = worst
    return adjusted
