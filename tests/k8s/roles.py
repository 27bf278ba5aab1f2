"""What the roles of a set of objects allow to an account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

Tree = dict[str, Any]


class Permission(NamedTuple):
    """A verb on a kind of object; `name` and `namespace` "" mean all of them."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


def permissions(trees: Iterable[Tree], account: str, home: str) -> set[Permission]:
    """All that bindings give to a service account; roles that are not among the trees left out."""
    objects = list(trees)
    subject = {"kind": "ServiceAccount", "name": account, "namespace": home}
    found = set()
    for binding in objects:
        if subject in binding.get("subjects", ()):
            space = binding["metadata"].get("namespace", "")
            found.update(_rules(objects, binding["roleRef"], space))
    return found


def _rules(trees: list[Tree], wanted: Tree, namespace: str) -> Iterator[Permission]:
    for role in trees:
        if (role["kind"], role["metadata"]["name"]) != (wanted["kind"], wanted["name"]):
            continue
        if role["metadata"].get("namespace", "") != (namespace if role["kind"] == "Role" else ""):
            continue
        for rule in role["rules"]:
            for verb in rule["verbs"]:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        for name in rule.get("resourceNames", [""]):
                            yield Permission(verb, group, resource, namespace, name)
