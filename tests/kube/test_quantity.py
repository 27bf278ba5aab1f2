"""Quantities as exact integers."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optsched.errors import FormatError
from optsched.kube.quantity import NANO, nanos, to_nanos, to_units

SCALE = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(1000),
    "M": Fraction(10**6),
    "E": Fraction(10**18),
    "Ki": Fraction(1024),
    "Gi": Fraction(1024**3),
    "Ei": Fraction(1024**6),
}


@pytest.mark.parametrize(
    ("text", "resource", "units"),
    [
        ("250m", "cpu", 250),
        ("1", "cpu", 1000),
        ("0.1", "cpu", 100),
        ("1500u", "cpu", 2),
        ("1n", "cpu", 1),
        ("0", "cpu", 0),
        ("-0", "cpu", 0),
        ("128974848", "memory", 128974848),
        ("129e6", "memory", 129_000_000),
        ("129E6", "memory", 129_000_000),
        ("1E", "memory", 10**18),
        ("1Ei", "memory", 2**60),
        ("129M", "memory", 129_000_000),
        ("123Mi", "memory", 123 * 2**20),
        ("1.5Gi", "memory", 3 * 2**29),
        (".5Ki", "memory", 512),
        ("5.", "memory", 5),
        ("+7", "memory", 7),
        ("128974848000m", "memory", 128974848),
        ("100m", "memory", 1),
        ("1e-3", "memory", 1),
    ],
)
def test_written_forms(text: str, resource: str, units: int) -> None:
    """Every way of writing a quantity gives the unit's integer, rounded up."""
    assert to_units(resource, nanos(text)) == units


@given(
    digits=st.integers(0, 10**12),
    decimals=st.integers(0, 6),
    suffix=st.sampled_from(sorted(SCALE)),
)
def test_agrees_with_fractions(digits: int, decimals: int, suffix: str) -> None:
    """Nanos are the exact value rounded up to nine decimal places."""
    text = f"{digits}".rjust(decimals + 1, "0")
    text = text[: len(text) - decimals] + "." + text[len(text) - decimals :] if decimals else text
    exact = Fraction(digits, 10**decimals) * SCALE[suffix] * NANO
    assert nanos(text + suffix) == -(-exact.numerator // exact.denominator)


@pytest.mark.parametrize(
    "text",
    ["", ".", "m", "1 Gi", "1GiB", "0x10", "1e", "e3", "1_000", "٣", "1" * 100, "Inf", "--1"],
)
def test_refuses_what_is_no_quantity(text: str) -> None:
    """Anything else is an error that shows the text."""
    with pytest.raises(FormatError, match="not a Kubernetes quantity"):
        nanos(text)


def test_refuses_negative() -> None:
    """Kubernetes has no negative requests."""
    with pytest.raises(FormatError, match="'-1Gi' is negative"):
        nanos("-1Gi")


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser fail in another way, and what is read is not negative."""
    with suppress(FormatError):
        assert nanos(text) >= 0


def test_bare_numbers() -> None:
    """JSON numbers, which hand-written files hold, mean the same as text."""
    assert to_nanos(2) == to_nanos("2")
    assert to_nanos(0.5) == to_nanos("500m")
