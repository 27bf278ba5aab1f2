"""How Kubernetes JSON is read: what all objects share, and selectors.

Structs are decoded straight from JSON; what they do not name is skipped without being built. Parts
of a pod that the scheduler filters by are *strict*: a field that is not listed raises, and
`cluster` then reads the pod without it and reports its name, so that an unknown rule makes a pod
unmodelled instead of being overlooked.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta, field

Labels = dict[str, str]
Quantities = dict[str, str | int | float]

# What the API server lets through; a file that was edited by hand may hold anything.
Priority = Annotated[int, Meta(ge=-(1 << 31), lt=1 << 31)]
Port = Annotated[int, Meta(ge=0, lt=1 << 16)]
Count = Annotated[int, Meta(ge=0, lt=1 << 31)]
Positive = Annotated[int, Meta(gt=0, lt=1 << 31)]
Time = Annotated[datetime, Meta(tz=True)]

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Wire(msgspec.Struct, rename="camel", gc=False):
    """A JSON object of which only the named fields are read."""


class Strict(Wire, forbid_unknown_fields=True):
    """A JSON object of which every field matters."""


class Gate(Wire):
    """Something that must happen before a pod may be scheduled."""

    name: str = ""


class Ignored(msgspec.Struct, gc=False):
    """Any JSON object; nothing of it is read."""


class OwnerReference(Wire):
    """Who made this object; the one with `controller` set keeps it alive."""

    kind: str
    name: str
    uid: str = ""
    controller: bool | None = None


class Annotations(Wire):
    """The annotations that say whether a pod may be moved, and what we have done with it."""

    mirror: str | None = field(name="kubernetes.io/config.mirror", default=None)
    movable: str | None = field(name="optsched.io/movable", default=None)
    pause: str | None = field(name="optsched.io/pause", default=None)
    node: str | None = field(name="optsched.io/node", default=None)
    gate_until: str | None = field(name="optsched.io/gate-until", default=None)
    safe_to_evict: str | None = field(
        name="cluster-autoscaler.kubernetes.io/safe-to-evict", default=None
    )
    safe_local_volumes: str | None = field(
        name="cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes", default=None
    )
    do_not_disrupt: str | None = field(name="karpenter.sh/do-not-disrupt", default=None)
    prefer_no_eviction: str | None = field(
        name="descheduler.alpha.kubernetes.io/prefer-no-eviction", default=None
    )
    refuse_to_migrate: str | None = field(
        name="scheduling.koordinator.sh/refuse-to-migrate", default=None
    )
    volcano_group: str | None = field(name="scheduling.k8s.io/group-name", default=None)


class Metadata(Wire):
    """Name and circumstances of an object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: Labels | None = None
    annotations: Annotations | None = None
    owner_references: list[OwnerReference] | None = None
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    generation: int = 0

    @property
    def born(self) -> datetime:
        """When the object was made; 1970 if that is not known."""
        return self.creation_timestamp or LONG_AGO

    def controller(self) -> OwnerReference | None:
        """The owner that recreates this object when it is gone."""
        for owner in self.owner_references or ():
            if owner.controller:
                return owner
        return None


class Requirement(Strict):
    """A row of matchExpressions or matchFields."""

    key: str
    operator: str
    values: list[str] | None = None


class LabelSelector(Strict):
    """All of its parts must match; without any it matches everything."""

    match_labels: Labels | None = None
    match_expressions: list[Requirement] | None = None


class NodeSelectorTerm(Strict):
    """All of its parts must match; without any it matches nothing."""

    match_expressions: list[Requirement] | None = None
    match_fields: list[Requirement] | None = None


class NodeSelector(Strict):
    """One of its terms must match."""

    node_selector_terms: list[NodeSelectorTerm] | None = None


class Condition(Wire):
    """A row of status.conditions."""

    type: str
    status: str = ""
    reason: str | None = None
    last_transition_time: Time | None = None
