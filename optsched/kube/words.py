"""Tables back into Kubernetes words: quantities, why a pod stays, why a node is excluded."""

from __future__ import annotations

from optsched.problem import PlacementProblem

_BYTES = ("memory", "ephemeral-storage")
_UNITS = ((1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"))


def amount(resource: str, value: int) -> str:
    """A table's integer as kubectl would show it: "250m", "1.5Gi", "4".

    Bytes are rounded to three digits; everything else is exact.
    """
    if resource == "cpu":
        return str(value // 1000) if value % 1000 == 0 else f"{value}m"
    if resource in _BYTES or resource.startswith("hugepages-"):
        for size, unit in _UNITS:
            if abs(value) >= size:
                scaled = value / size
                return f"{scaled:.3g}{unit}" if scaled < 1000 else f"{scaled:.0f}{unit}"
    return str(value)


def why_pinned(problem: PlacementProblem, item: int) -> str:
    """A sentence why the pod may not be moved, "" if it may."""
    reason = int(problem.items.pinned_by[item])
    if problem.items.movable[item] or reason < 0:
        return ""
    return f"{problem.items.names[item]} stays because {problem.pin_reasons[reason]}"


def why_excluded(problem: PlacementProblem, item: int, host: int) -> str:
    """A sentence which of the pod's requirements exclude the node, "" if none does."""
    where = problem.where
    mask = int(where.excluded[where.item_eligible[item], host])
    rules = [name for bit, name in enumerate(where.rule_names) if mask >> bit & 1]
    if not rules:
        return ""
    return f"{problem.hosts.names[host]} is excluded by {', '.join(rules)}"
