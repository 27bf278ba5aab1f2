"""The Kubernetes objects, with just the fields that decide where pods may run.

Structs are decoded straight from JSON; what they do not name is skipped without being built. Parts
of a pod that the scheduler filters by are *strict*: a field that is not listed here raises, and
`decode` then reads the pod without it and reports its name, so that an unknown rule makes a pod
unmodelled instead of being overlooked.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import field

Labels = dict[str, str]
Quantities = dict[str, str | int | float]


class Wire(msgspec.Struct, rename="camel", gc=False):
    """A JSON object of which only the named fields are read."""


class Strict(Wire, forbid_unknown_fields=True):
    """A JSON object of which every field matters."""


class Ignored(msgspec.Struct, gc=False):
    """Any JSON object; nothing of it is read."""


class OwnerReference(Wire):
    """Who made this object; the one with `controller` set keeps it alive."""

    kind: str
    name: str
    uid: str = ""
    controller: bool | None = None


class Annotations(Wire):
    """The annotations that say whether a pod may be moved."""

    mirror: str | None = field(name="kubernetes.io/config.mirror", default=None)
    movable: str | None = field(name="optsched.io/movable", default=None)
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
    """Name and circumstances of an object. Timestamps stay text; most are never looked at."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: Labels | None = None
    annotations: Annotations | None = None
    owner_references: list[OwnerReference] | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    generation: int = 0

    def controller(self) -> OwnerReference | None:
        """The owner that recreates this object when it is gone."""
        for owner in self.owner_references or ():
            if owner.controller:
                return owner
        return None


# Selectors ------------------------------------------------------------------------------------


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


# Pods -----------------------------------------------------------------------------------------


class NodeAffinity(Strict):
    """Which nodes a pod needs; preferences only score and are ignored."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: list[Ignored] | None = None


class PodAffinityTerm(Strict):
    """Pods that must, or must not, share a domain of `topology_key`."""

    topology_key: str
    label_selector: LabelSelector | None = None
    namespaces: list[str] | None = None
    namespace_selector: LabelSelector | None = None
    match_label_keys: list[str] | None = None
    mismatch_label_keys: list[str] | None = None


class PodAffinity(Strict):
    """Required terms of pod affinity or anti-affinity; preferences only score."""

    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] | None = None
    preferred_during_scheduling_ignored_during_execution: list[Ignored] | None = None


class Affinity(Strict):
    """All of a pod's affinities."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class SpreadConstraint(Strict):
    """How evenly pods spread over the domains of a topology key."""

    max_skew: int
    topology_key: str
    when_unsatisfiable: str
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    match_label_keys: list[str] | None = None


class Toleration(Strict):
    """Taints that a pod puts up with."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class Resources(Strict):
    """Requests; limits are not looked at, because the API server copies them where needed."""

    requests: Quantities | None = None
    limits: Ignored | None = None
    claims: list[Ignored] | None = None


class ContainerPort(Wire):
    """A port, of which only the one taken on the node matters."""

    host_port: int = 0
    host_ip: str = field(name="hostIP", default="")
    protocol: str = "TCP"


class Container(Wire):
    """A container; `restart_policy` Always makes an init container a sidecar."""

    name: str
    resources: Resources | None = None
    ports: list[ContainerPort] | None = None
    restart_policy: str | None = None


class EmptyDir(Wire):
    """A scratch volume; on disk unless its medium is Memory."""

    medium: str = ""


class ClaimSource(Wire):
    """A volume that a PersistentVolumeClaim stands for."""

    claim_name: str


class Volume(Strict):
    """A volume of a kind that is modelled, or that no scheduler filter looks at."""

    name: str
    persistent_volume_claim: ClaimSource | None = None
    ephemeral: Ignored | None = None
    empty_dir: EmptyDir | None = None
    host_path: Ignored | None = None
    config_map: Ignored | None = None
    secret: Ignored | None = None
    projected: Ignored | None = None
    downward_api: Ignored | None = field(name="downwardAPI", default=None)
    image: Ignored | None = None
    csi: Ignored | None = None
    nfs: Ignored | None = None
    git_repo: Ignored | None = None
    azure_file: Ignored | None = None
    cephfs: Ignored | None = None
    glusterfs: Ignored | None = None


class NodeRuntime(Strict):
    """Fields of a pod's spec that matter to the kubelet, not to where the pod may run."""

    active_deadline_seconds: Any = None
    automount_service_account_token: Any = None
    dns_config: Any = None
    dns_policy: Any = None
    enable_service_links: Any = None
    ephemeral_containers: Any = None
    host_aliases: Any = None
    host_ipc: Any = field(name="hostIPC", default=None)
    host_network: Any = None  # the API server has made its ports host ports
    host_pid: Any = field(name="hostPID", default=None)
    host_users: Any = None
    hostname: Any = None
    hostname_override: Any = None
    image_pull_secrets: Any = None
    os: Any = None
    readiness_gates: Any = None
    runtime_class_name: Any = None  # admission has merged its overhead and node selector
    security_context: Any = None
    service_account: Any = None
    service_account_name: Any = None
    set_hostname_as_fqdn: Any = field(name="setHostnameAsFQDN", default=None)
    share_process_namespace: Any = None
    subdomain: Any = None
    termination_grace_period_seconds: Any = None


