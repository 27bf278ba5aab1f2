"""Who is helped, when, and what is said to those who are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_world import World, bench, chain, fragmented, run, world
from planning import InProcess, notes, planner, plans, think, told

from optsched.k8s.leader import NotLeaderError
from optsched.k8s.planner.messages import Answer, Request
from optsched.k8s.records import PAUSE, Phase
from optsched.plan import Move, Wave


def test_proposes(tmp_path: Path) -> None:
    """A pod that does not fit gets a plan, one only, and the executor carries it out."""

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            one = planner(w, InProcess())
            await think(w, one)
            (plan,) = plans(w)
            assert plan.spec.summary == "places 1 by moving 1"
            assert (await w.drive(plan)).phase is Phase.DONE
            await think(w, one)
            assert len(plans(w)) == 1

    run(story())


def test_waits_for_grace_and_debounce(tmp_path: Path) -> None:
    """Nobody thinks before the grace is over, and pods that come together are solved together."""

    async def story() -> None:
        settings = bench(PLANNER_PENDING_GRACE="5s", PLANNER_DEBOUNCE="1s", PLANNER_MAX_WAIT="3s")
        async with world(tmp_path, settings=settings) as w:
            chain(w.cluster)
            solver = InProcess()
            one = planner(w, solver)
            await think(w, one, 3.0)
            w.cluster.pod_of(w.cluster.owner("late", 1900, 1))
            w.cluster.settle()
            await think(w, one, 2.5)
            assert not solver.asked
            await think(w, one, 6.0)
            assert len(solver.asked[0].problem.items.names) >= 4

    run(story())


@pytest.mark.parametrize(
    "settings",
    [
        {"NAMESPACES_NEVER": "shop"},
        {"NAMESPACES_HELPED": "other"},
        {"SCHEDULER_NAMES": "another"},
        {"MODE": "Off"},
    ],
)
def test_not_helped(tmp_path: Path, settings: dict[str, str]) -> None:
    """Pods that are not ours to help are not thought about."""
    w, solver, made, _ = told(tmp_path, settings=bench(**settings))
    assert not solver.asked
    assert not made
    assert not w.api.writes


def test_paused(tmp_path: Path) -> None:
    """Neither are those of a paused namespace."""
    _, solver, _, _ = told(tmp_path, lambda w: w.cluster.namespace("shop", **{PAUSE: "true"}))
    assert not solver.asked


def test_paused_owner_stays(tmp_path: Path) -> None:
    """Pods of a paused owner stay, and the pod that waits is told that nothing can be done."""

    def pause(w: World) -> None:
        owner = w.api.get("replicasets", "shop", "small")
        assert owner is not None
        owner["metadata"]["annotations"] = {PAUSE: "true"}
        w.api.put("replicasets", owner)

    _, solver, made, said = told(tmp_path, pause)
    assert solver.asked
    assert not made
    assert "no allowed moves make room for it; this is proven" in said["big-3"]


def test_preemption_comes_first(tmp_path: Path) -> None:
    """A pod that the scheduler is making room for is left to it."""

    def nominate(w: World) -> None:
        (pod,) = w.cluster.pending()
        status = {**pod["status"], "nominatedNodeName": "n0"}
        w.api.put("pods", {**pod, "status": status})

    _, solver, _, _ = told(tmp_path, nominate)
    assert not solver.asked


def test_waits_for_pods_that_end(tmp_path: Path) -> None:
    """Where ending pods make the room, nothing is moved."""

    def ends(w: World) -> None:
        owner = w.cluster.owner("leaving", 1000, 1, grace=60)
        pod = w.cluster.pod_of(owner, "n0")
        w.cluster.owner("small", 900, 1)
        w.api.remove("replicasets", "shop", "leaving")
        w.api.terminate(pod)
        for one in w.api.all("pods"):
            if one["spec"].get("nodeName") == "n0" and one is not pod:
                meta = one["metadata"]
                if meta["labels"]["app"] == "small":
                    w.api.remove("pods", "shop", meta["name"])

    _, solver, made, said = told(tmp_path, ends)
    assert solver.asked[0].later is not None
    assert not made
    assert "pods that are ending" in said["big-3"]


def test_leaves_it_to_more_nodes(tmp_path: Path) -> None:
    """Where a plan moves too much, more nodes are better."""
    settings = bench(PLANNER_MOVES_PER_POD="1")
    _, _, made, said = told(tmp_path, settings=settings, fill=chain)
    assert not made
    assert "more than is worth it" in next(note for name, note in said.items() if "big" in name)


def test_limits(tmp_path: Path) -> None:
    """No plan moves more pods than a plan may."""
    _, _, made, _ = told(
        tmp_path, settings=bench(MOVES_MAX_PER_PLAN="1", MOVES_MAX_PER_NODE="1",
                                 MOVES_MAX_PER_OWNER="1"), fill=chain
    )  # fmt: skip
    assert not made


def test_backs_off(tmp_path: Path) -> None:
    """What could not be helped is tried again, less and less often."""
    w, solver, _, _ = told(tmp_path, lambda w: w.cluster.node("n2", 10), seconds=1.0)
    assert w.api.all("placementplans")

    def hopeless(w: World) -> None:
        w.cluster.pod_of(w.cluster.owner("huge", 9000, 1))
        w.cluster.settle()
        for pod in w.cluster.pending():
            if pod["metadata"]["labels"]["app"] == "big":
                w.api.remove("replicasets", "shop", "big")
                w.api.remove("pods", "shop", pod["metadata"]["name"])

    _, solver, made, _ = told(tmp_path / "b", hopeless, seconds=300.0)
    assert not made
    assert 5 <= len(solver.asked) <= 9


def test_hopes_again(tmp_path: Path) -> None:
    """A new node, or a budget that allows something again, is reason to try soon."""

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            w.cluster.budget("small", 2)
            solver = InProcess()
            one = planner(w, solver)
            await think(w, one, 200.0)
            tries = len(solver.asked)
            assert not plans(w)
            w.api.remove("poddisruptionbudgets", "shop", "small")
            await think(w, one, 16.0)
            assert len(solver.asked) == tries + 1
            assert len(plans(w)) == 1

    run(story())


def test_solver_in_trouble(tmp_path: Path) -> None:
    """Without an answer there is no plan, and later another attempt."""
    solver = InProcess(fails="the solver took too long and was ended")

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            one = planner(w, solver)
            await think(w, one)
            assert solver.asked
            assert not plans(w)
            solver.fails = ""
            await think(w, one, 10.0)
            assert len(plans(w)) == 1

    run(story())


@pytest.mark.parametrize(
    "move", [Move(0, -1, 99), Move(99, -1, 0), Move(-1, -1, 0), Move(0, 0, -1), Move(0, 99, 0)]
)
def test_a_solver_that_is_wrong(tmp_path: Path, move: Move) -> None:
    """An answer that names what is not there, or leaves pods without a node, ends in a sentence."""

    class Wrong(InProcess):
        async def solve(self, request: Request) -> Answer:
            answer = await super().solve(request)
            assert answer.result is not None
            right = answer.result.plan
            plan = replace(right, waves=(*right.waves, Wave((move,))))
            return replace(answer, result=replace(answer.result, plan=plan))

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            one = planner(w, Wrong())
            await think(w, one)
            assert not w.api.all("placementplans")
            assert "cannot be carried out" in next(iter((await notes(w, one)).values()))

    run(story())


def test_not_leading(tmp_path: Path) -> None:
    """Who does not lead does not plan, and who stops leading while thinking writes nothing."""

    class Loses(InProcess):
        async def solve(self, request: Request) -> Answer:
            answer = await InProcess.solve(self, request)
            self.world.leads = False
            return answer

        world: World

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            solver = Loses()
            solver.world = w
            one = planner(w, solver)
            w.leads = False
            await think(w, one)
            assert not solver.asked
            w.leads = True
            await think(w, one)
            assert solver.asked
            assert not plans(w)
            with pytest.raises(NotLeaderError):
                w.permit()

    run(story())


def test_recorded_once(tmp_path: Path) -> None:
    """In mode Advisory the same plan is recorded once, and the pod says what would help."""

    async def story() -> None:
        async with world(tmp_path, settings=bench(MODE="Advisory")) as w:
            fragmented(w.cluster)
            one = planner(w, InProcess())
            for _ in range(20):
                await think(w, one, 5.0)
                await w.executor.step()
            (plan,) = plans(w)
            assert plan.phase is Phase.RECORDED
            assert not w.api.evicted

    run(story())


def test_refused_evictions_are_not_tried_again(tmp_path: Path) -> None:
    """A pod whose eviction the server refuses is left alone for a while."""

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            solver = InProcess()
            one = planner(w, solver)
            await think(w, one)
            (plan,) = plans(w)
            from optsched.k8s.simulator.api_objects import Refusal

            name = f"/{plan.spec.moves[0].name}/eviction"
            w.api.fault = lambda method, path: (
                Refusal(500, "InternalError", "This pod has more than one PodDisruptionBudget")
                if path.endswith(name)
                else None
            )
            assert (await w.drive(plan)).phase is Phase.REJECTED
            await think(w, one, 20.0)
            again = plans(w)[-1]
            assert again.spec.moves[0].uid != plan.spec.moves[0].uid
            assert (await w.drive(again)).phase is Phase.DONE

    run(story())
