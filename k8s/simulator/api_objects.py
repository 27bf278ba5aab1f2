"""What the API server in this process knows of objects: times, refusals, selectors, merges."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

Tree = dict[str, Any]


def stamp(milliseconds: int) -> str:
    """As the API writes times: whole seconds."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Refusal(Exception):
    """A reply that says no."""

    def __init__(self, status: int, reason: str, message: str = "", **details: Any) -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.details = status, reason, message, details

    def reply(self) -> web.Response:
        """The Status object."""
        body = {
            "kind": "Status",
            "code": self.status,
            "reason": self.reason,
            "message": self.message,
            "details": self.details,
        }
        after = self.details.get("retryAfterSeconds")
        headers = {"Retry-After": str(after)} if after else {}
        return web.json_response(body, status=self.status, headers=headers)


def covers(budget: Tree, pod: Tree) -> bool:
    """Whether a budget's selector picks the pod; one without a selector picks none."""
    selector = budget["spec"].get("selector")
    labels = pod["metadata"].get("labels") or {}
    if selector is None or not (selector.get("matchLabels") or {}).items() <= labels.items():
        return False
    return all(_meets(row, labels) for row in selector.get("matchExpressions") or ())


def _meets(row: Tree, labels: Tree) -> bool:
    value, values = labels.get(row["key"]), row.get("values") or ()
    match row["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
    return value is None


def desired(budget: Tree) -> int:
    """How many pods a budget wants healthy: as its controller has said, else as its spec says."""
    told = budget.get("status", {}).get("desiredHealthy")
    return int(told if told is not None else budget["spec"]["minAvailable"])


def is_ready(pod: Tree) -> bool:
    """Whether the pod runs."""
    rows = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in rows)


def is_terminating(pod: Tree) -> bool:
    """Whether the pod is about to go."""
    return "deletionTimestamp" in pod["metadata"]


def check_pod(old: Tree, new: Tree) -> None:
    """What may change in a pod: gates go, and while there are any, nodes may be narrowed down."""
    gates, left = old.get("schedulingGates") or [], new.get("schedulingGates") or []
    if any(one not in gates for one in left):
        raise Refusal(422, "Invalid", "spec.schedulingGates: only deletion is allowed")
    before, after = old.get("nodeSelector") or {}, new.get("nodeSelector") or {}
    if before != after and not (gates and before.items() <= after.items()):
        raise Refusal(422, "Invalid", "spec.nodeSelector: may not be changed so")


def check_preconditions(tree: Tree, wanted: Tree) -> None:
    """Refuse what was meant for another object, or another state of it."""
    for name in ("uid", "resourceVersion"):
        if wanted.get(name) not in (None, tree["metadata"][name]):
            raise Refusal(409, "Conflict", f"the {name} in the precondition does not match")


def field_of(tree: Tree, path: str) -> str:
    """The text at a path such as "spec.nodeName", "" if there is none."""
    for part in path.split("."):
        tree = tree.get(part, {})
    return tree if isinstance(tree, str) else ""


def merged(tree: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    tree = tree if isinstance(tree, dict) else {}
    for key, value in patch.items():
        if value is None:
            tree.pop(key, None)
        else:
            tree[key] = merged(tree.get(key), value)
    return tree
