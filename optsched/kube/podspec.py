"""Pods, with just the fields that decide where they may run."""

from __future__ import annotations

from typing import Any

from msgspec import field

from .wire import (
    Condition,
    Gate,
    Ignored,
    Labels,
    LabelSelector,
    Metadata,
    NodeSelector,
    Port,
    Positive,
    Priority,
    Quantities,
    Strict,
    Wire,
)


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

    max_skew: Positive
    topology_key: str
    when_unsatisfiable: str
    label_selector: LabelSelector | None = None
    min_domains: Positive | None = None
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

    host_port: Port = 0
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
    priority: Priority | None = None
    priority_class_name: str = ""
    preemption_policy: str | None = None
    restart_policy: str = "Always"
    scheduler_name: str = "default-scheduler"
    scheduling_gates: list[Gate] | None = None
    resource_claims: list[Ignored] | None = None

    def required_node_affinity(self) -> NodeSelector | None:
        """The nodes that the pod's affinity asks for, None for all."""
        affinity = self.affinity and self.affinity.node_affinity
        return affinity.required_during_scheduling_ignored_during_execution if affinity else None


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