class PodSpec(NodeRuntime):
    """What a pod asks for."""

    containers: list[Container] = field(default_factory=list)
    init_containers: list[Container] | None = None
    node_name: str = ""
    node_selector: Labels | None = None
    affinity: Affinity | None = None
    tolerations: list[Toleration] | None = None
    topology_spread_constraints: list[SpreadConstraint] | None = None
    overhead: Quantities | None = None
    resources: Resources | None = None
    volumes: list[Volume] | None = None
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str | None = None
    restart_policy: str = "Always"
    scheduler_name: str = "default-scheduler"
    scheduling_gates: list[Ignored] | None = None
    resource_claims: list[Ignored] | None = None

    def required_node_affinity(self) -> NodeSelector | None:
        """The nodes that the pod's affinity asks for, None for all."""
        affinity = self.affinity and self.affinity.node_affinity
        return affinity.required_during_scheduling_ignored_during_execution if affinity else None


class Condition(Wire):
    """A row of status.conditions."""

    type: str
    status: str = ""
    reason: str | None = None
    last_transition_time: str | None = None


class StatusResources(Wire):
    """Requests that a kubelet has put in force."""

    requests: Quantities | None = None


class ContainerStatus(Wire):
    """What the node has set aside for a container, for in-place resizing."""

    name: str
    resources: StatusResources | None = None
    allocated_resources: Quantities | None = None


class PodStatus(Wire):
    """How a pod fares."""

    phase: str = ""
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    resources: StatusResources | None = None
    allocated_resources: Quantities | None = None
    nominated_node_name: str = ""


class Pod(Wire):
    """A pod."""

    metadata: Metadata = field(default_factory=Metadata)
    spec: PodSpec = field(default_factory=PodSpec)
    status: PodStatus = field(default_factory=PodStatus)


# Nodes ----------------------------------------------------------------------------------------


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


# What is read about the rest ------------------------------------------------------------------


class Namespace(Wire):
    """A namespace; its labels answer namespace selectors."""

    metadata: Metadata = field(default_factory=Metadata)


class TemplateSpec(Wire):
    """The part of a workload's pod template that the pods themselves do not show."""

    node_name: str = ""


class Template(Wire):
    """A workload's pod template."""

    spec: TemplateSpec = field(default_factory=TemplateSpec)


class WorkloadSpec(Wire):
    """What a workload's owner asked for."""

    replicas: int | None = None
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

    disruptions_allowed: int = 0
    observed_generation: int = 0


class DisruptionBudget(Wire):
    """A PodDisruptionBudget."""

    metadata: Metadata = field(default_factory=Metadata)
    spec: BudgetSpec = field(default_factory=BudgetSpec)
    status: BudgetStatus = field(default_factory=BudgetStatus)


class PriorityClass(Wire):
    """A name for a priority."""

    metadata: Metadata = field(default_factory=Metadata)
    value: int = 0
    global_default: bool = False


class ClaimAnnotations(Wire):
    """Where the volume of a claim is being made."""

    selected_node: str | None = field(name="volume.kubernetes.io/selected-node", default=None)


class ClaimMetadata(Wire):
    """Name of a claim."""

    name: str = ""
    namespace: str = ""
    annotations: ClaimAnnotations | None = None
    deletion_timestamp: str | None = None


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

    count: int | None = None


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
