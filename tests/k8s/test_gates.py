"""Deployment Gated: who is held, who is let go and where to, and that no gate outlives its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_world import World, bench, by_hand, chain, fragmented, run, world
from planning import InProcess, planner, plans, think

from optsched.k8s import gates, reaper
from optsched.k8s.configuration import Watched
from optsched.k8s.executor.validate import problem_of
from optsched.k8s.gates import GATE
from optsched.k8s.records import Phase
from optsched.k8s.settings import Mode, Settings
from optsched.kube import Cluster
from optsched.kube.objects import Namespace, Workload
from optsched.kube.podspec import Pod

ONE_MOVE = ([("small", "n0", "n1", 0)], [("big", "n0", 1)])
Tree = dict[str, Any]


def gated(**changes: object) -> Settings:
    """The bench profile where gates steer."""
    return bench(DEPLOYMENT="Gated", **changes)


def pod_of(tree: Tree) -> Pod:
    """As the service reads it."""
    one = Cluster()
    one.add(msgspec.Raw(msgspec.json.encode(tree)), "Pod")
    return one.pods[0]


def only(w: World, app: str) -> Tree:
    """The one pod of an application that has no node yet, or the one that there is."""
    pods = [one for one in w.api.all("pods") if one["metadata"]["labels"]["app"] == app]
    return next((one for one in pods if not one["spec"].get("nodeName")), pods[0])


def test_a_plan_holds_its_pods_and_lets_them_go_to_their_nodes(tmp_path: Path) -> None:
    """The helped pod stays gated until its room is there; both are led where they are planned."""

    async def story() -> None:
        async with world(tmp_path, settings=gated()) as w:
            w.cluster.gates = (GATE,)
            fragmented(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, *ONE_MOVE))
            until = None
            while not w.api.evicted:
                await w.round()
                until = only(w, "big")["metadata"].get("annotations", {}).get(gates.UNTIL)
            assert until == str(w.plan(plan).status.deadline)
            assert only(w, "big")["spec"]["schedulingGates"]
            assert only(w, "big")["status"]["nominatedNodeName"] == "n0"
            end = await w.drive(plan)
            assert end.phase is Phase.DONE
            assert set(end.status.placed.values()) == {"n0"}
            (moved,) = end.status.moves.values()
            assert moved.node == "n1"
            big = only(w, "big")
            assert big["spec"]["nodeSelector"] == {gates.HOSTNAME: "n0"}
            assert big["metadata"]["annotations"] == {gates.NODE: "n0"}
            assert not w.lost()
            assert not w.leftovers()

    run(story())


def test_a_pod_without_a_controller_is_let_go_but_not_led(tmp_path: Path) -> None:
    """Nobody would make it anew if its node failed it."""

    async def story() -> None:
        async with world(tmp_path, settings=gated()) as w:
            w.cluster.gates = (GATE,)
            fragmented(w.cluster)
            big = only(w, "big")
            big["metadata"]["ownerReferences"][0]["controller"] = False
            w.api.put("pods", big)
            await w.caught_up()
            end = await w.drive(await w.create(by_hand(w, *ONE_MOVE)))
            assert end.phase is Phase.DONE
            assert "nodeSelector" not in only(w, "big")["spec"]

    run(story())


def test_a_pod_that_was_led_may_be_moved_again(tmp_path: Path) -> None:
    """What replaces it comes from the template, so our selector is no rule of its owner's."""

    async def story() -> None:
        async with world(tmp_path, settings=gated()) as w:
            w.cluster.gates = (GATE,)
            fragmented(w.cluster)
            await w.caught_up()
            await w.drive(await w.create(by_hand(w, *ONE_MOVE)))
            w.cluster.node("n2")
            await w.caught_up()
            problem = problem_of(w.mirror, w.settings, w.clock.now())
            row = problem.items.names.index(f"shop/{only(w, 'big')['metadata']['name']}")
            assert problem.items.movable[row]
            assert not problem.where.excluded[problem.where.item_eligible[row]].any()

    run(story())


def helped(
    folder: Path, fill: Callable[[World], None], solver: InProcess | None = None, **changes: object
) -> World:
    """A world in which the planner has thought for a while."""

    async def story() -> World:
        async with world(folder, settings=gated(**changes)) as w:
            w.cluster.gates = (GATE,)
            fill(w)
            await think(w, planner(w, solver or InProcess()))
            return w

    found: World = run(story())
    return found


