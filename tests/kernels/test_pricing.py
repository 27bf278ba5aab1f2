"""Pricing against every pattern there is, compiled and plain."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optsched.kernels.pricing import best_pattern, patterns_above

Version = Callable[[Any], Any]

SEEDS = st.integers(0, 2**32 - 1).map(Random)
# The version does not depend on the example.
SAME_VERSION = settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SIZES = [1, 1 << 24, 1 << 50]


@dataclass
class Knapsack:
    """Room (R,), and per segment its demand, value and copies; every pattern that fits."""

    room: np.ndarray
    demand: np.ndarray
    value: np.ndarray
    copies: np.ndarray

    def patterns(self) -> list[tuple[int, ...]]:
        """Every pattern that fits, by exact arithmetic."""
        room, demand = self.room.astype(object), self.demand.astype(object)
        return [
            pattern
            for pattern in itertools.product(*(range(int(c) + 1) for c in self.copies))
            if (np.array(pattern, dtype=object) @ demand <= room).all()
        ]

    def worth(self, pattern: tuple[int, ...]) -> int:
        """Value of a pattern."""
        return sum(n * int(v) for n, v in zip(pattern, self.value, strict=True))


def draw(random: Random, *, low: int) -> Knapsack:
    """A few segments of up to three resources; values are at least `low`, sizes often huge."""
    segments, resources = random.randint(1, 4), random.randint(1, 3)
    unit, price = random.choice(SIZES), random.choice([1, 1 << 24, 1 << 40])

    def number(least: int, most: int, scale: int) -> int:
        noise = random.randrange(scale) if scale > 1 and random.random() < 0.5 else 0
        return random.randint(least, most) * scale + noise

    room = [number(0, 7, unit) for _ in range(resources)]
    demand = [[number(0, 3, unit) for _ in room] for _ in range(segments)]
    value = [max(low, number(-4 if low < 1 else 1, 9, price)) for _ in range(segments)]
    copies = [random.randint(1, 3) for _ in range(segments)]
    return Knapsack(np.array(room), np.array(demand), np.array(value), np.array(copies))


def ask(kernel: Any, one: Knapsack, *more: object) -> Any:
    """The kernel's answer, with demands as it wants them."""
    room, demand = one.room.astype(np.float64), one.demand.astype(np.float64)
    return kernel(room, demand, one.value, one.copies, *more)


@SAME_VERSION
@given(random=SEEDS)
def test_the_best_pattern_is_the_best(version: Version, random: Random) -> None:
    """A complete search gives the best value exactly, and a pattern worth it that fits."""
    one = draw(random, low=1)
    best = max(one.worth(pattern) for pattern in one.patterns())
    found = np.zeros((3, len(one.value)), np.int64)
    value, bound, number = ask(version(best_pattern), one, 0, 1_000_000, found)
    assert value == bound == best
    if number:
        last = tuple(found[number - 1].tolist())
        assert one.worth(last) == best
        assert last in one.patterns()
    else:
        assert best == 0


@SAME_VERSION
@given(random=SEEDS, nodes=st.integers(1, 12))
def test_a_search_cut_short_bounds_the_best(version: Version, random: Random, nodes: int) -> None:
    """Whatever the number of nodes, the bound holds and patterns found are better than asked."""
    one = draw(random, low=1)
    best = max(one.worth(pattern) for pattern in one.patterns())
    cutoff = random.randrange(2 * best + 2)
    found = np.zeros((2, len(one.value)), np.int64)
    value, bound, number = ask(version(best_pattern), one, cutoff, nodes, found)
    assert bound >= max(best, cutoff)
    assert value <= max(best, cutoff)
    for row in found[:number].tolist():
        assert tuple(row) in one.patterns()
        assert one.worth(tuple(row)) > cutoff


@SAME_VERSION
@given(random=SEEDS)
def test_all_patterns_above_a_value_are_listed(version: Version, random: Random) -> None:
    """Each once, values below zero included; -1 where they are too many for the list."""
    one = draw(random, low=-(1 << 60))
    worth = {pattern: one.worth(pattern) for pattern in one.patterns()}
    threshold = random.choice([*worth.values()]) + random.choice([-1, 0, 1])
    wanted = sorted(pattern for pattern, value in worth.items() if value >= threshold)
    free = np.full(len(one.value), -1)
    found = np.zeros((max(len(wanted), 1), len(one.value)), np.int64)
    number = ask(version(patterns_above), one, free, threshold, 1_000_000, found)
    assert number == len(wanted)
    assert sorted(map(tuple, found[:number].tolist())) == wanted
    if wanted:
        assert ask(version(patterns_above), one, free, threshold, 1_000_000, found[1:]) == -1
        assert ask(version(patterns_above), one, free, threshold, 1, found) == -1


@SAME_VERSION
@given(random=SEEDS)
def test_a_segment_waits_until_another_is_used_up(version: Version, random: Random) -> None:
    """Copies of one class at two prices: the dearer ones are always taken first."""
    one = draw(random, low=-(1 << 60))
    one.demand = np.concatenate([one.demand, one.demand[:1]])
    one.value = np.concatenate([one.value, one.value[:1] - 1])
    one.copies = np.concatenate([one.copies, [2]])
    after = np.full(len(one.value), -1)
    after[-1] = 0
    threshold = min(one.worth(pattern) for pattern in one.patterns())
    wanted = [p for p in one.patterns() if not p[-1] or p[0] == one.copies[0]]
    found = np.zeros((len(wanted), len(one.value)), np.int64)
    number = ask(version(patterns_above), one, after, threshold, 1_000_000, found)
    assert sorted(map(tuple, found[:number].tolist())) == sorted(wanted)


def test_many_copies_of_nothing_fit(version: Version) -> None:
    """What asks for nothing never fills a host, however many there are."""
    one = Knapsack(np.array([5]), np.array([[0], [5]]), np.array([1, 10]), np.array([10**6, 1]))
    found = np.zeros((1, 2), np.int64)
    value, bound, _ = ask(version(best_pattern), one, 0, 1000, found)
    assert value == bound == 10**6 + 10


def test_nothing_to_choose_from(version: Version) -> None:
    """Without segments a pattern is worth 0, or the cutoff."""
    nothing = np.zeros((0, 1)), np.zeros(0, np.int64), np.zeros(0, np.int64)
    found = np.zeros((1, 0), np.int64)
    assert version(best_pattern)(np.ones(1), *nothing, 3, 10, found) == (3, 3, 0)


@pytest.mark.parametrize("seed", range(5))
def test_versions_agree_on_larger_ones(seed: int) -> None:
    """Compiled and plain code visit the same nodes and find the same patterns."""
    from optsched.kernels.jit import plain

    rng = np.random.default_rng(seed)
    room = rng.integers(2000, 4000, 3).astype(np.float64)
    demand = rng.integers(100, 1000, (12, 3)).astype(np.float64)
    value, copies = rng.integers(1, 1 << 30, 12), rng.integers(1, 5, 12)
    answers = []
    for kernel in (best_pattern, plain(best_pattern)):
        found = np.zeros((4, 12), np.int64)
        answers.append((*kernel(room, demand, value, copies, 0, 5000, found), found.tolist()))
    assert answers[0] == answers[1]
