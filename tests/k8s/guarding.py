"""Pods, locks and plan tables for tests of the guard, and a question to it."""

from __future__ import annotations

from typing import Any

import msgspec

from optsched.k8s.guard import Decision, Rules, View, decide
from optsched.k8s.memory import Memory
from optsched.k8s.table import Lock, PlanTable, Token
from optsched.k8s.wire import Pod

NOW = 1_800_000_000_000
LATER = NOW + 300_000
RULES = Rules()
NODES = ["n0", "n1", "n2", "n3"]


def pod(
    uid: str = "stranger",
    cpu: str = "500m",
    priority: int = 0,
    owner: str = "",
    hash_: str = "5d",
    created: str = "2027-01-15T08:00:01Z",
    **more: Any,
) -> Pod:
    """A pod as the scheduler would send it."""
    metadata = {
        "uid": uid,
        "name": more.get("name", uid),
        "namespace": more.get("namespace", "shop"),
        "creationTimestamp": created,
        "labels": {"pod-template-hash": hash_, **more.get("labels", {})},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "x", "uid": owner, "controller": True}],
    }
    spec = {
        "priority": priority,
        "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}],
    }
    return msgspec.convert({"metadata": metadata, "spec": spec}, Pod)


def lock(free: int, reserved: int, deadline: int = LATER, closed: bool = False) -> Lock:
    """A node with room in milli-CPU and any number of pods."""
    return Lock(deadline, {"cpu": free, "pods": 100}, {"cpu": reserved, "pods": 1}, closed)


def plan(**parts: Any) -> PlanTable:
    """A live plan of priority 5."""
    return PlanTable(**{"plan": "p", "expires": LATER, "priority": 5, **parts})


def ask(
    table: PlanTable,
    who: Pod,
    names: list[str] | None = None,
    memory: Memory | None = None,
    now: int = NOW,
    rules: Rules = RULES,
) -> Decision:
    """Decide, and check what holds of every decision."""
    memory = memory if memory is not None else Memory()
    names = names if names is not None else NODES
    view = View(table, now)
    decision = decide(view, memory, who, names, now, rules)
    kept = decision.kept
    if kept is not None:
        assert sorted([*kept, *decision.rejected]) == sorted(names)
        assert kept == [name for name in names if name in set(kept)]
    else:
        assert not decision.rejected
    memory.note(who, decision, now)
    again = decide(view, memory, who, names, now, rules)
    assert again == decision, "asking twice must give the same answer"
    return decision


def token(uid: str, node: str, **more: Any) -> Token:
    """A right of one replacement of a pod of `rs`."""
    return Token(uid, "shop", "rs", node, NOW - 1000, LATER, **{"hash": "5d", **more})
