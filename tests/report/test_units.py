"""Amounts and names for people."""

from __future__ import annotations

import pytest

from optsched.report.units import LONGEST_NAME, amount, percent, plural, resource_words, short


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        ("cpu", 2000, "2"),
        ("cpu", 1_234_567, "1,234.567"),
        ("cpu", 0, "0"),
        ("gpu_milli", 300, "0.3"),
        ("memory", 512, "512 B"),
        ("memory", 3 << 29, "1.5 GiB"),
        ("memory_mib", 2048, "2 GiB"),
        ("hugepages-2Mi", 2 << 20, "2 MiB"),
        ("memory", 1 << 62, "4096 PiB"),
        ("nvidia.com/gpu", 8, "8"),
        ("pods", 1100, "1,100"),
    ],
)
def test_amount(resource: str, value: int, text: str) -> None:
    """Kubernetes' units are understood, other resources are counted."""
    assert amount(resource, value) == text


def test_resource_words() -> None:
    """A unit that is part of a name is not shown twice."""
    assert resource_words("memory_bytes") == "memory"
    assert resource_words("cpu") == "cpu"


def test_short() -> None:
    """A name is one printable line that fits a table."""
    assert short("ähre/grün") == "ähre/grün"
    assert short("a\x1b[31m\nb") == "a�[31m�b"
    long = short("x" * 10_000_000 + "end")
    assert len(long) < LONGEST_NAME
    assert long.endswith("end")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.0001, "< 0.1 %"),
        (0.5, "50 %"),
        (0.9999, "> 99.9 %"),
        (1, "100 %"),
        (1.5, "150 %"),
    ],
)
def test_percent(share: float, text: str) -> None:
    """Nothing rounds to all or nothing."""
    assert percent(share) == text


def test_plural() -> None:
    """One is not many."""
    assert [plural(n, "host") for n in (0, 1, 1000)] == ["0 hosts", "1 host", "1,000 hosts"]
