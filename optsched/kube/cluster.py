"""A cluster as the objects of a file or a watch, and how JSON becomes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from optsched.errors import FormatError

from .objects import (
    Claim,
    CsiNode,
    DisruptionBudget,
    Namespace,
    Node,
    PersistentVolume,
    PriorityClass,
    StorageClass,
    Workload,
)
from .podspec import Pod

LONGEST_NAME = 253  # what the API server allows

WORKLOADS = frozenset(
    ("ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Deployment", "Job")
)


@dataclass
class Cluster:
    """The objects of a cluster, kind by kind.

    Attributes
    ----------
    workloads
        Under (kind, namespace, name).
    unknown_fields
        Per pod ("namespace/name"), the fields that matter and are not known.
    ignored_kinds
        Kinds that were present and not needed.
    """

    nodes: list[Node] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    namespaces: list[Namespace] = field(default_factory=list)
    budgets: list[DisruptionBudget] = field(default_factory=list)
    priority_classes: list[PriorityClass] = field(default_factory=list)
    workloads: dict[tuple[str, str, str], Workload] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    volumes: list[PersistentVolume] = field(default_factory=list)
    storage_classes: list[StorageClass] = field(default_factory=list)
    csi_nodes: list[CsiNode] = field(default_factory=list)
    unknown_fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ignored_kinds: set[str] = field(default_factory=set)

    def add(self, raw: msgspec.Raw, default_kind: str = "") -> None:
        """Read one object; FormatError names it if it cannot be read."""
        kind = _kind(raw) or default_kind
        decoder = _DECODERS.get(kind)
        if decoder is None:
            self.ignored_kinds.add(kind)
            return
        try:
            decoded = decoder.decode(raw)
        except msgspec.ValidationError as error:
            decoded = self._reread(kind, raw, error)
        except UnicodeDecodeError as error:
            who = pod_name(_head(raw))
            raise FormatError(f"{kind} {who[:80]!r}: the text is not UTF-8") from error
        _check_name(kind, decoded.metadata.name)
        if kind in WORKLOADS:
            self.workloads[kind, decoded.metadata.namespace, decoded.metadata.name] = decoded
        else:
            getattr(self, _LISTS[kind]).append(decoded)

    def _reread(self, kind: str, raw: msgspec.Raw, error: msgspec.ValidationError) -> Any:
        """A pod without the fields that are not known, or FormatError."""
        who = pod_name(_head(raw))
        if kind == "Pod" and "unknown field" in str(error):
            tree = msgspec.json.decode(raw)
            unknown = drop_unknown(tree, msgspec.inspect.type_info(Pod), "")
            try:
                pod = msgspec.convert(tree, Pod)
            except msgspec.ValidationError as second:
                error = second
            else:
                self.unknown_fields[who] = tuple(unknown)
                return pod
        raise FormatError(f"{kind} {who[:80]!r}: {error}") from error


_LISTS = {
    "Node": "nodes",
    "Pod": "pods",
    "Namespace": "namespaces",
    "PodDisruptionBudget": "budgets",
    "PriorityClass": "priority_classes",
    "PersistentVolumeClaim": "claims",
    "PersistentVolume": "volumes",
    "StorageClass": "storage_classes",
    "CSINode": "csi_nodes",
}
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "Node": msgspec.json.Decoder(Node),
    "Pod": msgspec.json.Decoder(Pod),
    "Namespace": msgspec.json.Decoder(Namespace),
    "PodDisruptionBudget": msgspec.json.Decoder(DisruptionBudget),
    "PriorityClass": msgspec.json.Decoder(PriorityClass),
    "PersistentVolumeClaim": msgspec.json.Decoder(Claim),
    "PersistentVolume": msgspec.json.Decoder(PersistentVolume),
    "StorageClass": msgspec.json.Decoder(StorageClass),
    "CSINode": msgspec.json.Decoder(CsiNode),
    **dict.fromkeys(WORKLOADS, msgspec.json.Decoder(Workload)),
}

# kubectl sorts keys, so that the kind nearly always stands here; the slow way finds the others.
_KIND_FIRST = re.compile(rb'\s*\{\s*"apiVersion":\s*"[^"\\]*",\s*"kind":\s*"(\w+)"')


class _Head(msgspec.Struct, gc=False):
    kind: str = ""
    metadata: msgspec.Raw = msgspec.Raw(b"{}")


class _Name(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""


_HEAD = msgspec.json.Decoder(_Head)
_NAME = msgspec.json.Decoder(_Name)


def _kind(raw: msgspec.Raw) -> str:
    match = _KIND_FIRST.match(raw)
    if match:
        return match[1].decode()
    try:
        return _HEAD.decode(raw).kind
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FormatError(f"an item of the list is no Kubernetes object: {error}") from error


def _head(raw: msgspec.Raw) -> _Name:
    try:
        return _NAME.decode(_HEAD.decode(raw).metadata)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Name("(without a readable name)")


def pod_name(metadata: Any) -> str:
    """ "namespace/name", or the name alone where there is no namespace."""
    return f"{metadata.namespace}/{metadata.name}" if metadata.namespace else str(metadata.name)


def _check_name(kind: str, name: str) -> None:
    if not name or len(name) > LONGEST_NAME:
        problem = "has no name" if not name else f"has a name of {len(name)} characters"
        raise FormatError(f"{kind} {name[:40]!r} {problem}; Kubernetes allows 1 to {LONGEST_NAME}")


def drop_unknown(tree: Any, kind: msgspec.inspect.Type, path: str) -> list[str]:
    """Remove what strict structs do not know from decoded JSON, in place; the paths removed."""
    if isinstance(kind, msgspec.inspect.UnionType):
        parts: Iterable[msgspec.inspect.Type] = kind.types
        return [gone for part in parts for gone in drop_unknown(tree, part, path)]
    if isinstance(kind, msgspec.inspect.ListType) and isinstance(tree, list):
        found = [drop_unknown(one, kind.item_type, path + "[]") for one in tree]
        return list(dict.fromkeys(gone for part in found for gone in part))
    if not isinstance(kind, msgspec.inspect.StructType) or not isinstance(tree, dict):
        return []
    known = {one.encode_name: one.type for one in kind.fields}
    gone = []
    if kind.forbid_unknown_fields:
        gone = [f"{path}.{key}".lstrip(".") for key in tree if key not in known]
        for key in [key for key in tree if key not in known]:
            del tree[key]
    for key, value in tree.items():
        if key in known:
            gone += drop_unknown(value, known[key], f"{path}.{key}")
    return [one.lstrip(".") for one in gone]
