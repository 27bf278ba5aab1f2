"""What is looked at again while a plan is carried out, up to the moment of each eviction."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from fake_world import CHAIN, World, bench, by_hand, chain, fragmented, run, world
from stories import ONE_MOVE, clean, evictions, half_done, nominated, reached, told

from optsched.k8s.records import ENDED, PAUSE, Phase, PlacementPlan
from optsched.k8s.simulator.api_objects import Refusal

Change = Callable[[World], None]


def annotate(w: World, plural: str, app: str, note: str, text: str = "true") -> None:
    """Set an annotation on all objects of an application."""
    for tree in w.api.all(plural):
        meta = tree["metadata"]
        if app in (meta["name"], (meta.get("labels") or {}).get("app")):
            new = copy.deepcopy(tree)
            new["metadata"]["annotations"] = {**(meta.get("annotations") or {}), note: text}
            w.api.put(plural, new)


def pause_deployment(app: str) -> Change:
    """Put the ReplicaSet under a Deployment that somebody has paused, as people do."""

    def change(w: World) -> None:
        name = f"{app}-deployment"
        above = {"kind": "Deployment", "name": name, "uid": name, "controller": True}
        paused = {"name": name, "namespace": "shop", "uid": name, "annotations": {PAUSE: "true"}}
        w.api.put("deployments", {"metadata": paused, "spec": {}, "status": {}})
        owner = copy.deepcopy(w.api.get("replicasets", "shop", app))
        assert owner is not None
        owner["metadata"]["ownerReferences"] = [above]
        w.api.put("replicasets", owner)

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda w: annotate(w, "pods", "second", "karpenter.sh/do-not-disrupt"), "forbids"),
        (lambda w: annotate(w, "pods", "second", "optsched.io/movable", "false"), "forbids"),
        (lambda w: w.api.remove("replicasets", "shop", "second"), "is gone"),
        (lambda w: annotate(w, "replicasets", "second", PAUSE), "paused"),
        (lambda w: annotate(w, "pods", "big", PAUSE), "paused"),
        (lambda w: annotate(w, "replicasets", "big", PAUSE), "paused"),
        (pause_deployment("second"), "paused"),
        (pause_deployment("big"), "paused"),
    ],
    ids=["karpenter", "movable", "owner", "owner-paused", "helped-paused",
         "helped-owner-paused", "deployment-paused", "helped-deployment-paused"],
)  # fmt: skip
def test_between_waves(tmp_path: Path, change: Change, why: str) -> None:
    """What must stay by now stays, though the plan was good when it began."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await half_done(w)
            change(w)
            await w.caught_up()
            end = await w.drive(plan)
            assert end.phase is Phase.PARTIALLY_DONE
            assert why in end.status.reason
            assert set(w.api.evicted) == {end.spec.moves[0].uid}
            assert not w.leftovers()

    run(story())


@pytest.mark.parametrize("pause", ["pods", "replicasets", "deployments"])
def test_what_is_paused_is_not_helped(tmp_path: Path, pause: str) -> None:
    """Neither is a plan begun for it, wherever the annotation is."""

    def change(w: World) -> None:
        if pause == "deployments":
            pause_deployment("big")(w)
        else:
            annotate(w, pause, "big", PAUSE)

    w, end = run(told(tmp_path, before=change))
    assert end.phase is Phase.REJECTED
    assert "paused" in end.status.reason
    assert not w.api.evicted


async def ages_at_evictions(w: World, after_dry_run: Callable[[], None]) -> list[float]:
    """Carry the one-move plan out; the age of the view at each eviction that was asked for."""
    ages: list[float] = []

    def point(name: str) -> None:
        if name == "after dry-run":
            after_dry_run()
        elif name == "before evict":
            ages.append(w.mirror.age())

    fragmented(w.cluster)
    await w.caught_up()
    plan = await w.create(by_hand(w, *ONE_MOVE))
    while w.plan(plan).phase is not Phase.EVICTING:
        await w.round()
    w.point = point
    await w.drive(plan)
    return ages


def test_a_server_that_takes_its_time(tmp_path: Path) -> None:
    """A view that has become old between dry run and eviction is compared with the server first."""

    async def story() -> None:
        async with world(tmp_path) as w:
            slow = [3.0, 2.5]
            ages = await ages_at_evictions(w, lambda: w.clock.advance(slow.pop() if slow else 0.0))
            assert not slow
            assert len(ages) == evictions(w) == 1
            assert ages[0] <= w.settings.moves.max_cache_age.seconds
            clean(w)

    run(story())


def another_mode(w: World) -> None:
    """A person says so in the configuration."""
    w.settings = bench(MODE="Advisory")


def another_leader(w: World) -> None:
    """For a while."""
    w.leads = False


def an_old_view(w: World) -> None:
    """Nothing was heard for so long."""
    w.clock.advance(3.0)


