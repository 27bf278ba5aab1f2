"""Plans are carried out, given up and cleaned up, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_api import Refusal
from fake_world import World, bench, fragmented, run, world
from random_worlds import Killed, tell

from optsched.k8s.records import ENDED, PLANS, Phase, PlacementPlan
from optsched.k8s.settings import Settings

SEEDS = range(24)
MOST_POINTS = 200  # more than any plan here writes


async def _proposed(w: World) -> PlacementPlan:
    fragmented(w.cluster)
    plan = await w.propose()
    assert plan is not None
    return plan


def _ended_well(w: World) -> None:
    assert w.api.violations == []
    assert max(w.api.evicted.values(), default=0) <= 1
    assert w.lost() == []
    assert w.leftovers() == []


def test_a_fragmented_pod_is_helped(tmp_path: Path) -> None:
    """One pod moves, the pending one gets the node that is free then, and nothing is left over."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            end = await w.drive(plan)
            assert end.phase is Phase.DONE
            assert end.status.reason == "1 placed, 1 of them where planned"
            assert sum(w.api.evicted.values()) == 1
            assert w.cluster.pending() == []
            _ended_well(w)

    run(story())


def test_killed_at_every_point(tmp_path: Path) -> None:
    """Before and after each write the process dies once; what it left is taken up again."""

    async def story(at: int, pause: float) -> str:
        names: list[str] = []

        def point(name: str) -> None:
            names.append(name)
            if len(names) == at:
                raise Killed(name)

        folder = tmp_path / f"{at}-{pause}"
        folder.mkdir()
        async with world(folder) as w:
            plan = await _proposed(w)
            w.point = point
            while w.plan(plan).phase not in ENDED:
                try:
                    await w.round()
                except Killed:
                    w.cluster.settle()
                    w.clock.advance(pause)
                    await w.restart()
                assert w.steps < MOST_POINTS
            for _ in range(2):
                await w.round()
            _ended_well(w)
            assert w.plan(plan).phase is Phase.DONE or pause
            return names[at - 1] if len(names) >= at else ""

    for pause in (0.0, 600.0):  # at once, and after the plan's time is over
        killed = []
        for at in range(1, MOST_POINTS):
            name = run(story(at, pause))
            if not name:
                break
            killed.append(name)
        assert len(killed) >= 30
        assert {"before evict", "after evict", "before table", "after slot"} <= {*killed}


@pytest.mark.parametrize("seed", SEEDS)
def test_random_plans_in_trouble(tmp_path: Path, seed: int) -> None:
    """Budgets hold and nothing is lost, though pods go, nodes close, servers fail and we die."""
    told = run(tell(seed, tmp_path, trouble=0.6, faults=0.05))
    assert told.phase in ("", "Done", "Aborted", "PartiallyDone", "Rejected", "Expired")
    assert (told.violations, told.doubles, told.lost, told.leftovers) == ((), 0, (), ())


@pytest.mark.parametrize(
    ("settings", "phase", "words"),
    [
        (bench(MODE="Advisory"), Phase.RECORDED, "the mode is Advisory: nothing is done"),
        (bench(MODE="DryRun"), Phase.RECORDED, "the mode is DryRun: nothing is done"),
        (bench(NAMESPACES_NEVER="[shop]"), Phase.REJECTED, "of namespace shop are not to be"),
    ],
)
def test_nothing_is_done_where_that_is_not_wanted(
    tmp_path: Path, settings: Settings, phase: Phase, words: str
) -> None:
    """Advice is recorded, and what the settings forbid is rejected, without an eviction."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            w.settings = settings
            end = await w.drive(plan)
            assert end.phase is phase
            assert words in end.status.reason
            assert not w.api.evicted
            assert w.leftovers() == []

    run(story())


def test_off_writes_nothing(tmp_path: Path) -> None:
    """In mode Off not even the plan's status is touched."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            w.settings = bench(MODE="Off")
            w.api.writes.clear()
            for _ in range(5):
                await w.round()
            assert w.api.writes == []
            assert w.plan(plan).phase is Phase.PROPOSED

    run(story())


def test_a_pause_stops_before_the_eviction(tmp_path: Path) -> None:
    """Whoever pauses the namespace while the plan reserves is obeyed."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            while w.plan(plan).phase is not Phase.RESERVING:
                await w.round()
            w.cluster.namespace("shop", **{"optsched.io/pause": "true"})
            await w.caught_up()
            end = await w.drive(plan)
            assert end.phase is Phase.ABORTED
            assert end.status.reason == "namespace shop is paused"
            assert not w.api.evicted
            assert w.leftovers() == []

    run(story())


def test_who_does_not_lead_does_nothing(tmp_path: Path) -> None:
    """Without the Lease there is no side effect; with it the plan goes on where it stood."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            w.leads = False
            w.api.writes.clear()
            for _ in range(5):
                await w.round()
            assert w.api.writes == []
            w.leads = True
            assert (await w.drive(plan)).phase is Phase.DONE

    run(story())


