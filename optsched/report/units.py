"""Amounts and names as people read them."""

from __future__ import annotations

import re

_BYTES = ("memory", "ephemeral-storage", "storage")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
LONGEST_NAME = 120


def amount(resource: str, value: int) -> str:
    """A quantity of a resource, in the unit its name says; other names are counts.

    Kubernetes' names mean milli-CPU and bytes; "_milli", "_bytes" and "_mib" end other names.

    >>> amount("cpu", 2500), amount("memory", 3 << 30), amount("pods", 1200)
    ('2.5', '3 GiB', '1,200')
    """
    if resource == "cpu" or resource.endswith("_milli"):
        return f"{value / 1000:,.3f}".rstrip("0").rstrip(".")
    if resource in _BYTES or resource.endswith("_bytes") or resource.startswith("hugepages-"):
        return _binary(value)
    if resource.endswith("_mib"):
        return _binary(value << 20)
    return f"{value:,}"


def resource_words(resource: str) -> str:
    """A resource's name without its unit.

    >>> resource_words("cpu_milli"), resource_words("nvidia.com/gpu")
    ('cpu', 'nvidia.com/gpu')
    """
    return short(re.sub("_(milli|bytes|mib)$", "", resource))


def _binary(value: int) -> str:
    size, unit = float(value), 0
    while abs(size) >= 1024 and unit < len(_BINARY) - 1:
        size /= 1024
        unit += 1
    return f"{size:.1f}".removesuffix(".0") + f" {_BINARY[unit]}"


def short(name: str) -> str:
    """A name on one line, not longer than a line."""
    flat = name if name.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in name)
    if len(flat) <= LONGEST_NAME:
        return flat
    half = LONGEST_NAME // 2 - 1
    return f"{flat[:half]}\u2026{flat[-half:]}"


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "host"), plural(2, "host")
    ('1 host', '2 hosts')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """A share as a percentage that never rounds to 0 or 100 by accident."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"
