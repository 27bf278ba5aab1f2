"""The best pattern for one host: an exact bounded knapsack over several resources.

Depth-first branch and bound. Copies are taken in the order of value per surrogate weight, and the
fractional fill of the one surrogate resource (a mix of all of them) bounds what is left; Martello
and Toth, Knapsack Problems, 1990, chapter 3, with a surrogate as in chapter 9.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .jit import jit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ROUNDING = 0.5  # more than sums of values below 2**50 lose in floating point; values are whole


@jit
def fractional(start: int, left: float, value: Ints, weight: Floats, copies: Ints) -> float:
    """Value of filling `left` of the surrogate with segments from `start` on, fractions allowed."""
    total = 0.0
    for k in range(start, len(value)):
        need = weight[k] * copies[k]
        if need <= left:
            left -= need
            total += float(value[k]) * copies[k]
        else:
            return total + float(value[k]) * left / weight[k]
    return total


@jit
def mix(room: Floats, demand: Floats, value: Ints, copies: Ints, steps: int) -> tuple[Floats, Ints]:
    """Surrogate weight of each segment, for the mix of resources with the smallest root bound.

    Returns the weights (S,), with a full host weighing 1, and the order of the segments.
    """
    segments, resources = demand.shape
    best, best_weight = np.inf, np.zeros(segments)
    best_order = np.arange(segments)
    share = np.ones(resources) / resources
    pull = 0.5
    for _ in range(steps):
        weight = np.zeros(segments)
        for k in range(segments):
            for r in range(resources):
                if room[r] > 0:
                    weight[k] += share[r] * demand[k, r] / room[r]
            weight[k] = max(weight[k], 1e-12)
        order = np.argsort(-(value / weight))
        left, bound = 1.0, 0.0
        fill = np.zeros(resources)
        for k in order:
            part = min(float(copies[k]), left / weight[k])
            bound += part * value[k]
            left -= part * weight[k]
            for r in range(resources):
                if room[r] > 0:
                    fill[r] += part * demand[k, r] / room[r]
            if left <= 1e-12:
                break
        if bound < best:
            best, best_weight, best_order = bound, weight, order
        # A subgradient step: what is overfilled should weigh more.
        total = 0.0
        for r in range(resources):
            share[r] = max(share[r] * np.exp(pull * (fill[r] - 1.0) * 4.0), 1e-3)
            total += share[r]
        share /= total
        pull *= 0.7
    return best_weight, best_order


@jit
def surrogate_room(copies: Ints) -> float:
    """A full host, and what rounding and the least weight of a copy may add to it."""
    return 1.0 + 1e-9 + 1e-12 * copies.sum()


@jit
def best_pattern(
    room: Floats,
    demand: Floats,
    value: Ints,
    copies: Ints,
    cutoff: int,
    nodes: int,
    found: Ints,
) -> tuple[int, int, int]:
    """Maximise the value of a pattern that fits `room`.

    Parameters
    ----------
    room, demand
        (R,) and (S, R), whole numbers below 2**53.
    value, copies
        (S,) positive values and how many copies of each segment there are.
    cutoff
        Only patterns worth more than this are of interest.
    nodes
        Most nodes to visit.
    found
        (P, S), receives the last patterns that improved on all before them, newest last.

    Returns
    -------
    tuple
        The best value (or `cutoff`), an upper bound of it (equal to it if the search was
        complete), and the number of patterns in `found`.
    """
    segments, resources = demand.shape
    if segments == 0:
        return max(cutoff, 0), max(cutoff, 0), 0
    weight, order = mix(room, demand, value, copies, 12)
    v, c, w = value[order], copies[order], weight[order]
    d = demand[order]
    left = room.copy()
    x = np.zeros(segments, np.int64)
    best, number, visited = cutoff, 0, 0
    current, slack, k = 0, surrogate_room(c), 0
    root = fractional(0, slack, v, w, c)
    while True:
        visited += 1
        if visited > nodes:
            return best, max(best, int(np.floor(root + ROUNDING))), number
        deeper = k < segments and current + fractional(k, slack, v, w, c) + ROUNDING >= best + 1
        if deeper:
            take = c[k]
            for r in range(resources):
                if d[k, r] > 0:
                    take = min(take, np.int64(left[r] // d[k, r]))
            x[k] = take
            current += take * v[k]
            slack -= take * w[k]
            for r in range(resources):
                left[r] -= take * d[k, r]
            k += 1
            if current > best:
                best = current
                if number == found.shape[0]:
                    for p in range(1, number):
                        found[p - 1] = found[p]
                    number -= 1
                found[number] = 0
                for s in range(k):
                    found[number, order[s]] = x[s]
                number += 1
            continue
        k -= 1
        while k >= 0 and x[k] == 0:
            k -= 1
        if k < 0:
            return best, best, number
        x[k] -= 1
        current -= v[k]
        slack += w[k]
        for r in range(resources):
            left[r] += d[k, r]
        k += 1


@jit
def patterns_above(
    room: Floats,
    demand: Floats,
    value: Ints,
    copies: Ints,
    after: Ints,
    threshold: int,
    nodes: int,
    found: Ints,
) -> int:
    """Every pattern that fits `room` and is worth at least `threshold`.

    Parameters
    ----------
    room, demand, value, copies
        As in `best_pattern`; values may be negative or zero.
    after
        (S,) a segment that must be used up before this one is touched; -1: none. It must be worth
        more per copy.
    threshold, nodes
        Least value, and most nodes to visit.
    found
        (P, S), receives the patterns.

    Returns
    -------
    int
        How many there are, or -1 if they are more than P, or more than `nodes` nodes are needed.
    """
    segments, resources = demand.shape
    gains = np.flatnonzero(value > 0)
    costs = np.flatnonzero(value <= 0)
    weight, order = mix(room, demand[gains], value[gains], copies[gains], 12)
    positives = len(gains)
    sequence = np.empty(segments, np.int64)
    for k in range(positives):
        sequence[k] = gains[order[k]]
    falling = np.argsort(-value[costs], kind="mergesort")
    for k in range(len(costs)):
        sequence[positives + k] = costs[falling[k]]
    place = np.empty(segments, np.int64)
    for k in range(segments):
        place[sequence[k]] = k
    v, c, d = value[sequence], copies[sequence], demand[sequence]
    w = weight[order]
    left = room.copy()
    x = np.zeros(segments, np.int64)
    number, visited, current, slack, k = 0, 0, 0, surrogate_room(c), 0
    while True:
        visited += 1
        if visited > nodes:
            return -1
        rest = fractional(k, slack, v[:positives], w, c[:positives]) if k < positives else 0.0
        if k < segments and current + rest + ROUNDING >= threshold:
            take = c[k]
            first = after[sequence[k]]
            if first >= 0 and x[place[first]] < copies[first]:
                take = 0
            for r in range(resources):
                if d[k, r] > 0:
                    take = min(take, np.int64(left[r] // d[k, r]))
            x[k] = take
            current += take * v[k]
            if k < positives:
                slack -= take * w[k]
            for r in range(resources):
                left[r] -= take * d[k, r]
            k += 1
            continue
        if k == segments and current >= threshold:
            if number == found.shape[0]:
                return -1
            for s in range(segments):
                found[number, sequence[s]] = x[s]
            number += 1
        k -= 1
        while k >= 0 and x[k] == 0:
            k -= 1
        if k < 0:
            return number
        x[k] -= 1
        current -= v[k]
        if k < positives:
            slack += w[k]
        for r in range(resources):
            left[r] += d[k, r]
        k += 1
