"""Results as lines of markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optsched.result import LevelValue, Result


def markdown(table: Iterable[Sequence[object]]) -> str:
    """A table whose first row is the head."""
    head, *body = [[str(cell) for cell in line] for line in table]
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *body)) + "\n"


def level_table(result: Result) -> str:
    """Value, bound, value of staying and gap of every level in which anything is or was."""
    head = ["level", "value", "bound", "stay", "gap", "bound from"]
    told = [level for level in result.levels if level.value or level.stay]
    return markdown([head, *(_line(level) for level in told)])


def _line(level: LevelValue) -> list[object]:
    gap = f"{level.gap:.3f}"
    return [level.name, level.value, level.bound, level.stay, gap, level.source]
