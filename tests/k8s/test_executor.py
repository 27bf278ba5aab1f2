"""Plans are carried out step by step; whatever goes wrong, nothing is lost or left behind."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_world import CHAIN, World, bench, by_hand, chain, fragmented, run, world
from random_worlds import killed_at, tell

from optsched.k8s.gates import GATE
from optsched.k8s.records import (
    APPROVED,
    ENDED,
    PAUSE,
    MovePhase,
    Phase,
    PlacementPlan,
    PlanSlot,
    SlotSpec,
    decode_slot,
)
from optsched.k8s.settings import Mode, Settings
from optsched.k8s.simulator.api_objects import Refusal

BUDGET = Refusal(429, "TooManyRequests", "no", causes=[{"reason": "DisruptionBudget"}])
ONE_MOVE = ([("small", "n0", "n1", 0)], [("big", "n0", 1)])
Change = Callable[[World, PlacementPlan], None]


async def told(
    folder: Path,
    *,
    settings: Settings | None = None,
    before: Callable[[World], None] = lambda w: None,
    at: Phase | None = None,
    change: Change = lambda w, plan: None,
) -> tuple[World, PlacementPlan]:
    """The end of the one-move plan; `change` happens once the plan has reached phase `at`."""
    async with world(folder, settings=settings) as w:
        fragmented(w.cluster)
        await w.caught_up()
        plan = await w.create(by_hand(w, *ONE_MOVE))
        before(w)
        await w.caught_up()
        changed = at is None
        for _ in range(2000):
            now = w.plan(plan)
            if now.phase in ENDED:
                break
            if not changed and now.phase is at:
                changed = True
                change(w, now)
                await w.caught_up()
            await w.round()
        assert changed, "the plan never came to where something was to happen"
        return w, w.plan(plan)


def evictions(w: World) -> int:
    """How many pods were evicted; each at most once."""
    assert all(times == 1 for times in w.api.evicted.values())
    return len(w.api.evicted)


def clean(w: World) -> None:
    """Nothing is lost, no budget was violated, nothing is left behind."""
    assert not w.lost()
    assert not w.api.violations
    assert not w.leftovers()


def touched(w: World) -> list[tuple[str, str]]:
    """Writes to anything that is not a plan of ours."""
    return [one for one in w.api.writes if "placementplans" not in one[1]]


def put_slot(w: World, **annotations: str) -> None:
    """The slot, with annotations."""
    tree = w.api.get("planslots", "", "cluster") or {"metadata": {"name": "cluster"}, "spec": {}}
    tree["metadata"]["annotations"] = annotations
    w.api.put("planslots", tree)


def test_a_plan_goes_through_its(tmp_path: Path) -> None:
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


def test_a_wave_begins_when_the(tmp_path: Path) -> None:
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
def test_a_mode_that_only_reports(tmp_path: Path, mode: str) -> None:
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


def test_a_plan_waits_for_a(tmp_path: Path) -> None:
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


def test_a_newer_plan_supersedes_one(tmp_path: Path) -> None:
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


def _cordon_target(w: World, plan: PlacementPlan | None = None) -> None:
    node = w.api.get("nodes", "", "n1")
    assert node is not None
    w.api.put("nodes", {**node, "spec": {"unschedulable": True}})


def _delete_helped(w: World) -> None:
    for pod in w.cluster.pending():
        w.api.remove("pods", "shop", pod["metadata"]["name"])


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
        (_cordon_target, "changed"),
        (_delete_helped, "is gone"),
        (_forbid, "may not create pods/eviction"),
    ],
)
def test_a_plan_that_does_not(tmp_path: Path, before: Callable[[World], None], why: str) -> None:
    """A plan that does not hold any more is rejected."""
    w, end = run(told(tmp_path, before=before))
    assert end.phase is Phase.REJECTED
    assert why in end.status.reason
    assert not w.api.evicted


def test_nothing_is_moved_unless_the(tmp_path: Path) -> None:
    """Nothing is moved unless the extender has taken the plan over."""

    def kill_front_end(w: World) -> None:
        w.cluster.front.alive = False

    w, end = run(told(tmp_path, before=kill_front_end))
    assert end.phase is Phase.ABORTED
    assert "extender" in end.status.reason
    assert not w.api.evicted
    assert not w.leftovers()


def _evictions_answer(*answers: Refusal | str) -> Change:
    """Real evictions get these answers first; dry runs and all later ones the server's own."""
    rest = list(answers)

    def change(w: World, plan: PlacementPlan) -> None:
        asked = [0]

        def fault(method: str, path: str) -> Refusal | str | None:
            if not path.endswith("/eviction"):
                return None
            asked[0] += 1
            dry = asked[0] % 2 == 1
            return None if dry or not rest else rest.pop(0)

        w.api.fault = fault

    return change


