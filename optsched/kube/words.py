"""Tables back into words: why a pod stays, why a node is excluded."""

from __future__ import annotations

from optsched.problem import PlacementProblem


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
