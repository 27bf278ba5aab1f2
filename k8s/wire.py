"""The scheduler-extender protocol: requests as far as they are read, replies as bytes.

The scheduler writes Go's capitalised names; releases before 1.20 wrote lower case, so both are
read. With `nodeCacheCapable: true` a request lists nodes by name, else it holds whole nodes, which
are handed back as they came. Of a pod only what the guard looks at is decoded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

import msgspec
from msgspec import field

from optsched.errors import FormatError
from optsched.k8s.table import INDEX_LABEL, Room, template_hash
from optsched.kube.podspec import PodSpec
from optsched.kube.requests import in_units, spec_request
from optsched.kube.wire import Labels, OwnerReference, Quantities, Wire

T = TypeVar("T")
EMPTY_RAW = msgspec.Raw(b"null")
Data = bytes | bytearray | msgspec.Raw
MAX_SCORE = 10  # of the protocol


class PodMetadata(Wire):
    """Who a pod is."""

    uid: str
    name: str = ""
    namespace: str = ""
    labels: Labels | None = None
    owner_references: list[OwnerReference] | None = None
    creation_timestamp: str | None = None


class Requests(Wire):
    """What is asked for."""

    requests: Quantities | None = None


class AskingContainer(Wire):
    """A container, as far as requests go."""

    resources: Requests | None = None
    restart_policy: str | None = None


class AskingSpec(Wire):
    """The fields of a PodSpec that `optsched.kube.requests` reads, under the same names."""

    containers: list[AskingContainer] = field(default_factory=list)
    init_containers: list[AskingContainer] | None = None
    overhead: Quantities | None = None
    resources: Requests | None = None
    priority: int | None = None


class Pod(Wire, dict=True, gc=True):
    """A pod that the scheduler asks about. The properties are worked out when they are needed."""

    metadata: PodMetadata
    spec: AskingSpec = field(default_factory=AskingSpec)

    @property
    def uid(self) -> str:
        """Unlike the name, it is never used twice."""
        return self.metadata.uid

    @property
    def priority(self) -> int:
        """0 where admission has set none."""
        return self.spec.priority or 0

    @functools.cached_property
    def request(self) -> Room:
        """What it asks for, in the units of the plan table, one of "pods" included.

        Raises
        ------
        FormatError
            A request is no quantity.
        """
        return {**in_units(spec_request(cast("PodSpec", self.spec))), "pods": 1}

    @functools.cached_property
    def owner(self) -> str:
        """UID of its controller; "" without one."""
        for owner in self.metadata.owner_references or ():
            if owner.controller:
                return owner.uid
        return ""

    @functools.cached_property
    def hash(self) -> str:
        """See `table.template_hash`."""
        return template_hash(self.metadata.labels)

    @property
    def index(self) -> str:
        """Completion index of an indexed Job's pod; "" for others."""
        return (self.metadata.labels or {}).get(INDEX_LABEL, "")

    @functools.cached_property
    def created(self) -> int:
        """Seconds since 1970, by the API server; -1 if that is not known."""
        try:
            return int(datetime.fromisoformat(self.metadata.creation_timestamp or "").timestamp())
        except (ValueError, OverflowError):
            return -1


class _Args(msgspec.Struct, gc=False):
    """Filter and prioritize, in both spellings."""

    pod: Pod | None = field(name="Pod", default=None)
    nodes: msgspec.Raw = field(name="Nodes", default=EMPTY_RAW)
    names: list[str] | None = field(name="NodeNames", default=None)
    pod_old: Pod | None = field(name="pod", default=None)
    nodes_old: msgspec.Raw = field(name="nodes", default=EMPTY_RAW)
    names_old: list[str] | None = field(name="nodenames", default=None)


class _NodeList(msgspec.Struct, gc=False):
    items: list[msgspec.Raw] | None = None


class _NodeMetadata(Wire):
    name: str


class _Node(Wire):
    metadata: _NodeMetadata


class Nodes(msgspec.Struct, gc=False):
    """What filter and prioritize are asked.

    Attributes
    ----------
    names
        The nodes in question.
    whole
        The nodes themselves, in the same order; None if they came by name.
    """

    pod: Pod
    names: list[str]
    whole: list[msgspec.Raw] | None = None


class _Victim(msgspec.Struct, gc=False):
    uid: str = field(name="UID", default="")
    uid_old: str = field(name="uid", default="")


class _Victims(msgspec.Struct, gc=False):
    """Victims by UID."""

    pods: list[_Victim | None] | None = field(name="Pods", default=None)
    pods_old: list[_Victim | None] | None = field(name="pods", default=None)
    violations: int = field(name="NumPDBViolations", default=0)
    violations_old: int = field(name="numPDBViolations", default=0)

    def meta(self) -> dict[str, Any]:
        uids = [one.uid or one.uid_old for one in self.pods or self.pods_old or () if one]
        return _meta(uids, self.violations or self.violations_old)


class _Named(Wire):
    metadata: PodMetadata