@pytest.mark.parametrize(
    "answers",
    [
        (Refusal(500, "InternalError", "etcd is slow"),) * 3,
        (Refusal(429, "TooManyRequests", "later", retryAfterSeconds=3),) * 2,
        (BUDGET,) * 2,
        ("drop",) * 2,
        ("lose",),
    ],
    ids=["500", "429", "budget", "drop", "lose"],
)
def test_an_eviction_in_trouble_is(tmp_path: Path, answers: tuple[Refusal | str, ...]) -> None:
    """An eviction in trouble is repeated and happens once."""
    w, end = run(told(tmp_path, at=Phase.EVICTING, change=_evictions_answer(*answers)))
    assert (end.phase, evictions(w)) == (Phase.DONE, 1)
    clean(w)


def test_a_budget_that_never_allows(tmp_path: Path) -> None:
    """A budget that never allows it ends the plan."""
    change = _evictions_answer(*[BUDGET] * 500)
    w, end = run(told(tmp_path, at=Phase.EVICTING, change=change))
    assert end.phase is Phase.ABORTED
    assert "could not be evicted in time" in end.status.reason
    assert not w.api.evicted
    clean(w)


def test_a_right_that_is_taken(tmp_path: Path) -> None:
    """A right that is taken away ends the plan."""
    forbidden = Refusal(403, "Forbidden", "no")
    change = _evictions_answer(*[forbidden] * 5)
    w, end = run(told(tmp_path, at=Phase.EVICTING, change=change))
    assert (end.phase, evictions(w)) == (Phase.ABORTED, 0)
    clean(w)


def _replace_victim(w: World, plan: PlacementPlan) -> None:
    """A pod of the same name and another UID."""
    move = plan.spec.moves[0]
    w.api.remove("pods", move.namespace, move.name)
    w.cluster.settle()


def _end_of_mode(mode: Mode) -> Change:
    def change(w: World, plan: PlacementPlan) -> None:
        w.settings = bench(MODE=mode.value)

    return change


def _pause_cluster(w: World, plan: PlacementPlan) -> None:
    put_slot(w, **{PAUSE: "true"})


def _fill_target(w: World, plan: PlacementPlan) -> None:
    """Somebody binds past the scheduler."""
    w.cluster.pod_of(w.cluster.owner("thief", 1000, 1), "n1")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_cordon_target, "is cordoned"),
        (_pause_cluster, "paused"),
        (_end_of_mode(Mode.ADVISORY), "the mode is Advisory"),
        (_fill_target, "no room"),
        (lambda w, plan: _delete_helped(w), "nobody is left to help"),
    ],
    ids=["cordon", "pause", "mode", "room", "helped"],
)
def test_what_happens_before_the_eviction(tmp_path: Path, change: Change, why: str) -> None:
    """What happens before the eviction ends the plan without one."""
    w, end = run(told(tmp_path, at=Phase.EVICTING, change=change))
    assert end.phase is Phase.ABORTED
    assert why in end.status.reason
    assert not w.api.evicted
    assert not w.leftovers()


def test_a_pod_that_enters_before_it_is_let(tmp_path: Path) -> None:
    """Where gates steer it may be placed as soon as the old pod has gone; the plan is then done."""

    def enter(w: World) -> None:
        (pod,) = (one for one in w.api.all("pods") if one["metadata"]["labels"]["app"] == "big")
        new = copy.deepcopy(pod)
        new["spec"]["nodeName"] = "n0"
        w.api.put("pods", new)

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, *ONE_MOVE))
            w.point = lambda name: enter(w) if name == "after evict" else None
            end = await w.drive(plan)
            assert end.phase is Phase.DONE, end.status.reason
            assert end.status.placed == {end.spec.placements[0].uid: "n0"}
            assert evictions(w) == 1
            clean(w)

    run(story())


def test_off_in_the_middle_leaves(tmp_path: Path) -> None:
    """Off in the middle leaves the rest to the deadlines."""

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, *ONE_MOVE))
            while w.plan(plan).phase is not Phase.EVICTING:
                await w.round()
            w.settings = bench(MODE="Off")
            w.api.writes.clear()
            for _ in range(20):
                await w.round()
            assert not w.api.writes
            table = w.cluster.front.board.read()
            assert w.clock.now() < table.expires <= w.plan(plan).status.deadline
            w.settings = bench()
            w.clock.advance(w.settings.moves.ttl.seconds + 1)
            end = await w.drive(plan)
            assert (end.phase, end.status.reason) == (Phase.ABORTED, "it took too long")
            clean(w)

    run(story())


def test_a_pod_that_went_by(tmp_path: Path) -> None:
    """A pod that went by itself is not evicted again."""
    w, end = run(told(tmp_path, at=Phase.EVICTING, change=_replace_victim))
    assert end.phase in ENDED
    assert not w.api.evicted
    clean(w)


def test_nothing_is_written_once_another(tmp_path: Path) -> None:
    """Nothing is written once another leads and the next leader goes on."""

    async def story() -> None:
        async with world(tmp_path) as w:
            chain(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, *CHAIN))
            while not w.api.evicted:
                await w.round()
            w.leads = False
            w.api.writes.clear()
            for _ in range(20):
                await w.round()
            assert not w.api.writes
            w.leads = True
            await w.restart()
            assert (await w.drive(plan)).phase is Phase.DONE
            assert evictions(w) == 2
            clean(w)

    run(story())


