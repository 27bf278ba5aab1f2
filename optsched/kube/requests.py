"""What a pod asks of its node: the effective request, as Kubernetes defines it.

The formula is part of the Kubernetes API (k8s.io/component-helpers/resource): the sum of the
containers and sidecars, or what an init container needs together with the sidecars started before
it if that is more; requests of the whole pod replace the result for cpu, memory and huge pages;
overhead comes on top. Bound pods that were resized in place count the largest of what is asked,
set aside and in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .podspec import Container, Pod, PodSpec
from .quantity import to_nanos, to_units
from .wire import Quantities

Nanos = dict[str, int]
Part = Callable[[Container], Nanos]


def is_sidecar(container: Container) -> bool:
    """Whether an init container keeps running beside the containers."""
    return container.restart_policy == "Always"


def spec_request(spec: PodSpec) -> Nanos:
    """What a pod that is to be scheduled asks for, in nanos."""
    return _finish(spec, _aggregate(spec, _requests))


def bound_request(pod: Pod) -> Nanos:
    """What a bound pod counts on its node, in nanos.

    Per container the largest of what is asked, set aside and in force; what is asked is left out
    where the node cannot ever grant it. (Releases after 1.36 take the largest of the three sums,
    which is never more.)
    """
    spec = pod.spec
    rows = (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
    statuses = {row.name: row for row in rows if row.resources}
    if not statuses and pod.status.allocated_resources is None and not pod.status.resources:
        return spec_request(spec)
    infeasible = _resize_is_infeasible(pod)
    plain = {c.name for c in spec.init_containers or () if not is_sidecar(c)}

    def counted(container: Container) -> Nanos:
        status = statuses.get(container.name)
        if status is None or container.name in plain:
            return _requests(container)
        in_force = status.resources.requests if status.resources else None
        readings = [_nanos(in_force), _nanos(status.allocated_resources)]
        if not infeasible:
            readings.append(_requests(container))
        return _largest(readings)

    return _finish(spec, _aggregate(spec, counted), _pod_level_in_force(pod, infeasible))


def in_units(request: Nanos) -> dict[str, int]:
    """The request in the units of the tables, rounded up once; zeros are left out."""
    return {name: to_units(name, value) for name, value in sorted(request.items()) if value}


def _requests(container: Container) -> Nanos:
    return _nanos(container.resources.requests if container.resources else None)


def _nanos(part: Quantities | None) -> Nanos:
    return {name: to_nanos(quantity) for name, quantity in (part or {}).items()}


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
    status = pod.status
    in_force = status.resources.requests if status.resources else None
    readings = [_nanos(in_force), _nanos(status.allocated_resources)]
    overhead = _nanos(pod.spec.overhead)
    for reading in readings:
        for name in reading:
            reading[name] -= overhead.get(name, 0)
    if not infeasible:
        readings.append(_pod_level(pod.spec))
    return _largest(readings)


def _pod_level(spec: PodSpec) -> Nanos:
    return _nanos(spec.resources.requests if spec.resources else None)


def _finish(spec: PodSpec, total: Nanos, in_force: Nanos | None = None) -> Nanos:
    """Let the requests of the whole pod replace the sum where there are any; add the overhead."""
    asked = _pod_level(spec)
    for name in asked:
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            total[name] = (asked if in_force is None else in_force).get(name, 0)
    _add(total, _nanos(spec.overhead))
    return total


def _add(total: Nanos, part: Nanos) -> None:
    for name, value in part.items():
        total[name] = total.get(name, 0) + value


def _largest(readings: Iterable[Nanos]) -> Nanos:
    out: Nanos = {}
    for reading in readings:
        for name, value in reading.items():
            out[name] = max(value, out.get(name, 0))
    return out
