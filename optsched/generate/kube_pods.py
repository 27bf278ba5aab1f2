"""Pods, running or pending, as an API server returns them."""

from __future__ import annotations

from .kube_objects import (
    NOT_READY,
    PRESSURES,
    Maker,
    NodeShape,
    Object,
    Workload,
    owner_reference,
)
from .kube_workloads import Owned, template


def pod(
    make: Maker,
    owned: Owned,
    ordinal: int,
    node: tuple[int, NodeShape] | None,
    created: str,
    message: str,
) -> Object:
    """A running pod, or one that the scheduler could not place and says why.

    Parameters
    ----------
    ordinal
        Its number among the pods of its owner.
    node
        Number and shape; None: pending.
    created
        The time, which is also that of the pod's last change.
    message
        The scheduler's, for a pending pod.
    """
    w = owned.workload
    metadata = _pod_metadata(make, owned, ordinal, created)
    spec = template(w)
    value = make.priorities[w.priority]
    system = w.priority.startswith("system-")
    spec |= {
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority" if system else "Never",
        "priority": value,
        "serviceAccount": "default",
        "serviceAccountName": "default",
    }
    spec["tolerations"] = [*spec.get("tolerations", []), *_default_tolerations(w)]
    if w.storage:
        claimed = {"claimName": f"data-{w.name}-{ordinal}"}
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": claimed}]
    _mount_token(make, spec)
    if node is None:
        status = _pending(created, message)
    else:
        number, shape = node
        spec["nodeName"] = shape.name
        if w.kind == "DaemonSet":
            only = {"key": "metadata.name", "operator": "In", "values": [shape.name]}
            required = "requiredDuringSchedulingIgnoredDuringExecution"
            terms = {"nodeSelectorTerms": [{"matchFields": [only]}]}
            spec["affinity"] = {"nodeAffinity": {required: terms}}
        status = _running(make, spec, number, created)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def _default_tolerations(w: Workload) -> list[Object]:
    exists = {"effect": "NoExecute", "operator": "Exists"}
    if w.kind != "DaemonSet":
        return [{**exists, "key": key, "tolerationSeconds": 300} for key in NOT_READY]
    return [{**exists, "key": key} for key in NOT_READY] + [
        {"effect": "NoSchedule", "key": f"node.kubernetes.io/{what}", "operator": "Exists"}
        for what in PRESSURES
    ]


def _pod_metadata(make: Maker, owned: Owned, ordinal: int, created: str) -> Object:
    w = owned.workload
    labels = {"app": w.name}
    more: Object = {"annotations": dict(w.annotations), "generation": 1}
    if w.kind == "Pod":
        name = w.name
    elif w.kind == "StatefulSet":
        name = f"{w.name}-{ordinal}"
        labels |= {
            "apps.kubernetes.io/pod-index": str(ordinal),
            "controller-revision-hash": f"{w.name}-{owned.revision}",
            "statefulset.kubernetes.io/pod-name": name,
        }
        more["generateName"] = f"{w.name}-"
    else:
        base = f"{w.name}-{owned.revision}-" if w.kind == "Deployment" else f"{w.name}-"
        name, more["generateName"] = base + make.letters(5), base
        if w.kind == "Deployment":
            labels["pod-template-hash"] = owned.revision
        elif w.kind == "DaemonSet":
            labels |= {"controller-revision-hash": owned.revision, "pod-template-generation": "1"}
        else:
            labels |= {"batch.kubernetes.io/job-name": w.name, "job-name": w.name}
    if owned.controller is not None:
        more["ownerReferences"] = [owner_reference(owned.controller)]
    return make.metadata(name, created, w.namespace, labels=labels, **more)


def _mount_token(make: Maker, spec: Object) -> None:
    """The service account's token, which the server mounts into every pod."""
    name = f"kube-api-access-{make.letters(5)}"
    root = {
        "configMap": {
            "items": [{"key": "ca.crt", "path": "ca.crt"}],
            "name": "kube-root-ca.crt",
        }
    }
    token = {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    namespace = {"downwardAPI": {"items": [{"fieldRef": field, "path": "namespace"}]}}
    volume = {"name": name, "projected": {"defaultMode": 420, "sources": [token, root, namespace]}}
    spec["volumes"] = [*spec.get("volumes", []), volume]
    mount = {
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        "name": name,
        "readOnly": True,
    }
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        container["volumeMounts"] = [*container.get("volumeMounts", []), mount]


def _condition(kind: str, status: str, time: str, **more: str) -> Object:
    return {
        "lastProbeTime": None,
        "lastTransitionTime": time,
        "observedGeneration": 1,
        "status": status,
        "type": kind,
        **more,
    }


def _pending(created: str, message: str) -> Object:
    reason = {"message": message, "reason": "Unschedulable"}
    return {
        "conditions": [_condition("PodScheduled", "False", created, **reason)],
        "phase": "Pending",
        "qosClass": "Burstable",
    }


def _running(make: Maker, spec: Object, node: int, started: str) -> Object:
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    address = f"10.0.0.{node + 10}" if spec.get("hostNetwork") else make.address(node)

    def state(container: Object) -> Object:
        return {
            "allocatedResources": container["resources"]["requests"],
            "image": container["image"],
            "imageID": f"{container['image']}@sha256:{make.letters(16)}",
            "lastState": {},
            "name": container["name"],
            "ready": True,
            "resources": container["resources"],
            "restartCount": 0,
            "started": True,
            "state": {"running": {"startedAt": started}},
        }

    status: Object = {
        "conditions": [_condition(kind, "True", started) for kind in kinds],
        "containerStatuses": [state(one) for one in spec["containers"]],
        "hostIP": f"10.0.0.{node + 10}",
        "hostIPs": [{"ip": f"10.0.0.{node + 10}"}],
        "observedGeneration": 1,
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "qosClass": "Burstable",
        "startTime": started,
    }
    if "initContainers" in spec:
        status["initContainerStatuses"] = [state(one) for one in spec["initContainers"]]
    return status
