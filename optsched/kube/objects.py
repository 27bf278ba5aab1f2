"""Everything that is not a pod: nodes, workloads, budgets, storage."""

from __future__ import annotations

import msgspec
from msgspec import field

from .wire import (
    Condition,
    Count,
    Gate,
    Ignored,
    LabelSelector,
    Metadata,
    NodeSelector,
    Priority,
    Quantities,
    Time,
    Wire,
)


class Taint(msgspec.Struct, rename="camel", gc=False, frozen=True):
    """What keeps pods off a node unless they tolerate it."""

    key: str
    effect: str
    value: str = ""


class NodeSpec(Wire):
    """What an operator has set on a node."""

    unschedulable: bool = False
    taints: list[Taint] | None = None


class NodeStatus(Wire):
    """What a node has."""

    allocatable: Quantities | None = None
    capacity: Quantities | None = None
    conditions: list[Condition] | None = None


class Node(Wire):
    """A node."""

    metadata: Metadata = field(default_factory=Metadata)
    spec: NodeSpec = field(default_factory=NodeSpec)
    status: NodeStatus = field(default_factory=NodeStatus)


class Namespace(Wire):
    """A namespace; its labels answer namespace selectors."""

    metadata: Metadata = field(default_factory=Metadata)


class TemplateSpec(Wire):
    """The part of a workload's pod template that the pods themselves do not show."""

    node_name: str = ""
    scheduling_gates: list[Gate] | None = None


class Template(Wire):
    """A workload's pod template."""

    spec: TemplateSpec = field(default_factory=TemplateSpec)


class WorkloadSpec(Wire):
    """What a workload's owner asked for."""

    replicas: Count | None = None
    template: Template = field(default_factory=Template)


class WorkloadStatus(Wire):
    """The revision a StatefulSet gives to new pods."""

    update_revision: str = ""


class Workload(Wire):
    """A ReplicaSet, ReplicationController, StatefulSet, DaemonSet, Deployment or Job."""

    metadata: Metadata = field(default_factory=Metadata)
    spec: WorkloadSpec = field(default_factory=WorkloadSpec)
    status: WorkloadStatus = field(default_factory=WorkloadStatus)


class BudgetSpec(Wire):
    """Whom a disruption budget protects."""

    selector: LabelSelector | None = None


class BudgetStatus(Wire):
    """How many of them may be disrupted now."""

    disruptions_allowed: Count = 0
    observed_generation: int = 0


class DisruptionBudget(Wire):
    """A PodDisruptionBudget."""

    metadata: Metadata = field(default_factory=Metadata)
    spec: BudgetSpec = field(default_factory=BudgetSpec)
    status: BudgetStatus = field(default_factory=BudgetStatus)


class PriorityClass(Wire):
    """A name for a priority."""

    metadata: Metadata = field(default_factory=Metadata)
    value: Priority = 0
    global_default: bool = False


class ClaimAnnotations(Wire):
    """Where the volume of a claim is being made."""

    selected_node: str | None = field(name="volume.kubernetes.io/selected-node", default=None)


class ClaimMetadata(Wire):
    """Name of a claim."""

    name: str = ""
    namespace: str = ""
    annotations: ClaimAnnotations | None = None
    deletion_timestamp: Time | None = None


class ClaimSpec(Wire):
    """What a claim asks for and which volume it got."""

    volume_name: str = ""
    storage_class_name: str | None = None
    access_modes: list[str] | None = None


class ClaimStatus(Wire):
    """Whether a claim has its volume."""

    phase: str = ""


class Claim(Wire):
    """A PersistentVolumeClaim."""

    metadata: ClaimMetadata = field(default_factory=ClaimMetadata)
    spec: ClaimSpec = field(default_factory=ClaimSpec)
    status: ClaimStatus = field(default_factory=ClaimStatus)


class VolumeNodeAffinity(Wire):
    """From which nodes a volume can be reached."""

    required: NodeSelector | None = None


class CsiSource(Wire):
    """The driver that attaches a volume."""

    driver: str = ""


class PersistentVolumeSpec(Wire):
    """Where a volume is."""

    node_affinity: VolumeNodeAffinity | None = None
    csi: CsiSource | None = None
    local: Ignored | None = None
    host_path: Ignored | None = None
    storage_class_name: str = ""


class PersistentVolume(Wire):
    """A volume."""

    metadata: Metadata = field(default_factory=Metadata)
    spec: PersistentVolumeSpec = field(default_factory=PersistentVolumeSpec)


class TopologyValues(Wire):
    """A label and the values of it that are allowed."""

    key: str
    values: list[str] = field(default_factory=list)


class TopologyTerm(Wire):
    """All of its rows must match."""

    match_label_expressions: list[TopologyValues] | None = None


class StorageClass(Wire):
    """How volumes of a class are made."""

    metadata: Metadata = field(default_factory=Metadata)
    provisioner: str = ""
    volume_binding_mode: str = "Immediate"
    allowed_topologies: list[TopologyTerm] | None = None


class DriverAllocatable(Wire):
    """How many volumes of a driver a node can attach."""

    count: Count | None = None


class CsiDriver(Wire):
    """A driver installed on a node."""

    name: str
    allocatable: DriverAllocatable | None = None


class CsiNodeSpec(Wire):
    """The drivers on a node."""

    drivers: list[CsiDriver] | None = None


class CsiNode(Wire):
    """The storage side of a node, under the node's name."""

    metadata: Metadata = field(default_factory=Metadata)
    spec: CsiNodeSpec = field(default_factory=CsiNodeSpec)