class _WholeVictims(msgspec.Struct, gc=False):
    """Victims as whole pods."""

    pods: list[_Named | None] | None = field(name="Pods", default=None)
    pods_old: list[_Named | None] | None = field(name="pods", default=None)
    violations: int = field(name="NumPDBViolations", default=0)
    violations_old: int = field(name="numPDBViolations", default=0)

    def meta(self) -> dict[str, Any]:
        uids = [one.metadata.uid for one in self.pods or self.pods_old or () if one]
        return _meta(uids, self.violations or self.violations_old)


def _meta(uids: list[str], violations: int) -> dict[str, Any]:
    return {"Pods": [{"UID": uid} for uid in uids], "NumPDBViolations": violations}


class _PreemptArgs(msgspec.Struct, gc=False):
    pod: Pod | None = field(name="Pod", default=None)
    whole: dict[str, _WholeVictims | None] | None = field(name="NodeNameToVictims", default=None)
    meta: dict[str, _Victims | None] | None = field(name="NodeNameToMetaVictims", default=None)
    pod_old: Pod | None = field(name="pod", default=None)
    whole_old: dict[str, _WholeVictims | None] | None = field(
        name="nodeNameToVictims", default=None
    )
    meta_old: dict[str, _Victims | None] | None = field(name="nodeNameToMetaVictims", default=None)


class Candidates(msgspec.Struct, gc=False):
    """What preempt is asked.

    Attributes
    ----------
    victims
        Per node that preemption may clear, its victims as the reply names them.
    """

    pod: Pod
    victims: dict[str, dict[str, Any]]


_ARGS = msgspec.json.Decoder(_Args)
_NODE_LIST = msgspec.json.Decoder(_NodeList | None)
_NODE = msgspec.json.Decoder(_Node)
_PREEMPT = msgspec.json.Decoder(_PreemptArgs)
_ENCODE = msgspec.json.Encoder().encode


def _decode(decoder: Callable[[Data], T], data: Data) -> T:
    try:
        return decoder(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise FormatError(f"the request is not what a scheduler sends: {_safe(error)}") from error


def _safe(error: Exception) -> str:
    """What is wrong and where; msgspec names fields and never values, which are a tenant's."""
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]


def _pod(pod: Pod | None) -> Pod:
    if pod is None or not pod.uid:
        raise FormatError("the request holds no pod, or one without a UID")
    return pod


def decode_nodes(body: bytes | bytearray) -> Nodes:
    """Read a request for filter or prioritize.

    Raises
    ------
    FormatError
        It is none; the sentence holds nothing of its content.
    """
    _check_text(body)
    args = _decode(_ARGS.decode, body)
    pod = _pod(args.pod or args.pod_old)
    names = args.names if args.names is not None else args.names_old
    if names is not None:
        return Nodes(pod, names)
    raw = args.nodes if bytes(args.nodes) != b"null" else args.nodes_old
    listed = _decode(_NODE_LIST.decode, raw)
    if listed is None:
        raise FormatError("the request holds neither NodeNames nor Nodes")
    whole = listed.items or []
    return Nodes(pod, [_decode(_NODE.decode, one).metadata.name for one in whole], whole)


def decode_candidates(body: bytes | bytearray) -> Candidates:
    """Read a request for preempt; FormatError as for `decode_nodes`."""
    _check_text(body)
    args = _decode(_PREEMPT.decode, body)
    pod = _pod(args.pod or args.pod_old)
    victims: Mapping[str, _Victims | _WholeVictims | None] | None = None
    for victims in (args.meta, args.whole, args.meta_old, args.whole_old):
        if victims is not None:
            break
    if victims is None:
        raise FormatError("the request names no candidates for preemption")
    return Candidates(
        pod, {node: one.meta() if one else _meta([], 0) for node, one in victims.items()}
    )


def _check_text(body: bytes | bytearray) -> None:
    """Skipped strings are not looked at by the decoder."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise FormatError("the request is not UTF-8") from error


def filter_reply(
    asked: Nodes, kept: Sequence[str] | None = None, rejected: Mapping[str, str] | None = None
) -> bytes:
    """The reply that keeps `kept` (None: all) and says why of the rest.

    It always holds the list of nodes: a scheduler takes a reply without one for "none".
    """
    rejected = rejected or {}
    if asked.whole is None:
        reply: dict[str, Any] = {"NodeNames": asked.names if kept is None else kept}
    elif kept is None:
        reply = {"Nodes": {"metadata": {}, "items": asked.whole}}
    else:
        chosen = set(kept)
        items = [one for name, one in zip(asked.names, asked.whole, strict=True) if name in chosen]
        reply = {"Nodes": {"metadata": {}, "items": items}}
    reply["FailedNodes"] = {}
    reply["FailedAndUnresolvableNodes"] = rejected
    reply["Error"] = ""
    return _ENCODE(reply)


def prioritize_reply(names: Sequence[str], scores: Sequence[int] | None = None) -> bytes:
    """Scores of 0 to 10, the same for all nodes if there are none to give."""
    given = scores if scores is not None else [0] * len(names)
    return _ENCODE(
        [{"Host": name, "Score": score} for name, score in zip(names, given, strict=True)]
    )


def preempt_reply(victims: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The candidates that are left."""
    return _ENCODE({"NodeNameToMetaVictims": victims})


def error_reply(sentence: str) -> bytes:
    """The body of an answer that is no answer."""
    return _ENCODE({"Error": sentence})
