"""Warnings: one sentence for each thing that is odd, naming a few objects and counting the rest."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 3


def listed(names: Sequence[str]) -> str:
    """ "a, b, c and 4 more"."""
    shown = ", ".join(name[:80] for name in names[:_SHOWN])
    rest = len(names) - _SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


class Warnings:
    """Collects the objects that share a fault."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, fault: str, name: str = "") -> None:
        """Note a fault, of the object `name` or of the whole input."""
        names = self._found.setdefault(fault, [])
        if name:
            names.append(name)

    def sentences(self) -> tuple[str, ...]:
        """All of them: "fault: a, b and 3 more"."""
        return tuple(
            f"{fault}: {listed(names)}" if names else fault for fault, names in self._found.items()
        )
