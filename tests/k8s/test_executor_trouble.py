"""Whatever goes wrong while a plan acts, nothing is lost or left behind."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from fake_world import World, bench, by_hand, fragmented, run, world
from stories import (
    ONE_MOVE,
    Change,
    clean,
    cordon_target,
    delete_helped,
    evictions,
    fill_target,
    nominated,
    reached,
    told,
)

from optsched.k8s.records import ENDED, PAUSE, Phase, PlacementPlan
from optsched.k8s.settings import Mode
from optsched.k8s.simulator.api_objects import Refusal

BUDGET = Refusal(429, "TooManyRequests", "no", causes=[{"reason": "DisruptionBudget"}])


def put_slot(w: World, **annotations: str) -> None:
    """The slot, with annotations."""
    tree = w.api.get("planslots", "", "cluster") or {"metadata": {"name": "cluster"}, "spec": {}}
    tree["metadata"]["annotations"] = annotations
    w.api.put("planslots", tree)


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
def test_an_eviction_in_trouble_happens_once(
    tmp_path: Path, answers: tuple[Refusal | str, ...]
) -> None:
    """An eviction in trouble is repeated and happens once."""
    w, end = run(told(tmp_path, at=Phase.EVICTING, change=_evictions_answer(*answers)))
    assert (end.phase, evictions(w)) == (Phase.DONE, 1)
    clean(w)


def test_a_budget_that_never_allows_it_ends_the_plan(tmp_path: Path) -> None:
    """A budget that never allows it ends the plan."""
    change = _evictions_answer(*[BUDGET] * 500)
    w, end = run(told(tmp_path, at=Phase.EVICTING, change=change))
    assert end.phase is Phase.ABORTED
    assert "could not be evicted in time" in end.status.reason
    assert not w.api.evicted
    clean(w)


def test_a_right_that_is_taken_away_ends_the_plan(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (cordon_target, "is cordoned"),
        (_pause_cluster, "paused"),
        (_end_of_mode(Mode.ADVISORY), "the mode is Advisory"),
        (fill_target, "no room"),
        (lambda w, plan: delete_helped(w), "nobody is left to help"),
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


def test_off_in_the_middle(tmp_path: Path) -> None:
    """Off in the middle leaves the rest to the deadlines."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await reached(w, Phase.EVICTING)
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


def test_a_pod_that_went_by_itself_is_not_evicted(tmp_path: Path) -> None:
    """A pod that went by itself is not evicted again."""
    w, end = run(told(tmp_path, at=Phase.EVICTING, change=_replace_victim))
    assert end.phase in ENDED
    assert not w.api.evicted
    clean(w)


def test_a_cache_that_has_gone_silent(tmp_path: Path) -> None:
    """A cache that has gone silent is compared with the server first."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await reached(w, Phase.EVICTING)
            w.api.mute = True  # the connections are dead and nobody knows
            w.clock.advance(3.0)
            fill_target(w, plan)
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


def test_nominations_are_taken_back(tmp_path: Path) -> None:
    """Nominations are taken back when a plan is given up."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await nominated(w)
            end = await w.drive(plan)
            assert end.phase is Phase.PARTIALLY_DONE
            assert not w.leftovers()

    run(story())
