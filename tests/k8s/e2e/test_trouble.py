"""What goes wrong around the service on a real control plane: nothing is lost, and it recovers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.api import Tree, until
from tests.controlplane.beside import Beside, install

from .conftest import Place

PLANS = "/apis/optsched.io/v1alpha1/placementplans"
EXECUTOR = "/apis/rbac.authorization.k8s.io/v1/clusterroles/optsched-executor"


@pytest.fixture
def crowded(place: Place) -> Iterator[Place]:
    """Two nodes; one of two pods has to move before one that is large fits."""
    install(place.api)
    place.api.ask("DELETE", PLANS)
    place.node()
    place.node()
    place.api.replica_set(place.namespace, "small", "900m", 2)
    assert len(set(place.settled(2).values())) == 2
    yield place
    place.api.empty(place.namespace)
    place.api.ask("DELETE", PLANS)


def started(place: Place) -> Beside:
    """The whole service, which the scheduler asks."""
    beside = place.serve()
    place.extend(beside.extender())
    until(lambda: "this replica leads" in beside.readiness(), "a leader")
    return beside


def smalls(place: Place) -> set[str]:
    """UIDs of the pods that may be moved."""
    return {pod["metadata"]["uid"] for pod in place.api.pods(place.namespace, "small")}


def without_evictions(role: Tree) -> Tree:
    """The role, less the right to evict."""
    rules = [rule for rule in role["rules"] if "pods/eviction" not in rule["resources"]]
    assert len(rules) == len(role["rules"]) - 1
    return {**role, "rules": rules}


def test_a_right_that_is_missing_is_named(crowded: Place) -> None:
    """Without the right to evict it reports only, and says why; given it back, it acts."""
    api, before = crowded.api, smalls(crowded)
    role = api.ask("GET", EXECUTOR)
    lacking = api.ask("PUT", EXECUTOR, without_evictions(role))
    try:
        told = started(crowded).readiness
        until(lambda: "may not create pods/eviction" in told(), "the right that is missing")
        assert "Advisory, not Enforce" in told()
        api.pod(crowded.namespace, "large", "2")

        def recorded() -> bool:
            phases = [plan.get("status", {}).get("phase") for plan in api.items(PLANS)]
            return "Recorded" in phases

        until(recorded, "a plan that is only recorded")
        assert crowded.homes()["large"] == ""
        assert smalls(crowded) == before
    finally:
        role["metadata"]["resourceVersion"] = lacking["metadata"]["resourceVersion"]
        api.ask("PUT", EXECUTOR, role)
    crowded.settled(3)


def test_an_api_server_that_hangs_is_waited_for(crowded: Place) -> None:
    """While it does not answer nobody leads and nothing is done; then one pod moves, once."""
    before, beside = smalls(crowded), started(crowded)
    until(lambda: "mode: Enforce" in beside.readiness(), "mode Enforce")
    with crowded.plane.stopped("kube-apiserver"):
        until(lambda: "this replica leads" not in beside.readiness(), "a leader that gave up")
        assert beside.process.poll() is None
    crowded.api.pod(crowded.namespace, "large", "2")
    crowded.settled(3)
    assert len(before - smalls(crowded)) == 1
    until(lambda: not beside.board.read().plan, "an empty plan table")
