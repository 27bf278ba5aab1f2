"""Plans go through their phases, or are turned away before anybody is moved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from fake_world import CHAIN, World, bench, by_hand, chain, fragmented, run, world
from stories import ONE_MOVE, clean, cordon_target, delete_helped, evictions, told

from optsched.k8s.records import APPROVED, ENDED, PAUSE, MovePhase, Phase, PlacementPlan
from optsched.k8s.simulator.api_objects import Refusal


def touched(w: World) -> list[tuple[str, str]]:
    """Writes to anything that is not ours: a plan, or the slot."""
    return [one for one in w.api.writes if "/optsched.io/" not in one[1]]


def test_a_plan_goes_through_its_phases(tmp_path: Path) -> None:
    """A plan goes through its phases and the pod is where it was planned."""
    phases: list[Phase] = []

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, *ONE_MOVE))
            while w.plan(plan).phase not in ENDED:
                phases.append(w.plan(plan).phase)
                await w.round()
            end = w.plan(plan)
            assert end.phase is Phase.DONE
            assert set(end.status.placed.values()) == {"n0"}
            assert [one.phase for one in end.status.moves.values()] == [MovePhase.PLACED]
            assert evictions(w) == 1
            clean(w)

    run(story())
    assert list(dict.fromkeys(phases)) == [
        Phase.PROPOSED, Phase.VALIDATED, Phase.RESERVING, Phase.EVICTING, Phase.PLACING,
        Phase.COMPLETING,
    ]  # fmt: skip


def test_a_wave_begins_when_the_one_before_has_arrived(tmp_path: Path) -> None:
    """A wave begins when the one before has arrived."""

    async def story() -> None:
        async with world(tmp_path) as w:
            chain(w.cluster)
            await w.caught_up()
            end = await w.drive(await w.create(by_hand(w, *CHAIN)))
            assert end.phase is Phase.DONE
            first, second = (end.status.moves[move.uid] for move in end.spec.moves)
            assert (first.node, second.node) == ("n2", "n1")
            clean(w)

    run(story())


def test_a_pod_that_waits_is_no_replacement(tmp_path: Path) -> None:
    """A pod of the same owner that was made shortly before the eviction does not take its place."""

    async def story() -> None:
        async with world(tmp_path) as w:
            for name, size in (("n0", 1900), ("n1", 1500), ("n2", 1300)):
                w.cluster.node(name, size)
            second = w.cluster.owner("second", 1000, 2)
            w.cluster.pod_of(second, "n0")
            for app, cpu, node in (("first", 700, "n1"), ("third", 500, "n2")):
                w.cluster.pod_of(w.cluster.owner(app, cpu, 1), node)
            w.cluster.pod_of(w.cluster.owner("big", 1900, 1))
            waiting = w.cluster.pod_of(second)["metadata"]
            w.cluster.settle()
            w.clock.advance(2.0)
            await w.caught_up()
            end = await w.drive(await w.create(by_hand(w, *CHAIN)))
            assert end.phase is Phase.DONE, end.status.reason
            told = end.status.moves[end.spec.moves[1].uid]
            assert told.node == "n1"
            assert told.replacement != waiting["uid"]
            left = w.api.get("pods", "shop", waiting["name"])
            assert left is not None
            assert not left["spec"].get("nodeName")
            clean(w)

    run(story())


@pytest.mark.parametrize("mode", ["Advisory", "DryRun"])
def test_a_mode_that_only_reports_evicts_nobody(tmp_path: Path, mode: str) -> None:
    """A mode that only reports records the plan and evicts nobody."""
    w, end = run(told(tmp_path, settings=bench(MODE=mode)))
    assert end.phase is Phase.RECORDED
    assert not w.api.evicted
    asked = [path for _, path in touched(w)]
    assert all(path.endswith("/eviction") for path in asked)  # dry runs
    assert bool(asked) == (mode == "DryRun")


def test_off_writes_nothing_at_all(tmp_path: Path) -> None:
    """Off writes nothing at all."""

    async def story() -> None:
        async with world(tmp_path, settings=bench(MODE="Off")) as w:
            fragmented(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, *ONE_MOVE))
            w.api.writes.clear()
            for _ in range(50):
                await w.round()
            assert not w.api.writes
            assert w.plan(plan).phase is Phase.PROPOSED

    run(story())


def test_a_plan_waits_for_a_person(tmp_path: Path) -> None:
    """A plan waits for a person and expires without one."""

    def approve(w: World, plan: PlacementPlan) -> None:
        tree = w.api.get("placementplans", "", plan.metadata.name)
        assert tree is not None
        tree["metadata"]["annotations"] = {APPROVED: "true"}
        w.api.put("placementplans", tree)

    manual = bench(MOVES_APPROVAL="Manual")
    w, end = run(told(tmp_path / "a", settings=manual))
    assert (end.phase, evictions(w)) == (Phase.EXPIRED, 0)
    w, end = run(told(tmp_path / "b", settings=manual, at=Phase.VALIDATED, change=approve))
    assert (end.phase, evictions(w)) == (Phase.DONE, 1)


def test_a_newer_plan_supersedes_one_that_waits(tmp_path: Path) -> None:
    """A newer plan supersedes one that has not begun."""

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            await w.caught_up()
            old = await w.create(by_hand(w, *ONE_MOVE))
            w.clock.advance(0.5)
            new = await w.create(by_hand(w, *ONE_MOVE))
            assert (await w.drive(new)).phase is Phase.DONE
            assert w.plan(old).phase is Phase.SUPERSEDED
            assert evictions(w) == 1

    run(story())


def _remove_budget_room(w: World) -> None:
    w.cluster.budget("small", 2)


def _second_budget(w: World) -> None:
    w.cluster.budget("small", 0)
    tree = msgspec.json.decode(
        msgspec.json.encode(w.api.get("poddisruptionbudgets", "shop", "small"))
    )
    tree["metadata"] = {"name": "again", "namespace": "shop", "generation": 1}
    w.api.put("poddisruptionbudgets", tree)


def _pause_namespace(w: World) -> None:
    w.cluster.namespace("shop", **{PAUSE: "true"})


def _forbid(w: World) -> None:
    w.api.fault = lambda method, path: (
        Refusal(403, "Forbidden", "may not create pods/eviction")
        if path.endswith("/eviction")
        else None
    )


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (_remove_budget_room, "budget"),
        (_second_budget, "budget"),
        (_pause_namespace, "namespace shop is paused"),
        (cordon_target, "changed"),
        (delete_helped, "is gone"),
        (_forbid, "may not create pods/eviction"),
    ],
)
def test_a_plan_that_does_not_hold_is_rejected(
    tmp_path: Path, before: Callable[[World], None], why: str
) -> None:
    """A plan that does not hold any more is rejected."""
    w, end = run(told(tmp_path, before=before))
    assert end.phase is Phase.REJECTED
    assert why in end.status.reason
    assert not w.api.evicted


def test_nothing_is_moved_unless_the_extender_knows(tmp_path: Path) -> None:
    """Nothing is moved unless the extender has taken the plan over."""

    def kill_front_end(w: World) -> None:
        w.cluster.front.alive = False

    w, end = run(told(tmp_path, before=kill_front_end))
    assert end.phase is Phase.ABORTED
    assert "extender" in end.status.reason
    assert not w.api.evicted
    assert not w.leftovers()


def test_two_failures_in_a_row_make_it_stop(tmp_path: Path) -> None:
    """Two failures in a row make it stop."""

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            await w.caught_up()
            for _ in range(2):
                plan = await w.create(by_hand(w, *ONE_MOVE))
                w.cluster.front.alive = False
                assert (await w.drive(plan)).phase is Phase.ABORTED
                w.cluster.front.alive = True
            plan = await w.create(by_hand(w, *ONE_MOVE))
            assert (await w.drive(plan)).phase is Phase.EXPIRED
            assert w.executor.frozen == "2 plans failed within 10 minutes"
            assert not w.api.evicted
            w.clock.advance(1800)
            await w.caught_up()
            plan = await w.create(by_hand(w, *ONE_MOVE))
            assert (await w.drive(plan)).phase is Phase.DONE

    run(story())


def test_an_owner_is_left_alone_for_its_cooldown(tmp_path: Path) -> None:
    """An owner is left alone for its cooldown."""

    async def story() -> None:
        async with world(tmp_path, settings=bench(MOVES_OWNER_COOLDOWN="30m")) as w:
            fragmented(w.cluster)
            await w.caught_up()
            assert (await w.drive(await w.create(by_hand(w, *ONE_MOVE)))).phase is Phase.DONE
            w.cluster.node("n2")
            w.cluster.pod_of(w.cluster.owner("filler", 100, 1), "n2")
            w.cluster.pod_of(w.cluster.owner("next", 1950, 1))
            w.cluster.settle()
            await w.caught_up()
            moves = [("small", "n1", "n2", 0), ("small", "n1", "n2", 0)]
            end = await w.drive(await w.create(by_hand(w, moves, [("next", "n1", 1)])))
            assert end.phase is Phase.REJECTED
            assert "disturbed less than 30m ago" in end.status.reason

    run(story())
