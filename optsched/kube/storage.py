"""Volumes: which nodes a pod's claims exclude, and how many volumes it attaches.

Modelled: node affinity and zone labels of bound volumes, allowed topologies of volumes that are
made when the first pod comes, claims that cannot be used, ReadWriteOncePod, and CSI volume limits
(a claim that several pods share counts for each of them, which is on the safe side). Not looked
at: the storage capacity that is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from optsched.arrays import Bools

from .cluster import Cluster
from .nodes import NodeTable, Rule
from .objects import Claim, PersistentVolume, StorageClass, TopologyTerm
from .podspec import Pod

ATTACHABLE = "attachable-volumes-"

_ZONE_LABELS = {
    "topology.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}


@dataclass
class VolumeNeeds:
    """What the volumes of one pod mean for its placement.

    Attributes
    ----------
    excluded
        Nodes (or True: all) that a rule excludes.
    attach
        Volumes to attach per resource name.
    unmodelled
        Reasons why the volumes cannot be judged.
    pin
        Why the pod must stay where it is, or "".
    classes
        Storage classes of the claims.
    """

    excluded: list[tuple[Rule, Bools | bool]] = field(default_factory=list)
    attach: dict[str, int] = field(default_factory=dict)
    unmodelled: list[str] = field(default_factory=list)
    pin: str = ""
    classes: set[str] = field(default_factory=set)


def claim_names(pod: Pod) -> list[str]:
    """The names of the claims a pod uses, in its namespace, each once."""
    names = []
    for volume in pod.spec.volumes or ():
        if volume.persistent_volume_claim is not None:
            names.append(volume.persistent_volume_claim.claim_name)
        elif volume.ephemeral is not None:
            names.append(f"{pod.metadata.name}-{volume.name}")
    return list(dict.fromkeys(names))


class Storage:
    """The storage objects of a cluster, looked up by pods."""

    def __init__(self, cluster: Cluster, nodes: NodeTable) -> None:
        self._nodes = nodes
        self._claims = {(c.metadata.namespace, c.metadata.name): c for c in cluster.claims}
        self._volumes = {volume.metadata.name: volume for volume in cluster.volumes}
        self._classes = {one.metadata.name: one for one in cluster.storage_classes}
        self._has_csi_nodes = bool(cluster.csi_nodes)
        self.limits = _driver_limits(cluster, nodes)
        self._users: dict[tuple[str, str], int] = {}

    def note_user(self, pod: Pod) -> None:
        """Remember that a bound pod uses its claims."""
        for name in claim_names(pod):
            key = (pod.metadata.namespace, name)
            self._users[key] = self._users.get(key, 0) + 1

    def needs(self, pod: Pod) -> VolumeNeeds:
        """What the pod's claims mean for its placement."""
        needs = VolumeNeeds()
        for name in claim_names(pod):
            claim = self._claims.get((pod.metadata.namespace, name))
            if claim is None and not self._claims:
                needs.unmodelled.append("claims (the input has no PersistentVolumeClaim)")
            elif claim is None or claim.metadata.deletion_timestamp or claim.status.phase == "Lost":
                _unusable(needs, f"its claim {name} is missing, lost or being deleted")
            else:
                self._add_claim(needs, pod, claim)
        return needs

    def _add_claim(self, needs: VolumeNeeds, pod: Pod, claim: Claim) -> None:
        if "ReadWriteOncePod" in (claim.spec.access_modes or ()):
            needs.pin = f"its claim {claim.metadata.name} is ReadWriteOncePod"
            key = (claim.metadata.namespace, claim.metadata.name)
            if self._users.get(key, 0) and not pod.spec.node_name:
                needs.excluded.append((Rule.CLAIM, True))
        needs.classes.add(claim.spec.storage_class_name or "")
        if not claim.spec.volume_name:
            self._add_unbound(needs, claim)
            return
        volume = self._volumes.get(claim.spec.volume_name)
        if volume is None and not self._volumes:
            needs.unmodelled.append("claims (the input has no PersistentVolume)")
        elif volume is None:
            _unusable(needs, f"the volume of its claim {claim.metadata.name} is missing")
        else:
            self._add_volume(needs, volume)

    def _add_volume(self, needs: VolumeNeeds, volume: PersistentVolume) -> None:
        spec = volume.spec
        if spec.local is not None or spec.host_path is not None:
            needs.pin = "it has a local volume"
        if spec.node_affinity and spec.node_affinity.required:
            needs.excluded.append(
                (Rule.VOLUME, self._nodes.not_affine(spec.node_affinity.required))
            )
        needs.excluded.append((Rule.VOLUME, self._outside_zone(volume)))
        if spec.csi is not None:
            self._attach(needs, spec.csi.driver)

    def _outside_zone(self, volume: PersistentVolume) -> Bools:
        """Nodes whose zone or region is not the volume's; nodes without any have no say."""
        columns = self._nodes.columns
        outside = np.zeros(self._nodes.count, bool)
        for key, modern in _ZONE_LABELS.items():
            value = (volume.metadata.labels or {}).get(key)
            if value is None:
                continue
            zones = value.split("__")
            codes, numbers = columns.column(key)
            modern_codes, modern_numbers = columns.column(modern)
            inside = np.isin(codes, [numbers.get(zone, -2) for zone in zones])
            inside |= (codes < 0) & np.isin(
                modern_codes, [modern_numbers.get(zone, -2) for zone in zones]
            )
            outside |= ~inside
        labelled = [columns.column(key)[0] >= 0 for key in _ZONE_LABELS]
        return np.asarray(outside & np.any(labelled, axis=0))

    def _add_unbound(self, needs: VolumeNeeds, claim: Claim) -> None:
        kind = self._classes.get(claim.spec.storage_class_name or "")
        if kind is None:
            needs.unmodelled.append("unbound claims without a known StorageClass")
        elif kind.volume_binding_mode != "WaitForFirstConsumer":
            _unusable(needs, f"its claim {claim.metadata.name} is not bound yet")
        elif kind.provisioner == "kubernetes.io/no-provisioner":
            needs.unmodelled.append("unbound claims of local volumes")
        else:
            self._add_provisioned(needs, claim, kind)

    def _add_provisioned(self, needs: VolumeNeeds, claim: Claim, kind: StorageClass) -> None:
        chosen = claim.metadata.annotations and claim.metadata.annotations.selected_node
        if chosen:
            elsewhere = np.ones(self._nodes.count, bool)
            if chosen in self._nodes.index:
                elsewhere[self._nodes.index[chosen]] = False
            needs.excluded.append((Rule.VOLUME, elsewhere))
        if kind.allowed_topologies:
            needs.excluded.append((Rule.VOLUME, ~self._in_topologies(kind.allowed_topologies)))
        self._attach(needs, kind.provisioner)

    def _in_topologies(self, terms: list[TopologyTerm]) -> Bools:
        inside = np.zeros(self._nodes.count, bool)
        for term in terms:
            ok = np.ones(self._nodes.count, bool)
            for row in term.match_label_expressions or ():
                codes, numbers = self._nodes.columns.column(row.key)
                ok &= np.isin(codes, [numbers.get(value, -2) for value in row.values])
            inside |= ok
        return inside

    def _attach(self, needs: VolumeNeeds, driver: str) -> None:
        if not self._has_csi_nodes:
            needs.unmodelled.append("CSI volumes (the input has no CSINode)")
        elif driver in self.limits:
            name = ATTACHABLE + driver
            needs.attach[name] = needs.attach.get(name, 0) + 1


def _unusable(needs: VolumeNeeds, why: str) -> None:
    needs.excluded.append((Rule.CLAIM, True))
    needs.pin = why


def _driver_limits(cluster: Cluster, nodes: NodeTable) -> dict[str, dict[int, int]]:
    """Per driver that has a limit anywhere, the limit of each node that has one."""
    limits: dict[str, dict[int, int]] = {}
    for one in cluster.csi_nodes:
        host = nodes.index.get(one.metadata.name)
        for driver in one.spec.drivers or ():
            if host is not None and driver.allocatable and driver.allocatable.count is not None:
                limits.setdefault(driver.name, {})[host] = driver.allocatable.count
    return limits
