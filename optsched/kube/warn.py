"""Warnings: one sentence each, naming a few objects and counting the rest."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 3


def listed(names: Sequence[str]) -> str:
    """ "a, b, c and 4 more"."""
    shown = ", ".join(name[:80] for name in names[:_SHOWN])
    rest = len(names) - _SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


class Warnings:
    """Collects objects under sentences; a sentence has `{}` where the objects belong."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, sentence: str, name: str = "") -> None:
        """Note that the sentence is true, of `name`."""
        names = self._found.setdefault(sentence, [])
        if name:
            names.append(name)

    def sentences(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(
            sentence.format(listed(names), count=len(names)) if names else sentence
            for sentence, names in self._found.items()
        )