def test_two_that_believe_they_lead(tmp_path: Path) -> None:
    """Two that believe they lead evict nobody twice."""

    async def story() -> None:
        async with world(tmp_path) as w:
            chain(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, *CHAIN))
            first, second = w.executor, w.another()
            for _ in range(400):
                if w.plan(plan).phase in ENDED:
                    break
                await asyncio.gather(first.step(), second.step())
                w.cluster.settle()
                await w.caught_up()
                w.clock.advance(0.2)
            assert w.plan(plan).phase is Phase.DONE
            assert evictions(w) == 2
            clean(w)

    run(story())


def test_a_cache_that_has_gone(tmp_path: Path) -> None:
    """A cache that has gone silent is compared with the server first."""

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, *ONE_MOVE))
            while w.plan(plan).phase is not Phase.EVICTING:
                await w.round()
            w.api.mute = True  # the connections are dead and nobody knows
            w.clock.advance(3.0)
            _fill_target(w, plan)
            for _ in range(30):
                await w.executor.step()
                w.clock.advance(0.2)
            assert not w.api.evicted
            w.api.mute = False
            w.api.drop_watches()
            await w.caught_up()
            assert (await w.drive(plan)).phase is Phase.ABORTED
            assert not w.api.evicted

    run(story())


def test_two_failures_in_a_row(tmp_path: Path) -> None:
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
            assert not w.api.evicted
            w.clock.advance(1800)
            await w.caught_up()
            plan = await w.create(by_hand(w, *ONE_MOVE))
            assert (await w.drive(plan)).phase is Phase.DONE

    run(story())


def test_an_owner_is_left_alone(tmp_path: Path) -> None:
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


def test_what_a_plan_that_is(tmp_path: Path) -> None:
    """What a plan that is gone left behind is taken away."""

    async def story() -> None:
        async with world(tmp_path) as w:
            from optsched.k8s.table import PlanTable

            far = w.clock.now() + 1_000_000
            w.cluster.front.board.publish(PlanTable(plan="ghost", expires=far))
            slot = msgspec.to_builtins(PlanSlot(spec=SlotSpec(("ghost",))))
            w.api.put("planslots", {"metadata": {"name": "cluster"}, "spec": slot["spec"]})
            for _ in range(4):
                await w.round()
            assert not w.leftovers()
            stored = w.api.get("planslots", "", "cluster")
            assert decode_slot(msgspec.json.encode(stored)).spec.active_plans == ()

    run(story())


def test_nominations_are_taken_back_when(tmp_path: Path) -> None:
    """Nominations are taken back when a plan is given up."""

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, *ONE_MOVE))
            schedule, w.cluster._schedule = w.cluster._schedule, lambda: None  # type: ignore[method-assign]
            while w.plan(plan).phase is not Phase.PLACING:
                await w.round()
            w.cluster._schedule = schedule  # type: ignore[method-assign]
            w.cluster.settle()
            w.cluster._schedule = lambda: None  # type: ignore[method-assign]
            while not any(p["status"].get("nominatedNodeName") for p in w.api.all("pods")):
                await w.round()
                assert w.plan(plan).phase not in ENDED
            end = await w.drive(plan)
            assert end.phase is Phase.PARTIALLY_DONE
            assert not w.leftovers()

    run(story())


@pytest.mark.parametrize("gates", ["", GATE], ids=["extender", "gates"])
def test_killed_at_any_step_it(tmp_path: Path, gates: str) -> None:
    """Killed at any step it goes on and nothing is lost or done twice."""
    steps = run(killed_at(0, tmp_path / "whole", gates)).steps
    assert steps >= 30
    for kill in range(1, steps + 1):
        story = run(killed_at(kill, tmp_path / str(kill), gates))
        assert (story.phase, story.evictions, story.kills) == ("Done", 2, 1), kill
        assert not story.harm, kill


@pytest.mark.parametrize("seed", range(6))
def test_random_plans_with_faults_and(tmp_path: Path, seed: int) -> None:
    """Random plans with faults and kills do no harm."""
    story = run(tell(seed, tmp_path, trouble=0.6, faults=0.03, kills=1.0))
    assert not story.violations
    assert not story.doubles
    assert not story.lost
    assert not story.leftovers


def test_a_killed_executor_leaves_nothing_that_holds_for_ever(tmp_path: Path) -> None:
    """The table's own end frees the nodes although nobody comes back."""

    async def story() -> Any:
        async with world(tmp_path) as w:
            chain(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, *CHAIN))
            while not w.api.evicted:
                await w.round()
            w.clock.advance(w.settings.moves.ttl.seconds + 60)
            stranger = w.cluster.pod_of(w.cluster.owner("stranger", 100, 1))
            table = w.cluster.front.board.read()
            assert table.plan == plan.uid
            assert table.expires < w.clock.now()
            names = ["n0", "n1", "n2"]
            assert w.cluster.front.filter(stranger, names) == names

    run(story())
