"""Plan tables for a front end under test, and what a scheduler asks it."""

from __future__ import annotations

from typing import Any

from optsched.k8s.table import Lock, PlanTable, now_ms

from .conftest import Client

NODES = ["n0", "n1", "n2", "n3"]


def table(**parts: Any) -> PlanTable:
    """A plan that is live for five minutes."""
    return PlanTable(**{"plan": "p", "expires": now_ms() + 300_000, "priority": 5, **parts})


def full() -> Lock:
    """A node on which nobody else has room."""
    return Lock(now_ms() + 300_000, {"cpu": 500, "pods": 9}, {"cpu": 500, "pods": 1})


def ask(client: Client, who: dict[str, Any], names: list[str] | None = None) -> list[str]:
    """The nodes that filter leaves, after a look at the rest of the reply."""
    names = NODES if names is None else names
    reply = client.post("filter", {"Pod": who, "Nodes": None, "NodeNames": names})
    assert reply["Error"] == ""
    assert reply["FailedNodes"] == {}
    rejected = reply["FailedAndUnresolvableNodes"]
    assert sorted([*reply["NodeNames"], *rejected]) == sorted(names)
    assert all(rejected.values())
    left: list[str] = reply["NodeNames"]
    return left
