"""What may be moved in a cluster: the settings, with the reasons for their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from optsched.errors import InputError

#: Controllers that make a new pod when one is evicted. Others may not, so their pods stay.
RECREATING = frozenset(("ReplicaSet", "ReplicationController", "StatefulSet", "Job"))

#: From this priority on a pod is one of the system's own (system-cluster-critical and above).
SYSTEM_PRIORITY = 2_000_000_000


@dataclass(frozen=True)
class KubeOptions:
    """Settings of the translation from a cluster to tables.

    Attributes
    ----------
    now
        The time that ages are measured against, as RFC 3339 text; "" takes the newest timestamp in
        the input, so that an old file gives the same answer every day.
    min_age
        Seconds; younger pods are not moved. 0, because a plan made from a file is read by a person
        first. In a cluster 600 is the default, which stops loops of evicting what was just placed.
    min_replicas
        Pods of owners that want fewer replicas are not moved. 2, because moving the only replica
        is an outage.
    protected_namespaces
        Their pods are not moved. The cluster's own services live in kube-system.
    scheduler_names
        Pods of other schedulers are neither moved nor placed: their rules are not known here.
    movable_storage_classes
        Pods with claims are moved only if all claims are of these classes. None by default:
        detaching and attaching can take minutes and fail.
    move_local_storage
        Whether pods with an emptyDir on disk may be moved; its contents are lost. No by default,
        as in the cluster autoscaler. A memory emptyDir never pins, a hostPath always does.
    move_jobs
        Whether pods of Jobs may be moved. No by default: their work so far is lost, and with
        restartPolicy Never the eviction counts as a failure.
    """

    now: str = ""
    min_age: int = 0
    min_replicas: int = 2
    protected_namespaces: frozenset[str] = frozenset(("kube-system",))
    scheduler_names: frozenset[str] = frozenset(("default-scheduler",))
    movable_storage_classes: frozenset[str] = frozenset()
    move_local_storage: bool = False
    move_jobs: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> KubeOptions:
        """Options from text such as `min_age` "600", `move_jobs` "true", lists "a,b"; or values.

        Raises
        ------
        InputError
            There is no such setting, or its value cannot be understood.
        """
        defaults = {one.name: one.default for one in fields(cls)}
        for name in settings:
            if name not in defaults:
                raise InputError(f"no setting {name[:40]!r} (there are: {', '.join(defaults)})")
        return cls(**{name: _value(name, v, defaults[name]) for name, v in settings.items()})


def _value(name: str, given: Any, default: Any) -> Any:
    if not isinstance(given, str):
        if isinstance(given, type(default)):
            return given
    elif isinstance(default, bool):
        if given.lower() in ("true", "false"):
            return given.lower() == "true"
    elif isinstance(default, int):
        if given.isdecimal() and given.isascii() and len(given) < 12:
            return int(given)
    elif isinstance(default, frozenset):
        return frozenset(part.strip() for part in given.split(",") if part.strip())
    else:
        return given
    kind = {bool: "true or false", int: "a whole number"}.get(type(default), "a comma list")
    raise InputError(f"the setting {name} must be {kind}, not {str(given)[:40]!r}")
