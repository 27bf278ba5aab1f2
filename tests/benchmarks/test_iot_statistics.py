"""Statistics by hand."""

from __future__ import annotations

import pytest

from benchmarks.iot_tasks.statistics import holm, interval, wilcoxon


def test_holm_by_hand() -> None:
    """Steps down, never below the one before, at most 1."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_wilcoxon_by_hand() -> None:
    """Five of five above: W = 15, mean 7.5, variance 13.75, so z = 7 / 3.708."""
    assert wilcoxon([1, 2, 3, 4, 5]) == pytest.approx(0.0591, abs=2e-4)
    assert wilcoxon([1, -1, 2, -2]) == 1.0
    assert wilcoxon([0, 0]) == 1.0
    assert wilcoxon([5, -1, 2]) == wilcoxon([-5, 1, -2])


def test_intervals() -> None:
    """Equal ratios have no width; others lie around the geometric mean."""
    assert interval([[0.5] * 9]) == pytest.approx((0.5, 0.5, 0.5))
    mean, low, high = interval([[0.5, 2.0] * 20, [0.5, 2.0] * 20])
    assert mean == pytest.approx(1.0)
    assert 0.6 < low < 1 < high < 1.6