def test_a_held_pod_that_does_not_fit_gets_a_plan_and_stays_held(tmp_path: Path) -> None:
    """The scheduler need not refuse it first."""
    w = helped(tmp_path, lambda w: fragmented(w.cluster) and None)
    (plan,) = plans(w)
    assert plan.spec.summary == "places 1 by moving 1"
    assert only(w, "big")["spec"]["schedulingGates"]


def _fits(w: World) -> None:
    fragmented(w.cluster)
    w.cluster.node("n2")
    w.cluster.settle()


def _is_hopeless(w: World) -> None:
    w.cluster.node("n0")
    w.cluster.pod_of(w.cluster.owner("big", 5000, 1))
    w.cluster.settle()


def _would_not_come_back_held(w: World) -> None:
    fragmented(w.cluster)
    small = next(o for o in w.api.all("replicasets") if o["metadata"]["name"] == "small")
    small["spec"]["template"]["spec"].pop("schedulingGates")
    w.api.put("replicasets", small)


def _is_paused(w: World) -> None:
    fragmented(w.cluster)
    w.cluster.namespace("shop", **{"optsched.io/pause": "true"})


@pytest.mark.parametrize("fill", [_fits, _is_hopeless, _would_not_come_back_held, _is_paused])
def test_a_held_pod_without_a_plan_is_left_to_the_scheduler(
    tmp_path: Path, fill: Callable[[World], None]
) -> None:
    """It is opened, and led nowhere."""
    w = helped(tmp_path, fill)
    assert not plans(w)
    spec = only(w, "big")["spec"]
    assert not spec.get("schedulingGates")
    assert "nodeSelector" not in spec


def test_a_solver_that_fails_opens_gates(tmp_path: Path) -> None:
    """Nobody is held for an answer that does not come."""
    w = helped(tmp_path, lambda w: fragmented(w.cluster) and None, InProcess(fails="it crashed"))
    assert not only(w, "big")["spec"].get("schedulingGates")


def test_while_a_plan_acts_only_pods_of_higher_priority_pass(tmp_path: Path) -> None:
    """Others wait for its end, or for the reaper."""

    async def story() -> None:
        async with world(tmp_path, settings=gated()) as w:
            w.cluster.gates = (GATE,)
            chain(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, [("first", "n1", "n2", 0)], [("big", "n0", 1)]))
            status = msgspec.structs.replace(plan.status, phase=Phase.PLACING)
            tree = w.api.get("placementplans", "", plan.metadata.name)
            assert tree is not None
            w.api.put("placementplans", {**tree, "status": msgspec.to_builtins(status)})
            w.cluster.pod_of(w.cluster.owner("equal", 100, 1))
            w.cluster.pod_of(w.cluster.owner("higher", 100, 1, priority=9))
            await think(w, planner(w, InProcess()), 1.0)
            assert only(w, "equal")["spec"].get("schedulingGates")
            assert not only(w, "higher")["spec"].get("schedulingGates")

    run(story())


@pytest.mark.parametrize("mode", ["Advisory", "DryRun"])
def test_in_modes_that_only_report_the_planner_touches_no_gate(tmp_path: Path, mode: str) -> None:
    """That is the reaper's part."""
    w = helped(tmp_path, _fits, MODE=mode)
    assert only(w, "big")["spec"]["schedulingGates"]


def _ungated(w: World) -> None:
    w.cluster.gates = ()
    fragmented(w.cluster)


@pytest.mark.parametrize("mode", ["Advisory", "Enforce"])
def test_pods_that_come_back_without_a_gate_are_not_moved(tmp_path: Path, mode: str) -> None:
    """In no mode is that proposed: it may be another one when the plan is carried out."""
    assert not plans(helped(tmp_path, _ungated, MODE=mode))

    async def story() -> None:
        async with world(tmp_path / "again", settings=gated()) as w:
            _ungated(w)
            await w.caught_up()
            end = await w.drive(await w.create(by_hand(w, *ONE_MOVE)))
            assert end.phase is Phase.REJECTED
            assert "would not be gated" in end.status.reason
            assert not w.api.evicted

    run(story())


def test_who_will_be_held() -> None:
    """By the namespace's label, or by the template's own gate."""
    namespace, workload = Namespace(), Workload()
    assert not gates.will_be_held(workload, namespace)
    assert not gates.will_be_held(None, None)
    namespace.metadata.labels = {gates.OPTED_IN: "true"}
    assert gates.will_be_held(None, namespace)
    tree = {
        "metadata": {"name": "x"},
        "spec": {"template": {"spec": {"schedulingGates": [{"name": GATE}]}}},
    }
    assert gates.will_be_held(msgspec.convert(tree, Workload), None)


BORN = "2026-11-28T00:00:00Z"
NOW = 1_795_824_000_000  # the same moment


