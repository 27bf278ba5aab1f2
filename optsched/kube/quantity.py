"""Kubernetes quantities ("250m", "1.5Gi", "12e6") as exact integers.

Kubernetes keeps nine decimal places, so every quantity is an integer number of nanos. Sums are
taken in nanos and rounded up once per pod, as the scheduler does; rounding each container would ask
for too much.
"""

from __future__ import annotations

import re
from functools import lru_cache

from optsched.errors import FormatError

NANO = 10**9

_FORM = re.compile(
    r"([+-]?)(\d*)(?:\.(\d*))?(?:([eE])([+-]?\d{1,3})|([KMGTPE]i|[numkMGTPE]?))", re.A
)
_SUFFIX = {
    "n": 1,
    "u": 10**3,
    "m": 10**6,
    "": NANO,
    **{unit: NANO * 1000 ** (power + 1) for power, unit in enumerate("kMGTPE")},
    **{unit + "i": NANO * 1024 ** (power + 1) for power, unit in enumerate("KMGTPE")},
}


@lru_cache(maxsize=1 << 16)
def nanos(text: str) -> int:
    """The quantity in nanos, rounded up; FormatError if it is malformed or negative."""
    match = _FORM.fullmatch(text) if len(text) <= 64 else None
    if match is None or not (match[2] or match[3]):
        raise FormatError(f"{text[:40]!r} is not a Kubernetes quantity such as 500m or 2Gi")
    sign, whole, fraction, exponent, power, suffix = match.groups()
    fraction = fraction or ""
    digits = int(whole + fraction)
    scale = _SUFFIX[suffix] if not exponent else NANO
    shift = (int(power) if exponent else 0) - len(fraction)
    power_of_ten: int = 10 ** abs(shift)
    value = digits * scale * power_of_ten if shift >= 0 else -(-digits * scale // power_of_ten)
    if sign == "-" and value:
        raise FormatError(f"the quantity {text!r} is negative")
    return value


def to_nanos(value: str | float) -> int:
    """A quantity as JSON holds it: a string, or a bare number."""
    return nanos(value if isinstance(value, str) else str(value))


def to_units(resource: str, value: int) -> int:
    """Nanos in the unit the tables use: milli for cpu, 1 for all else, rounded up."""
    unit = 10**6 if resource == "cpu" else NANO
    return -(-value // unit)