def test_a_newer_plan_supersedes(tmp_path: Path) -> None:
    """Of two plans that wait the older one ends."""

    async def story() -> None:
        async with world(tmp_path) as w:
            old = await _proposed(w)
            w.clock.advance(1)
            new = await w.propose()
            assert new is not None
            assert (await w.drive(new)).phase is Phase.DONE
            assert w.plan(old).phase is Phase.SUPERSEDED

    run(story())


def test_an_old_plan_expires(tmp_path: Path) -> None:
    """What was not begun within its time is not begun at all."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            w.clock.advance(3600)
            assert (await w.drive(plan)).phase is Phase.EXPIRED
            assert not w.api.evicted

    run(story())


def test_a_cluster_that_has_changed_rejects(tmp_path: Path) -> None:
    """The plan is read again by the checker on the cluster as it is."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            for name in ("n0", "n1"):
                node = w.api.get("nodes", "", name)
                assert node is not None
                w.api.put("nodes", {**node, "spec": {"unschedulable": True}})
            await w.caught_up()
            end = await w.drive(plan)
            assert end.phase is Phase.REJECTED
            assert not w.api.evicted

    run(story())


def test_a_dead_extender_stops_the_plan_before_it_evicts(tmp_path: Path) -> None:
    """Reserving costs nothing and is rolled back."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            w.cluster.front.alive = False
            end = await w.drive(plan)
            assert end.phase is Phase.ABORTED
            assert "the extender did not take over the plan" in end.status.reason
            assert not w.api.evicted
            assert w.leftovers() == []

    run(story())


def _once(status: int, reason: str, ending: str) -> Callable[[str, str], Refusal | str | None]:
    left = [1]

    def fault(method: str, path: str) -> Refusal | str | None:
        if method == "GET" or not path.endswith(ending) or not left[0]:
            return None
        left[0] -= 1
        if status:
            return Refusal(status, reason, "not now", retryAfterSeconds=1)
        return reason

    return fault


@pytest.mark.parametrize("ending", ["/status", "/eviction", "planslots/cluster", "planslots"])
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (409, "Conflict"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (0, "drop"),
        (0, "lose"),
    ],
)
def test_a_server_in_trouble_is_asked_again(
    tmp_path: Path, status: int, reason: str, ending: str
) -> None:
    """An answer that says nothing about the plan, or none, delays it; nothing is done twice."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            w.api.fault = _once(status, reason, ending)
            end = await w.drive(plan)
            # A conflict of an eviction is a verdict: the pod is another one by now.
            verdict = ending == "/eviction" and status == 409
            assert end.phase is (Phase.REJECTED if verdict else Phase.DONE)
            _ended_well(w)

    run(story())


@pytest.mark.parametrize("seconds", [30, 900])
def test_a_server_that_is_down_for_minutes(tmp_path: Path, seconds: int) -> None:
    """Nothing is evicted meanwhile; afterwards the plan goes on, or ends if its time is over."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            while w.plan(plan).phase is not Phase.RESERVING:
                await w.round()
            w.api.fault = lambda method, path: Refusal(503, "ServiceUnavailable", "down")
            for _ in range(seconds // 10):
                await w.executor.step()
                w.clock.advance(10)
            assert not w.api.evicted
            w.api.fault = lambda method, path: None
            await w.caught_up()
            end = await w.drive(plan)
            assert end.phase in (Phase.DONE, Phase.ABORTED)
            assert bool(w.api.evicted) == (end.phase is Phase.DONE)
            _ended_well(w)

    run(story())


def test_no_room_on_a_blind_cache(tmp_path: Path) -> None:
    """With a watch that says nothing the cache is compared with the server before an eviction."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            w.api.mute = True
            w.cluster.owner("thief", 1100, 1)
            w.cluster.settle()  # it sits where the moved pod was to go, and we are not told
            w.clock.advance(5)
            for _ in range(20):
                await w.executor.step()
                w.clock.advance(1)
            assert not w.api.evicted
            assert w.plan(plan).phase is Phase.PROPOSED
            w.api.mute = False
            w.api.drop_watches()
            await w.caught_up()
            assert (await w.drive(plan)).phase in (Phase.REJECTED, Phase.EXPIRED)
            assert not w.api.evicted

    run(story())


def test_plans_that_ended_long_ago_are_forgotten(tmp_path: Path) -> None:
    """They stay as long as a cooldown rests on them."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await _proposed(w)
            await w.drive(plan)
            w.clock.advance(2 * 3600)
            await w.round()
            assert w.api.get(PLANS.plural, "", plan.metadata.name) is None

    run(story())
