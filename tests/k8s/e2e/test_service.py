"""`optsched serve` beside a real scheduler: helps, reports, or leaves everything as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.api import Tree, is_running, until
from tests.controlplane.beside import Beside, install, serving
from tests.controlplane.plane import Plane
from tests.controlplane.worlds import Witness, draw

from .conftest import Place

PLANS = "/apis/optsched.io/v1alpha1/placementplans"


@pytest.fixture(scope="module")
def running(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """The whole service, shared, because the solver's process takes its time to start."""
    install(plane.api)
    with serving(plane, tmp_path_factory.mktemp("optsched")) as beside:
        plane.start_scheduler({"extenders": [beside.extender()]})
        yield beside
    plane.start_scheduler({})


@pytest.fixture
def service(running: Beside, place: Place) -> Iterator[Beside]:
    """It may act, and there are no plans."""
    place.logs.append(running.log)
    place.api.ask("DELETE", PLANS)  # other tests leave theirs
    running.configure(mode="Enforce")
    yield running
    place.api.empty(place.namespace)
    place.api.ask("DELETE", PLANS)


def crowd(place: Place) -> None:
    """Two nodes, each with one pod of 900m and no room for one of 2000m."""
    place.node()
    place.node()
    place.api.replica_set(place.namespace, "small", "900m", 2)
    homes = place.settled(2)
    assert len(set(homes.values())) == 2


def plan_that(place: Place, phase: str) -> Tree:
    """Wait for a plan in this phase."""

    def found() -> Tree | None:
        plans = place.api.items(PLANS)
        return next((one for one in plans if one.get("status", {}).get("phase") == phase), None)

    plan: Tree = until(found, f"a plan that is {phase}")
    return plan


def sentences(place: Place, name: str) -> dict[str, str]:
    """What optsched said of a pod, by reason."""
    return {
        one["reason"]: one["message"]
        for one in place.api.events(place.namespace, name)
        if one.get("reportingComponent") == "optsched.io/optsched"
    }


def test_a_pod_that_fits_nowhere_is_helped_by_one_move(place: Place, service: Beside) -> None:
    """The scheduler refuses it, a pod of the same priority makes room, and both run as planned."""
    crowd(place)
    before = {pod["metadata"]["uid"] for pod in place.api.pods(place.namespace)}
    place.api.replica_set(place.namespace, "large", "2", 1)
    homes = place.settled(1, "large")
    small = place.settled(2, "small")
    (large,) = homes
    assert set(small.values()).isdisjoint(homes.values())
    plan = plan_that(place, "Done")
    (move,) = plan["spec"]["moves"]
    assert plan["spec"]["placements"][0]["node"] == homes[large]
    after = {pod["metadata"]["uid"] for pod in place.api.pods(place.namespace, "small")}
    assert before - after == {move["uid"]}
    until(lambda: "Placed" in sentences(place, large), "a sentence on the helped pod")
    assert homes[large] in sentences(place, large)["Placed"]
    until(lambda: "Evicting" in sentences(place, move["name"]), "a sentence on the moved pod")
    until(lambda: not service.board.read().plan, "an empty plan table")
    slot = place.api.ask("GET", "/apis/optsched.io/v1alpha1/planslots/cluster")
    assert not slot["spec"].get("activePlans")


def test_advisory_writes_a_plan_and_moves_nobody(place: Place, service: Beside) -> None:
    """The plan can be read, and the pod waits as before."""
    crowd(place)
    before = place.homes()
    service.configure(mode="Advisory")
    place.api.pod(place.namespace, "large", "2")
    plan = plan_that(place, "Recorded")
    assert plan["spec"]["placements"][0]["name"] == "large"
    until(lambda: "PlanProposed" in sentences(place, "large"), "a sentence on the pod")
    assert place.homes() == {**before, "large": ""}


def test_a_budget_that_forbids_the_move_is_kept(place: Place, service: Beside) -> None:
    """The pod waits, is told so, and moves in when the budget is gone."""
    crowd(place)
    place.api.budget(place.namespace, "small", 2)
    before = place.homes()
    place.api.pod(place.namespace, "large", "2")
    until(lambda: "NotHelped" in sentences(place, "large"), "a sentence on the pod")
    assert place.homes() == {**before, "large": ""}
    budgets = f"/apis/policy/v1/namespaces/{place.namespace}/poddisruptionbudgets"
    place.api.ask("DELETE", f"{budgets}/small")
    place.settled(3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("service")
def test_random_crowds_lose_nobody(place: Place, seed: int) -> None:
    """Whatever is planned: budgets hold at every moment, and every owner has all its pods."""
    world = draw(seed)
    place.nodes += world.names(place.namespace)
    world.build(place.api, place.namespace)
    with Witness(place.api, place.namespace, world.least) as witness:
        place.api.pod(place.namespace, "large", f"{world.large}m")

        def over() -> bool:
            return bool(place.homes()["large"]) or "NotHelped" in sentences(place, "large")

        until(over, "a pod that is placed, or told why not")

        def whole() -> bool:
            return all(
                sum(map(is_running, place.api.pods(place.namespace, app))) == len(pods)
                for app, pods in world.homes.items()
            )

        until(whole, "owners that have all their pods")
    assert witness.violations == []