@pytest.mark.parametrize("queued", [False, True], ids=["asked", "queued"])
@pytest.mark.parametrize("change", [another_mode, another_leader, an_old_view])
def test_what_changes_in_the_last_moment(tmp_path: Path, change: Change, queued: bool) -> None:
    """Nobody is evicted then: not after the dry run, nor while the eviction waits for its turn."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await reached(w, Phase.EVICTING)
            due: list[Change] = []

            async def take() -> None:
                if due:
                    due.pop()(w)

            def point(name: str) -> None:
                if name == "after dry-run":
                    if queued:
                        due.append(change)
                    else:
                        change(w)
                    w.point = lambda name: None

            w.point, w.client._rate.take = point, take  # type: ignore[method-assign]
            w.api.writes.clear()  # the first eviction asked for is the dry run
            while not (asked := [path for _, path in w.api.writes if path.endswith("/eviction")]):
                await w.round()
            assert len(asked) == 1
            assert not w.api.evicted
            w.leads = True
            end = await w.drive(plan)
            assert end.phase is (Phase.ABORTED if change is another_mode else Phase.DONE)
            clean(w)

    run(story())


def test_a_server_that_is_away_for_minutes(tmp_path: Path) -> None:
    """In the middle of a plan: nothing is done blindly, and the plan has ended when it is back."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await half_done(w)
            w.api.fault = lambda method, path: "drop"
            w.api.drop_watches()
            for _ in range(40):
                assert await w.executor.step() > 0
                w.clock.advance(10.0)
            assert len(w.api.evicted) == 1
            w.api.fault = lambda method, path: None
            await w.caught_up()
            end = await w.drive(plan)
            assert (end.phase, end.status.reason) == (Phase.PARTIALLY_DONE, "it took too long")
            assert evictions(w) == 1
            w.cluster.settle()
            clean(w)

    run(story())


def test_a_state_that_has_changed_is_no_other_pod(tmp_path: Path) -> None:
    """A pod that has not started may go in the very state that was seen; it is asked for again."""

    def pending(w: World, plan: PlacementPlan) -> None:
        (pod,) = (one for one in w.api.all("pods") if one["metadata"]["uid"] == move_of(plan))
        new = copy.deepcopy(pod)
        new["status"]["phase"] = "Pending"
        refusals = [Refusal(409, "Conflict", "resourceVersion")]
        w.api.put("pods", new)
        w.api.fault = lambda method, path: (
            refusals.pop() if refusals and path.endswith("/eviction") else None
        )
        w.cluster._kubelets = lambda: None  # type: ignore[method-assign]

    def move_of(plan: PlacementPlan) -> str:
        return plan.spec.moves[0].uid

    w, end = run(told(tmp_path, at=Phase.EVICTING, change=pending))
    assert end.status.moves[move_of(end)].evicted, end.status
    assert evictions(w) == 1


def test_a_plan_that_somebody_deletes(tmp_path: Path) -> None:
    """What it has nominated, kept and entered is taken back all the same."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await nominated(w)
            w.api.remove("placementplans", "", plan.metadata.name)
            for _ in range(5):
                await w.round()
            assert not w.leftovers()

    run(story())


@pytest.mark.parametrize("mode", ["Advisory", "Enforce"])
def test_the_cluster_can_be_paused_before_any_plan(tmp_path: Path, mode: str) -> None:
    """The slot that carries the annotation is there from the start."""

    async def story() -> None:
        async with world(tmp_path, settings=bench(MODE=mode)) as w:
            for _ in range(2):
                await w.round()
            slot = w.api.get("planslots", "", "cluster")
            assert slot is not None
            assert slot["spec"] == {"activePlans": []}

    run(story())


def test_a_plan_ends_before_room_is_given_back(tmp_path: Path) -> None:
    """However long its pods may take to end: the extender keeps room for guard.maxLife only."""

    async def story() -> None:
        async with world(tmp_path, settings=bench(GUARD_MAX_LIFE="6m")) as w:
            fragmented(w.cluster)
            await w.caught_up()
            made = by_hand(w, *ONE_MOVE)
            (move,) = made.spec.moves
            slow = msgspec.structs.replace(move, grace=600)
            made = msgspec.structs.replace(
                made, spec=msgspec.structs.replace(made.spec, moves=(slow,))
            )
            plan = await w.create(made)
            while w.plan(plan).phase is not Phase.RESERVING:
                await w.round()
            assert w.plan(plan).status.deadline - w.clock.now() <= 6 * 60_000

    run(story())


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A node whose room nobody can tell ends no process; the plan ends in its time."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await half_done(w)
            node = copy.deepcopy(w.api.get("nodes", "", "n1"))
            assert node is not None
            node["status"]["allocatable"]["cpu"] = "many"
            w.api.put("nodes", node)
            await w.caught_up()
            while w.plan(plan).phase not in ENDED:
                w.clock.advance(await w.executor.step() + 1.0)
            assert w.plan(plan).phase is Phase.PARTIALLY_DONE
            assert evictions(w) == 1
            assert not w.leftovers()

    run(story())


def test_a_newer_plan_does_not_end_one_that_acts(tmp_path: Path) -> None:
    """It waits, and is looked at again when its turn has come."""

    async def story() -> None:
        async with world(tmp_path) as w:
            chain(w.cluster)
            await w.caught_up()
            first = by_hand(w, *CHAIN)
            plan = await w.create(first)
            while not w.api.evicted:
                await w.round()
            newer = await w.create(first)
            assert (await w.drive(plan)).phase is Phase.DONE
            assert (await w.drive(newer)).phase is Phase.REJECTED
            assert evictions(w) == 2
            clean(w)

    run(story())