def held(**notes: str) -> Tree:
    """A gated pod that was born at NOW."""
    meta = {"name": "a", "uid": "u", "creationTimestamp": BORN, "annotations": notes}
    return {"metadata": meta, "spec": {"schedulingGates": [{"name": GATE}]}, "status": {}}


def led(refused: str) -> Tree:
    """A pod that was led to a node and refused there at a time."""
    row = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    tree = held(**{gates.NODE: "n0"})
    tree["spec"] = {"nodeSelector": {gates.HOSTNAME: "n0"}}
    return {**tree, "status": {"conditions": [{**row, "lastTransitionTime": refused}]}}


FAR = {gates.UNTIL: str(NOW + 10_000_000)}
SOON = {gates.UNTIL: str(NOW + 90_000)}
OTHER = {"spec": {"schedulingGates": [{"name": GATE}, {"name": "x/y"}]}}


@pytest.mark.parametrize(
    ("tree", "mode", "alive", "seconds", "wanted"),
    [
        (held(), Mode.ENFORCE, True, 29, None),
        (held(), Mode.ENFORCE, True, 30, "open"),
        (held(), Mode.ENFORCE, False, 0, "open"),
        (held(), Mode.OFF, True, 0, "open"),
        (held(**SOON), Mode.ENFORCE, True, 89, None),
        (held(**SOON), Mode.ENFORCE, False, 89, None),
        (held(**SOON), Mode.ENFORCE, False, 90, "open"),
        (held(**SOON), Mode.ADVISORY, True, 0, "open"),
        (held(**FAR), Mode.ENFORCE, True, 1199, None),
        (held(**FAR), Mode.ENFORCE, True, 1200, "open"),
        (held(**{gates.UNTIL: "never"}), Mode.ENFORCE, True, 30, "open"),
        ({**held(), **OTHER}, Mode.OFF, True, 9999, None),
        (led(BORN), Mode.ENFORCE, True, 29, None),
        (led(BORN), Mode.OFF, False, 30, "remake"),
    ],
)
def test_what_the_reaper_does_and_when(
    tree: Tree, mode: Mode, alive: bool, seconds: int, wanted: str | None
) -> None:
    """A gate ends by the clock, whatever plans and brains there are."""
    settings = gated(MODE=mode.value)
    assert reaper.due(pod_of(tree), settings, alive, NOW + 1000 * seconds) == wanted


def test_the_reaper_opens_and_has_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a brain held pods are let go, and a pod that is stuck goes, by its version."""

    async def story() -> None:
        async with world(tmp_path, settings=gated()) as w:
            w.cluster.gates = (GATE,)
            fragmented(w.cluster)
            w.cluster.pod_of(w.cluster.owner("stuck", 1900, 1))
            stuck = only(w, "stuck")
            stuck["spec"] |= {"schedulingGates": None, "nodeSelector": {gates.HOSTNAME: "n0"}}
            stuck["metadata"]["annotations"] = {gates.NODE: "n0"}
            w.api.put("pods", stuck)
            w.cluster.settle()
            path = tmp_path / "optsched.yaml"
            path.write_text(
                "{apiVersion: optsched.io/v1alpha1, kind: OptschedConfiguration, mode: Enforce,"
                f" deployment: Gated, runtime: {tmp_path}}}"
            )
            one = reaper.Reaper(Watched(path), w.client)
            # Time is simulated.
            monkeypatch.setattr(w.client, "_note_time", lambda date, sent: None)
            w.client.skew = 0.0
            assert not one.brain_acts()
            await one.look()
            assert not only(w, "big")["spec"].get("schedulingGates")
            assert not w.api.evicted
            w.clock.advance(31)
            await one.look()
            assert set(w.api.evicted) == {stuck["metadata"]["uid"]}

    run(story())


def test_the_reaper_knows_a_brain_by_its_pulse(tmp_path: Path) -> None:
    """It must be fresh, and in mode Enforce."""
    path = tmp_path / "optsched.yaml"
    head = "apiVersion: optsched.io/v1alpha1, kind: OptschedConfiguration"
    path.write_text(f"{{{head}, deployment: Gated, runtime: {tmp_path}}}")
    one = reaper.Reaper(Watched(path), None)  # type: ignore[arg-type]
    pulse = tmp_path / "brain"
    for told, acts in (("1 Enforce", True), ("1 Advisory", False), ("", False)):
        pulse.write_text(told)
        assert one.brain_acts() is acts
    pulse.write_text("1 Enforce")
    os.utime(pulse, (0, 0))
    assert not one.brain_acts()
