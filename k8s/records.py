"""What is written down of a plan: the custom resources PlacementPlan and PlanSlot.

A plan's spec never changes; its status says how far it has come, and is written by
compare-and-swap on the resource version before and after every step. The one PlanSlot names the
plans that act; it is what keeps two leaders from acting at once. Times are milliseconds since 1970.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from optsched.k8s.reflector import Resource
from optsched.kube.wire import Wire

GROUP, VERSION = "optsched.io", "v1alpha1"
PLANS = Resource("PlacementPlan", GROUP, VERSION, "placementplans")
SLOTS = Resource("PlanSlot", GROUP, VERSION, "planslots")
SLOT = "cluster"  # the name of the one PlanSlot
APPROVED = "optsched.io/approved"
PAUSE = "optsched.io/pause"

Millis = Annotated[int, Meta(ge=0)]


class Phase(StrEnum):
    """How far a plan has come; see `executor`."""

    PROPOSED = "Proposed"
    VALIDATED = "Validated"
    RECORDED = "Recorded"
    RESERVING = "Reserving"
    EVICTING = "Evicting"
    PLACING = "Placing"
    COMPLETING = "Completing"
    DONE = "Done"
    REJECTED = "Rejected"
    EXPIRED = "Expired"
    SUPERSEDED = "Superseded"
    ABORTING = "Aborting"
    ABORTED = "Aborted"
    PARTIALLY_DONE = "PartiallyDone"


WAITING = frozenset({Phase.PROPOSED, Phase.VALIDATED})
ACTING = frozenset(
    {Phase.RESERVING, Phase.EVICTING, Phase.PLACING, Phase.COMPLETING, Phase.ABORTING}
)
ENDED = frozenset(Phase) - WAITING - ACTING


class MovePhase(StrEnum):
    """What became of one move. INTENDED is written before the eviction is asked for."""

    INTENDED = "Intended"
    EVICTED = "Evicted"
    PLACED = "Placed"
    SKIPPED = "Skipped"


class Record(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A part of a custom resource."""


class PlannedMove(Record, frozen=True):
    """A pod that is to be evicted so that its owner makes it anew on another node.

    Attributes
    ----------
    uid, namespace, name
        Of the pod.
    source, target
        Nodes.
    owner, owner_kind
        UID and kind of its controller.
    hash, index
        See `table.Token`.
    wave
        From 0. Moves of a wave go together; a wave begins when those before have arrived.
    grace
        Seconds that the pod may take to end.
    request
        What the replacement asks for, in the units of the plan table.
    """

    uid: str
    namespace: str
    name: str
    source: str
    target: str
    owner: str
    owner_kind: str
    hash: str = ""
    index: str = ""
    wave: int = 0
    grace: int = 30
    request: dict[str, int] = field(default_factory=dict)


class PlannedPlacement(Record, frozen=True):
    """A pending pod that the plan helps, and its node; it enters when `wave` waves are over."""

    uid: str
    namespace: str
    name: str
    node: str
    wave: int = 0
    request: dict[str, int] = field(default_factory=dict)


class PlanSpec(Record, frozen=True):
    """What is to be done.

    Attributes
    ----------
    created, ttl
        When it was made, and for how long it may wait to be begun; milliseconds.
    priority
        The highest of the pods it helps.
    summary, certificate
        For people: what it gains, and what is proven of it.
    """

    moves: tuple[PlannedMove, ...] = ()
    placements: tuple[PlannedPlacement, ...] = ()
    created: Millis = 0
    ttl: Millis = 300_000
    priority: int = 0
    solver: str = ""
    summary: str = ""
    certificate: str = ""

    @property
    def waves(self) -> int:
        """How many waves of moves there are."""
        return max((move.wave for move in self.moves), default=-1) + 1

    @property
    def grace(self) -> int:
        """The longest time a pod may take to end, in milliseconds."""
        return 1000 * max((move.grace for move in self.moves), default=0)


