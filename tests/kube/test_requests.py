"""The effective request of pods."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from optsched.kube.requests import bound_request, in_units, spec_request


def container(name: str, cpu: str, *, sidecar: bool = False, **more: str) -> dict[str, Any]:
    """A container."""
    policy = {"restartPolicy": "Always"} if sidecar else {}
    return {"name": name, "resources": {"requests": {"cpu": cpu, **more}}, **policy}


def asked(kube: SimpleNamespace, **spec: Any) -> dict[str, int]:
    """The request of a pending pod with this spec."""
    return in_units(spec_request(kube.cluster(kube.pod("p", **spec)).pods[0].spec))


def test_init_containers_run_one_at_a_time(kube: SimpleNamespace) -> None:
    """The request is the sum of the containers or the largest init container, per resource."""
    found = asked(
        kube,
        containers=[container("a", "1", memory="1Ki"), container("b", "1", memory="1Ki")],
        initContainers=[container("i", "3"), container("j", "1", memory="1Ki")],
    )
    assert found == {"cpu": 3000, "memory": 2048}


def test_sidecars_run_beside_later_init_containers(kube: SimpleNamespace) -> None:
    """A sidecar counts with the containers and with init containers that start after it."""
    before = asked(
        kube,
        containers=[container("a", "1")],
        initContainers=[container("s", "2", sidecar=True), container("i", "4")],
    )
    after = asked(
        kube,
        containers=[container("a", "1")],
        initContainers=[container("i", "4"), container("s", "2", sidecar=True)],
    )
    assert (before["cpu"], after["cpu"]) == (6000, 4000)


def test_pod_level_requests_replace_the_sum(kube: SimpleNamespace) -> None:
    """They replace cpu, memory and huge pages only; overhead comes on top."""
    found = asked(
        kube,
        containers=[container("a", "1", **{"nvidia.com/gpu": "1"})],
        resources={"requests": {"cpu": "500m", "nvidia.com/gpu": "9", "hugepages-2Mi": "4Mi"}},
        overhead={"cpu": "250m"},
    )
    assert found == {"cpu": 750, "nvidia.com/gpu": 1, "hugepages-2Mi": 4 << 20}


def test_rounded_up_once_per_pod(kube: SimpleNamespace) -> None:
    """Ten containers of a tenth of a milli-CPU ask for one milli-CPU."""
    tenth = [container(f"c{i}", "100u") for i in range(10)]
    assert asked(kube, containers=tenth) == {"cpu": 1}


@pytest.mark.parametrize(
    ("spec", "allocated", "in_force", "infeasible", "expected"),
    [
        ("1", "2", "3", False, 3000),
        ("4", "2", "3", False, 4000),
        ("4", "2", "3", True, 3000),
        ("1", None, "2", False, 2000),
    ],
)
def test_resizing_in_place(
    kube: SimpleNamespace,
    spec: str,
    allocated: str | None,
    in_force: str,
    infeasible: bool,
    expected: int,
) -> None:
    """A bound pod counts the largest of spec, allocation and what is in force."""
    reason = "Infeasible" if infeasible else "Deferred"
    status = {
        "phase": "Running",
        "conditions": [{"type": "PodResizePending", "status": "True", "reason": reason}],
        "containerStatuses": [
            {
                "name": "main",
                "resources": {"requests": {"cpu": in_force}},
                "allocatedResources": {"cpu": allocated} if allocated else None,
            }
        ],
    }
    found = kube.cluster(kube.pod("p", "n1", cpu=spec, status=status)).pods[0]
    assert in_units(bound_request(found)) == {"cpu": expected}


def test_pod_level_resizing(kube: SimpleNamespace) -> None:
    """The status of the whole pod counts where the pod has requests of its own; overhead once."""
    status = {"phase": "Running", "allocatedResources": {"cpu": "3"}}
    found = kube.pod(
        "p",
        "n1",
        status=status,
        resources={"requests": {"cpu": "2"}},
        overhead={"cpu": "1"},
    )
    assert in_units(bound_request(kube.cluster(found).pods[0])) == {"cpu": 3000}


def test_a_pod_being_resized_is_not_moved(kube: SimpleNamespace) -> None:
    """Its replacement would ask for something else than it holds now."""
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "main", "resources": {"requests": {"cpu": "2"}}}],
    }
    found = kube.problem(kube.node("n1"), kube.replica_set(), kube.pod("p", "n1", status=status))
    assert kube.pin(found, "p") == "its requests are being changed in place"
    assert found.items.demand[0, 0] == 2000
