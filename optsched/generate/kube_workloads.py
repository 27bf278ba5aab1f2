"""Controllers of pods, their budgets and claims, as an API server returns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .kube_objects import (
    API_VERSIONS,
    HOSTNAME,
    ZONE,
    Maker,
    Object,
    Workload,
    owner_reference,
)

STORAGE_CLASS = "standard-zonal"
DRIVER = "csi.example.com"


@dataclass(frozen=True)
class Owned:
    """A workload's controller, the label that marks its pods, and objects beside it."""

    workload: Workload
    controller: Object | None
    revision: str
    objects: Sequence[Object]


def mebibytes(amount: int) -> str:
    """A memory quantity as people write it."""
    return f"{amount // 1024}Gi" if amount % 1024 == 0 else f"{amount}Mi"


def template(w: Workload) -> Object:
    """The pod spec as its author wrote it, with the server's defaults."""
    spec: Object = {
        "containers": [_container(w.name, w.cpu, w.memory, w)],
        "dnsPolicy": "ClusterFirst",
        "priorityClassName": w.priority,
        "restartPolicy": "Never" if w.kind == "Job" else "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    if w.sidecar:
        proxy = _container("proxy", *w.sidecar, None)
        spec["initContainers"] = [{**proxy, "restartPolicy": "Always"}]
    if w.selector:
        spec["nodeSelector"] = dict(w.selector)
    if w.host_port:
        spec["hostNetwork"] = True
    if w.tolerates:
        spec["tolerations"] = [
            {"effect": "NoSchedule", "key": key, "operator": "Exists"} for key in w.tolerates
        ]
    if w.apart:
        term = {"labelSelector": {"matchLabels": {"app": w.name}}, "topologyKey": HOSTNAME}
        required = "requiredDuringSchedulingIgnoredDuringExecution"
        spec["affinity"] = {"podAntiAffinity": {required: [term]}}
    if w.prefers:
        terms = [{"key": k, "operator": "In", "values": [v]} for k, v in w.prefers.items()]
        preferred = {"preference": {"matchExpressions": terms}, "weight": 100}
        affinity = {"preferredDuringSchedulingIgnoredDuringExecution": [preferred]}
        spec["affinity"] = {"nodeAffinity": affinity}
    if w.spread:
        spec["topologySpreadConstraints"] = [
            {
                "labelSelector": {"matchLabels": {"app": w.name}},
                "maxSkew": 1,
                "topologyKey": ZONE,
                "whenUnsatisfiable": w.spread,
            }
        ]
    if w.scratch:
        spec["volumes"] = [{"emptyDir": {}, "name": "cache"}]
    return spec


def _container(name: str, cpu: int, memory: int, w: Workload | None) -> Object:
    limits = {"memory": mebibytes(memory)}
    requests = {"cpu": f"{cpu}m" if cpu % 1000 else str(cpu // 1000), **limits}
    if w is not None and w.gpus:
        limits = {**limits, "nvidia.com/gpu": str(w.gpus)}
        requests = {**requests, "nvidia.com/gpu": str(w.gpus)}
    made: Object = {
        "image": f"registry.example.com/{name}:1.{cpu % 17}",
        "imagePullPolicy": "IfNotPresent",
        "name": name,
        "resources": {"limits": limits, "requests": requests},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    if w is not None and w.host_port:
        port = w.host_port
        made["ports"] = [{"containerPort": port, "hostPort": port, "protocol": "TCP"}]
    mounts = []
    if w is not None and w.scratch:
        mounts.append({"mountPath": "/var/cache", "name": "cache"})
    if w is not None and w.storage:
        mounts.append({"mountPath": "/data", "name": "data"})
    if mounts:
        made["volumeMounts"] = mounts
    return made


def own(make: Maker, w: Workload, ready: int, created: str) -> Owned:
    """The controllers of a workload of which `ready` pods run, and its budget."""
    revision = make.letters(10)
    labels = {"app": w.name}
    objects: list[Object] = []
    controller = None
    if w.kind == "Deployment":
        deployment = _workload(make, w, "Deployment", w.name, created, labels, ready)
        labels = {**labels, "pod-template-hash": revision}
        name = f"{w.name}-{revision}"
        controller = _workload(make, w, "ReplicaSet", name, created, labels, ready)
        controller["metadata"]["ownerReferences"] = [owner_reference(deployment)]
        objects += [deployment, controller]
    elif w.kind != "Pod":
        controller = _workload(make, w, w.kind, w.name, created, labels, ready)
        if w.kind == "StatefulSet":
            full = f"{w.name}-{revision}"
            controller["status"] |= {"currentRevision": full, "updateRevision": full}
        objects.append(controller)
    if w.budget:
        objects.append(_budget(make, w, ready, created))
    return Owned(w, controller, revision, objects)


def _workload(
    make: Maker, w: Workload, kind: str, name: str, created: str, labels: Object, ready: int
) -> Object:
    metadata = make.metadata(name, created, w.namespace, labels=labels, generation=1)
    spec: Object = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": template(w)},
    }
    status: Object = {"observedGeneration": 1}
    if kind == "DaemonSet":
        status |= {
            "currentNumberScheduled": ready,
            "desiredNumberScheduled": ready,
            "numberAvailable": ready,
            "numberMisscheduled": 0,
            "numberReady": ready,
            "updatedNumberScheduled": ready,
        }
    elif kind == "Job":
        del spec["selector"]
        spec |= {"backoffLimit": 6, "completions": w.replicas, "parallelism": w.replicas}
        status = {"active": w.replicas, "ready": ready, "startTime": created, "terminating": 0}
    else:
        spec["replicas"] = w.replicas
        status |= {"availableReplicas": ready, "readyReplicas": ready, "replicas": w.replicas}
    if kind == "StatefulSet":
        spec |= {"podManagementPolicy": "Parallel", "serviceName": name}
        if w.storage:
            wanted = {"kind": "PersistentVolumeClaim", "spec": _claim_spec(w)}
            spec["volumeClaimTemplates"] = [{**wanted, "metadata": {"name": "data"}}]
    return {
        "apiVersion": API_VERSIONS[kind],
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def _budget(make: Maker, w: Workload, ready: int, created: str) -> Object:
    """The PodDisruptionBudget with the status that its controller computes."""
    if "minAvailable" in w.budget:
        desired = int(w.budget["minAvailable"])
    else:
        desired = w.replicas - int(w.budget["maxUnavailable"])
    allowed = max(0, ready - desired)
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": make.metadata(w.name, created, w.namespace, generation=1),
        "spec": {**w.budget, "selector": {"matchLabels": {"app": w.name}}},
        "status": {
            "conditions": [
                {
                    "lastTransitionTime": created,
                    "message": "",
                    "observedGeneration": 1,
                    "reason": "SufficientPods" if allowed else "InsufficientPods",
                    "status": "True" if allowed else "False",
                    "type": "DisruptionAllowed",
                }
            ],
            "currentHealthy": ready,
            "desiredHealthy": desired,
            "disruptionsAllowed": allowed,
            "expectedPods": w.replicas,
            "observedGeneration": 1,
        },
    }


def _claim_spec(w: Workload) -> Object:
    return {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{w.storage}Gi"}},
        "storageClassName": STORAGE_CLASS,
        "volumeMode": "Filesystem",
    }


def claim(make: Maker, w: Workload, ordinal: int, zone: str) -> list[Object]:
    """The bound claim of a pod, and its volume in the zone."""
    created = make.time(days=w.days)
    name = f"data-{w.name}-{ordinal}"
    one = make.metadata(name, created, w.namespace, labels={"app": w.name})
    volume = f"pvc-{one['uid']}"
    where = {"key": ZONE, "operator": "In", "values": [zone]}
    bound = {"phase": "Bound", "accessModes": ["ReadWriteOnce"]}
    size = {"storage": f"{w.storage}Gi"}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": one,
            "spec": {**_claim_spec(w), "volumeName": volume},
            "status": {**bound, "capacity": size},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": make.metadata(volume, created),
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "capacity": size,
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "name": name,
                    "namespace": w.namespace,
                    "uid": one["uid"],
                },
                "csi": {"driver": DRIVER, "fsType": "ext4", "volumeHandle": make.letters(16)},
                "nodeAffinity": {
                    "required": {"nodeSelectorTerms": [{"matchExpressions": [where]}]}
                },
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": STORAGE_CLASS,
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Bound"},
        },
    ]
