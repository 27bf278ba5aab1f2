"""What a pod asks of its node: the effective request, as Kubernetes defines it.

The formula is part of the Kubernetes API (k8s.io/component-helpers/resource): the sum of the
containers and sidecars, or what an init container needs together with the sidecars started before
it if that is more; requests of the whole pod replace the result for cpu, memory and huge pages;
overhead comes on top. Bound pods that were resized in place count the largest of what is asked,
set aside and in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .objects import Container, ContainerStatus, Pod, PodSpec, Quantities
from .quantity import to_nanos, to_units

Nanos = dict[str, int]
Part = Callable[[Container], Quantities | None]


def is_sidecar(container: Container) -> bool:
    """Whether an init container keeps running beside the containers."""
    return container.restart_policy == "Always"


def spec_request(spec: PodSpec) -> Nanos:
    """What a pod that is to be scheduled asks for, in nanos."""
    return _finish(spec, _aggregate(spec, _requests))


def bound_request(pod: Pod) -> Nanos:
    """What a bound pod counts on its node, in nanos, with in-place resizing taken into account."""
    spec = pod.spec
    statuses = _statuses(pod)
    if not statuses and pod.status.allocated_resources is None and not pod.status.resources:
        return spec_request(spec)
    infeasible = _resize_is_infeasible(pod)

    def asked(container: Container) -> Quantities | None:
        return None if infeasible else _requests(container)

    def allocated(container: Container) -> Quantities | None:
        status = statuses.get(container.name)
        if status and status.allocated_resources is not None:
            return status.allocated_resources
        return asked(container)

    def in_force(container: Container) -> Quantities | None:
        status = statuses.get(container.name)
        if status and status.resources and status.resources.requests is not None:
            return status.resources.requests
        return allocated(container)

    readings = [_aggregate(spec, allocated), _aggregate(spec, in_force)]
    if not infeasible:
        readings.append(_aggregate(spec, asked))
    return _finish(spec, _largest(readings), _pod_level_in_force(pod, infeasible))


def in_units(request: Nanos) -> dict[str, int]:
    """The request in the units of the tables, rounded up once; zeros are left out."""
    return {name: to_units(name, value) for name, value in sorted(request.items()) if value}


def _requests(container: Container) -> Quantities | None:
    return container.resources.requests if container.resources else None


def _statuses(pod: Pod) -> dict[str, ContainerStatus]:
    status = pod.status
    rows = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
    return {row.name: row for row in rows if row.resources or row.allocated_resources is not None}


def _resize_is_infeasible(pod: Pod) -> bool:
    for condition in pod.status.conditions or ():
        if condition.type == "PodResizePending":
            return condition.reason == "Infeasible"
    return False


def _aggregate(spec: PodSpec, part: Part) -> Nanos:
    total: Nanos = {}
    sidecars: Nanos = {}
    peak: Nanos = {}
    for container in spec.containers:
        _add(total, part(container))
    for container in spec.init_containers or ():
        if is_sidecar(container):
            _add(total, part(container))
            _add(sidecars, part(container))
            step = sidecars
        else:
            step = dict(sidecars)
            _add(step, part(container))
        peak = _largest((peak, step))
    return _largest((total, peak))


def _pod_level_in_force(pod: Pod, infeasible: bool) -> Nanos:
    """The largest of what the whole pod asks, has set aside and has in force, without overhead."""
    overhead: Nanos = {}
    _add(overhead, pod.spec.overhead)
    readings: list[Nanos] = []
    status = pod.status
    for part in (status.allocated_resources, status.resources and status.resources.requests):
        reading: Nanos = {}
        _add(reading, part)
        readings.append({name: value - overhead.get(name, 0) for name, value in reading.items()})
    if not infeasible:
        readings.append(_pod_level(pod.spec))
    return _largest(readings)


def _pod_level(spec: PodSpec) -> Nanos:
    asked: Nanos = {}
    _add(asked, spec.resources.requests if spec.resources else None)
    return asked


def _finish(spec: PodSpec, total: Nanos, in_force: Nanos | None = None) -> Nanos:
    """Let the requests of the whole pod replace the sum where there are any; add the overhead."""
    asked = _pod_level(spec)
    for name in asked:
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            total[name] = (asked if in_force is None else in_force).get(name, 0)
    _add(total, spec.overhead)
    return total


def _add(total: Nanos, part: Quantities | None) -> None:
    for name, quantity in (part or {}).items():
        total[name] = total.get(name, 0) + to_nanos(quantity)


def _largest(readings: Iterable[Nanos]) -> Nanos:
    out: Nanos = {}
    for reading in readings:
        for name, value in reading.items():
            out[name] = max(value, out.get(name, 0))
    return out
