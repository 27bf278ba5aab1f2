"""Deployment Gated beside a stock scheduler without any extender: gates do the work."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import yaml

from optsched.k8s.gates import GATE, NODE, OPTED_IN
from tests.controlplane.api import RefusedError, Tree, bound, until
from tests.controlplane.beside import ROOT, Beside, install

from .conftest import Place

PLANS = "/apis/optsched.io/v1alpha1/placementplans"
POLICY = ROOT / "k8s" / "manifests" / "gate.yaml"
GATES = [{"name": GATE}]


@pytest.fixture
def service(place: Place) -> Iterator[Beside]:
    """The brain and the reaper; the scheduler knows nothing of us."""
    install(place.api)
    yield place.serve("brain", "reaper", deployment="Gated")
    place.api.empty(place.namespace)
    place.api.ask("DELETE", PLANS)


def held(place: Place) -> list[str]:
    """Names of the pods that carry a gate."""
    pods = place.api.pods(place.namespace)
    return [pod["metadata"]["name"] for pod in pods if pod["spec"].get("schedulingGates")]


def crowd(place: Place, **spec: object) -> dict[str, str]:
    """Two nodes, each with one pod of 900m and no room for one of 2000m."""
    place.node()
    place.node()
    place.api.replica_set(place.namespace, "small", "900m", 2, **spec)
    homes = place.settled(2)
    assert len(set(homes.values())) == 2
    return homes


def helped(place: Place, **spec: object) -> Tree:
    """A pod that fits nowhere comes, one other moves, and both are where the plan says."""
    place.api.replica_set(place.namespace, "large", "2", 1, **spec)
    (home,) = place.settled(1, "large").values()
    small = place.settled(2, "small")
    assert home not in small.values()

    def done() -> Tree | None:
        found = place.api.items(PLANS)
        return next((one for one in found if one.get("status", {}).get("phase") == "Done"), None)

    plan: Tree = until(done, "a plan that is Done")
    assert plan["spec"]["placements"][0]["node"] == home
    (move,) = plan["spec"]["moves"]
    (told,) = plan["status"]["moves"].values()
    assert told["node"] == move["target"]
    assert not held(place)
    return plan


@pytest.mark.usefixtures("service")
def test_gates_of_templates_lead_pods_to_their_nodes(place: Place) -> None:
    """Pods that fit are let go; for one that does not, another moves."""
    crowd(place, schedulingGates=GATES)
    helped(place, schedulingGates=GATES)
    led = {
        pod["metadata"]["name"]: (pod["metadata"]["annotations"][NODE], bound(pod))
        for pod in place.api.pods(place.namespace)
        if NODE in pod["metadata"].get("annotations", {})
    }
    # The large pod is let go unled if the solver does not answer in time.
    assert [name for name in led if name.startswith("small")]
    assert all(planned == there for planned, there in led.values())


@pytest.mark.usefixtures("service")
def test_a_namespace_that_opts_in_needs_no_change_of_templates(place: Place) -> None:
    """The admission policy that we ship gates its new pods."""
    try:
        for tree in yaml.safe_load_all(POLICY.read_text()):
            place.api.apply(tree)
    except (LookupError, RefusedError) as error:
        pytest.skip(f"this release has no MutatingAdmissionPolicy in v1: {error}")
    place.api.patch(
        f"/api/v1/namespaces/{place.namespace}", {"metadata": {"labels": {OPTED_IN: "true"}}}
    )
    path = f"/api/v1/namespaces/{place.namespace}/pods?dryRun=All"

    def gated() -> bool:
        tree = {
            "metadata": {"name": "probe"},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
        return bool(place.api.ask("POST", path, tree)["spec"].get("schedulingGates") == GATES)

    until(gated, "a policy that is in force")
    crowd(place)
    helped(place)


def test_a_pod_that_is_not_opted_in_is_never_moved(place: Place, service: Beside) -> None:
    """Its replacement could go anywhere; the helped pod is let go and waits as without us."""
    before = crowd(place)
    place.api.pod(place.namespace, "large", "2", schedulingGates=GATES)
    until(lambda: not held(place), "a gate that is opened")
    until(lambda: service.solved() >= 2, "two looks at it")
    assert place.homes() == {**before, "large": ""}
    assert not place.api.items(PLANS)


def test_gates_do_not_outlive_the_brain(place: Place, service: Beside) -> None:
    """It is stopped, and the reaper lets pods go as if we were not there."""
    until(lambda: "mode: Enforce" in service.readiness(), "mode Enforce")
    brain = service.part("brain")
    os.kill(brain, signal.SIGSTOP)
    try:
        place.node()
        place.api.replica_set(place.namespace, "small", "900m", 2, schedulingGates=GATES)
        place.settled(2)
    finally:
        os.kill(brain, signal.SIGCONT)