class MoveStatus(Record, frozen=True):
    """What became of a move.

    Attributes
    ----------
    at
        When the eviction was first intended.
    retry
        Not to be tried again before.
    known
        Pods of the owner that were there before, though made so shortly that clocks cannot tell.
    replacement, node
        The pod that took its place, and where.
    evicted
        Whether an eviction was accepted: what rates and cooldowns count.
    """

    phase: MovePhase
    at: Millis = 0
    retry: Millis = 0
    known: tuple[str, ...] = ()
    replacement: str = ""
    node: str = ""
    evicted: bool = False
    reason: str = ""


class PlanStatus(Record, frozen=True):
    """How far a plan has come.

    Attributes
    ----------
    since, wave_since
        When the phase and the wave began.
    deadline
        When the plan is given up, whatever it is doing; 0 before it acts.
    moves
        Under the pod's UID; those not begun are absent.
    placed
        Per UID the node on which a helped pod ended up; "" if the pod is gone, or its room is.
    nominated
        UIDs of the pods whose nominatedNodeName was, or was about to be, set.
    woken
        Per UID when the scheduler was last made to look at the pod again.
    """

    phase: Phase = Phase.PROPOSED
    since: Millis = 0
    reason: str = ""
    wave: int = 0
    wave_since: Millis = 0
    deadline: Millis = 0
    moves: dict[str, MoveStatus] = field(default_factory=dict)
    placed: dict[str, str] = field(default_factory=dict)
    nominated: tuple[str, ...] = ()
    woken: dict[str, int] = field(default_factory=dict)


class ObjectMeta(Wire, omit_defaults=True):
    """Name and version of an object of ours."""

    name: str = ""
    generate_name: str = ""
    uid: str = ""
    resource_version: str = ""
    annotations: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class PlacementPlan(Wire):
    """A plan as the API server keeps it."""

    api_version: str = f"{GROUP}/{VERSION}"
    kind: str = PLANS.kind
    metadata: ObjectMeta = field(default_factory=ObjectMeta)
    spec: PlanSpec = field(default_factory=PlanSpec)
    status: PlanStatus = field(default_factory=PlanStatus)

    @property
    def uid(self) -> str:
        """Names the plan everywhere."""
        return self.metadata.uid

    @property
    def phase(self) -> Phase:
        """How far it has come."""
        return self.status.phase

    @property
    def approved(self) -> bool:
        """Whether a person has let it go ahead."""
        return (self.metadata.annotations or {}).get(APPROVED) == "true"


class SlotSpec(Record, frozen=True):
    """UIDs of the plans that act."""

    active_plans: tuple[str, ...] = ()


class PlanSlot(Wire):
    """The one place in which acting plans are entered."""

    api_version: str = f"{GROUP}/{VERSION}"
    kind: str = SLOTS.kind
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta(name=SLOT))
    spec: SlotSpec = field(default_factory=SlotSpec)

    @property
    def paused(self) -> bool:
        """Whether a person has paused the whole cluster."""
        return (self.metadata.annotations or {}).get(PAUSE) == "true"


class _Plans(Wire):
    items: list[PlacementPlan] = field(default_factory=list)


_PLAN = msgspec.json.Decoder(PlacementPlan)
_PLANS = msgspec.json.Decoder(_Plans)
_SLOT = msgspec.json.Decoder(PlanSlot)


def decode_plan(body: bytes | msgspec.Raw) -> PlacementPlan:
    """A plan from JSON."""
    return _PLAN.decode(body)


def decode_plans(body: bytes) -> list[PlacementPlan]:
    """The plans of a list, oldest first."""
    return sorted(_PLANS.decode(body).items, key=lambda plan: (plan.spec.created, plan.uid))


def decode_slot(body: bytes) -> PlanSlot:
    """The slot from JSON."""
    return _SLOT.decode(body)


def body_of(plan: PlacementPlan, status: PlanStatus | None = None) -> dict[str, Any]:
    """What is sent to create a plan, or with `status` to replace its status."""
    tree = {
        "apiVersion": plan.api_version,
        "kind": plan.kind,
        "metadata": msgspec.to_builtins(plan.metadata),
        "spec": msgspec.to_builtins(plan.spec),
    }
    if status is not None:
        tree["status"] = {"phase": status.phase.value, **msgspec.to_builtins(status)}
    return tree
