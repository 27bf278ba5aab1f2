"""The plan of one move from begin to end, with something happening on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fake_world import CHAIN, World, by_hand, chain, fragmented, world

from optsched.k8s.records import ENDED, Phase, PlacementPlan
from optsched.k8s.settings import Settings

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


async def reached(w: World, phase: Phase) -> PlacementPlan:
    """The one-move plan of a fragmented cluster, as soon as it is in this phase."""
    fragmented(w.cluster)
    await w.caught_up()
    plan = await w.create(by_hand(w, *ONE_MOVE))
    await _until(w, plan, lambda: w.plan(plan).phase is phase)
    return plan


async def half_done(w: World) -> PlacementPlan:
    """A plan of two moves, the second after the first, as soon as one pod is evicted."""
    chain(w.cluster)
    await w.caught_up()
    plan = await w.create(by_hand(w, *CHAIN))
    await _until(w, plan, lambda: bool(w.api.evicted))
    return plan


async def nominated(w: World) -> PlacementPlan:
    """The one-move plan when it has nominated a node for a pod, and no scheduler comes by."""
    schedule, w.cluster._schedule = w.cluster._schedule, lambda: None  # type: ignore[method-assign]
    plan = await reached(w, Phase.PLACING)
    w.cluster._schedule = schedule  # type: ignore[method-assign]
    w.cluster.settle()
    w.cluster._schedule = lambda: None  # type: ignore[method-assign]
    pods = w.api.all
    await _until(w, plan, lambda: any(p["status"].get("nominatedNodeName") for p in pods("pods")))
    return plan


async def _until(w: World, plan: PlacementPlan, come: Callable[[], bool]) -> None:
    """Rounds until it has come, which is before the plan has ended."""
    while not come():
        assert w.plan(plan).phase not in ENDED
        await w.round()


def evictions(w: World) -> int:
    """How many pods were evicted; each at most once."""
    assert all(times == 1 for times in w.api.evicted.values())
    return len(w.api.evicted)


def clean(w: World) -> None:
    """Nothing is lost, no budget was violated, nothing is left behind."""
    assert not w.lost()
    assert not w.api.violations
    assert not w.leftovers()


def cordon_target(w: World, plan: PlacementPlan | None = None) -> None:
    """Nothing may enter the node that the plan moves a pod to."""
    node = w.api.get("nodes", "", "n1")
    assert node is not None
    w.api.put("nodes", {**node, "spec": {"unschedulable": True}})


def delete_helped(w: World) -> None:
    """The pods that a plan would help are gone."""
    for pod in w.cluster.pending():
        w.api.remove("pods", "shop", pod["metadata"]["name"])


def fill_target(w: World, plan: PlacementPlan) -> None:
    """Somebody binds past the scheduler."""
    w.cluster.pod_of(w.cluster.owner("thief", 1000, 1), "n1")
