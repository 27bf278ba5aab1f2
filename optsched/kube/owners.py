"""Who keeps whom alive, and where that leads nowhere or in a circle.

Both can really be so for a while: what a deleted owner leaves behind is collected later, and no
server refuses a circle. So they are warned about, and a pod that nobody would make anew stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .cluster import WORKLOADS, Cluster
from .pods import Item
from .warn import Warnings
from .wire import Metadata, OwnerReference

Key = tuple[str, str, str]  # kind, namespace, name


class Owners:
    """The workloads of one cluster, as what owns pods and each other."""

    def __init__(self, cluster: Cluster) -> None:
        self._workloads = cluster.workloads
        self._listed = {kind for kind, _, _ in cluster.workloads}

    def lacks(self, owner: OwnerReference, namespace: str) -> bool:
        """Whether the input holds objects of the owner's kind, but not the owner.

        An object of the same name that was made later, with another uid, is not the owner.
        """
        if owner.kind not in self._listed:
            return False
        found = self._workloads.get((owner.kind, namespace, owner.name))
        return found is None or (bool(owner.uid) and found.metadata.uid not in ("", owner.uid))

    def warn(self, items: Iterable[Item], warnings: Warnings) -> None:
        """Name the pods and workloads whose owner is not there, and those in a circle."""
        above: dict[Key, Key] = {}
        for item in items:
            meta = item.pod.metadata
            if item.owner and self.lacks(item.owner, meta.namespace):
                warnings.add("pods whose owner is not in the input (never moved)", item.name)
            _note(above, "Pod", meta)
        for (kind, _, _), one in self._workloads.items():
            owner = one.metadata.controller()
            if owner and self.lacks(owner, one.metadata.namespace):
                warnings.add("workloads whose owner is not in the input", _word(kind, one.metadata))
            _note(above, kind, one.metadata)
        for circle in circles(above):
            warnings.add("owners that own each other in a circle", " > ".join(map(_told, circle)))


def circles(above: Mapping[Key, Key]) -> list[list[Key]]:
    """The circles in a graph in which each node has one way up at most, each told once."""
    found = []
    walk_of: dict[Key, int] = {}
    for number, start in enumerate(above):
        at, way = start, []
        while at in above and at not in walk_of:
            walk_of[at] = number
            way.append(at)
            at = above[at]
        if walk_of.get(at) == number:
            found.append(way[way.index(at) :])
    return found


def _note(above: dict[Key, Key], kind: str, meta: Metadata) -> None:
    owner = meta.controller()
    if owner is not None and (owner.kind in WORKLOADS or owner.kind == "Pod"):
        above[kind, meta.namespace, meta.name] = (owner.kind, meta.namespace, owner.name)


def _word(kind: str, meta: Metadata) -> str:
    return _told((kind, meta.namespace, meta.name))


def _told(key: Key) -> str:
    kind, namespace, name = key
    return f"{kind} {namespace}/{name}"
